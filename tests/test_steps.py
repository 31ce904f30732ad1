"""The steps of an hour on a real table, real staging, a real ledger and a platform's stand-in on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from capi_pipeline import steps
from capi_pipeline.components.metadata import of_profile
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.delivery.report import Report
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.errors import ConfigurationError, ContractError, DeliveryError
from capi_pipeline.platforms.base import Limits
from capi_pipeline.platforms.meta import Meta
from capi_pipeline.platforms.outcomes import State
from capi_pipeline.settings import Settings
from tests import table

TOKEN = "a-token-of-the-test"
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
HOUR = NOW - timedelta(hours=2)


class Graph(ThreadingHTTPServer):
    """Takes every event, or answers `status` and `body`."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.seen: list[tuple[str, str, Any]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Graph

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        self.server.seen.append((self.command, self.path, sent))
        good = {"events_received": len(sent.get("data", [])), "messages": [], "fbtrace_id": "T"}
        body = self.server.body or json.dumps(good).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def chosen(warehouse_url: str, ledger_url: str, tmp_path: Path) -> Settings:
    return Settings(warehouse_url=warehouse_url, ledger_url=ledger_url, home=tmp_path, patience=0)


def line(chosen: Settings, graph: Graph, token: str = TOKEN, **changes: Any) -> steps.Line:
    account = {"pixel_id": "123", "access_token": {"env": "META_TOKEN"}}
    given = {"name": "meta_main", "platform": "meta", "account": account, **changes}
    config = DestinationConfig.model_validate({"base_url": f"http://127.0.0.1:{graph.server_port}", **given})
    return steps.Line(config, Ledger.open(chosen.require("ledger_url")), chosen, {"META_TOKEN": token})


def closed(line: steps.Line) -> None:
    line.send.close()
    line.ledger.engine.dispose()


# --- extract and transform ------------------------------------------------------------------------------------------


def test_an_hour_is_profiled_staged_and_holds_no_raw_identifier(chosen: Settings, warehouse_url: str) -> None:
    rows = [table.row(n, HOUR) for n in range(5)]
    rows.append(table.row(5, HOUR, consent_ad_storage="denied", event_name="sign_up"))
    table.create(warehouse_url, [*rows, table.row(6, HOUR + timedelta(hours=1))])
    profile = steps.extract_transform(chosen, HOUR)
    assert profile.rows == 6
    assert profile.events == {"purchase": 5, "sign_up": 1}
    assert profile.withheld == {"consent_denied": 1}
    assert profile.oldest == HOUR
    assert profile.newest == HOUR + timedelta(seconds=5)
    assert profile.empty_digests == 0
    assert profile.bytes > 0
    assert max(profile.coverage.values()) == 5
    staged = [row for batch in steps.staging(chosen).read(HOUR) for row in batch.to_pylist()]
    assert len(staged) == 6
    assert "@example.com" not in str(staged)
    assert "@example.com" not in next(tmp for tmp in Path(chosen.staging).rglob("*.parquet")).read_bytes().decode(
        "latin1"
    )


def test_the_same_hour_has_the_same_digest_and_a_changed_one_another(chosen: Settings, warehouse_url: str) -> None:
    table.create(warehouse_url, [table.row(n, HOUR) for n in range(3)])
    first = steps.extract_transform(chosen, HOUR).digest
    assert steps.extract_transform(chosen, HOUR).digest == first
    table.sql(warehouse_url, f"update {table.TABLE} set value = 20 where transaction_id = '1'")
    assert steps.extract_transform(chosen, HOUR).digest != first


def test_an_empty_hour_is_an_hour(chosen: Settings, warehouse_url: str) -> None:
    table.create(warehouse_url)
    profile = steps.extract_transform(chosen, HOUR)
    assert (profile.rows, profile.oldest, profile.newest) == (0, None, None)
    assert list(steps.staging(chosen).read(HOUR)) == [] or steps.staging(chosen).rows(HOUR) == 0


def test_a_row_that_breaks_the_contract_leaves_what_was_staged_before(chosen: Settings, warehouse_url: str) -> None:
    table.create(warehouse_url, [table.row(0, HOUR)])
    steps.extract_transform(chosen, HOUR)
    table.insert(warehouse_url, [table.row(1, HOUR, event_name="no_such_event")])
    with pytest.raises(ContractError):
        steps.extract_transform(chosen, HOUR)
    assert sum(batch.num_rows for batch in steps.staging(chosen).read(HOUR)) == 1


# --- deliver ----------------------------------------------------------------------------------------------------------


def test_an_hour_goes_from_the_warehouse_to_the_platform_once(
    chosen: Settings, warehouse_url: str, graph: Graph
) -> None:
    table.create(warehouse_url, [table.row(n, HOUR) for n in range(5)])
    steps.extract_transform(chosen, HOUR)
    there = line(chosen, graph)
    for _ in range(2):
        report = there.deliver(HOUR, "run")
        assert report.reconciles
        assert report.error is None
        assert steps.numbers(report)["accepted"] == 5
    sent = [event["event_id"] for _, _, body in graph.seen for event in body["data"]]
    assert sent == [f"order-{n:06d}" for n in range(5)]
    assert steps.numbers(report)["sent_now"] == 0
    assert there.ask(everything=True).requests == 0
    closed(there)


def test_an_hour_that_was_never_staged_is_said_so(chosen: Settings, graph: Graph) -> None:
    there = line(chosen, graph)
    with pytest.raises(DeliveryError, match="no hashed conversions"):
        there.deliver(HOUR, "run")
    closed(there)


def test_a_stop_before_the_start_sends_nothing(chosen: Settings, warehouse_url: str, graph: Graph) -> None:
    table.create(warehouse_url, [table.row(0, HOUR)])
    steps.extract_transform(chosen, HOUR)
    there, stop = line(chosen, graph), threading.Event()
    stop.set()
    assert there.deliver(HOUR, "run", stop).unfinished == 1
    assert graph.seen == []
    closed(there)


def test_a_secret_that_is_not_set_is_named(chosen: Settings, graph: Graph) -> None:
    with pytest.raises(ConfigurationError, match="META_TOKEN"):
        line(chosen, graph, token="")


# --- probe ------------------------------------------------------------------------------------------------------------


def test_a_probe_proves_the_token_and_sends_no_event(chosen: Settings, graph: Graph) -> None:
    there = line(chosen, graph)
    assert there.probe() == (True, "the platform takes the token")
    assert [(method, body) for method, _, body in graph.seen] == [("GET", {})]
    closed(there)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"error": {"code": 190, "message": f"Bad {TOKEN} of jane@example.com"}}, "Renew META_TOKEN"),
        (403, {}, "Renew META_TOKEN"),
        (503, b"<html>", "HTTP 503"),
        (404, b"", "Correct the `account`"),
        (400, b"[[[", "Correct the `account`"),
    ],
)
def test_a_probe_that_fails_says_what_to_do_and_no_secret(
    chosen: Settings, graph: Graph, status: int, body: Any, words: str
) -> None:
    graph.status, graph.body = status, body if isinstance(body, bytes) and body else json.dumps(body or {}).encode()
    there = line(chosen, graph)
    fine, said = there.probe()
    assert not fine
    assert words in said
    assert TOKEN not in said
    assert "jane" not in said
    closed(there)


def test_a_probe_of_an_address_where_nobody_listens_names_the_address_s_key(chosen: Settings, graph: Graph) -> None:
    there = line(chosen, graph, base_url="http://127.0.0.1:1")
    fine, said = there.probe()
    assert not fine
    assert "base_url" in said
    closed(there)


def test_a_platform_without_a_call_to_test_says_so(chosen: Settings, graph: Graph) -> None:
    there = line(chosen, graph, platform="outbrain", account={"event_names": {"purchase": "Order"}})
    assert there.probe() == (True, "configured (the platform has no call to test it)")
    assert graph.seen == []
    closed(there)


# --- words and numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["2026-10-01-14:00", "2026-10-01T14:00", "2026-10-01 14:00", "2026-10-01T14", "2026-10-01 14", "2026-10-01T14Z"]
)  # fmt: skip
def test_an_hour_is_written_in_any_usual_way(text: str) -> None:
    hour = steps.parse_hour(text)
    assert hour == datetime(2026, 10, 1, 14, tzinfo=UTC)
    assert steps.key_of(hour) == "2026-10-01-14:00"
    assert steps.window_of(hour).end == hour + timedelta(hours=1)


@pytest.mark.parametrize(
    "text", ["", "2026-10-01", "2026-10-01T14:30", "2026-13-01T14", "14", "2026-10-01T14:00+02:00"]
)
def test_what_is_no_hour_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write 2026-10-01T14"):
        steps.parse_hour(text)


def test_numbers_of_a_report_add_up() -> None:
    report = Report(rows=9, requests=4, retried=1, bytes=100, seconds=1.23456)
    report.outcomes.update(
        {(State.ACCEPTED, ""): 3, (State.PENDING, ""): 1, (State.REJECTED, "x"): 1, (State.HELD, "y"): 1}
    )
    report.outcomes.update({(State.WITHHELD, "too_old"): 1, (State.SENDING, ""): 1})
    report.skip("filtered")
    report.settled([State.ACCEPTED, State.PENDING, State.RETRY])
    found = steps.numbers(report)
    assert found == {
        "rows": 9, "accepted": 3, "pending": 1, "rejected": 1, "held": 1, "withheld": 2, "retry": 1, "sent_now": 2,
        "requests": 4, "requests_retried": 1, "bytes_sent": 100, "seconds": 1.235,
    }  # fmt: skip
    parts = ("accepted", "pending", "rejected", "held", "withheld", "retry")
    assert sum(found[part] for part in parts) == found["rows"]


# --- consent ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", ["the run was stopped", "the platform broke down"])
def test_what_a_person_withdraws_before_a_rerun_never_leaves(
    chosen: Settings, warehouse_url: str, graph: Graph, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    """Of an hour's two requests only the first is done; then a person of each withdraws, and the hour is built and sent again."""
    monkeypatch.setattr(Meta, "limits", Limits(events=3, atomic=True, concurrency=1))
    table.create(warehouse_url, [table.row(n, HOUR) for n in range(6)])
    steps.extract_transform(chosen, HOUR)
    there, stop, answer = line(chosen, graph), threading.Event(), Handler.do_POST

    def once(handler: Handler) -> None:
        answer(handler)
        if half == "the run was stopped":
            stop.set()
        else:
            graph.status, graph.body = 503, b"<html>"

    with monkeypatch.context() as at_first:
        at_first.setattr(Handler, "do_POST", once)
        assert there.deliver(HOUR, "first", stop).unfinished == 3
    accepted = {event["event_id"] for event in graph.seen[0][2]["data"]}
    rest = {table.row(n, HOUR)["event_id"] for n in range(6)} - accepted

    withdrawn = {min(accepted), min(rest)}
    table.sql(
        warehouse_url,
        f"update {table.TABLE} set consent_ad_user_data = 'denied' where event_id = any(:ids)",
        {"ids": sorted(withdrawn)},
    )
    assert steps.extract_transform(chosen, HOUR).withheld == {"consent_denied": 2}
    graph.seen.clear()
    graph.status, graph.body = 200, b""
    report = there.deliver(HOUR, "second")
    assert {event["event_id"] for _, _, body in graph.seen for event in body["data"]} == rest - withdrawn
    left = {  # of the one who had not left; an attempt that may have arrived is for a person to look into
        "the run was stopped": {(State.WITHHELD, "consent_denied"): 1},
        "the platform broke down": {(State.HELD, "unknown_and_withheld"): 1},
    }
    assert report.outcomes == {(State.ACCEPTED, ""): 5, **left[half]}
    assert report.reconciles
    closed(there)


def test_strings_that_cannot_be_read_are_counted_and_named(chosen: Settings, warehouse_url: str) -> None:
    table.create(
        warehouse_url,
        [
            table.row(0, HOUR),
            table.row(1, HOUR, tcf_string="nonsense of jane@example.com", consent_ad_storage=None),
            table.row(2, HOUR, gpp_string="DBABTA"),
        ],
    )
    profile = steps.extract_transform(chosen, HOUR)
    assert profile.withheld == {"consent_unreadable": 1}
    assert profile.unreadable_events == [
        ("purchase", "order-000001", "TCF: it holds a character that is not base64url"),
        ("purchase", "order-000002", "GPP: its header names 1 sections, and 0 follow"),
    ]
    assert profile.unreadable.total() == 2
    shown = str(of_profile(profile))
    assert "consent_strings_unreadable" in shown
    assert "jane" not in shown
