"""Everything at once: a real ledger, a real server over real sockets that fails at random, runs that die at random."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from capi_pipeline.delivery import queries
from capi_pipeline.delivery.http import Exchange, Transport
from capi_pipeline.platforms.base import Deduplication, Limits
from capi_pipeline.platforms.outcomes import State
from capi_pipeline.platforms.wire import Request

from .support import NOW, Bench, FakePlatform, purchases

FAULTS = (
    "reset_unread", "reset_stored", "silent_stored", "rate_bare", "rate_seconds", "rate_date", "error", "error_stored",
    "html", "truncated_stored", "empty", "empty_stored",
)  # fmt: skip


class Ads(ThreadingHTTPServer):
    """Stores events and counts each id; `trouble` of the requests meet one of FAULTS."""

    daemon_threads = True

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.trouble = 0.5
        self.stored: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Endpoint)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The other side went away: that is the point."""

    def fault(self) -> str:
        with self.lock:
            fault = self.random.choice(FAULTS) if self.random.random() < self.trouble else ""
            self.met[fault] += 1
            return fault

    def store(self, events: list[dict[str, Any]]) -> None:
        with self.lock:
            self.stored.update(event["id"] for event in events)


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Ads

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        fault = self.server.fault()
        if fault == "reset_unread":
            self.reset()
            return
        events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["events"]
        if fault.endswith("stored") or not fault:
            self.server.store(events)
        good = json.dumps({"outcomes": [{"state": "accepted"}] * len(events), "trace": "t"}).encode()
        match fault.removesuffix("_stored"):
            case "reset":
                self.reset()
            case "silent":
                threading.Event().wait(0.3)
                self.reset()
            case "rate_bare":
                self.answer(429, b"")
            case "rate_seconds":
                self.answer(429, b"{}", {"Retry-After": "3"})
            case "rate_date":
                self.answer(429, b"{}", {"Retry-After": format_datetime(NOW.replace(year=2001), usegmt=True)})
            case "error":
                self.answer(500, b'{"message": "oops"}')
            case "html":
                self.answer(200, b"<html>Welcome</html>")
            case "truncated":
                self.answer(200, good[:-9])
            case "empty":
                self.answer(200, b"")
            case _:
                self.answer(200, good)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class Crash(BaseException):
    """The process dies here."""


class Dying:
    """Sends, and dies now and then: after the claim and before the request, or after the answer and before the record."""

    def __init__(self, transport: Transport, seed: int) -> None:
        self.transport, self.random, self.share = transport, random.Random(seed), 0.05
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Exchange:
        with self.lock:
            before, after = (self.random.random() < self.share for _ in range(2))
        if before:
            raise Crash
        exchange = self.transport(request)
        if after:
            raise Crash
        return exchange


class Recognising(FakePlatform):
    """Knows a repeated event."""

    limits: ClassVar[Limits] = Limits(events=7, atomic=True, concurrency=4)


class Counting(FakePlatform):
    """Counts a repetition, one event a request."""

    limits: ClassVar[Limits] = Limits(events=1, concurrency=4)
    deduplication: ClassVar[Deduplication] = Deduplication(window=None)


class CountingBatches(Counting):
    """Counts a repetition, several events a request."""

    limits: ClassVar[Limits] = Limits(events=7, concurrency=4)


@pytest.fixture
def ads(request: pytest.FixtureRequest) -> Iterator[Ads]:
    with Ads(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def storm(url: str, ads: Ads, kind: type[FakePlatform], seed: int, count: int = 120) -> tuple[Bench, Any]:
    """Run one hour again and again until it is done: first in trouble, then in calm."""
    platform = kind(kind.Config(base_url=f"http://127.0.0.1:{ads.server_port}"))
    bench = Bench(url, platform, patience=5.0)
    transport = Transport(connect=2, read=0.15, total=0.5)
    dying = Dying(transport, seed)
    try:
        for attempt in range(60):
            if attempt == 12:
                ads.trouble = dying.share = 0.0
            bench.clock.forward(60)
            try:
                report = bench.run(purchases(count), dying)
            except Crash:
                continue
            if not report.unfinished:
                break
    finally:
        transport.close()
    assert not report.unfinished
    assert attempt > 0  # there was trouble
    return bench, report


@pytest.mark.parametrize("ads", range(4), indirect=True)
def test_where_a_repetition_is_recognised_everything_arrives_and_nothing_counts_twice(
    ledger_url: str, ads: Ads, request: pytest.FixtureRequest
) -> None:
    seed = request.node.callspec.params["ads"]
    bench, report = storm(ledger_url, ads, Recognising, seed)
    assert report.count(State.ACCEPTED) == 120
    assert set(ads.stored) == {f"e{n:05d}" for n in range(120)}  # the platform counts each id once
    assert set(bench.states().values()) == {"accepted"}
    bench.ledger.engine.dispose()


@pytest.mark.parametrize("kind", [Counting, CountingBatches])
@pytest.mark.parametrize("ads", range(4), indirect=True)
def test_where_a_repetition_counts_nothing_is_sent_twice_and_every_doubt_is_listed(
    ledger_url: str, ads: Ads, kind: type[FakePlatform], request: pytest.FixtureRequest
) -> None:
    seed = request.node.callspec.params["ads"]
    bench, report = storm(ledger_url, ads, kind, seed)
    assert max(ads.stored.values()) == 1
    states, listed = bench.states(), {row.event_id for row in queries.held(bench.ledger)}
    assert listed == {id_ for id_, state in states.items() if state == "held"}
    accepted = {id_ for id_, state in states.items() if state == "accepted"}
    assert accepted <= set(ads.stored)
    assert set(ads.stored) <= accepted | listed
    assert len(accepted) + len(listed) == report.rows == 120
    assert listed  # there was doubt
    bench.ledger.engine.dispose()
