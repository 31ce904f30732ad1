"""Dagster runs inside this process, recorded in the same history that the UI shows."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from capi_pipeline.cli import abandoned
from capi_pipeline.errors import DeliveryError, first_line
from capi_pipeline.settings import settings
from capi_pipeline.steps import key_of

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Step:
    """How one step of a run ended, after how many seconds; `words` say why it failed."""

    name: str
    ok: bool
    seconds: float
    words: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a run ended, after how many seconds in all."""

    run_id: str
    ok: bool
    seconds: float
    steps: list[Step]

    def document(self) -> dict[str, Any]:
        return {"run_id": self.run_id, "ok": self.ok, "seconds": round(self.seconds, 3),
                "steps": {step.name: round(step.seconds, 3) for step in self.steps}}  # fmt: skip

    def failures(self) -> list[Step]:
        return [step for step in self.steps if not step.ok]


@cache
def definitions() -> dg.Definitions:
    """The code location, loaded once. Raises ConfigurationError for a wrong document or setting."""
    from capi_pipeline.definitions import defs

    return defs()


def run(
    job: str,
    hour: datetime | None = None,
    *,
    until: datetime | None = None,
    assets: Sequence[dg.AssetKey] | None = None,
    config: dict[str, Any] | None = None,
) -> Outcome:
    """Run a job for one hour, or (`until`: the last hour) for a range in one run. Raises KeyboardInterrupt when a signal
    told this process to end, after what was in flight has been recorded."""
    os.environ["CAPI_STEP_RETRIES"] = "0"  # a person is waiting: say at once what is wrong, and end when told to
    tags, started = {}, time.monotonic()
    if hour and until:
        tags = {
            "dagster/asset_partition_range_start": key_of(hour),
            "dagster/asset_partition_range_end": key_of(until),
        }
    with (
        _told_to_end(),
        _storage_answers(),
        dg.DagsterInstance.get() as instance,
        _words_of_dbt_aside(),
        abandoned.named() as name,
    ):
        abandoned.clear(instance)
        result = (
            definitions()
            .resolve_job_def(job)
            .execute_in_process(
                instance=instance,
                partition_key=key_of(hour) if hour and not until else None,
                tags={**tags, abandoned.TAG: name},
                asset_selection=list(assets) if assets else None,
                raise_on_error=False,
                run_config={**QUIET, **(config or {})},
            )
        )
    steps = []
    for event in result.all_events:
        name = str(event.step_key)
        if event.is_step_success:
            steps.append(Step(name, True, event.step_success_data.duration_ms / 1000))
        elif event.is_step_failure:
            steps.append(Step(name, False, 0.0, _words(event)))
    return Outcome(result.run_id, result.success, time.monotonic() - started, steps)


@contextmanager
def _told_to_end() -> Iterator[None]:
    """Dagster has its own handlers while it runs, makes a failed run of a signal (or forgets one that comes between two
    steps), and the command would go on. The interpreter itself notes each signal here, so that the command ends."""
    noted, note = socket.socketpair()
    with noted, note:
        noted.setblocking(False)
        note.setblocking(False)
        before = signal.set_wakeup_fd(note.fileno())
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
        with suppress(BlockingIOError):
            if set(noted.recv(4096)) & {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}:
                raise KeyboardInterrupt


@contextmanager
def _storage_answers() -> Iterator[None]:
    """Dagster's storage that goes away in the middle of a run ends with words."""
    try:
        yield
    except SQLAlchemyError as error:
        raise DeliveryError(
            f"Dagster's storage failed or went away: {first_line(error)}",
            "See to it, then run the same command again: only what is left is sent.",
        ) from None


@contextmanager
def _words_of_dbt_aside() -> Iterator[None]:
    """dbt talks on standard output, which belongs to this command's own result. Its words go to a log."""
    path = settings().home / "logs" / "runs.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log, redirect_stdout(log):
        yield


def _words(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    return data.error.message.strip() if data.error else "failed"


def failed_hours(destination: str) -> list[datetime]:
    """Hours whose partition of `destinations/<name>` is failed, those of killed commands included."""
    from dagster import AssetKey

    from capi_pipeline.components.hours import hourly
    from capi_pipeline.steps import parse_hour

    key = AssetKey(["destinations", destination])
    with dg.DagsterInstance.get() as instance:
        abandoned.clear(instance)  # until then their hours are taken for being under way
        statuses = instance.get_status_by_partition(key, hourly().get_partition_keys(), hourly()) or {}
    return [
        parse_hour(partition)
        for partition, status in statuses.items()
        if status is not None and status.name == "FAILED"
    ]
