"""Whatever a platform answers, delivery settles each event once, says nothing private, and waits a day at most."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from capi_pipeline.delivery.attempt import Attempts
from capi_pipeline.delivery.http import Exchange, Send
from capi_pipeline.delivery.ledger import Item, Settlement
from capi_pipeline.delivery.pace import Pace
from capi_pipeline.delivery.redaction import LONGEST, Redactor
from capi_pipeline.delivery.report import Report
from capi_pipeline.delivery.tokens import Tokens, _usable
from capi_pipeline.errors import AuthenticationError, CapiError, DeliveryError
from capi_pipeline.platforms import NAMES
from capi_pipeline.platforms.auth import Grant
from capi_pipeline.platforms.outcomes import Kind, State
from capi_pipeline.platforms.wire import Request, Response
from tests.platforms.documented import GRANT, granted, object_of
from tests.platforms.fuzz import ANSWERS, READ, damaged_answers, many, named
from tests.platforms.mutation import SECRETS
from tests.platforms.support import HTML, Answer, answer, cases, made, prepared, usual

from .support import DESTINATION, KEY, NOW, Clock, Granting, Stop
from .test_attempt import Keys

PLATFORMS = {name: made(name) for name in NAMES}
GROUPS: dict[str, Any] = {
    "tiktok": ("web", "C4"),
    "google_data_manager": "1",
    "microsoft_offline": "OfflineConversions",
}
STATES = {State.ACCEPTED, State.PENDING, State.REJECTED, State.RETRY, State.HELD}


def quiet(words: str | None) -> None:
    assert len(words or "") <= LONGEST
    assert not [secret for secret in SECRETS if secret in (words or "")]


def delivered(name: str, send: Send, count: int) -> tuple[list[Settlement], Report, Clock]:
    """What is recorded of events e0, e1, ... that are sent to this platform."""
    clock, settled, report = Clock(), list[Settlement](), Report()
    attempts = Attempts(
        DESTINATION, PLATFORMS[name], send, cast(Tokens, Keys()), Pace(None, clock=clock.monotonic), report,
        Redactor([SECRETS[0]]), settled.extend, 0.0, Stop(clock), clock.now, clock.monotonic,
    )  # fmt: skip
    items = [Item("purchase", f"e{number}", 0, int(NOW.timestamp() * 1e6)) for number in range(count)]
    attempts.deliver(GROUPS.get(name), [(item, {**usual_payload(name), "id": item.event_id}) for item in items])
    attempts.finish()
    final = {settlement.key: settlement for settlement in settled}
    assert final.keys() == {item.key for item in items}
    assert [s.state for s in settled if final[s.key] is not s] == [State.RETRY] * (len(settled) - len(final))  # put off
    return list(final.values()), report, clock


@cache
def usual_payload(name: str) -> dict[str, Any]:
    return dict(prepared(name, usual(name)))


def deliver(name: str, response: Response, count: int) -> None:
    """Deliver `count` events to a platform that answers every request in this way, and look at what is recorded."""
    count = min(count, PLATFORMS[name].limits.events)
    settled, report, clock = delivered(name, lambda _: Exchange(response, 1, 0.001), count)
    assert {settlement.state for settlement in settled} <= STATES
    taken = [settlement for settlement in settled if settlement.state in (State.ACCEPTED, State.PENDING)]
    said = READ[name].says(response, count)
    if not (said.refused and any(READ[name].says(response, part).taken for part in range(1, count))):
        assert len(taken) <= len(said.taken)  # else its parts are answered in the same way, and that takes them
    for settlement in settled:
        quiet(settlement.code)
        quiet(settlement.message)
        assert len(settlement.trace_id or "") <= 200
        assert "@" not in (settlement.trace_id or "")
        assert settlement.trace_id or settlement.state is not State.PENDING
        assert settlement.not_before is None or NOW <= settlement.not_before <= clock.now() + timedelta(days=1)
    for code, words in report.rejections:
        quiet(code)
        quiet(words)
    assert not report.error or isinstance(report.error, CapiError)
    assert not [secret for secret in SECRETS if secret in str(report.error)]
    assert sum(report.sent.values()) == count
    assert clock.elapsed == 0.0  # without patience nobody waits for a platform that asks for it


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_answer_settles_each_event_once(name: str) -> None:
    for number, response, count in damaged_answers(name, READ[name], cases(name).ANSWERS):
        with named(number, response, count):
            deliver(name, response, count)


@given(response=ANSWERS, count=st.integers(1, 4), some=st.lists(st.sampled_from(NAMES), min_size=8, max_size=8))
@many
def test_any_answer_settles_each_event_once(response: Response, count: int, some: list[str]) -> None:
    for name in dict.fromkeys(some):
        deliver(name, response, count)


@pytest.mark.parametrize(
    "words", ["Batch.1.x and Batch.9.x", "Batch.-1.x, Batch.0.x", "data[0], data[7]", "Batch.99999999999.x"]
)
def test_an_answer_that_names_an_event_that_was_not_sent_costs_no_good_one(words: str) -> None:
    def send(request: Request) -> Exchange:
        bad = any(payload["id"] == "e3" for payload in request.json["data"])
        body = {"code": 40002 if bad else 0, "message": words if bad else "OK", "request_id": "R", "data": {}}
        return Exchange(answer(200, body), 1, 0.001)

    settled, _, _ = delivered("tiktok", send, 7)
    states = {settlement.key[1]: settlement.state for settlement in settled}
    assert states == {f"e{n}": State.REJECTED if n == 3 else State.ACCEPTED for n in range(7)}


# --- tokens ---------------------------------------------------------------------------------------------------------

NOWHERE = create_engine("postgresql+psycopg2://nowhere.invalid/")  # reading an answer needs no database


GRANTS = [
    Answer("refused", answer(status, {"error": error, "error_description": "words"}), Kind.AUTH)
    for status, error in ((400, "invalid_grant"), (401, "invalid_client"), (503, "temporarily_unavailable"))
] + [Answer("a gateway's page", answer(502, HTML), Kind.TRANSIENT)]


def ask(response: Response) -> None:
    """A token is only taken from the documented answer; everything else is a dead consent or an endpoint that fails."""
    platform, redact = Granting(Granting.Config()), Redactor([SECRETS[0]])
    tokens = Tokens(DESTINATION, platform, NOWHERE, lambda _: Exchange(response, 1, 0.001), lambda: KEY, redact)
    try:
        answer = tokens._ask(Grant("client", "client-secret-value", "refresh-0"))
    except (AuthenticationError, DeliveryError) as error:
        words = str(error)
        assert not [secret for secret in SECRETS if secret in words]
        assert len(words) < 3 * LONGEST
        return
    if answer is None:
        assert object_of(response.body).get("error") == "invalid_grant"
        return
    assert granted(response)
    assert "***" in redact(f"the token {answer['access_token']} was seen") or len(answer["access_token"]) < 4
    assert timedelta(0) < _usable(answer.get("expires_in")) < timedelta(days=1200)


def test_the_documented_grant_is_one() -> None:
    for response in GRANT.successes(1):
        assert granted(response)
        ask(response)


def test_a_damaged_grant_is_no_token() -> None:
    for number, response, _ in damaged_answers("tokens", GRANT, GRANTS):
        with named(number, response):
            ask(response)


@given(response=ANSWERS)
@many
def test_any_answer_that_is_no_grant_is_no_token(response: Response) -> None:
    ask(response)
