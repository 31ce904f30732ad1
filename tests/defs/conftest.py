"""What the tests of this folder that run dbt share: its environment and an instance of Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Path, warehouse: str) -> None:
    """The settings of a run with the module's own `project` and `warehouse`."""
    monkeypatch.setenv("CAPI_HOME", str(tmp_path))
    monkeypatch.setenv("CAPI_DBT_PROJECT", str(project))
    monkeypatch.setenv("CAPI_WAREHOUSE_URL", warehouse)
    monkeypatch.setenv("CAPI_STEP_RETRIES", "0")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made
