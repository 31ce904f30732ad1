"""Runs of a command that was killed do not keep their pools."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from capi_pipeline.cli import abandoned
from capi_pipeline.cli.runs import failed_hours

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
    with abandoned.named() as living:
        run = started(instance, name or living)
        abandoned.clear(instance)
    assert holders(instance) == {run}
    found = instance.get_run_by_id(run)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.STARTED


def test_a_run_whose_command_ended_with_an_error_is_failed_by_the_next_one(instance: dg.DagsterInstance) -> None:
    def storage_went_away() -> None:
        with abandoned.named() as name:
            started(instance, name)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        storage_went_away()
    abandoned.clear(instance)
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]
    assert holders(instance) == set()


KILLED = """
import os, signal
import dagster as dg
from capi_pipeline.cli import abandoned
from capi_pipeline.components.hours import hourly

@dg.asset(key=["destinations", "meta"], partitions_def=hourly())
def meta() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

with dg.DagsterInstance.get() as instance, abandoned.named() as name:
    dg.materialize([meta], instance=instance, partition_key="2026-11-01-05:00", tags={abandoned.TAG: name})
"""


def test_an_hour_whose_command_was_killed_before_anything_was_sent_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert failed_hours("meta") == [datetime(2026, 11, 1, 5, tzinfo=UTC)]


def test_nothing_stays_behind_where_a_command_ends_well(tmp_path: Path) -> None:
    with abandoned.named():
        assert list((tmp_path / "commands").iterdir()) != []
    assert list((tmp_path / "commands").iterdir()) == []
