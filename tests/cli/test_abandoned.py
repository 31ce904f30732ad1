"""Runs of a command that was killed do not keep their pools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from capi_pipeline.cli import abandoned

POOL = "capi_meta"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAPI_HOME", str(tmp_path))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp() as made:
        made.event_log_storage.set_concurrency_slots(POOL, 1)
        yield made


def started(instance: dg.DagsterInstance, name: str) -> str:
    """A run of a command of this name, which holds the pool."""
    run = instance.add_run(dg.DagsterRun("job", status=dg.DagsterRunStatus.STARTED, tags={abandoned.TAG: name}))
    claim = instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "step")
    assert claim.is_claimed
    return run.run_id


def holders(instance: dg.DagsterInstance) -> set[str]:
    return {slot.run_id for slot in instance.event_log_storage.get_concurrency_info(POOL).claimed_slots}


def test_a_killed_commands_run_fails_and_gives_its_pool_back(instance: dg.DagsterInstance) -> None:
    abandoned._path("killed").touch()  # its lock went with its process
    run = started(instance, "killed")
    abandoned.clear(instance)
    assert holders(instance) == set()
    found = instance.get_run_by_id(run)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize("name", ["of-another-machine", None])
def test_a_run_of_a_command_that_lives_or_is_not_of_this_home_is_left_alone(
    instance: dg.DagsterInstance, name: str | None
) -> None:
    run = started(instance, name or abandoned.this_command())
    abandoned.clear(instance)
    assert holders(instance) == {run}
    found = instance.get_run_by_id(run)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.STARTED
