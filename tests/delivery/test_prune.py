"""Settled rows of long ago go, and nothing that they stood for is ever sent again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from capi_pipeline.delivery import queries
from capi_pipeline.delivery.prune import MARGIN, Pruned, horizon, prune, reach
from capi_pipeline.errors import ConfigurationError, DeliveryError
from capi_pipeline.platforms import NAMES
from capi_pipeline.platforms import platform as platform_class
from capi_pipeline.platforms.base import Limits, Platform
from capi_pipeline.platforms.outbrain import Outbrain
from capi_pipeline.platforms.times import days

from .support import (
    DESTINATION,
    NOW,
    STORED,
    Bench,
    FakePlatform,
    Queueing,
    Restating,
    Server,
    Single,
    event,
    purchases,
    refund,
    refused,
    rows,
    settled,
)
from .support import HOUR as NEWER

OLD = NEWER - timedelta(hours=5)
BEFORE = NEWER - timedelta(hours=2)


class Ageing(Single):
    """Takes events of the last thirty days only."""

    limits: ClassVar[Limits] = Limits(events=1, concurrency=1, oldest=days(30))


@pytest.fixture
def made(ledger_url: str) -> Iterator[list[Bench]]:
    benches: list[Bench] = []
    yield benches
    for bench in benches:
        bench.ledger.engine.dispose()


@pytest.fixture
def bench(ledger_url: str, made: list[Bench]) -> Bench:
    """At a platform without an age limit, which counts a repetition: the ledger alone protects it."""
    made.append(Bench(ledger_url, Single(Single.Config())))
    return made[-1]


def forget(bench: Bench, before: datetime = BEFORE, **given: Any) -> Pruned:
    """Prune as if everything had been settled in its own time: the rows of a test are settled now."""
    bench.sql("update capi.deliveries set settled_at = hour + interval '1 hour', claimed_at = hour")
    return prune(bench.ledger, before, **given)


# --- what goes --------------------------------------------------------------------------------------------------------


def test_settled_rows_of_old_hours_go_and_the_ledger_says_how_far_back_it_reaches(bench: Bench) -> None:
    server = Server()
    bench.run(purchases(25, OLD), server, OLD)
    bench.run([event("new", NEWER)], server, NEWER)
    report = forget(bench, batch=10)
    assert bench.states() == {"new": "accepted"}
    assert (report.rows, report.hours, report.busy) == ({DESTINATION: 25}, 1, 0)
    assert min(report.bytes_before, report.bytes_after) > 0
    assert bench.ledger.pruned_before(DESTINATION) == BEFORE
    assert bench.ledger.pruned_before("another") is None


@pytest.mark.parametrize("state", ["sending", "pending", "retry", "held"])
def test_what_is_not_settled_stays_however_old_it_is(bench: Bench, state: str) -> None:
    bench.run(purchases(3, OLD), Server(), OLD)
    bench.sql("update capi.deliveries set state = :state where event_id = 'e00001'", state=state)
    forget(bench)
    assert bench.states() == {"e00001": state}


@pytest.mark.parametrize("column", ["event_time", "settled_at"])
def test_a_row_with_one_recent_time_stays(bench: Bench, column: str) -> None:
    bench.run(purchases(1, OLD), Server(), OLD)
    bench.sql("update capi.deliveries set settled_at = hour, claimed_at = hour")
    bench.sql(f"update capi.deliveries set {column} = :when", when=BEFORE)
    assert not prune(bench.ledger, BEFORE).rows
    assert bench.states() == {"e00000": "accepted"}


def test_withheld_and_rejected_rows_go(bench: Bench) -> None:
    bench.run([event("no", OLD, consent_ad_storage="denied"), event("bad", OLD)], Server([refused({0: "bad"})]), OLD)
    assert bench.states() == {"no": "withheld", "bad": "rejected"}
    assert forget(bench).rows == {DESTINATION: 2}
    assert bench.states() == {}


def test_what_an_unfinished_refund_is_decided_by_stays(ledger_url: str, made: list[Bench]) -> None:
    bench = Bench(ledger_url, Restating(Restating.Config()))
    made.append(bench)
    server = Server()
    bench.run(
        [
            event("order", OLD),
            event("other", OLD),
            refund("r1", "order", 30, "8.00", OLD),
            refund("r3", "other", 30, "8.00", OLD),
        ],
        server,
        OLD,
    )
    server.script = [settled("retry")]
    bench.run([refund("r2", "order", 40, "5.00", NEWER)], server, NEWER)
    forget(bench)
    assert bench.states() == {"order": "accepted", "r1": "accepted", "r2": "retry"}
    bench.run([refund("r2", "order", 40, "5.00", NEWER)], server, NEWER)
    assert server.totals["order"] == 5.0
    forget(bench)
    assert bench.states() == {"r2": "accepted"}


def test_a_dry_run_counts_and_touches_nothing(bench: Bench) -> None:
    bench.run(purchases(3, OLD), Server(), OLD)
    report = forget(bench, dry=True)
    assert (report.rows, report.hours, report.dry) == ({DESTINATION: 3}, 1, True)
    assert len(bench.states()) == 3
    assert bench.ledger.pruned_before(DESTINATION) is None


def test_verdicts_and_tokens_are_untouched(ledger_url: str, made: list[Bench]) -> None:
    bench = Bench(ledger_url, Queueing(Queueing.Config()))
    made.append(bench)
    bench.run(purchases(1, OLD), Server([settled("pending", trace="t")]), OLD)
    bench.sql(
        "insert into capi.tokens (destination, configured_digest, refresh_token, updated_at) values ('x', '', '', :h)",
        h=OLD,
    )
    forget(bench)
    assert queries.waiting_verdicts(bench.ledger) == {DESTINATION: 1}
    assert bench.sql("select count(*) from capi.tokens") == [(1,)]


def test_each_destination_forgets_for_itself_even_one_that_is_no_longer_configured(bench: Bench) -> None:
    bench.run(purchases(2, OLD), Server(), OLD)
    bench.sql("update capi.deliveries set destination = 'gone'")
    bench.run([event("new", NEWER)], Server(), NEWER)
    assert forget(bench).rows == {"gone": 2}
    assert bench.ledger.pruned_before("gone") == BEFORE
    assert bench.ledger.pruned_before(DESTINATION) is None


def test_the_memory_never_reaches_back_again(bench: Bench) -> None:
    bench.run(purchases(1, OLD), Server(), OLD)
    forget(bench)
    bench.sql(
        """insert into capi.deliveries (destination, event_name, event_id, hour, state, event_time, recorded_at)
        values (:d, 'purchase', 'x', :h, 'accepted', :h, :h)""",
        d=DESTINATION,
        h=OLD - timedelta(days=1),
    )
    assert prune(bench.ledger, OLD).rows == {DESTINATION: 1}  # a longer retention since
    assert bench.ledger.pruned_before(DESTINATION) == BEFORE


def test_an_hour_that_a_run_is_sending_is_left_for_the_next_time(bench: Bench) -> None:
    bench.run(purchases(1, OLD), Server(), OLD)
    with bench.ledger.hour(DESTINATION, OLD, "run"):
        report = forget(bench)
    assert (report.rows, report.hours, report.busy) == ({}, 0, 1)
    assert forget(bench).rows == {DESTINATION: 1}


def test_progress_is_told_hour_by_hour(bench: Bench) -> None:
    for number in range(3):
        hour = OLD - timedelta(hours=number)
        bench.run([event(f"e{number}", hour)], Server(), hour)
    told: list[tuple[int, int]] = []
    forget(bench, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_empty_ledger_has_nothing_to_forget(bench: Bench) -> None:
    report = prune(bench.ledger, BEFORE)
    assert (report.rows, report.hours) == ({}, 0)
    assert report.document()["rows"] == {}


# --- and nothing is sent again ----------------------------------------------------------------------------------------


def test_a_rerun_of_a_forgotten_hour_ends_with_words_and_sends_nothing(bench: Bench) -> None:
    server = Server()
    bench.run(purchases(3, OLD), server, OLD)
    forget(bench)
    sent = len(server.requests)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="no longer known") as told:
            bench.run(purchases(3, OLD), server, OLD)
        assert "CAPI_LEDGER_DAYS" in told.value.remedy
    assert len(server.requests) == sent
    assert bench.states() == {}


def test_a_forgotten_event_that_comes_again_in_a_newer_hour_is_too_old(bench: Bench) -> None:
    server = Server()
    bench.run(purchases(2, OLD), server, OLD)
    forget(bench)
    again = [{**e, "recorded_at": NEWER} for e in purchases(2, OLD)]
    report = bench.run([*again, event("new", NEWER)], server, NEWER)
    assert server.twice == []
    assert server.counted == {"e00000": 1, "e00001": 1, "new": 1}
    assert report.withheld == {"too_old": 2}
    assert bench.states() == {"new": "accepted"}


def test_a_platform_with_an_age_limit_withholds_what_is_forgotten_by_itself() -> None:
    """The ledger's decision is a second bolt there: what lies before the horizon is older than the platform takes."""
    taking = [kind for kind in map(platform_class, NAMES) if kind.limits.oldest]
    assert len(taking) >= 4
    shortest = next(d for d in range(1, 10_000) if timedelta(days=d) >= max(map(reach, taking)) + MARGIN)
    before = horizon(shortest, taking, NOW)
    for kind in taking:
        for oldest in (kind.limits.oldest, *kind.limits.oldest_for.values()):
            assert oldest
            assert NOW - before > oldest, kind.name


def test_what_an_old_hour_still_has_to_finish_goes_and_nothing_else_of_it(bench: Bench) -> None:
    server = Server([settled("accepted"), STORED, settled("accepted")])
    bench.run(purchases(3, OLD), server, OLD)
    assert bench.states() == {"e00000": "accepted", "e00001": "held", "e00002": "accepted"}
    forget(bench)
    assert queries.resolve(bench.ledger, False, None, ["e00001"]) == 1
    before = list(server.requests)
    report = bench.run(purchases(3, OLD), server, OLD)
    assert server.requests[len(before) :] == [["e00001"]]
    assert report.withheld == {"too_old": 2}
    assert bench.states() == {"e00001": "accepted"}
    with pytest.raises(ConfigurationError):
        bench.run(purchases(3, OLD), server, OLD)


def test_what_an_old_hour_still_has_to_finish_keeps_the_platform_s_age_limit(
    ledger_url: str, made: list[Bench]
) -> None:
    bench = Bench(ledger_url, Ageing(Ageing.Config()))
    made.append(bench)
    server = Server([settled("retry")])
    bench.run(purchases(2, OLD), server, OLD)
    forget(bench)
    bench.clock.forward(40 * 86400)
    bench.run(purchases(2, OLD), server, OLD)
    assert bench.states() == {"e00000": "withheld"}
    assert server.counted == {"e00001": 1}


def test_a_refund_of_a_forgotten_conversion_is_not_sent(ledger_url: str, made: list[Bench]) -> None:
    bench = Bench(ledger_url, Restating(Restating.Config()))
    made.append(bench)
    server = Server()
    bench.run([event("order", OLD), refund("r1", "order", 30, "8.00", OLD)], server, OLD)
    forget(bench)
    bench.run([refund("r2", "order", 40, "5.00", NEWER), refund("r1", "order", 30, "8.00", OLD)], server, NEWER)
    assert server.totals["order"] == 8.0
    assert bench.reasons() == {"r2": "original_not_sent"}


def test_pruning_while_a_run_is_under_way_makes_it_send_nothing_again(bench: Bench) -> None:
    """The run has begun when the ledger forgets, and looks its events up afterwards."""
    server = Server()
    bench.run(purchases(5, OLD), server, OLD)
    again = [event("first", NEWER), *({**e, "recorded_at": NEWER} for e in purchases(5, OLD))]

    def read() -> Iterator[Any]:
        forget(bench)
        yield from rows(again)

    report = bench.delivery(server).hour(NEWER, read, "run")
    assert server.twice == []
    assert report.withheld == {"too_old": 5}
    assert report.reconciles


def test_pruning_and_sending_at_once_lose_and_double_nothing(ledger_url: str, made: list[Bench]) -> None:
    """Runs of old and newer hours that hold the same events, while the ledger forgets again and again."""
    bench = Bench(ledger_url, FakePlatform(FakePlatform.Config()))
    made.append(bench)
    server, old, failures = Server(), Server(), []
    hours = [OLD - timedelta(hours=number) for number in range(12)]
    for number, hour in enumerate(hours):
        bench.run([event(f"{number}-{n}", hour) for n in range(20)], old, hour)
    bench.sql("update capi.deliveries set settled_at = hour + interval '1 hour', claimed_at = hour")

    def again() -> None:
        for number, hour in enumerate(hours):
            try:
                same = [{**event(f"{number}-{n}", hour), "recorded_at": NEWER} for n in range(20)]
                bench.run([*same, event(f"new-{number}", NEWER)], server, NEWER + timedelta(hours=number))
                bench.run([event(f"{number}-{n}", hour) for n in range(20)], server, hour)
            except (ConfigurationError, DeliveryError):
                pass  # forgotten, or being forgotten at this moment
            except BaseException as error:
                failures.append(error)

    sender = threading.Thread(target=again)
    sender.start()
    for end in range(-11, 2):
        prune(bench.ledger, OLD + timedelta(hours=end), batch=7)
    sender.join()
    prune(bench.ledger, BEFORE)
    assert not failures
    assert server.counted == {f"new-{number}": 1 for number in range(12)}
    assert set(bench.states()) == set(server.counted)


# --- how long -------------------------------------------------------------------------------------------------------


def test_a_retention_that_a_platform_outlasts_is_refused_with_its_name_and_number() -> None:
    kinds = [platform_class(name) for name in NAMES]
    longest = max(kinds, key=reach)
    least = (reach(longest) + MARGIN).days
    with pytest.raises(ConfigurationError) as told:
        horizon(least - 1, kinds, NOW)
    assert "CAPI_LEDGER_DAYS" in told.value.message
    assert f"{reach(longest).days} days" in told.value.message
    assert str(least) in told.value.remedy
    assert horizon(least, kinds, NOW) == (NOW - timedelta(days=least)).replace(minute=0)


def test_a_platform_s_reach_is_the_longest_of_all_that_it_says() -> None:
    assert reach(Outbrain) == timedelta(0)
    assert reach(FakePlatform) == timedelta(hours=48)
    assert reach(platform_class("meta")) == timedelta(days=62)  # of a store's sales
    assert all(isinstance(reach(kind), timedelta) for kind in map(platform_class, NAMES))


def test_the_horizon_is_a_whole_hour_of_utc() -> None:
    class Short(Platform):
        limits = Limits(events=1)
        deduplication = FakePlatform.deduplication
        title = "Short"

    found = horizon(400, [Short], datetime(2026, 10, 1, 14, 59, 59, 999, UTC))
    assert found == datetime(2025, 8, 27, 14, tzinfo=UTC)
