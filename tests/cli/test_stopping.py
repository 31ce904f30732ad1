"""A command that is stopped while a platform holds a request records its answer and ends; a rerun sends only the rest."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import create_engine, text

from tests import table
from tests.cli.command import Capi
from tests.cli.conftest import document

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
WHEN = ["--hour", f"{HOUR:%Y-%m-%dT%H}"]
BATCH = 1000  # of Meta
HELD_SECONDS = 1.5


def sandbox(capi: Capi, what: str, **given: Any) -> Any:
    return requests.request(
        "post" if given else "get", f"{capi.environment['SANDBOX']}/_sandbox/{what}", json=given or None, timeout=10
    ).json()


def stopped(capi: Capi, number: signal.Signals, *command: str) -> float:
    """Signal this command while the platform holds its request; seconds until it ended."""
    fault = sandbox(capi, "faults", platform="meta", kind="latency", seconds=HELD_SECONDS, times=1)["id"]
    with ThreadPoolExecutor() as pool:
        running = pool.submit(capi, *command, *WHEN, code=130, CAPI_START=f"{HOUR:%Y-%m-%d-%H:00}")
        until(lambda: next(f["struck"] for f in sandbox(capi, "faults") if f["id"] == fault) == 1)
        (child,) = Path(f"/proc/{capi.forks.pid}/task/{capi.forks.pid}/children").read_text().split()
        begun = time.monotonic()
        os.kill(int(child), number)
        running.result(60)
        return time.monotonic() - begun


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def states(capi: Capi) -> Counter[str]:
    """Events in the ledger, by state. Nothing may have gone to the destination after the one that was stopped."""
    engine = create_engine(capi.environment["CAPI_LEDGER_URL"])
    with engine.connect() as connection:
        found = connection.execute(text("select destination, state, count(*) from capi.deliveries group by 1, 2")).all()
    engine.dispose()
    assert {destination for destination, *_ in found} == {"meta"}
    return Counter({state: count for _, state, count in found})


@pytest.mark.parametrize(
    "signals", [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)], ids=["TERM first", "INT first"]
)
def test_what_is_in_flight_is_recorded_and_the_rest_goes_once(
    delivering: Capi, signals: tuple[signal.Signals, ...]
) -> None:
    table.create(delivering.environment["CAPI_WAREHOUSE_URL"], [table.row(n, HOUR) for n in range(2 * BATCH + 500)])
    document(Path(delivering.environment["CAPI_DESTINATIONS"]), "next_one", "http://127.0.0.1:1/meta")
    for done, (number, command) in enumerate(zip(signals, ("sync", "retry"), strict=True), 1):
        assert HELD_SECONDS / 2 < stopped(delivering, number, command) < 30
        left = states(delivering)
        assert left.pop("accepted") == done * BATCH == sandbox(delivering, "counts")["meta"]["accepted"]
        assert set(left) <= {"retry"}  # none is `sending`; what was not claimed yet has no row
    delivering("retry", "--destination", "meta", *WHEN, CAPI_START=f"{HOUR:%Y-%m-%d-%H:00}")
    assert states(delivering) == {"accepted": 2 * BATCH + 500}
    counts = sandbox(delivering, "counts")["meta"]
    assert (counts["accepted"], counts["duplicates"], counts["double_counted"]) == (2 * BATCH + 500, 0, 0)
