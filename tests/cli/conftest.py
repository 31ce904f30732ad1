"""An installation of the user's own: databases, documents and settings, on real servers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from capi_pipeline.sandbox import accounts, server
from tests.cli import command
from tests.cli.command import Capi


@pytest.fixture(scope="session")
def forks() -> Iterator[subprocess.Popen[str]]:
    with command.forks() as process:
        yield process


@pytest.fixture
def capi(tmp_path: Path, forks: subprocess.Popen[str]) -> Capi:
    """`capi` with a home and one document (Meta), and nothing running."""
    document(tmp_path / "destinations")
    environment = {
        "CAPI_HOME": str(tmp_path / "home"),
        "CAPI_DESTINATIONS": str(tmp_path / "destinations"),
        "CAPI_SANDBOX_PORT": "1",
        "CAPI_DBT_PROJECT": "off",
        "CAPI_PATIENCE": "0",
        "CAPI_STEP_RETRIES": "0",
    }
    return Capi(forks, tmp_path, environment)


@pytest.fixture
def own(capi: Capi, warehouse_url: str, ledger_url: str, module_database_url: str) -> Capi:
    """... with databases of its own; Dagster's storage takes its time to set up, so the tests of a module share it."""
    capi.environment |= {
        "CAPI_WAREHOUSE_URL": warehouse_url, "CAPI_LEDGER_URL": ledger_url, "CAPI_DAGSTER_URL": module_database_url,
    }  # fmt: skip
    return capi


@pytest.fixture
def delivering(own: Capi) -> Iterator[Capi]:
    """... whose document points to a running sandbox, at `environment["SANDBOX"]`."""
    with server.in_thread() as address:
        document(Path(own.environment["CAPI_DESTINATIONS"]), base_url=f"{address}/meta")
        own.environment |= {"SANDBOX": address, "META_TOKEN": accounts.META_ACCESS_TOKEN}
        yield own


def document(folder: Path, name: str = "meta", base_url: str | None = None) -> Path:
    """A document for Meta."""
    path = folder / name / "defs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        "type: capi_pipeline.components.Destination",
        "attributes:",
        "  platform: meta",
        "  account:",
        f"    pixel_id: '{accounts.META_PIXEL_ID}'",
        "    access_token: {env: META_TOKEN}",
        *([f"  base_url: {base_url}"] if base_url else []),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path
