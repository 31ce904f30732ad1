"""Runs of commands that were killed: their pools are given back, so that the next command does not wait for them for ever.

A command keeps a file locked as long as it executes a run, and names it in that run. A lock outlives no process, unlike
a process id, which may by now belong to another. (Runs that Dagster's daemon launched are the daemon's own to look after.)
"""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from capi_pipeline.settings import settings

TAG = "capi/command"


@contextmanager
def named() -> Iterator[str]:
    """The name by which a command is known to be alive while it executes a run. It stays behind where that ends with an
    error (Dagster's storage went away): the run may then stand open for ever, and the next command ends it."""
    name = uuid.uuid4().hex[:12]
    with _path(name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield name
        _path(name).unlink(missing_ok=True)


def clear(instance: dg.DagsterInstance) -> None:
    """Fail the runs of commands that are gone, and free their pools."""
    busy = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=busy)):
        name = run.tags.get(TAG)
        if name and not _lives(name):
            instance.report_run_failed(run, "The command that executed this run was killed. Rerun the partition.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            _path(name).unlink(missing_ok=True)


def _lives(name: str) -> bool:
    """Whether a command still runs, as far as this folder can tell: a file that is not here belongs to a command with another
    CAPI_HOME (another machine on the same Dagster storage), whose runs are not ours to judge."""
    try:
        with _path(name).open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return True
    return False


def _path(name: str) -> Path:
    folder = settings().home / "commands"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name
