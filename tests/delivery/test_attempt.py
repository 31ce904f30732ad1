"""One batch until each of its events has an outcome, against a scripted platform and a clock that only waiting moves."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from capi_pipeline.delivery.attempt import ALL_REFUSED, Attempts
from capi_pipeline.delivery.decide import resendable
from capi_pipeline.delivery.http import Exchange
from capi_pipeline.delivery.ledger import Item, Settlement
from capi_pipeline.delivery.pace import Pace
from capi_pipeline.delivery.redaction import Redactor
from capi_pipeline.delivery.report import Report
from capi_pipeline.errors import AuthenticationError, DeliveryError
from capi_pipeline.platforms.base import NEVER, Deduplication, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, State, Verdict
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Request, Response

from .support import (
    LOST,
    NOW,
    STORED,
    Clock,
    FakePlatform,
    Queueing,
    Server,
    Single,
    Stop,
    answer,
    refused,
    settled,
)


class Keys:
    """Tokens without a database: `spare` are the ones to be had after a refusal."""

    def __init__(self, *spare: str, fails: Exception | None = None) -> None:
        self.token, self.spare, self.fails = "first", list(spare), fails
        self.refreshed = 0

    def current(self) -> str:
        if self.fails and self.refreshed:
            raise self.fails
        self.refreshed += self.fails is not None
        return self.token

    def renewed(self, refused: str, worked: bool = False) -> str | None:
        self.refreshed += 1
        if not self.spare:
            return None
        self.token = self.spare.pop(0)
        return self.token

    def keys(self) -> str:
        return "FAKE_TOKEN"


class Desk:
    """One `Attempts` with what it settled."""

    def __init__(
        self, server: Callable[[Request], Exchange], platform: Platform | None = None, keys: Any = None, **changes: Any
    ) -> None:
        self.clock = Clock()
        self.stop = Stop(self.clock)
        self.settled: dict[str, Settlement] = {}
        self.report = Report()
        self.attempts = Attempts(
            "fake_main", platform or FakePlatform(FakePlatform.Config()), server, keys or Keys(),
            Pace(None, clock=self.clock.monotonic, wait=self.stop.wait), self.report, Redactor(["fake-access-token"]),
            self.keep, 60.0, self.stop, self.clock.now, self.clock.monotonic, **changes,
        )  # fmt: skip

    def keep(self, settlements: Any) -> None:
        for each in settlements:
            before = self.settled.get(each.key[1])
            assert before is None or (before.state, each.state) == (State.RETRY, State.REJECTED), "settled twice"
            self.settled[each.key[1]] = each

    def send(self, count: int = 3, first: int = 0, **more: Any) -> None:
        """Some events, with more in their payloads."""
        items = [Item("purchase", f"e{n}", 0, int(NOW.timestamp() * 1e6)) for n in range(first, first + count)]
        self.attempts.deliver(None, [(item, {"id": item.event_id, **more}) for item in items])

    def count(self, state: State) -> int:
        return sum(s.state is state for s in self.settled.values())


# --- transient ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        "refused_connection", STORED, LOST, answer(500), answer(503, b"<html>"), answer(408), answer(200, b""),
        answer(200, b"<html>"), answer(200, {"error": "oops"}), answer(302), answer(418), answer(200, b'{"outcomes": ['),
        settled("accepted"), settled(*["accepted"] * 4), settled(),
    ],
    ids=lambda fault: fault if isinstance(fault, str) else f"{fault.response.status} {fault.response.body[:30]!r}",
)  # fmt: skip
def test_what_is_not_a_whole_answer_is_asked_again_with_the_same_events(fault: Any) -> None:
    server = Server([fault, fault])
    desk = Desk(server)
    desk.send(3)
    assert server.requests == [["e0", "e1", "e2"]] * 3
    assert desk.count(State.ACCEPTED) == 3
    assert desk.report.retried == 2
    assert desk.report.error is None


def test_waits_between_attempts_are_random_and_bounded() -> None:
    desk = Desk(Server([answer(503)] * 5))
    desk.send(1)
    assert len(desk.stop.waits) == 5
    assert all(wait <= min(20, 0.5 * 2 ** (n + 1)) for n, wait in enumerate(desk.stop.waits))
    assert len(set(desk.stop.waits)) == 5


def test_retry_after_of_a_server_error_is_honoured() -> None:
    desk = Desk(Server([answer(503, headers={"retry-after": "17"})]))
    desk.send(1)
    assert desk.stop.waits == [17]


def test_patience_ends_with_the_events_left_for_a_rerun() -> None:
    server = Server([answer(503, {"message": "down for jane@example.com"})] * 500)
    desk = Desk(server)
    desk.send(2)
    assert desk.count(State.RETRY) == 2
    assert all(s.unknown and s.code == "http_503" for s in desk.settled.values())
    assert desk.clock.monotonic() <= 60
    assert isinstance(desk.report.error, DeliveryError)
    assert "HTTP" in str(desk.report.error) or "http_503" in str(desk.report.error)
    assert "jane" not in str(desk.report.error)
    assert not desk.stop.is_set()  # one request that failed does not end the hour


def test_what_certainly_did_not_arrive_is_not_marked_as_unknown() -> None:
    desk = Desk(Server(["refused_connection"] * 500))
    desk.send(1)
    assert not desk.settled["e0"].unknown
    assert desk.settled["e0"].state is State.RETRY


def test_one_attempt_in_doubt_leaves_the_doubt() -> None:
    desk = Desk(Server([STORED, *["refused_connection"] * 500]))
    desk.send(1)
    assert desk.settled["e0"].unknown


def test_a_few_requests_in_a_row_that_fail_end_the_run() -> None:
    server = Server([answer(503)] * 5000)
    desk = Desk(server)
    for n in range(6):
        desk.send(1, first=n)
    assert desk.stop.is_set()
    assert desk.count(State.RETRY) == 6
    assert {ids[0] for ids in server.requests} == {"e0", "e1", "e2"}


def test_success_in_between_starts_the_count_anew() -> None:
    down = [answer(503, headers={"retry-after": "3600"})]
    desk = Desk(Server([*down, *down, settled("accepted"), *down, *down, settled("accepted")]))
    for n in range(6):
        desk.send(1, first=n)
    assert not desk.stop.is_set()
    assert desk.count(State.ACCEPTED) == 2


def test_a_wait_beyond_patience_is_kept_for_the_rerun() -> None:
    desk = Desk(Server([answer(429, headers={"retry-after": "600"})]))
    desk.send(1)
    assert desk.settled["e0"].state is State.RETRY
    assert desk.settled["e0"].not_before == NOW + timedelta(seconds=600)
    assert not desk.settled["e0"].unknown
    assert desk.stop.is_set()  # the whole destination is to be left alone
    assert desk.stop.waits == []


def test_a_wait_of_a_day_is_not_slept_through_but_said() -> None:
    server = Server([answer(429, {"message": "quota"}, headers={"retry-after": "86400"})] * 50)
    desk = Desk(server)
    desk.send(2)
    desk.send(2, first=2)
    assert len(server.requests) == 1
    assert desk.clock.monotonic() == 0
    tomorrow = NOW + timedelta(days=1)
    assert {s.not_before for s in desk.settled.values()} == {tomorrow}  # of those too that never left
    assert f"until {tomorrow:%Y-%m-%d %H:%M} UTC" in str(desk.report.error)


def test_a_hint_of_milliseconds_is_no_reason_to_hammer() -> None:
    def soon(events: Any) -> Exchange:
        return settled("nothing")

    class Hasty(FakePlatform):
        def read(self, response: Response, count: int) -> Verdict:
            return Verdict(Kind.RATE_LIMITED, wait=timedelta(milliseconds=1), code="slow_down")

    server = Server([soon] * 10_000)
    Desk(server, Hasty(Hasty.Config())).send(1)
    assert len(server.requests) < 60


# --- rate limits ----------------------------------------------------------------------------------------------------


def test_a_rate_limit_holds_every_thread_back() -> None:
    started: list[float] = []
    lock = threading.Lock()

    def server(request: Request) -> Exchange:
        with lock:
            started.append(time.monotonic())
            return answer(429, headers={"retry-after": "1"}) if len(started) == 1 else settled("accepted")

    desk = Desk(server)
    desk.attempts.pace = Pace()
    desk.attempts.stop = threading.Event()
    desk.attempts.monotonic = time.monotonic
    desk.send(1)
    threads = [threading.Thread(target=desk.send, args=(1, n)) for n in range(10, 14)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.count(State.ACCEPTED) == 5
    assert min(started[1:]) - started[0] >= 0.99


def test_threads_that_were_already_on_their_way_wait_too() -> None:
    """Thread 2 asks for its turn after thread 1 was told to wait."""
    desk = Desk(Server([answer(429, headers={"retry-after": "40"})]))
    desk.send(1)
    assert desk.clock.monotonic() == 40
    desk.attempts.pace.hold(30)
    desk.send(1, first=1)
    assert desk.clock.monotonic() == 70


# --- credentials and settings ---------------------------------------------------------------------------------------


def test_a_refused_token_is_renewed_once_and_then_the_run_ends() -> None:
    server, keys = Server([answer(401, {"message": "token fake-access-token expired"})] * 50), Keys("second")
    desk = Desk(server, keys=keys)
    desk.send(2)
    desk.send(2, first=2)
    assert [r.headers["Authorization"] for r in server.seen] == ["Bearer first", "Bearer second"]
    assert desk.count(State.RETRY) == 4
    assert isinstance(desk.report.error, AuthenticationError)
    assert "FAKE_TOKEN" in str(desk.report.error)
    assert "fake-access-token" not in str(desk.report.error)


def test_a_renewed_token_goes_on_with_the_same_events() -> None:
    server = Server([answer(401)])
    desk = Desk(server, keys=Keys("second"))
    desk.send(2)
    assert server.requests == [["e0", "e1"]] * 2
    assert desk.count(State.ACCEPTED) == 2
    assert desk.report.error is None


@pytest.mark.parametrize(
    ("fault", "requests"), [(answer(401), 2), (answer(422), 1), ("refused_connection", 1)], ids=["auth", "account", "down"]
)  # fmt: skip
def test_many_threads_learn_from_one_request_that_nothing_works(fault: Any, requests: int) -> None:
    """Until the platform has taken a first request, they go one at a time: a bad token costs one (and one renewed)."""
    server = Server([fault] * 50)
    desk = Desk(server, keys=Keys("second"), give_up_after=1)
    desk.attempts.patience = 0
    threads = [threading.Thread(target=desk.send, args=(2, n)) for n in range(0, 16, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == requests
    assert desk.count(State.RETRY) == 16
    assert not any(s.unknown for s in desk.settled.values())


def test_once_the_platform_has_taken_a_request_the_others_fly_together() -> None:
    together = threading.Barrier(4, timeout=10)

    def server(request: Request) -> Exchange:
        if request.json["events"][0]["id"] != "e0":
            together.wait()
        return settled("accepted")

    desk = Desk(server)
    desk.send(1)
    threads = [threading.Thread(target=desk.send, args=(1, n)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.count(State.ACCEPTED) == 5


def test_without_another_token_nothing_further_leaves() -> None:
    server = Server([answer(403)] * 50)
    desk = Desk(server)
    desk.send(2)
    desk.send(2, first=2)
    assert len(server.requests) == 1
    assert desk.count(State.RETRY) == 4
    assert not any(s.unknown for s in desk.settled.values())


def test_a_wrong_account_ends_the_run_and_blames_no_event() -> None:
    server = Server([answer(422, {"message": "no such pixel", "code": "100/33"})] * 50)
    desk = Desk(server)
    desk.send(2)
    desk.send(2, first=2)
    assert len(server.requests) == 1
    assert desk.count(State.RETRY) == 4
    assert "account" in desk.report.error.remedy  # type: ignore[union-attr]
    assert "no such pixel" in str(desk.report.error)


def test_a_platform_without_credentials_that_refuses_them_refuses_the_account() -> None:
    class Open(FakePlatform):
        class Config(PlatformConfig):
            pass

    desk = Desk(Server([answer(403, {"message": "blocked"})]), Open(Open.Config()))
    desk.send(1)
    assert "account" in desk.report.error.remedy  # type: ignore[union-attr]
    assert "FAKE_TOKEN" not in str(desk.report.error)


def test_a_token_that_cannot_be_had_leaves_everything_for_a_rerun() -> None:
    keys = Keys(fails=AuthenticationError("dead", "Renew FAKE_TOKEN"))
    keys.refreshed = 1
    server = Server()
    desk = Desk(server, keys=keys)
    desk.send(2)
    assert server.requests == []
    assert desk.count(State.RETRY) == 2
    assert desk.report.error is keys.fails


def test_a_token_that_dies_between_two_attempts_does_not_hide_that_the_first_may_have_arrived() -> None:
    keys = Keys(fails=AuthenticationError("dead"))
    desk = Desk(Server([STORED]), keys=keys)
    desk.send(1)
    assert desk.settled["e0"].state is State.RETRY
    assert desk.settled["e0"].unknown


def test_a_stop_while_a_token_is_fetched_lets_no_request_leave() -> None:
    """Each may take 25 seconds, and a run that is stopped ends within 30."""

    class Slow(Keys):
        def current(self) -> str:
            desk.stop.set()
            return super().current()

    server = Server()
    desk = Desk(server, keys=Slow())
    desk.send(3)
    assert server.requests == []
    assert desk.count(State.RETRY) == 3


def test_a_stop_while_a_token_is_refused_fetches_no_other() -> None:
    def stopping(events: Any) -> Exchange:
        desk.stop.set()
        return answer(401)

    keys, server = Keys("second"), Server([stopping])
    desk = Desk(server, keys=keys)
    desk.send(3)
    assert keys.refreshed == 0
    assert len(server.requests) == 1


def test_a_stop_between_two_attempts_does_not_hide_that_the_first_may_have_arrived() -> None:
    def stopping(events: Any) -> Exchange:
        desk.stop.set()
        return answer(503)

    server = Server([stopping])
    desk = Desk(server)
    desk.send(1)
    assert len(server.requests) == 1
    assert desk.settled["e0"].unknown


# --- bad events -----------------------------------------------------------------------------------------------------


def test_named_culprits_are_rejected_and_the_rest_is_sent_at_once() -> None:
    server = Server(poison={"e1", "e4"}, names=True)
    desk = Desk(server)
    desk.send(6)
    assert server.requests == [["e0", "e1", "e2", "e3", "e4", "e5"], ["e0", "e2", "e3", "e5"]]
    assert desk.count(State.ACCEPTED) == 4
    assert {id_ for id_, s in desk.settled.items() if s.state is State.REJECTED} == {"e1", "e4"}
    assert desk.settled["e1"].code == "poison"


def test_indices_outside_the_batch_are_not_believed() -> None:
    desk = Desk(Server([refused({7: "x", -1: "y"})], poison={"e1"}))
    desk.send(3)
    assert desk.count(State.ACCEPTED) == 2
    assert desk.settled["e1"].state is State.REJECTED


def test_one_bad_event_is_found_by_halving_in_few_requests_in_any_batch() -> None:
    anywhere, edged = random.Random(0), (2, 3, 5, 64, 100, 513, 1000)
    for count in (*range(2, 66), *anywhere.sample(range(66, 1001), 60), *edged):
        most = 2 * math.ceil(math.log2(count)) + 1
        edges = {0, 1, count // 2 - 1, count // 2, count - 1} if count in edged else set()
        for place in {anywhere.randrange(count), *edges}:
            server = Server(poison={f"e{place}"})
            desk = Desk(server)
            desk.send(count)
            assert len(server.requests) - 1 <= most, (count, place)
            assert desk.count(State.ACCEPTED) == count - 1
            assert desk.settled[f"e{place}"].state is State.REJECTED
            assert desk.settled[f"e{place}"].message == "an event is bad"
            assert server.twice == []


def test_a_bad_event_that_is_alone_is_refused_by_its_first_request() -> None:
    server = Server(poison={"e0"})
    desk = Desk(server)
    desk.send(1)
    assert desk.count(State.RETRY) == 1  # the account may be to blame
    desk.attempts.finish()
    assert len(server.requests) == 1
    assert desk.count(State.REJECTED) == 1
    assert desk.report.sent == {"rejected": 1}
    assert desk.report.rejections == {("bad_event", "an event is bad"): 1}


@pytest.mark.parametrize("bad", [(0, 1), (0, 99), (3, 50, 51, 97), tuple(range(0, 100, 10))])
def test_several_bad_events_are_all_found_and_nothing_else_is_lost(bad: tuple[int, ...]) -> None:
    server = Server(poison={f"e{n}" for n in bad})
    desk = Desk(server)
    desk.send(100)
    assert desk.count(State.REJECTED) == len(bad)
    assert desk.count(State.ACCEPTED) == 100 - len(bad)
    assert server.twice == []
    assert len(server.requests) <= 1 + 2 * len(bad) * math.ceil(math.log2(100))


@pytest.mark.parametrize("one_by_one", [True, False])
def test_when_every_event_is_refused_the_run_ends_because_it_is_not_the_events(one_by_one: bool) -> None:
    def naming_the_first(events: Any) -> Exchange:
        return refused({0: "bad"})

    count = 1000
    server = Server([naming_the_first] * 5000 if one_by_one else (), poison={f"e{n}" for n in range(count)})
    desk = Desk(server)
    desk.send(count)
    desk.attempts.finish()
    assert desk.count(State.RETRY) == count  # none is rejected: a person corrects the account, and all of them go
    assert not any(s.unknown for s in desk.settled.values())
    assert isinstance(desk.report.error, AuthenticationError)
    assert "bad" in str(desk.report.error)
    assert len(server.requests) <= 2 * ALL_REFUSED + 20
    assert desk.report.sent == {"retry": count}


def test_a_single_event_platform_that_refuses_every_event_refuses_the_account() -> None:
    server = Server([settled("rejected", code="http_400", message="no such pixel")] * 1000)
    desk = Desk(server, Single(Single.Config()))
    for n in range(40):
        desk.send(1, first=n)
    desk.attempts.finish()
    assert len(server.requests) == ALL_REFUSED
    assert desk.count(State.RETRY) == 40
    assert "no such pixel" in str(desk.report.error)


@pytest.mark.parametrize(("count", "state"), [(ALL_REFUSED - 1, State.REJECTED), (ALL_REFUSED, State.RETRY)])
def test_one_request_of_which_every_event_is_refused_says_no_more_than_many(count: int, state: State) -> None:
    desk = Desk(Server([settled(*["rejected"] * count, code="bad")]))
    desk.send(count)
    desk.attempts.finish()
    assert desk.count(state) == count
    assert (desk.report.error is None) == (state is State.REJECTED)


def test_the_first_event_that_is_taken_shows_that_the_refused_ones_were_to_blame() -> None:
    server = Server([refused()] * (ALL_REFUSED - 1))
    desk = Desk(server)
    for n in range(100):
        desk.send(1, first=n)
    assert desk.count(State.REJECTED) == ALL_REFUSED - 1
    assert desk.count(State.ACCEPTED) == 100 - ALL_REFUSED + 1
    assert desk.report.error is None
    assert desk.report.sent == {"rejected": ALL_REFUSED - 1, "accepted": 100 - ALL_REFUSED + 1}


def test_what_was_refused_before_the_run_had_to_end_is_tried_again() -> None:
    desk = Desk(Server([refused(), answer(401)]))
    desk.send(1)
    desk.send(1, first=1)
    desk.attempts.finish()
    assert desk.count(State.RETRY) == 2


def test_a_platform_that_names_one_culprit_at_a_time_is_followed_to_the_end() -> None:
    def naming_the_last(events: Any) -> Exchange:
        return refused({len(events) - 1: "bad"})

    server = Server([settled("accepted"), *[naming_the_last] * 1500])
    desk = Desk(server)
    desk.send(1, first=5000)
    desk.send(1500)
    assert desk.count(State.REJECTED) == 1500


def test_halving_does_not_forget_that_the_whole_may_have_arrived() -> None:
    """The first answer is lost, the repetition is refused, the halves cannot be sent."""
    desk = Desk(Server([STORED, refused(), *["refused_connection"] * 1000]))
    desk.send(4)
    assert desk.count(State.RETRY) == 4
    assert all(s.unknown for s in desk.settled.values())


def test_isolation_stops_with_the_run() -> None:
    def then_down(events: Any) -> Exchange:
        desk.stop.set()
        return refused()

    desk = Desk(Server([refused(), then_down]))
    desk.send(8)
    assert desk.count(State.RETRY) == 8


def test_one_refused_event_does_not_hide_an_outage_of_its_neighbours() -> None:
    desk = Desk(Server([refused(), settled("accepted", "accepted"), *[answer(503)] * 500]))
    desk.send(4)
    assert [desk.settled[f"e{n}"].state for n in range(4)] == [State.ACCEPTED] * 2 + [State.RETRY] * 2


# --- outcomes -------------------------------------------------------------------------------------------------------


def test_each_event_has_its_own_outcome() -> None:
    mixed = answer(
        body={
            "outcomes": [
                {"state": "accepted"},
                {"state": "rejected", "code": "bad", "message": "phone +33612345678 of a@b.example"},
                {"state": "retry", "code": "later", "wait": 90},
                {"state": "retry", "code": "narrow"},
            ],
            "trace": "tr",
        }
    )
    desk = Desk(Server([mixed]))
    desk.send(4)
    states = [desk.settled[f"e{n}"] for n in range(4)]
    assert [s.state.value for s in states] == ["accepted", "rejected", "retry", "retry"]
    assert [s.position for s in states] == [0, 1, 2, 3]
    assert {s.trace_id for s in states} == {"tr"}
    assert states[1].message == "phone (phone) of (e-mail)"
    assert states[2].not_before == NOW + timedelta(seconds=90)
    assert [s.at_most for s in states] == [None, None, None, 2]
    assert desk.report.sent == {"accepted": 1, "rejected": 1, "retry": 2}
    assert desk.report.rejections == {("bad", "phone (phone) of (e-mail)"): 1}


def test_words_that_no_database_can_hold_do_not_lose_the_outcome() -> None:
    odd = settled("rejected", trace="t\x00r\ud800", code="c\x00", message="m\x00\ud800")
    desk = Desk(Server([odd]))
    desk.send(1)
    kept = desk.settled["e0"]
    for words in (kept.code, kept.message, kept.trace_id):
        assert words
        assert "\x00" not in words
        words.encode()


@pytest.mark.parametrize(
    "body",
    [
        {"outcomes": 5}, {"outcomes": [None]}, {"outcomes": [{"state": "no such state"}]}, {"outcomes": [{}]},
        {"outcomes": [{"state": "accepted", "wait": "soon"}]}, b"[" * 200_000, b"\xff\xfe{\x00",
    ],
)  # fmt: skip
def test_an_answer_that_the_platform_module_cannot_read_is_never_accepted(body: Any) -> None:
    server = Server([answer(200, body)])
    desk = Desk(server)
    desk.send(1)
    assert len(server.requests) == 2
    desk = Desk(Server([answer(200, body)] * 500))
    desk.send(1)
    assert desk.settled["e0"].state is State.RETRY
    assert desk.settled["e0"].unknown


def test_a_queue_that_names_no_request_to_ask_about_has_not_accepted() -> None:
    desk = Desk(Server([settled("pending"), settled("pending", trace="q1")]), Queueing(Queueing.Config()))
    desk.send(1)
    assert desk.settled["e0"].state is State.PENDING
    assert desk.settled["e0"].trace_id == "q1"


def test_an_event_that_is_put_off_after_an_attempt_in_doubt_keeps_the_doubt() -> None:
    desk = Desk(Server([STORED, settled("retry", "accepted")]))
    desk.send(2)
    assert desk.settled["e0"].unknown
    assert not desk.settled["e1"].unknown


def test_a_request_that_cannot_be_made_has_not_left() -> None:
    class Broken(FakePlatform):
        def request(self, payloads: Any, group: Any) -> Request:
            raise KeyError("jane@example.com")

    server = Server()
    desk = Desk(server, Broken(Broken.Config()))
    desk.send(2)
    assert server.requests == []
    assert desk.count(State.RETRY) == 2
    assert not any(s.unknown for s in desk.settled.values())
    assert "KeyError" in str(desk.report.error)
    assert "jane" not in str(desk.report.error)


# --- platforms that count a repetition ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [STORED, LOST, answer(503), answer(200, b"<html>"), settled()], ids=str)
def test_where_a_repetition_counts_an_event_in_doubt_is_held(fault: Any) -> None:
    server = Server([fault])
    desk = Desk(server, Single(Single.Config()))
    desk.send(1)
    assert len(server.requests) == 1
    kept = desk.settled["e0"]
    assert (kept.state, kept.reason, kept.unknown) == (State.HELD, "unknown_without_deduplication", True)
    assert not desk.stop.is_set()


def test_where_a_repetition_counts_what_did_not_arrive_is_still_sent_again() -> None:
    server = Server(["refused_connection", answer(429, headers={"retry-after": "1"}), "refused_connection"])
    desk = Desk(server, Single(Single.Config()))
    desk.send(1)
    assert desk.count(State.ACCEPTED) == 1
    assert server.twice == []


def test_where_a_repetition_counts_an_outage_ends_the_run_before_everything_is_in_doubt() -> None:
    server = Server([STORED] * 100)
    desk = Desk(server, Single(Single.Config()))
    for n in range(50):
        desk.send(1, first=n)
    assert desk.count(State.HELD) == 3
    assert desk.count(State.RETRY) == 47
    assert desk.report.error is not None


# --- platforms that know only some events again ---------------------------------------------------------------------


class Orders(FakePlatform):
    """Knows a repetition of an order for ten minutes, and of nothing else."""

    deduplication: ClassVar[Deduplication] = Deduplication(("order",), minutes(10), only="orders")

    def deduplication_of(self, payload: Any) -> Deduplication:
        return self.deduplication if payload.get("order") else NEVER


def mixed(desk: Desk) -> None:
    """Two orders around an event that is none, in one request."""
    members = [(Item("purchase", f"e{n}", 0, 0), {"id": f"e{n}", "order": n != 1}) for n in range(3)]
    desk.attempts.deliver(None, members)


@pytest.mark.parametrize("fault", [STORED, LOST, answer(503), answer(200, b"<html>")], ids=str)
def test_of_a_request_in_doubt_only_what_would_count_again_is_held(fault: Any) -> None:
    server = Server([fault])
    desk = Desk(server, Orders(Orders.Config()))
    mixed(desk)
    assert server.requests == [["e0", "e1", "e2"], ["e0", "e2"]]
    assert [desk.settled[f"e{n}"].state for n in range(3)] == [State.ACCEPTED, State.HELD, State.ACCEPTED]
    assert (desk.settled["e1"].reason, desk.settled["e1"].unknown) == ("unknown_without_deduplication", True)
    assert desk.stop.waits  # not at once


def test_what_may_be_stored_although_the_request_was_refused_is_not_halved_into_double_counts() -> None:
    class Judging(Orders):
        def read(self, response: Response, count: int) -> Verdict:
            verdict = super().read(response, count)
            return replace(verdict, maybe_stored=count > 1) if verdict.kind is Kind.REFUSED else verdict

    def storing_the_others(events: Any) -> Exchange:
        server.store(events[:2])
        return refused()

    server = Server([storing_the_others], poison={"e2"})
    desk = Desk(server, Judging(Judging.Config()))
    mixed(desk)
    assert server.requests == [["e0", "e1", "e2"], ["e0", "e2"], ["e0"], ["e2"]]
    assert [desk.settled[f"e{n}"].state for n in range(3)] == [State.ACCEPTED, State.HELD, State.REJECTED]
    assert server.twice == ["e0"]  # which the platform knows again


# --- windows --------------------------------------------------------------------------------------------------------


class Forgetful(FakePlatform):
    """Knows a repeated event for a minute."""

    deduplication: ClassVar[Deduplication] = Deduplication(("event_id",), minutes(1))


def test_an_event_in_doubt_goes_again_only_while_its_repetition_is_known() -> None:
    left: list[float] = []

    def down(events: Any) -> Exchange:
        left.append(desk.clock.monotonic())
        return answer(503)

    desk = Desk(Server([down] * 5000), Forgetful(Forgetful.Config()))
    desk.attempts.patience = 600
    desk.send(1)
    assert left[-1] > 30
    assert left[-1] - left[0] <= resendable(minutes(1)).total_seconds() == 50
    assert desk.settled["e0"].state is State.RETRY
    assert desk.settled["e0"].unknown


def test_a_wait_that_outlasts_the_window_ends_in_doubt_and_not_in_a_repetition() -> None:
    """Another thread was told to wait while this one was about to send again."""

    def held_up(events: Any) -> Exchange:
        desk.attempts.pace.hold(55)
        return answer(503)

    server = Server([held_up])
    desk = Desk(server, Forgetful(Forgetful.Config()))
    desk.attempts.patience = 600
    desk.send(1)
    assert len(server.requests) == 1
    assert desk.settled["e0"].state is State.RETRY
    assert desk.settled["e0"].unknown
    assert not desk.stop.is_set()


def test_what_surely_did_not_arrive_is_sent_for_as_long_as_patience_lasts() -> None:
    server = Server([answer(429, headers={"retry-after": "100"})])
    desk = Desk(server, Forgetful(Forgetful.Config()))
    desk.attempts.patience = 600
    desk.send(1)
    assert desk.count(State.ACCEPTED) == 1
