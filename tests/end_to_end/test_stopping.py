"""*Terminate* in the UI while a platform holds a request, and a platform that hangs beside one that does not: real Dagster
with its daemon, queue and processes, and the sandbox's store as the witness."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import create_engine, text

from capi_pipeline import embedded
from capi_pipeline.steps import key_of
from tests import table
from tests.end_to_end.conftest import Installation, install
from tests.end_to_end.test_outage import Ui, up

pytestmark = pytest.mark.timeout(600)

LAST = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
STOPPED, CALM, HANGING = (LAST - timedelta(hours=number) for number in range(3))
BATCH = 1000  # of Meta
ROAD = [["conversions"], ["hashed_conversions"]]
META, TIKTOK = ["destinations", "meta"], ["destinations", "tiktok"]
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


class Own(Installation):
    """A table of the user's own, and Dagster's repetitions as they are by default."""

    ledger = ""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {
            "CAPI_DBT_PROJECT": "off", "CAPI_STEP_RETRIES": "2", "CAPI_STEP_RETRY_DELAY": "1",
            "CAPI_START": f"{key_of(LAST - timedelta(days=1))}",
        }  # fmt: skip

    def fault(self, **fault: Any) -> int:
        return int(requests.post(f"{self.sandbox}/_sandbox/faults", json=fault, timeout=10).json()["id"])

    def struck(self, number: int) -> bool:
        faults = requests.get(f"{self.sandbox}/_sandbox/faults", timeout=10).json()
        return bool(next(fault["struck"] for fault in faults if fault["id"] == number))

    def states(self, hour: datetime) -> Counter[str]:
        engine = create_engine(self.ledger)
        with engine.connect() as connection:
            query = text("select state, count(*) as number from capi.deliveries where hour = :hour group by 1")
            found = Counter({row.state: row.number for row in connection.execute(query, {"hour": hour})})
        engine.dispose()
        return found


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Own, Ui]]:
    made = install(tmp_path_factory.mktemp("stopping"))
    own = Own(made.home, made.destinations, made.port)
    with embedded.postgres(made.home / "postgres") as sockets:
        own.ledger = embedded.url(sockets, "ledger")
        rows = [table.row(number, STOPPED) for number in range(2 * BATCH + 500)]
        for number, hour in enumerate((CALM, HANGING), 3):
            rows += [
                table.row(number * 10_000 + n, hour, click_ids={"ttclid": {"value": f"click{n}"}}) for n in range(10)
            ]
        table.create(embedded.url(sockets, "warehouse"), rows)
    with up(own) as ui:
        yield own, ui


def until(true: Callable[[], Any], seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def begin(ui: Ui, assets: list[list[str]], hour: datetime) -> str:
    """*Materialize* of one partition, as the UI launches it without a backfill: its run's id."""
    job = {"repositoryLocationName": "capi_pipeline", "repositoryName": "__repository__", "pipelineName": "deliver"}
    launched = ui.ask(
        """mutation($p: ExecutionParams!) { launchPipelineExecution(executionParams: $p) {
            ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
        p={
            "selector": {**job, "assetSelection": [{"path": path} for path in assets]},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": key_of(hour)}]},
        },
    )
    return str(launched["launchPipelineExecution"]["run"]["runId"])


def ended(ui: Ui, run: str) -> dict[str, Any]:
    """A run that has ended: `status`, and per asset (`seconds`) when it was materialised after the run's start."""
    query = """query($id: ID!) { runOrError(runId: $id) { ... on Run { status startTime
        eventConnection(limit: 1000) { events { ... on MaterializationEvent { timestamp assetKey { path } } } } } } }"""
    found = until(lambda: (run_ := ui.ask(query, id=run)["runOrError"])["status"] in ENDED and run_)
    events = [event for event in found["eventConnection"]["events"] if event]
    start = found["startTime"]
    seconds = {event["assetKey"]["path"][-1]: float(event["timestamp"]) / 1000 - start for event in events}
    return {"status": found["status"], "seconds": seconds}


def test_terminate_records_what_is_in_flight_and_a_rerun_sends_the_rest(there: tuple[Own, Ui]) -> None:
    own, ui = there
    held = own.fault(platform="meta", kind="latency", seconds=3, times=1)
    run = begin(ui, [*ROAD, META], STOPPED)
    until(lambda: own.struck(held))
    begun = time.monotonic()
    answer = ui.ask(
        """mutation($id: String!) { terminateRun(runId: $id) { __typename ... on TerminateRunFailure { message } } }""",
        id=run,
    )
    assert answer["terminateRun"]["__typename"] == "TerminateRunSuccess", answer
    assert ended(ui, run)["status"] == "CANCELED"
    assert time.monotonic() - begun < 30
    left = own.states(STOPPED)
    assert left.pop("accepted") == BATCH == own.counts()["meta"]["accepted"]
    assert set(left) <= {"retry"}  # none is `sending`

    assert ended(ui, begin(ui, [META], STOPPED))["status"] == "SUCCESS"
    assert own.states(STOPPED) == {"accepted": 2 * BATCH + 500}
    counts = own.counts()["meta"]
    assert (counts["accepted"], counts["duplicates"], counts["double_counted"]) == (2 * BATCH + 500, 0, 0)


def test_a_destination_that_hangs_delays_no_other(there: tuple[Own, Ui]) -> None:
    own, ui = there
    alone = ended(ui, begin(ui, [*ROAD, TIKTOK], CALM))["seconds"]["tiktok"]
    hanging = 12
    own.fault(platform="meta", kind="latency", seconds=hanging, times=1)
    both = ended(ui, begin(ui, [*ROAD, META, TIKTOK], HANGING))["seconds"]
    assert both["meta"] > hanging
    assert both["tiktok"] < alone + hanging / 2
    assert both["tiktok"] < both["meta"] - hanging / 3
    assert own.states(HANGING) == {"accepted": 20}
