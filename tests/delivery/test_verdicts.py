"""Answers that come later: asked for in time, settled event by event, never forgotten and never believed too early."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from capi_pipeline.delivery import queries
from capi_pipeline.delivery.http import NotSent, Unanswered
from capi_pipeline.delivery.tokens import Tokens
from capi_pipeline.delivery.verdicts import ENOUGH, VerdictDesk, next_wait
from capi_pipeline.errors import AuthenticationError, DeliveryError
from capi_pipeline.platforms.outcomes import State
from capi_pipeline.platforms.times import hours, minutes

from .support import (
    DESTINATION,
    HOUR,
    KEY,
    Bench,
    Queueing,
    Server,
    answer,
    event,
    purchases,
    refund,
    settled,
)
from .wire import Wire

WAITING = answer(202)


@pytest.fixture
def bench(ledger_url: str) -> Iterator[Bench]:
    bench = Bench(ledger_url, Queueing(Queueing.Config()))
    yield bench
    bench.ledger.engine.dispose()


def queued(bench: Bench, count: int = 3, requests: int = 1) -> None:
    """So many events a request, in so many requests (traces q0, q1, ...), wait for their verdict."""
    steps = [settled(*["pending"] * count, trace=f"q{n}") for n in range(requests)]
    for number, step in enumerate(steps):
        hour = HOUR - timedelta(hours=number)
        bench.run([dict(e, event_id=f"{e['event_id']}-{number}") for e in purchases(count, hour)], Server([step]), hour)
    assert set(bench.states().values()) == {"pending"}
    bench.clock.start = bench.sql("select max(submitted_at) from capi.verdicts")[0][0]  # the ledger's own clock


def desk(bench: Bench, server: Any) -> VerdictDesk:
    names = {"access_token": "FAKE_TOKEN"}
    tokens = Tokens(
        DESTINATION, bench.platform, bench.ledger.engine, server, lambda: KEY, bench.redact, names, bench.clock.now
    )
    return VerdictDesk(DESTINATION, bench.platform, bench.ledger, server, tokens, bench.redact, bench.clock.now)


def test_nobody_is_asked_before_the_time(bench: Bench) -> None:
    queued(bench)
    bench.sql("update capi.verdicts set ask_at = :at", at=bench.clock.now() + timedelta(minutes=30))
    server = Server()
    assert desk(bench, server).ask().requests == 0
    assert server.seen == []
    bench.clock.forward(1801)
    assert desk(bench, Server([settled(*["accepted"] * 3)])).ask().events == {"accepted": 3}


def test_a_platform_that_answers_at_once_has_no_verdicts_to_ask_for(ledger_url: str) -> None:
    bench = Bench(ledger_url)
    assert desk(bench, Server()).ask(everything=True).requests == 0


def test_each_event_of_a_request_gets_its_own_verdict_and_the_question_is_closed(bench: Bench) -> None:
    queued(bench)
    outcomes = answer(
        body={
            "outcomes": [
                {"state": "accepted"},
                {"state": "rejected", "code": "bad", "message": "of jane@example.com"},
                {"state": "retry", "wait": 90},
            ]
        }
    )
    asked = desk(bench, Server([outcomes])).ask(everything=True)
    assert bench.states() == {"e00000-0": "accepted", "e00001-0": "rejected", "e00002-0": "retry"}
    assert asked.events == {"accepted": 1, "rejected": 1, "retry": 1}
    assert asked.rejections == {("bad", "of (e-mail)"): 1}
    assert queries.waiting_verdicts(bench.ledger) == {}
    assert desk(bench, Server()).ask(everything=True).requests == 0


def test_what_the_platform_wants_again_is_sent_by_the_next_run_and_the_rest_is_not(bench: Bench) -> None:
    queued(bench)
    desk(bench, Server([settled("accepted", "retry", "rejected")])).ask(everything=True)
    server = Server([settled("pending", trace="q9")])
    bench.run([dict(e, event_id=f"{e['event_id']}-0") for e in purchases(3)], server)
    assert server.requests == [["e00001-0"]]
    assert queries.waiting_verdicts(bench.ledger) == {DESTINATION: 1}


def test_a_request_that_failed_for_unnamed_events_comes_back_in_halves(bench: Bench) -> None:
    queued(bench, 6)
    desk(bench, Server([settled(*["retry"] * 6, code="narrow")])).ask(everything=True)
    server = Server([settled(*["pending"] * 3, trace=f"h{n}") for n in range(2)])
    bench.run([dict(e, event_id=f"{e['event_id']}-0") for e in purchases(6)], server)
    assert [len(ids) for ids in server.requests] == [3, 3]


def test_a_verdict_of_an_event_that_was_decided_meanwhile_changes_nothing(bench: Bench) -> None:
    queued(bench)
    bench.sql("update capi.deliveries set state = 'accepted' where event_id = 'e00001-0'")
    asked = desk(bench, Server([settled(*["rejected"] * 3)])).ask(everything=True)
    assert bench.states()["e00001-0"] == "accepted"
    assert asked.events == {"rejected": 2}


def test_a_rerun_while_the_verdict_is_out_sends_nothing(bench: Bench) -> None:
    queued(bench)
    server = Server()
    report = bench.run([dict(e, event_id=f"{e['event_id']}-0") for e in purchases(3)], server)
    assert server.requests == []
    assert report.count(State.PENDING) == 3


def test_waiting_grows_between_questions(bench: Bench) -> None:
    queued(bench)
    bench.sql("update capi.verdicts set ask_at = submitted_at")
    waits = []
    for _ in range(3):
        asked = desk(bench, Server([WAITING])).ask()
        assert (asked.waiting, asked.failures) == (1, [])
        (ask_at,) = bench.sql("select ask_at from capi.verdicts")[0]
        waits.append(ask_at - bench.clock.now())
        bench.clock.forward(waits[-1].total_seconds())
    assert waits == [minutes(60)] * 3  # 30 min doubled, and at most an hour
    assert next_wait(Queueing.verdicts, 0) == minutes(30)
    assert next_wait(Queueing.verdicts, 10**6) == hours(1)


def test_half_a_verdict_settles_its_half_and_leaves_the_question_open(bench: Bench) -> None:
    queued(bench)
    asked = desk(bench, Server([settled("accepted", "pending", "rejected")])).ask(everything=True)
    assert asked.waiting == 1
    assert bench.states() == {"e00000-0": "accepted", "e00001-0": "pending", "e00002-0": "rejected"}
    desk(bench, Server([settled("accepted", "accepted", "rejected")])).ask(everything=True)
    assert bench.states()["e00001-0"] == "accepted"
    assert queries.waiting_verdicts(bench.ledger) == {}


@pytest.mark.parametrize(
    "last", [WAITING, settled("accepted", "pending", "pending"), answer(404)], ids=["wait", "half", "404"]
)
def test_what_the_platform_never_tells_is_for_a_person(bench: Bench, last: Any) -> None:
    queued(bench)
    bench.clock.forward(24 * 3600 + 60)
    desk(bench, Server([last])).ask(everything=True)
    states = list(bench.states().values())
    assert "pending" not in states
    assert states.count("held") >= 2
    assert {row.reason for row in queries.held(bench.ledger)} == {"no_verdict"}
    assert queries.waiting_verdicts(bench.ledger) == {}


@pytest.mark.parametrize("fault", [NotSent("no connection"), Unanswered("no answer"), answer(429)], ids=str)
def test_an_outage_while_asking_is_not_the_platform_s_silence(bench: Bench, fault: Any) -> None:
    queued(bench)
    bench.clock.forward(48 * 3600)
    asked = desk(bench, Server([fault])).ask(everything=True)
    assert asked.waiting == 1
    assert len(asked.failures) == 1
    assert set(bench.states().values()) == {"pending"}
    desk(bench, Server([settled(*["accepted"] * 3)])).ask(everything=True)
    assert set(bench.states().values()) == {"accepted"}


@pytest.mark.parametrize(
    "odd", [answer(200, b"<html>"), answer(200, {"outcomes": 5}), settled("accepted"), settled(), answer(500)]
)
def test_an_answer_that_is_none_is_asked_for_again(bench: Bench, odd: Any) -> None:
    queued(bench)
    asked = desk(bench, Server([odd])).ask(everything=True)
    assert asked.waiting == 1
    assert asked.failures
    assert all(asked.failures)
    assert set(bench.states().values()) == {"pending"}
    assert queries.waiting_verdicts(bench.ledger) == {DESTINATION: 1}


@pytest.mark.parametrize(("fault", "most"), [(answer(429), 1), (NotSent("no connection"), ENOUGH)], ids=str)
def test_a_platform_that_does_not_answer_is_not_asked_on_and_on(bench: Bench, fault: Any, most: int) -> None:
    queued(bench, 1, requests=6)
    server = Server([fault] * 6)
    assert desk(bench, server).ask(everything=True).requests == most
    assert len(server.seen) == most


def test_the_time_that_a_rate_limit_names_is_kept(bench: Bench) -> None:
    queued(bench)
    desk(bench, Server([answer(429, headers={"retry-after": "7200"})])).ask(everything=True)
    assert bench.sql("select ask_at from capi.verdicts") == [(bench.clock.now() + hours(2),)]


def test_two_processes_do_not_ask_the_same_at_once(bench: Bench) -> None:
    queued(bench)
    bench.sql("update capi.verdicts set ask_at = submitted_at")
    inner: list[int] = []

    def asking(_: Any) -> Any:
        inner.append(desk(bench, Server()).ask().requests)
        return settled(*["accepted"] * 3)

    assert desk(bench, Server([asking])).ask().requests == 1
    assert inner == [0]


def test_refused_credentials_end_the_round_and_name_the_variable(bench: Bench) -> None:
    queued(bench, 1, requests=3)
    server = Server([answer(401, {"message": "expired"})] * 3)
    with pytest.raises(AuthenticationError, match="FAKE_TOKEN"):
        desk(bench, server).ask(everything=True)
    assert len(server.seen) == 1
    assert queries.waiting_verdicts(bench.ledger) == {DESTINATION: 3}


def test_a_database_that_went_away_is_an_error_in_words_and_the_verdict_is_asked_for_again(
    bench: Bench, ledger_url: str
) -> None:
    queued(bench)
    with Wire(ledger_url) as wire:
        distant = Bench(wire.url, bench.platform)
        distant.clock = bench.clock

        def cutting(_: Any) -> Any:
            wire.cut()
            return settled(*["accepted"] * 3)

        with pytest.raises(DeliveryError, match="went away"):
            desk(distant, Server([cutting])).ask(everything=True)
    assert set(bench.states().values()) == {"pending"}
    assert desk(bench, Server([settled(*["accepted"] * 3)])).ask(everything=True).events == {"accepted": 3}


# --- refunds of conversions that are still queued -------------------------------------------------------------------


class Requeueing(Queueing):
    """Queues, and takes refunds as new totals."""

    restates = True


@pytest.fixture
def restating(ledger_url: str) -> Iterator[Bench]:
    bench = Bench(ledger_url, Requeueing(Requeueing.Config()))
    yield bench
    bench.ledger.engine.dispose()


HOUR_WITH_REFUND = [event("o"), refund("r", "o", 10, "4.00")]


def test_a_refund_waits_for_the_verdict_on_its_conversion_and_leaves_the_hour_green(restating: Bench) -> None:
    server = Server([settled("pending", trace="q1")])
    report = restating.run(HOUR_WITH_REFUND, server)
    assert server.requests == [["o"]]
    assert restating.states() == {"o": "pending", "r": "pending"}
    assert (report.unfinished, report.error) == (0, None)
    (left,) = queries.unfinished(restating.ledger)
    assert (left.retry, left.words) == (1, "waits for the conversion that it adjusts")


@pytest.mark.parametrize(
    ("verdict", "sent", "state"),
    [("accepted", [["r"]], "pending"), ("rejected", [], "withheld"), ("retry", [["o"]], "pending")],
)
def test_after_the_verdict_a_rerun_decides_about_the_refund(
    restating: Bench, verdict: str, sent: list[list[str]], state: str
) -> None:
    restating.run(HOUR_WITH_REFUND, Server([settled("pending", trace="q1")]))
    desk(restating, Server([settled(verdict)])).ask(everything=True)
    server = Server([settled("pending", trace="q2")])
    restating.run(HOUR_WITH_REFUND, server)
    assert server.requests == sent
    assert restating.states()["r"] == state
    if sent == [["r"]]:
        assert queries.unfinished(restating.ledger) == []
