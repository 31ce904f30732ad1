"""What people ask of the ledger, and what their answers do to the next run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from capi_pipeline.delivery import queries
from capi_pipeline.delivery.decide import OnUnknown
from capi_pipeline.platforms.outcomes import State

from .support import DESTINATION, HOUR, LATER, LOST, STORED, Bench, Server, Single, answer, event, purchases, settled


@pytest.fixture
def bench(ledger_url: str) -> Iterator[Bench]:
    bench = Bench(ledger_url, Single(Single.Config()))
    yield bench
    bench.ledger.engine.dispose()


def test_nothing_is_asked_of_an_empty_ledger_in_vain(bench: Bench) -> None:
    assert queries.summaries(bench.ledger) == []
    assert queries.unfinished(bench.ledger) == []
    assert queries.held(bench.ledger) == []
    assert queries.resolve(bench.ledger, True, None, None) == 0
    assert queries.summary(bench.ledger, DESTINATION, HOUR).document()["accepted"] == 0


def test_unfinished_hours_are_listed_oldest_first_with_the_commonest_words(bench: Bench) -> None:
    bench.run([event(f"b{n}", LATER) for n in range(3)], Server([settled("retry", message="quota")] * 3), LATER)
    steps = [settled("retry", message="busy"), settled("retry", message="quota"), settled("retry", message="quota")]
    bench.run(purchases(3), Server(steps))
    found = queries.unfinished(bench.ledger)
    assert [(open_.hour, open_.retry, open_.words) for open_ in found] == [(HOUR, 3, "quota"), (LATER, 3, "quota")]


def test_summaries_count_all_hours_or_those_since_one(bench: Bench) -> None:
    bench.run(purchases(2), Server())
    bench.run([event("late", LATER), event("no", LATER, consent_ad_storage="denied")], Server(), LATER)
    (total,) = queries.summaries(bench.ledger)
    assert (total.accepted, total.withheld, total.hour) == (3, {"consent_denied": 1}, None)
    (since,) = queries.summaries(bench.ledger, LATER)
    assert since.accepted == 1


def test_a_person_who_says_that_it_did_not_arrive_has_it_sent_at_once(bench: Bench) -> None:
    """Although the platform had asked to wait before the event came into doubt."""
    server = Server([settled("retry", wait=600), STORED])
    bench.run(purchases(1), server)
    bench.clock.forward(601)
    bench.run(purchases(1), server)
    assert [row.event_id for row in queries.held(bench.ledger)] == ["e00000"]
    assert queries.resolve(bench.ledger, False, [DESTINATION], ["e00000"]) == 1
    bench.clock.forward(-601)
    assert bench.run(purchases(1), server).count(State.ACCEPTED) == 1
    assert queries.held(bench.ledger) == []


def test_a_person_who_says_that_it_arrived_has_the_last_word(bench: Bench) -> None:
    server = Server([LOST])
    bench.run(purchases(1), server)
    assert queries.resolve(bench.ledger, True, None, None) == 1
    report = bench.run(purchases(1), server, on_unknown=OnUnknown.RESEND)
    assert len(server.requests) == 1
    assert report.outcomes == {(State.ACCEPTED, "resolved_by_person"): 1}


def test_only_the_chosen_events_are_resolved(bench: Bench) -> None:
    bench.run(purchases(2), Server([LOST, LOST]))
    assert queries.resolve(bench.ledger, True, [DESTINATION], []) == 0
    assert queries.resolve(bench.ledger, True, ["another"], None) == 0
    assert queries.resolve(bench.ledger, True, None, ["e00001", "unknown"]) == 1
    assert bench.states() == {"e00000": "held", "e00001": "accepted"}


def test_events_that_took_more_than_one_attempt_are_counted(bench: Bench) -> None:
    server = Server([settled("retry"), settled("accepted"), answer(429)])
    bench.run(purchases(2), server)
    bench.clock.forward(3600)
    bench.run(purchases(2), server)
    assert queries.retried(bench.ledger, DESTINATION, HOUR) == 1
    assert queries.retried(bench.ledger, DESTINATION, HOUR + timedelta(hours=1)) == 0
