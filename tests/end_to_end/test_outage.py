"""A platform is down for three hours: three red partitions in the UI's own data, the others delivered in time; reruns from
the UI (its mutation) and by `capi retry` send only what was missing. The sandbox's store is the witness."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from capi_pipeline import embedded
from capi_pipeline.demo import FIVE, shop
from capi_pipeline.sandbox.platforms import ENVIRONMENT
from capi_pipeline.sandbox.server import free_port
from tests.end_to_end.conftest import CAPI, Installation, install
from tests.end_to_end.processes import Watch

pytestmark = pytest.mark.timeout(600)


class Ui:
    """The calls that the Dagster UI makes."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> Any:
        answer = requests.post(
            f"{self.address}/graphql", json={"query": query, "variables": variables}, timeout=60
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def materialize(
        self, assets: list[list[str]], partitions: list[str], single: bool = True, seconds: float = 240
    ) -> None:
        """The button *Materialize* for these partitions; returns when all of their runs have ended: a `single` run for
        each partition, or one for all."""
        answer = self.ask(
            """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
                __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
            p={"partitionNames": partitions, "assetSelection": [{"path": path} for path in assets]},
        )["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        deadline = time.monotonic() + seconds
        runs = len(partitions) if single else 1
        while True:
            found = self.ask(
                """query($f: RunsFilter!) { runsOrError(filter: $f) { ... on Runs { results { status } } } }""",
                f={"tags": [{"key": "dagster/backfill", "value": answer["backfillId"]}]},
            )["runsOrError"]["results"]
            if sum(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in found) == runs:
                return
            assert time.monotonic() < deadline, found
            time.sleep(0.5)

    def statuses(self, asset: list[str], partitions: list[str]) -> dict[str, str]:
        """Status of each partition, once none of them is under way: Dagster caches it, and is behind for a moment."""
        deadline = time.monotonic() + 60
        while "MATERIALIZING" in (found := self._statuses(asset, partitions)).values() and time.monotonic() < deadline:
            time.sleep(0.5)
        return found

    def _statuses(self, asset: list[str], partitions: list[str]) -> dict[str, str]:
        data = self.ask(
            """query($k: AssetKeyInput!) { assetNodeOrError(assetKey: $k) { ... on AssetNode { assetPartitionStatuses {
                ... on TimePartitionStatuses { ranges { status startKey endKey } } } } } }""",
            k={"path": asset},
        )
        ranges = data["assetNodeOrError"]["assetPartitionStatuses"]["ranges"]
        return {p: r["status"] for p in partitions for r in ranges if r["startKey"] <= p <= r["endKey"]}

    def failure(self, asset: str) -> str:
        """What the page of the latest failed run says about this asset's step."""
        data = self.ask(
            """{ runsOrError(filter: {statuses: [FAILURE]}, limit: 20) { ... on Runs { results {
                eventConnection(limit: 1000) { events { ... on ExecutionStepFailureEvent { stepKey
                    failureMetadata { description } error { message } } } } } } } }"""
        )
        events = [
            e
            for run in data["runsOrError"]["results"]
            for e in run["eventConnection"]["events"]
            if e.get("stepKey") == asset
        ]
        assert events
        return str((events[0]["failureMetadata"] or {}).get("description") or events[0]["error"]["message"])


@contextmanager
def up(there: Installation) -> Iterator[Ui]:
    """`capi up`, ready; ended by the signal of Ctrl-C."""
    port = free_port()
    with (there.home.parent / "up.log").open("w") as log:
        process = subprocess.Popen(
            [*CAPI, "up", "--port", str(port), "--no-schedules"],
            env=there.environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while "Dagster UI" not in (there.home.parent / "up.log").read_text():
                assert process.poll() is None, (there.home.parent / "up.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield Ui(port)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) is not None
    assert not _left(there.home), "capi up left something running"


def _left(home: Path) -> list[str]:
    """Processes that still have this installation in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(home) in line and str(os.getpid()) != entry.parent.name:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = install(tmp_path_factory.mktemp("outage"))
    with embedded.postgres(made.home / "postgres") as sockets:
        shop.fill(embedded.url(sockets, "warehouse"), conversions=600, hours=24, history_days=2)
    return made


def test_three_hours_down_then_rerun_sends_only_what_was_missing(there: Installation) -> None:
    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [f"{last - timedelta(hours=n):%Y-%m-%d-%H:00}" for n in (4, 3, 2)]
    road = [["conversions"], ["hashed_conversions"], *(["destinations", name] for name in FIVE)]
    with Watch(there.home) as watch, up(there) as ui:
        models = [
            node["assetKey"]["path"]
            for node in ui.ask("{ assetNodes { assetKey { path } } }")["assetNodes"]
            if node["assetKey"]["path"][0] == "warehouse"
        ]
        requests.post(f"{there.sandbox}/_sandbox/faults", json={"platform": "meta", "kind": "server_error"}, timeout=10)
        ui.materialize(models, hours, single=False)
        ui.materialize(road, hours)
        assert set(ui.statuses(["destinations", "meta"], hours).values()) == {"FAILED"}
        for name in ("google_data_manager", "tiktok", "microsoft_offline", "outbrain"):  # an outage delays nobody else
            assert set(ui.statuses(["destinations", name], hours).values()) == {"MATERIALIZED"}, name
        why = ui.failure("destinations__meta")
        assert "does not take requests" in why
        assert "Rerun this partition" in why
        before = there.counts()
        assert before["meta"]["accepted"] == 0

        requests.delete(f"{there.sandbox}/_sandbox/faults", timeout=10)
        ui.materialize([["destinations", "meta"]], hours[:2])
        statuses = ui.statuses(["destinations", "meta"], hours)
        assert statuses == {hours[0]: "MATERIALIZED", hours[1]: "MATERIALIZED", hours[2]: "FAILED"}
        retried = there.json("retry", "--destination", "meta")
        assert not retried["failures"]
        assert ui.statuses(["destinations", "meta"], hours)[hours[2]] == "MATERIALIZED"

        after = there.counts()
        status = {row["destination"]: row for row in there.json("status")["destinations"]}
        assert after["meta"]["accepted"] == status["meta"]["accepted"] > 0
        assert after["meta"]["duplicates"] == after["meta"]["double_counted"] == 0
        for platform in ("google_data_manager", "tiktok", "microsoft_offline", "outbrain"):
            assert after[platform] == before[platform], platform  # nobody got anything twice
        ui.materialize([["destinations", "meta"]], hours[:1])  # and once more
        assert there.counts()["meta"] == after["meta"]
    lines = "\n".join(watch.lines)
    for program in ("dagster-webserver", "dagster-daemon", "api grpc", "sandbox", "dbt"):
        assert program in lines
    assert watch.hosts == {"127.0.0.1"}
    assert not [value for value in ENVIRONMENT.values() if value in lines]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_the_ui_shows_the_asset_and_its_partitions_in_a_browser(there: Installation, tmp_path: Path) -> None:
    with up(there) as ui:
        picture = tmp_path / "page.png"
        dom = subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1600,1000", "--virtual-time-budget=20000",
             f"--screenshot={picture}", "--dump-dom", f"{ui.address}/assets/destinations/meta?view=partitions"],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert "Materialized (" in dom.stdout
        assert "Failed (0)" in dom.stdout
