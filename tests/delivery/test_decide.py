"""What happens to an event, for everything that the ledger can know of it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from capi_pipeline.delivery.decide import MARGIN, OnUnknown, Step, decide
from capi_pipeline.delivery.ledger import Held, Row
from capi_pipeline.platforms.base import Deduplication
from capi_pipeline.platforms.outcomes import State
from capi_pipeline.platforms.times import LONGEST_WAIT

from .support import HOUR, NOW

TWO_DAYS = Deduplication(("event_id",), timedelta(hours=48))
NEVER = Deduplication()
SENDABLE = (State.SENDING, State.RETRY, State.REJECTED, State.WITHHELD)
DONE = (State.ACCEPTED, State.PENDING, State.HELD)


def row(state: State, unknown: timedelta | None = None, hour: datetime = HOUR, wait: timedelta | None = None) -> Row:
    return Row(hour, state, None, NOW - unknown if unknown is not None else None, NOW + wait if wait else None, None)


@pytest.mark.parametrize("policy", OnUnknown)
@pytest.mark.parametrize("rules", [TWO_DAYS, NEVER])
def test_an_event_that_nobody_has_seen_is_sent(rules: Deduplication, policy: OnUnknown) -> None:
    assert decide(None, HOUR, rules, policy, NOW) == (Step.SEND, None)


@pytest.mark.parametrize("policy", OnUnknown)
@pytest.mark.parametrize("rules", [TWO_DAYS, NEVER])
@pytest.mark.parametrize("unknown", [None, timedelta(0), timedelta(days=9)])
@pytest.mark.parametrize("state", State)
def test_an_event_of_another_hour_is_never_touched(
    state: State, unknown: timedelta | None, rules: Deduplication, policy: OnUnknown
) -> None:
    found = row(state, unknown, HOUR - timedelta(hours=1))
    assert decide(found, HOUR, rules, policy, NOW) == (Step.FOREIGN, None)


@pytest.mark.parametrize("policy", OnUnknown)
@pytest.mark.parametrize("rules", [TWO_DAYS, NEVER])
@pytest.mark.parametrize("unknown", [None, timedelta(0), timedelta(days=9)])
@pytest.mark.parametrize("state", DONE)
def test_what_the_platform_has_or_a_person_must_judge_is_left_alone(
    state: State, unknown: timedelta | None, rules: Deduplication, policy: OnUnknown
) -> None:
    assert decide(row(state, unknown), HOUR, rules, policy, NOW) == (Step.DONE, None)


@pytest.mark.parametrize("policy", OnUnknown)
@pytest.mark.parametrize("rules", [TWO_DAYS, NEVER])
@pytest.mark.parametrize("state", SENDABLE)
def test_what_certainly_did_not_arrive_is_sent_again(state: State, rules: Deduplication, policy: OnUnknown) -> None:
    assert decide(row(state), HOUR, rules, policy, NOW) == (Step.SEND, None)


EDGE = timedelta(hours=48) - MARGIN


@pytest.mark.parametrize(
    ("window", "seconds"),
    [(timedelta(hours=48), 48 * 3600 - 600), (timedelta(minutes=10), 500), (timedelta(minutes=1), 50)],
)
def test_a_short_window_has_a_short_margin(window: timedelta, seconds: int) -> None:
    rules = Deduplication(("event_id",), window)
    for late, expected in ((0, (Step.SEND, None)), (1, (Step.HOLD, Held.WINDOW_CLOSED))):
        found = row(State.RETRY, timedelta(seconds=seconds + late))
        assert decide(found, HOUR, rules, OnUnknown.AUTO, NOW) == expected


@pytest.mark.parametrize(
    ("policy", "rules", "since", "expected"),
    [
        (OnUnknown.AUTO, TWO_DAYS, timedelta(0), (Step.SEND, None)),
        (OnUnknown.AUTO, TWO_DAYS, EDGE, (Step.SEND, None)),
        (OnUnknown.AUTO, TWO_DAYS, EDGE + timedelta(seconds=1), (Step.HOLD, Held.WINDOW_CLOSED)),
        (OnUnknown.AUTO, TWO_DAYS, timedelta(days=30), (Step.HOLD, Held.WINDOW_CLOSED)),
        (OnUnknown.AUTO, NEVER, timedelta(0), (Step.HOLD, Held.NO_DEDUPLICATION)),
        (OnUnknown.AUTO, NEVER, timedelta(days=30), (Step.HOLD, Held.NO_DEDUPLICATION)),
        (OnUnknown.HOLD, TWO_DAYS, timedelta(0), (Step.HOLD, Held.POLICY)),
        (OnUnknown.HOLD, NEVER, timedelta(0), (Step.HOLD, Held.POLICY)),
        (OnUnknown.RESEND, TWO_DAYS, timedelta(days=30), (Step.SEND, None)),
        (OnUnknown.RESEND, NEVER, timedelta(days=30), (Step.SEND, None)),
    ],
)
@pytest.mark.parametrize("state", SENDABLE)
def test_what_may_have_arrived_goes_again_only_where_a_repetition_is_recognised(
    state: State, policy: OnUnknown, rules: Deduplication, since: timedelta, expected: tuple[Step, Held | None]
) -> None:
    assert decide(row(state, since), HOUR, rules, policy, NOW) == expected


@pytest.mark.parametrize(("wait", "step"), [(timedelta(seconds=1), Step.WAIT), (timedelta(seconds=-1), Step.SEND)])
def test_a_retry_waits_as_long_as_the_platform_asked(wait: timedelta, step: Step) -> None:
    assert decide(row(State.RETRY, wait=wait), HOUR, TWO_DAYS, OnUnknown.AUTO, NOW) == (step, None)


def test_a_wait_that_no_platform_may_ask_for_was_noted_by_a_wrong_clock_and_holds_nothing_up() -> None:
    for wait, step in ((LONGEST_WAIT, Step.WAIT), (LONGEST_WAIT + timedelta(seconds=1), Step.SEND)):
        assert decide(row(State.RETRY, wait=wait), HOUR, TWO_DAYS, OnUnknown.AUTO, NOW) == (step, None)


def test_an_event_whose_window_closes_while_it_waits_is_held_not_forgotten() -> None:
    found = row(State.RETRY, timedelta(days=3), wait=timedelta(hours=1))
    assert decide(found, HOUR, TWO_DAYS, OnUnknown.AUTO, NOW) == (Step.HOLD, Held.WINDOW_CLOSED)
