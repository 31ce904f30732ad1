"""A run worker as a process of its own: one step of one hour, with the product's own code, until it is done or killed.

Kills are real (SIGKILL to itself) at exact points: around each request (`Mortal` is the transport), and after a statement
of the ledger was executed and before it is committed (events of SQLAlchemy's engine, an audit hook for files).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import time_machine
from sqlalchemy import event

from capi_pipeline import steps
from capi_pipeline.delivery.http import Exchange, Transport
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.errors import CapiError
from capi_pipeline.platforms.wire import Request
from capi_pipeline.settings import Settings
from tests.chaos.schedule import Clock, Kill

STATEMENTS = {  # beginning of a statement -> the point between its execution and its commit
    "insert into capi.deliveries as d (destination, event_name, event_id, hour, state, attempts": "claim_uncommitted",
    "update capi.deliveries d set state = k.state": "record_uncommitted",
    "with settled as": "verdict_uncommitted",
}


@dataclass(frozen=True)
class Job:
    """One step of these hours: `extract`, `deliver` or `ask`. `elapsed`: seconds by which the whole world's clock is ahead.
    `result` gets what it came to, `deaths` a line for each kill. `sabotage` breaks the worker on purpose."""

    what: str
    hours: tuple[datetime, ...]
    settings: dict[str, Any]
    result: Path
    deaths: Path
    document: DestinationConfig | None = None
    environment: dict[str, str] = field(default_factory=dict)
    batch: int = 10
    elapsed: float = 0.0
    kill: Kill | None = None
    clock: Clock | None = None
    largest_file: int | None = None  # bytes: a full disk where no small one can be mounted
    sabotage: Callable[[steps.Line], None] | None = None


class Reaper:
    """Kills this process at the planned passage of the planned point."""

    def __init__(self, kill: Kill | None, deaths: Path) -> None:
        self._kill, self._deaths = kill, deaths
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def due(self, point: str) -> bool:
        with self._lock:
            self._passed[point] += 1
            return self._kill is not None and self._kill.point == point and self._passed[point] == self._kill.nth

    def passes(self, point: str) -> None:
        if self.due(point):
            self.strike(point)

    def strike(self, point: str) -> None:
        with self._lock:
            note(self._deaths, point)
            os.kill(os.getpid(), signal.SIGKILL)


def note(deaths: Path, point: str) -> None:
    """One line, whole or not at all, whoever writes."""
    file = os.open(deaths, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{point}\n".encode())
    os.close(file)


class Mortal(Transport):
    """The product's transport with shorter times, in a process that dies around its requests."""

    def __init__(self, reaper: Reaper, connections: int = 8) -> None:
        super().__init__(connections, connect=1.0, read=1.2, total=2.0)
        self._reaper = reaper

    def __call__(self, request: Request) -> Exchange:
        kind = "token" if request.url.endswith("/token") else "verdict" if "requestStatus" in request.url else "send"
        self._reaper.passes(f"before_{kind}")
        if kind == "send" and self._reaper.due("in_flight"):
            threading.Timer(0.1, self._reaper.strike, ["in_flight"]).start()
        exchange = super().__call__(request)
        self._reaper.passes(f"after_{kind}")
        return exchange


def work(job: Job) -> None:
    """Do the job; what it came to is in `job.result` (nothing, if the process was killed)."""
    outcome: dict[str, Any] = {}
    travel = time_machine.travel(datetime.now(UTC) + timedelta(seconds=job.elapsed), tick=True)
    clock = travel.start()
    if job.clock:
        step = threading.Timer(job.clock.after, clock.shift, [job.clock.seconds])
        step.daemon = True
        step.start()
    try:
        outcome = _STEPS[job.what](job, Reaper(job.kill, job.deaths))
    except CapiError as error:
        outcome["refused"] = f"{type(error).__name__}: {error}"
    except BaseException:
        outcome["traceback"] = traceback.format_exc()
    draft = job.result.with_suffix(".draft")
    draft.write_text(json.dumps(outcome))
    draft.rename(job.result)


def _extract(job: Job, reaper: Reaper) -> dict[str, Any]:
    def at_rename(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "os.rename" and str(arguments[1]).endswith(".parquet"):  # whole, and not yet in its place
            reaper.passes("staging")

    if job.kill:
        sys.addaudithook(at_rename)
    if job.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job.largest_file, resource.RLIM_INFINITY))
    try:
        rows = [steps.extract_transform(Settings(**job.settings), hour).rows for hour in job.hours]
    finally:
        if job.largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return {"rows": rows}


def _line(job: Job, reaper: Reaper) -> steps.Line:
    assert job.document
    settings = Settings(**job.settings)
    ledger = Ledger.open(settings.require("ledger_url"))

    def executed(_: object, __: object, statement: str, *___: object) -> None:
        for beginning, point in STATEMENTS.items():
            if statement.startswith(beginning):
                reaper.passes(point)

    event.listen(ledger.engine, "after_cursor_execute", executed)
    steps.Transport = partial(Mortal, reaper)  # type: ignore[misc, assignment]  # in this process only
    line = steps.Line(job.document, ledger, settings, job.environment)
    limits = line.platform.limits
    line.platform.limits = replace(limits, events=min(job.batch, limits.events), per_second=None)  # type: ignore[misc]
    if job.sabotage:
        job.sabotage(line)
    return line


def _deliver(job: Job, reaper: Reaper) -> dict[str, Any]:
    line = _line(job, reaper)
    reports = [line.deliver(hour, f"chaos-{os.getpid()}") for hour in job.hours]
    return {
        "refused": "; ".join(str(report.error) for report in reports if report.error),
        "reconciles": all(report.reconciles for report in reports),
    }


def _ask(job: Job, reaper: Reaper) -> dict[str, Any]:
    asked = _line(job, reaper).ask(everything=True)
    return {"failures": asked.failures, "waiting": asked.waiting}


_STEPS = {"extract": _extract, "deliver": _deliver, "ask": _ask}
