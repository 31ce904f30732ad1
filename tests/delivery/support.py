"""A platform and its server made for tests: small, scripted, and counting what it stores."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import SecretStr

from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.transform import transform
from capi_pipeline.delivery.delivery import Delivery
from capi_pipeline.delivery.http import Exchange, NotSent, Unanswered
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.delivery.redaction import Redactor, secrets_of
from capi_pipeline.delivery.tokens import Tokens
from capi_pipeline.platforms.answers import by_status, unreadable
from capi_pipeline.platforms.auth import Grant, OAuth
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig, Verdicts
from capi_pipeline.platforms.outcomes import Kind, Outcome, State, Verdict, Withhold
from capi_pipeline.platforms.times import hours, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response
from capi_pipeline.rendering import to_batch

HOUR = datetime(2026, 10, 1, 14, tzinfo=UTC)
LATER = HOUR + timedelta(hours=1)
NOW = HOUR + timedelta(hours=1, minutes=10)
KEY = b"3Ou0Wv0vPzn2hX1mZxk3ZLrC4oGJ0x2mZ0mI5m8o2uE="
DESTINATION = "fake_main"
SECRET = "fake-access-token-1234"


def event(id_: str, hour: datetime = HOUR, **changes: Any) -> dict[str, Any]:
    """A canonical purchase with consent."""
    return {
        "event_id": id_,
        "event_name": "purchase",
        "event_time": hour + timedelta(minutes=5),
        "recorded_at": hour + timedelta(minutes=20),
        "action_source": "website",
        "value": "10.00",
        "currency": "EUR",
        "consent_ad_storage": "granted",
        "consent_ad_user_data": "granted",
        **changes,
    }


def refund(id_: str, original: str, minute: int, left: str, hour: datetime = HOUR, **changes: Any) -> dict[str, Any]:
    """A refund, `minute` minutes into the hour, after which `left` remains of the original."""
    return event(
        id_, hour, event_name="refund", original_event_id=original, original_event_time=HOUR,
        event_time=hour + timedelta(minutes=minute), remaining_value=left, **changes,
    )  # fmt: skip


def purchases(count: int, hour: datetime = HOUR) -> list[dict[str, Any]]:
    return [event(f"e{number:05d}", hour) for number in range(count)]


def rows(events: Sequence[dict[str, Any]]) -> list[pa.RecordBatch]:
    """Hashed rows, as staging gives them."""
    return [transform(to_batch(events), [], ConsentPolicy())] if events else []


class FakePlatform(Platform):
    """Takes ten events a request, all or nothing, and knows a repeated event for two days."""

    name = "fake"
    title = "Fake"
    documentation = "https://fake.example/docs"
    host = "https://fake.example"
    limits: ClassVar[Limits] = Limits(events=10, atomic=True, concurrency=1)
    deduplication: ClassVar[Deduplication] = Deduplication(("event_id",), hours(48))
    limited_data = True

    class Config(PlatformConfig):
        access_token: SecretStr = SecretStr(SECRET)

    def encode(self, c: Conversion) -> Payload:
        return {
            "id": c.event_id,
            "value": c.value if c.event_name != "refund" else c.remaining_value,
            "original": c.original_event_id,
            "click": c.click_id("fclid"),
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        return Request("POST", self.url("/events"), json={"events": list(payloads)})

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        known: dict[str, Any] = {
            "code": str(body.get("code") or f"http_{response.status}"),
            "message": body.get("message", ""),
            "trace_id": body.get("trace", ""),
        }
        if response.status == 200 and "outcomes" in body:
            found = [
                Outcome(State(o["state"]), o.get("code", ""), o.get("message", ""), _wait(o.get("wait")))
                for o in body["outcomes"]
            ]
            return Verdict(Kind.SETTLED, found, **known)
        if response.status == 400:
            culprits = {int(i): Outcome(State.REJECTED, code) for i, code in body.get("culprits", {}).items()}
            return Verdict(Kind.REFUSED, culprits=culprits, **known)
        if response.status == 422:
            return Verdict(Kind.CONFIGURATION, **known)
        return by_status(response, **known) or unreadable(response)

    def status_request(self, trace_id: str) -> Request:
        return Request("GET", self.url(f"/status/{trace_id}"))

    def read_status(self, response: Response, count: int) -> Verdict:
        if response.status == 202:
            return Verdict(Kind.WAITING)
        return self.read(response, count)


class Single(FakePlatform):
    """One event a request, and what is sent twice counts twice."""

    limits: ClassVar[Limits] = Limits(events=1, concurrency=1)
    deduplication: ClassVar[Deduplication] = Deduplication(window=None)


class Restating(FakePlatform):
    """Takes refunds as new totals."""

    restates = True


class Queueing(FakePlatform):
    """Only queues; says later what became of each event."""

    verdicts: ClassVar[Verdicts] = Verdicts(minutes(30), 2.0, hours(1), hours(24))


class Fussy(FakePlatform):
    """Has no `contact` event and wants a value."""

    def encode(self, c: Conversion) -> Payload:
        from capi_pipeline.platforms.outcomes import Reason

        if c.value is None:
            raise Withhold(Reason.MISSING_FIELD, "no value")
        return super().encode(c)


class Granting(FakePlatform):
    """Access tokens by a refresh token that rotates."""

    oauth: ClassVar[OAuth] = OAuth("https://login.fake.example", "/token", scope="ads", rotates=True)

    class Config(PlatformConfig):
        client_id: str = "client"
        client_secret: SecretStr = SecretStr("client-secret-value")
        refresh_token: SecretStr = SecretStr("refresh-0")

    def grant(self) -> Grant:
        return Grant(
            self.config.client_id,
            self.config.client_secret.get_secret_value(),
            self.config.refresh_token.get_secret_value(),
        )


def _wait(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def answer(status: int = 200, body: Any = None, headers: dict[str, str] | None = None) -> Exchange:
    raw = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
    return Exchange(Response(status, {"content-type": "application/json", **(headers or {})}, raw), len(raw), 0.001)


def settled(*states: str, trace: str = "", **more: Any) -> Exchange:
    return answer(body={"outcomes": [{"state": state, **more} for state in states], "trace": trace})


def refused(culprits: dict[int, str] | None = None, code: str = "bad_event") -> Exchange:
    return answer(400, {"code": code, "message": "an event is bad", "culprits": culprits or {}})


STORED, LOST = "stored", "lost"  # script words: the answer is lost, and the events were (or were not) stored
Step = str | Exchange | Exception | Callable[[list[dict[str, Any]]], Exchange]


class Server:
    """The platform's side: does what `script` says, one step per request, and afterwards takes everything that holds
    no `poison`. `counted`: how often each event id was stored; `totals`: the last value of each id or original."""

    def __init__(self, script: Iterable[Step] = (), poison: Iterable[str] = (), names: bool = False) -> None:
        self.script = list(script)
        self.poison, self.names = set(poison), names
        self.requests: list[list[str]] = []
        self.seen: list[Request] = []
        self.counted: Counter[str] = Counter()
        self.totals: dict[str, Any] = {}
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Exchange:
        with self.lock:
            self.seen.append(request)
            events = (request.json or {}).get("events", [])
            self.requests.append([e["id"] for e in events])
            step: Step | None = self.script.pop(0) if self.script else None
            if step == STORED:
                self.store(events)
                raise Unanswered("the connection broke (ConnectionResetError)")
            if step == LOST:
                raise Unanswered("the connection broke (ConnectionResetError)")
            if step == "refused_connection":
                raise NotSent("no connection (ConnectionRefusedError)")
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Exchange):
                with suppress(TypeError, KeyError, RecursionError):
                    outcomes = step.response.json().get("outcomes", [])
                    taken = [outcome["state"] in ("accepted", "pending") for outcome in outcomes]
                    self.store([e for e, stored in zip(events, taken, strict=False) if stored])
                return step
            if callable(step):
                return step(events)
            bad = {i: "poison" for i, e in enumerate(events) if e["id"] in self.poison}
            if bad:
                return refused(bad if self.names else None)
            self.store(events)
            return settled(*["accepted"] * len(events), trace=f"t{len(self.requests)}")

    def store(self, events: Sequence[dict[str, Any]]) -> None:
        for e in events:
            self.counted[e["id"]] += 1
            self.totals[e.get("original") or e["id"]] = e.get("value")

    @property
    def twice(self) -> list[str]:
        return [id_ for id_, number in self.counted.items() if number > 1]


class Clock:
    """A clock that only moves when it is told to, or when somebody waits on it."""

    def __init__(self, start: datetime = NOW) -> None:
        self.start, self.elapsed = start, 0.0
        self.lock = threading.Lock()

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def forward(self, seconds: float) -> None:
        with self.lock:
            self.elapsed += seconds


class Stop(threading.Event):
    """A stop event on which waiting takes no time but moves the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        if not self.is_set() and timeout:
            self.waits.append(timeout)
            self.clock.forward(timeout)
        return self.is_set()


class Bench:
    """One destination on a fresh ledger, with every seam in reach."""

    def __init__(self, url: str, platform: Platform | None = None, **changes: Any) -> None:
        self.ledger = Ledger.open(url)
        self.platform = platform or FakePlatform(FakePlatform.Config())
        self.clock = Clock()
        self.changes = changes
        self.redact = Redactor(secrets_of(self.platform.config))
        self.run_number = 0

    def delivery(self, server: Any, **changes: Any) -> Delivery:
        tokens = Tokens(
            DESTINATION, self.platform, self.ledger.engine, server, lambda: KEY, self.redact,
            {"access_token": "FAKE_TOKEN"}, self.clock.now,
        )  # fmt: skip
        given = {"patience": 30.0, "stop": Stop(self.clock), "now": self.clock.now, "monotonic": self.clock.monotonic}
        return Delivery(
            DESTINATION, self.platform, self.ledger, server, tokens, self.redact, **{**given, **self.changes, **changes}
        )

    def run(self, events: Sequence[dict[str, Any]], server: Any, hour: datetime = HOUR, **changes: Any) -> Any:
        """Deliver one hour; the sums must come out."""
        self.run_number += 1
        report = self.delivery(server, **changes).hour(hour, lambda: rows(events), f"run-{self.run_number}")
        assert report.reconciles, (report.rows, report.outcomes, report.skipped)
        return report

    def sql(self, query: str, **values: Any) -> list[Any]:
        from sqlalchemy import text

        with self.ledger.engine.begin() as connection:
            result = connection.execute(text(query), values)
            return list(result) if result.returns_rows else []

    def states(self) -> dict[str, str]:
        return dict(self.sql("select event_id, state from capi.deliveries"))

    def reasons(self) -> dict[str, str]:
        return dict(self.sql("select event_id, coalesce(reason, '') from capi.deliveries"))
