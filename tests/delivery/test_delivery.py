"""Whole hours to one destination on a real ledger: what arrives, what is left, and what a rerun does."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from capi_pipeline.delivery import queries
from capi_pipeline.delivery.decide import OnUnknown
from capi_pipeline.delivery.delivery import LOOKUP
from capi_pipeline.errors import DeliveryError
from capi_pipeline.platforms.base import Limits
from capi_pipeline.platforms.outcomes import Reason, State, Withhold

from .support import (
    DESTINATION,
    HOUR,
    LATER,
    LOST,
    STORED,
    Bench,
    FakePlatform,
    Fussy,
    Restating,
    Server,
    Single,
    answer,
    event,
    purchases,
    refund,
    rows,
    settled,
)
from .wire import Wire


@pytest.fixture
def bench(ledger_url: str) -> Iterator[Bench]:
    bench = Bench(ledger_url)
    yield bench
    bench.ledger.engine.dispose()


def using(bench: Bench, kind: type[FakePlatform]) -> Bench:
    bench.platform = kind(kind.Config())
    return bench


# --- exactly once ---------------------------------------------------------------------------------------------------


def test_an_hour_arrives_whole_and_a_rerun_sends_nothing(bench: Bench) -> None:
    server, hour = Server(), purchases(25)
    report = bench.run(hour, server)
    assert [len(ids) for ids in server.requests] == [10, 10, 5]
    assert report.count(State.ACCEPTED) == report.rows == 25
    assert report.unfinished == 0
    again = bench.run(hour, server)
    assert len(server.requests) == 3
    assert again.requests == 0
    assert again.count(State.ACCEPTED) == 25
    assert server.twice == []


def test_an_empty_hour_is_delivered(bench: Bench) -> None:
    assert bench.run([], Server()).rows == 0


def test_a_rerun_sends_only_what_was_not_accepted(bench: Bench) -> None:
    server = Server([settled("accepted", "retry", "rejected")])
    hour = purchases(3)
    report = bench.run(hour, server)
    assert (report.count(State.ACCEPTED), report.unfinished, report.count(State.REJECTED)) == (1, 1, 1)
    report = bench.run(hour, server)
    assert server.requests[1:] == [["e00001"]]
    assert (report.count(State.ACCEPTED), report.unfinished, report.count(State.REJECTED)) == (2, 0, 1)


def test_an_outage_in_the_middle_loses_nothing_and_counts_nothing_twice(bench: Bench) -> None:
    hour = purchases(100)
    server = Server([settled(*["accepted"] * 10), *[answer(503)] * 1000])
    report = bench.run(hour, server)
    assert report.count(State.ACCEPTED) == 10
    assert report.unfinished == 90
    assert report.error is not None
    server.script.clear()
    bench.clock.forward(3600)
    report = bench.run(hour, server)
    assert report.count(State.ACCEPTED) == 100
    assert server.twice == []


def test_what_may_have_arrived_is_sent_again_with_the_same_ids_while_the_window_is_open(bench: Bench) -> None:
    hour = purchases(3)
    server = Server([STORED, *["refused_connection"] * 1000])
    assert bench.run(hour, server).unfinished == 3
    server.script.clear()
    report = bench.run(hour, server)
    assert server.requests[-1] == server.requests[0]
    assert report.count(State.ACCEPTED) == 3


def test_what_may_have_arrived_is_held_when_the_window_has_closed(bench: Bench) -> None:
    hour = purchases(3)
    server = Server([STORED, *["refused_connection"] * 1000])
    bench.run(hour, server)
    server.script.clear()
    requests = len(server.requests)
    bench.sql("update capi.deliveries set unknown_since = unknown_since - interval '47 hours 51 minutes'")
    bench.clock.start = bench.sql("select clock_timestamp()")[0][0]
    report = bench.run(hour, server)
    assert len(server.requests) == requests
    assert report.count(State.HELD) == 3
    assert set(bench.reasons().values()) == {"unknown_after_window"}
    bench.run(hour, server)
    assert len(server.requests) == requests


@pytest.mark.parametrize(
    ("policy", "state", "reason"),
    [
        (OnUnknown.AUTO, "accepted", ""),
        (OnUnknown.HOLD, "held", "unknown_by_policy"),
        (OnUnknown.RESEND, "accepted", ""),
    ],
)
def test_the_policy_of_the_document_decides_on_what_may_have_arrived(
    bench: Bench, policy: OnUnknown, state: str, reason: str
) -> None:
    server = Server([STORED, *["refused_connection"] * 1000])
    bench.run(purchases(1), server)
    server.script.clear()
    bench.run(purchases(1), server, on_unknown=policy)
    assert bench.states() == {"e00000": state}
    assert bench.reasons() == {"e00000": reason}


def test_where_a_repetition_counts_nothing_in_doubt_is_ever_sent_again(bench: Bench) -> None:
    using(bench, Single)
    hour = purchases(4)
    server = Server([settled("accepted"), STORED, LOST, settled("accepted")])
    report = bench.run(hour, server)
    assert (report.count(State.ACCEPTED), report.count(State.HELD)) == (2, 2)
    for _ in range(3):
        bench.clock.forward(864000)
        report = bench.run(hour, server)
    assert len(server.requests) == 4
    assert server.twice == []
    held = queries.held(bench.ledger)
    assert [(row.event_id, row.reason) for row in held] == [
        ("e00001", "unknown_without_deduplication"),
        ("e00002", "unknown_without_deduplication"),
    ]


def test_a_person_resolves_what_is_held(bench: Bench) -> None:
    using(bench, Single)
    server = Server([STORED, LOST])
    bench.run(purchases(2), server)
    assert queries.resolve(bench.ledger, True, [DESTINATION], ["e00000"]) == 1
    assert queries.resolve(bench.ledger, False, [DESTINATION], ["e00001"]) == 1
    report = bench.run(purchases(2), server)
    assert server.requests[2:] == [["e00001"]]
    assert report.count(State.ACCEPTED) == 2
    assert server.twice == []


@pytest.mark.parametrize("kind", [FakePlatform, Single])
def test_a_claim_whose_commit_was_never_acknowledged_has_not_left(
    bench: Bench, ledger_url: str, kind: type[FakePlatform]
) -> None:
    class Cutting(kind):  # type: ignore[valid-type,misc]
        def encode(self, c: Any) -> Any:
            wire.swallow = c.event_id == "e00009"  # after the look-up: the next commit is the claim's
            return super().encode(c)

    server = Server()
    with Wire(ledger_url) as wire, pytest.raises(DeliveryError, match="went away"):
        using(Bench(wire.url), Cutting).delivery(server).hour(HOUR, lambda: rows(purchases(10)), "run-1")
    assert server.requests == []
    assert set(bench.states().values()) == {"retry"}
    using(bench, kind)
    report = bench.run(purchases(10), server)
    assert report.count(State.ACCEPTED) == 10  # nothing is in doubt: nothing had left
    assert server.twice == []


CRASH = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from delivery.support import *

class Dying(Server):
    def __call__(self, request):
        if len(self.requests) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(request)

kind = {"FakePlatform": FakePlatform, "Single": Single}[sys.argv[3]]
bench = Bench(sys.argv[1], kind(kind.Config()))
bench.run(purchases(30), Dying())
"""


@pytest.mark.parametrize("kind", [FakePlatform, Single])
def test_a_run_killed_in_the_middle_of_a_request_is_taken_up_by_the_next(
    bench: Bench, ledger_url: str, kind: type[FakePlatform]
) -> None:
    using(bench, kind)
    tests = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", CRASH, ledger_url, tests, kind.__name__], timeout=60)
    assert done.returncode == -9
    states = list(bench.states().values())
    assert states.count("sending") == (10 if kind is FakePlatform else 1)  # one request, for a repetition would count
    first = states.count("accepted")
    server = Server()
    report = bench.run(purchases(30), server)
    sent = {id_ for ids in server.requests for id_ in ids}
    if kind is FakePlatform:
        assert report.count(State.ACCEPTED) == 30
        assert len(sent) == 30 - first
    else:
        assert report.count(State.HELD) == states.count("sending")
        assert report.count(State.ACCEPTED) == 30 - report.count(State.HELD)
    assert not report.unfinished


# --- decided again --------------------------------------------------------------------------------------------------


def test_a_rejected_event_is_sent_again_only_when_its_payload_has_changed(bench: Bench) -> None:
    server = Server([settled("rejected", code="bad_value")])
    bench.run([event("a")], server)
    bench.run([event("a")], server)
    bench.run([event("a", coupon="not in the payload")], server)
    assert len(server.requests) == 1
    report = bench.run([event("a", value="11.00")], server)
    assert len(server.requests) == 2
    assert report.count(State.ACCEPTED) == 1


def test_a_rejected_event_that_is_opened_again_is_sent_as_it_is(bench: Bench) -> None:
    server = Server([settled("rejected")])
    bench.run([event("a")], server)
    queries.reopen_rejected(bench.ledger, [DESTINATION], HOUR)
    assert bench.run([event("a")], server).count(State.ACCEPTED) == 1


def test_a_withheld_event_is_decided_again(bench: Bench) -> None:
    server, denied = Server(), {"consent_ad_storage": "denied"}
    report = bench.run([event("a", **denied), event("b")], server)
    assert report.withheld == {"consent_denied": 1}
    assert server.requests == [["b"]]
    report = bench.run([event("a"), event("b")], server)
    assert server.requests == [["b"], ["a"]]
    assert report.count(State.ACCEPTED) == 2


def test_an_accepted_event_stays_accepted_when_consent_is_withdrawn(bench: Bench) -> None:
    bench.run([event("a")], Server())
    report = bench.run([event("a", consent_ad_storage="denied")], Server())
    assert report.count(State.ACCEPTED) == 1


def test_what_may_have_arrived_and_may_no_longer_be_sent_is_for_a_person(bench: Bench) -> None:
    bench.run([event("a")], Server([STORED, *["refused_connection"] * 1000]))
    report = bench.run([event("a", consent_ad_storage="denied")], Server())
    assert report.count(State.HELD) == 1
    assert bench.reasons() == {"a": "unknown_and_withheld"}


def test_a_platform_that_asked_to_wait_is_left_alone_until_then(bench: Bench) -> None:
    server = Server([settled("retry", "accepted", wait=600)])
    bench.run(purchases(2), server)
    report = bench.run(purchases(2), server)
    assert len(server.requests) == 1
    assert report.unfinished == 1
    bench.clock.forward(601)
    assert bench.run(purchases(2), server).count(State.ACCEPTED) == 2


def test_unsendable_events_are_withheld_with_their_reason(bench: Bench) -> None:
    using(bench, Fussy)
    report = bench.run([event("a"), event("b", value=None, currency=None)], Server())
    assert report.withheld == {"missing_field": 1}
    assert bench.sql("select message from capi.deliveries where event_id = 'b'") == [("no value",)]


def test_a_rate_limited_hour_leaves_the_platform_alone_until_the_time_that_it_named(bench: Bench) -> None:
    server, hour = Server([answer(429, headers={"retry-after": "7200"})]), purchases(35)
    report = bench.run(hour, server)
    assert report.unfinished == 35
    until = bench.clock.now() + timedelta(hours=2)
    for _ in range(2):
        report = bench.run(hour, server)
        assert len(server.requests) == 1
        assert f"until {until:%Y-%m-%d %H:%M} UTC" in str(report.error)
    bench.clock.forward(7201)
    report = bench.run(hour, server)
    assert report.error is None
    assert report.count(State.ACCEPTED) == 35


def test_an_event_that_cannot_be_encoded_holds_up_no_other_and_is_not_forgotten(bench: Bench) -> None:
    class Fragile(FakePlatform):
        def encode(self, c: Any) -> Any:
            if c.event_id == "e00001" and broken:
                raise OverflowError("jane@example.com")
            return super().encode(c)

    using(bench, Fragile)
    server, broken = Server(), True
    report = bench.run(purchases(3), server)
    assert report.count(State.ACCEPTED) == 2
    assert report.unfinished == 1
    assert "e00001 cannot be encoded (OverflowError)" in str(report.error)
    assert "jane" not in str(report.error) + str(bench.sql("select message from capi.deliveries"))
    broken = False
    assert bench.run(purchases(3), server).count(State.ACCEPTED) == 3
    assert server.twice == []


def test_words_about_withheld_events_are_redacted(bench: Bench) -> None:
    class Chatty(FakePlatform):
        def encode(self, c: Any) -> Any:
            raise Withhold(Reason.INVALID_VALUE, "value of jane@example.com")

    using(bench, Chatty)
    bench.run([event("a")], Server())
    assert bench.sql("select message from capi.deliveries") == [("value of (e-mail)",)]


# --- sums -----------------------------------------------------------------------------------------------------------


def test_an_event_of_two_hours_is_sent_in_one(bench: Bench) -> None:
    server = Server()
    bench.run([event("a"), event("b")], server)
    report = bench.run([event("b", LATER), event("c", LATER)], server, LATER)
    assert server.requests == [["a", "b"], ["c"]]
    assert report.skipped == {"duplicate": 1}
    assert report.withheld == {"duplicate": 1}


def test_two_hours_that_run_at_once_share_no_event(ledger_url: str) -> None:
    server = Server()
    ids = [f"e{n}" for n in range(200)]

    def one(bench: Bench, hour: Any) -> None:
        reports.append(bench.run([event(id_, hour) for id_ in ids], server, hour))

    reports: list[Any] = []
    benches = [Bench(ledger_url) for _ in range(2)]
    threads = [threading.Thread(target=one, args=pair) for pair in zip(benches, (HOUR, LATER), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.count(State.ACCEPTED) for report in reports) == 200
    assert server.twice == []


def test_what_the_document_leaves_out_is_counted_but_not_kept(bench: Bench) -> None:
    def select(c: Any) -> Reason | None:
        return Reason.FILTERED if c.event_id == "e00001" else None

    report = bench.run(purchases(3), Server(), select=select)
    assert report.skipped == {"filtered": 1}
    assert set(bench.states()) == {"e00000", "e00002"}


def test_a_document_that_changed_between_two_runs_leaves_sums_that_add_up(bench: Bench) -> None:
    server = Server([settled("accepted", "retry", "rejected", "accepted")])
    hour = [*purchases(4), event("w", consent_ad_storage="denied")]
    bench.run(hour, server)
    report = bench.run([*hour, event("new")], server, select=lambda _: Reason.NOT_SELECTED)
    assert len(server.requests) == 1
    assert report.count(State.ACCEPTED) == 2
    assert report.unfinished == 0  # what will never be sent is not left to send
    assert report.withheld == {"not_selected": 4}
    report = bench.run([*hour, event("new")], server)
    assert report.count(State.ACCEPTED) == 5  # e00000, e00003, and now e00001, e00002 and the new one


def test_a_row_that_vanished_from_the_warehouse_shows_in_the_sums(bench: Bench) -> None:
    bench.run(purchases(3), Server())
    report = bench.delivery(Server()).hour(HOUR, lambda: rows(purchases(2)), "run")
    assert not report.reconciles


def test_a_run_that_took_the_hour_meanwhile_speaks_for_its_events(bench: Bench, ledger_url: str) -> None:
    """The connection is lost after the look-up; another run sends the hour; ours must not send it again."""
    other = Bench(ledger_url)
    server = Server()

    def between() -> Iterator[pa.RecordBatch]:
        (batch,) = rows(purchases(30))
        yield batch.slice(0, 5)
        bench.sql(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        assert other.run(purchases(30), server).count(State.ACCEPTED) == 30
        yield batch.slice(5)

    with pytest.raises(DeliveryError, match="went away"):
        bench.delivery(server).hour(HOUR, between, "run-1")
    assert server.twice == []
    assert set(bench.states().values()) == {"accepted"}


# --- stopping -------------------------------------------------------------------------------------------------------


def test_a_stop_lets_what_is_in_flight_end_and_leaves_the_rest_for_a_rerun(bench: Bench) -> None:
    def stopping(events: Any) -> Any:
        stop.set()
        return settled(*["accepted"] * len(events))

    stop = threading.Event()
    server = Server([settled(*["accepted"] * 10), stopping])
    report = bench.run(purchases(100), server, stop=stop)
    assert report.count(State.ACCEPTED) == 20
    assert report.unfinished == 80
    assert len(server.requests) == 2
    report = bench.run(purchases(100), server)
    assert report.count(State.ACCEPTED) == 100
    assert server.twice == []


def test_a_stop_before_the_first_request_sends_nothing(bench: Bench) -> None:
    stop, server = threading.Event(), Server()
    stop.set()
    report = bench.run(purchases(30), server, stop=stop)
    assert server.requests == []
    assert report.unfinished == 30


def test_rows_that_break_off_leave_nothing_undecided(bench: Bench) -> None:
    def breaking() -> Iterator[pa.RecordBatch]:
        (batch,) = rows(purchases(35))
        yield batch
        raise KeyError("the file broke off")

    server = Server()
    with pytest.raises(KeyError, match="broke off"):
        bench.delivery(server).hour(HOUR, breaking, "run-1")
    found = list(bench.states().values())
    assert found.count("accepted") == sum(len(ids) for ids in server.requests)
    assert set(found) <= {"accepted", "retry"}
    report = bench.run(purchases(35), server)
    assert report.count(State.ACCEPTED) == 35
    assert server.twice == []


def test_an_interrupt_lets_what_is_in_flight_end_and_be_recorded(bench: Bench) -> None:
    class Large(FakePlatform):
        limits = Limits(events=LOOKUP, concurrency=2)

    flying, interrupted = threading.Event(), threading.Event()

    def slow(events: Any) -> Any:
        flying.set()
        interrupted.wait(10)
        return settled(*["accepted"] * len(events))

    def interrupting() -> Iterator[pa.RecordBatch]:
        yield from rows(purchases(LOOKUP))
        yield from rows([event("later")])
        assert flying.wait(10)
        threading.Timer(0.2, interrupted.set).start()
        raise KeyboardInterrupt

    using(bench, Large)
    server = Server([slow])
    with pytest.raises(KeyboardInterrupt):
        bench.delivery(server).hour(HOUR, interrupting, "run-1")
    assert list(bench.states().values()) == ["accepted"] * LOOKUP
    assert bench.run(purchases(LOOKUP), server).count(State.ACCEPTED) == LOOKUP
    assert server.twice == []


def test_an_error_in_one_thread_ends_the_others_in_order(bench: Bench) -> None:
    class Broken(Server):
        def __call__(self, request: Any) -> Any:
            if len(self.requests) == 3:
                self.requests.append([])
                raise ZeroDivisionError
            return super().__call__(request)

    server = Broken()
    with pytest.raises(ZeroDivisionError):
        bench.delivery(server, concurrency=4).hour(HOUR, lambda: rows(purchases(200)), "run-1")
    report = bench.run(purchases(200), server)
    assert report.count(State.ACCEPTED) == 200
    assert server.twice == []


def test_many_threads_send_each_event_once(bench: Bench) -> None:
    server = Server(poison={"e00042", "e00777"})
    report = bench.run(purchases(1000), server, concurrency=8)
    assert report.count(State.ACCEPTED) == 998
    assert report.count(State.REJECTED) == 2
    assert server.twice == []
    assert report.requests == len(server.requests)


def test_the_run_that_comes_second_is_turned_away(bench: Bench, ledger_url: str) -> None:
    def meddling(events: Any) -> Any:
        with pytest.raises(DeliveryError, match="Another run"):
            Bench(ledger_url).run(purchases(1), Server())
        return settled("accepted")

    assert bench.run(purchases(1), Server([meddling])).count(State.ACCEPTED) == 1


def test_the_ledger_holds_no_payload_and_no_identifier(bench: Bench) -> None:
    click = {"fclid": {"value": "click-id-of-a-person"}}
    hour = [event("a", emails='["jane@example.com"]', ip_address="203.0.113.9", click_ids=click)]
    echo = settled("rejected", code="bad", message="click of jane@example.com is bad")
    report = bench.run(hour, Server([echo]))
    ((everything,),) = bench.sql("select string_agg(d::text, ' ') from capi.deliveries d")
    for personal in ("jane", "203.0.113", "click-id-of"):
        assert personal not in everything
    assert "click-id-of" not in str(report.example)


# --- narrowing ------------------------------------------------------------------------------------------------------


def test_a_request_with_an_unnamed_culprit_is_halved_from_run_to_run_until_the_culprit_stands_alone(
    bench: Bench,
) -> None:
    """A platform that says of a whole request that something in it failed, and not what."""

    class Vague(Server):
        def __call__(self, request: Any) -> Any:
            ids = [e["id"] for e in request.json["events"]]
            if "e00003" in ids:
                self.requests.append(ids)
                return settled("rejected") if len(ids) == 1 else settled(*["retry"] * len(ids), code="narrow")
            return super().__call__(request)

    server, sizes = Vague(), []
    for _ in range(8):
        before = len(server.requests)
        report = bench.run(purchases(10), server)
        sizes.append(max((len(ids) for ids in server.requests[before:]), default=0))
    assert sizes[0] == 10
    assert sizes[1] <= 5
    assert sizes[2] <= 2
    assert sizes[3] <= 1
    assert sizes[4:] == [0, 0, 0, 0]
    assert report.count(State.ACCEPTED) == 9
    assert bench.states()["e00003"] == "rejected"
    assert server.twice == []


def test_events_that_travel_in_small_company_leave_as_soon_as_it_is_complete(bench: Bench) -> None:
    """However many there are, no more than a few wait in memory."""
    server = Server([settled(*["retry"] * 10, code="narrow")] * 30)
    bench.run(purchases(300), server)
    assert bench.sql("select distinct at_most from capi.deliveries") == [(5,)]
    prepared: list[int] = []

    class Counting(FakePlatform):
        def encode(self, c: Any) -> Any:
            prepared.append(len(server.requests))
            return super().encode(c)

    using(bench, Counting)
    server.requests.clear()
    report = bench.run(purchases(300), server)
    assert [len(ids) for ids in server.requests] == [5] * 60
    assert report.count(State.ACCEPTED) == 300


# --- refunds of platforms that restate ------------------------------------------------------------------------------


def test_a_refund_goes_after_the_conversion_that_it_adjusts(bench: Bench) -> None:
    using(bench, Restating)
    server = Server()
    report = bench.run([refund("r", "o", 10, "4.00"), event("o")], server)
    assert server.requests == [["o"], ["r"]]
    assert server.totals == {"o": 4}
    assert report.count(State.ACCEPTED) == 2


def test_the_hour_is_read_again_only_where_it_holds_adjustments_and_never_kept(bench: Bench) -> None:
    using(bench, Restating)
    reads: list[int] = []

    def reading(events: list[dict[str, Any]]) -> Any:
        def read() -> list[pa.RecordBatch]:
            reads.append(len(events))
            return rows(events)

        return read

    server = Server()
    bench.delivery(server).hour(HOUR, reading([event("o")]), "run-1")
    assert reads == [1]
    hour = [refund("r", "o", 10, "4"), event("o"), refund("no", "o", 20, "1", consent_ad_storage="denied")]
    report = bench.delivery(server).hour(HOUR, reading(hour), "run-2")
    assert reads == [1, 3, 3]
    assert report.reconciles
    assert server.requests == [["o"], ["r"]]
    assert report.withheld == {"consent_denied": 1}


def test_refunds_that_the_document_leaves_out_are_counted_once_and_never_sent(bench: Bench) -> None:
    using(bench, Restating)
    server, hour = Server(), [event("o"), refund("r", "o", 10, "4"), refund("q", "o", 5, "6")]

    def select(c: Any) -> Reason | None:
        return Reason.NOT_SELECTED if c.event_id == "r" else None

    for _ in range(2):
        report = bench.run(hour, server, select=select)
        assert report.skipped == {"not_selected": 1}
        assert report.count(State.ACCEPTED) == 2
    assert server.requests == [["o"], ["q"]]


def test_a_refund_of_what_the_platform_does_not_have_is_withheld(bench: Bench) -> None:
    using(bench, Restating)
    server = Server([settled("rejected")])
    report = bench.run([event("bad"), refund("r1", "bad", 10, "4"), refund("r2", "never seen", 10, "4")], server)
    assert server.requests == [["bad"]]
    assert report.withheld == {"original_not_sent": 2}


def test_a_refund_follows_when_its_conversion_arrives_later(bench: Bench) -> None:
    using(bench, Restating)
    server = Server()
    bench.run([refund("r", "o", 10, "4", LATER)], server, LATER)
    assert server.requests == []
    bench.run([event("o")], server)
    report = bench.run([refund("r", "o", 10, "4", LATER)], server, LATER)
    assert report.count(State.ACCEPTED) == 1
    assert server.totals == {"o": 4}


@pytest.mark.parametrize("fault", [settled("retry"), LOST])
def test_a_refund_waits_while_its_conversion_is_undecided(bench: Bench, fault: Any) -> None:
    using(bench, Restating)
    hour = [event("o"), refund("r", "o", 10, "4")]
    server = Server([fault, *["refused_connection"] * 1000] if fault is LOST else [fault])
    report = bench.run(hour, server)
    assert report.unfinished == 2
    assert all("r" not in ids for ids in server.requests)
    server.script.clear()
    report = bench.run(hour, server)
    assert report.count(State.ACCEPTED) == 2
    assert server.totals == {"o": 4}


def test_of_two_refunds_in_one_hour_the_newer_total_stands(bench: Bench) -> None:
    using(bench, Restating)
    server = Server()
    hour = [event("o"), refund("r2", "o", 40, "1"), refund("r1", "o", 10, "6")]
    report = bench.run(hour, server)
    assert server.totals == {"o": 1}
    assert report.withheld == {"superseded": 1}
    bench.run(hour, server)
    assert server.totals == {"o": 1}


@pytest.mark.parametrize(
    "order", [(0, 1), (1, 0), (0, 0, 1, 1), (1, 0, 1), (0, 1, 0), (1, 1, 0, 0)], ids=lambda order: str(order)
)
@pytest.mark.parametrize(
    "fault", [(), (STORED,), ("refused_connection",), (settled("retry"),)], ids=["", "unknown", "lost", "later"]
)
def test_of_two_refunds_in_two_hours_the_newer_total_stands_in_any_order_of_runs(
    bench: Bench, order: tuple[int, ...], fault: tuple[Any, ...]
) -> None:
    using(bench, Restating)
    bench.clock.forward(3 * 3600)
    server = Server()
    bench.run([event("o")], server)
    hours = [HOUR + timedelta(hours=n) for n in (1, 2)]
    refunds = [[refund("r1", "o", 10, "6", hours[0])], [refund("r2", "o", 10, "1", hours[1])]]
    server.script = [*fault]
    for index in order:
        bench.run(refunds[index], server, hours[index])
    server.script.clear()
    for index in (0, 1):
        bench.run(refunds[index], server, hours[index])
    assert server.totals == {"o": 1}


@pytest.mark.parametrize("newer", [{"consent_ad_storage": "denied"}, None])
def test_a_refund_that_never_goes_does_not_hold_back_an_older_one(bench: Bench, newer: dict[str, str] | None) -> None:
    using(bench, Restating)
    second = refund("r2", "o", 40, "1") | (newer or {})
    server = Server([settled("accepted")] if newer else [settled("accepted"), settled("rejected")])
    hour = [event("o"), refund("r1", "o", 10, "6"), second]
    bench.run(hour, server)
    bench.run(hour, server)
    assert server.totals == {"o": 6}
