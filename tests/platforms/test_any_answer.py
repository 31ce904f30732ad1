"""Answers that nobody documented: no exception, and nothing is read out of one that the platform did not say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capi_pipeline.platforms import NAMES
from capi_pipeline.platforms.outcomes import Kind, State, Verdict
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import Said
from tests.platforms.fuzz import ANSWERS, READ, READ_STATUS, damaged_answers, many, named
from tests.platforms.support import cases, made

PLATFORMS = {name: made(name) for name in NAMES}
# Nothing counts while a test mode is on (`TESTING` of a case file).
TESTING = {name: made(name, cases(name).TESTING) for name in NAMES if getattr(cases(name), "TESTING", None)}
THE_PLATFORM_HAS_IT = (State.ACCEPTED, State.PENDING)


def check(verdict: Verdict, said: Said, count: int, states: Sequence[State]) -> None:
    """What the delivery relies on, and no more than was said."""
    assert isinstance(verdict.kind, Kind)
    assert len(verdict.outcomes) == (count if verdict.kind is Kind.SETTLED else 0)
    assert all(outcome.state in states for outcome in verdict.outcomes)
    taken = {event for event, outcome in enumerate(verdict.outcomes) if outcome.state in THE_PLATFORM_HAS_IT}
    blamed = {event for event, outcome in enumerate(verdict.outcomes) if outcome.state is State.REJECTED}
    assert taken <= said.taken, "read as taken, and it does not say so"
    assert blamed | set(verdict.culprits) <= said.blamed, "an innocent event is refused"
    assert all(outcome.state is State.REJECTED for outcome in verdict.culprits.values())
    assert verdict.kind is Kind.REFUSED or not verdict.culprits
    assert verdict.kind is not Kind.REFUSED or said.refused, "read as the fault of events, and it does not say so"
    for wait in [verdict.wait, *(outcome.wait for outcome in verdict.outcomes)]:
        assert wait is None or timedelta(0) <= wait <= timedelta(days=1)
    for text in (verdict.code, verdict.message, verdict.trace_id):
        assert isinstance(text, str)
    for outcome in [*verdict.outcomes, *verdict.culprits.values()]:
        assert isinstance(outcome.code, str)
        assert isinstance(outcome.message, str)
    assert len(verdict.trace_id) <= 200
    assert not {"@", " ", "\n", "\x00"} & set(verdict.trace_id)
    if any(outcome.state is State.PENDING for outcome in verdict.outcomes):
        assert verdict.trace_id


def read(name: str, response: Response, count: int) -> None:
    platform = PLATFORMS[name]
    verdict = platform.read(response, count)
    states = [State.REJECTED, State.RETRY, State.PENDING if platform.verdicts else State.ACCEPTED]
    check(verdict, READ[name].says(response, count), count, states)
    if verdict.kind is Kind.TRANSIENT and not verdict.maybe_stored:  # sent again where a repetition counts twice
        assert cases(name).is_clear_failure(response)
    if name in TESTING:
        tested = TESTING[name].read(response, count)
        assert {outcome.state for outcome in tested.outcomes} <= {State.WITHHELD, State.REJECTED, State.RETRY}


def read_status(name: str, response: Response, count: int) -> None:
    verdict = PLATFORMS[name].read_status(response, count)
    states = [State.ACCEPTED, State.REJECTED, State.RETRY, State.HELD]
    check(verdict, READ_STATUS[name].says(response, count), count, states)


def test_the_oracle_knows_every_platform() -> None:
    assert set(READ) == set(NAMES)
    assert set(READ_STATUS) == {name for name in NAMES if made(name).verdicts}


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_success_is_one(name: str) -> None:
    for count in (1, 2, 1000):
        for response in READ[name].successes(count):
            assert READ[name].says(response, count).taken == set(range(count))
            outcomes = made(name).read(response, count).outcomes
            assert [outcome.state in THE_PLATFORM_HAS_IT for outcome in outcomes] == [True] * count


@pytest.mark.parametrize("name", READ_STATUS)
def test_the_documented_verdict_is_one(name: str) -> None:
    for count in (1, 2, 1000):
        for response in READ_STATUS[name].successes(count):
            outcomes = made(name).read_status(response, count).outcomes
            assert [outcome.state for outcome in outcomes] == [State.ACCEPTED] * count


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_answer_says_no_more_than_is_left_of_it(name: str) -> None:
    for number, response, count in damaged_answers(name, READ[name], cases(name).ANSWERS):
        with named(number, response, count):
            read(name, response, count)


@pytest.mark.parametrize("name", READ_STATUS)
def test_a_damaged_verdict_says_no_more_than_is_left_of_it(name: str) -> None:
    for number, response, count in damaged_answers(name, READ_STATUS[name], cases(name).STATUS_ANSWERS):
        with named(number, response, count):
            read_status(name, response, count)


@given(response=ANSWERS, count=st.integers(1, 4))
@many
def test_any_answer_says_no_more_than_the_documentation(response: Response, count: int) -> None:
    for name in READ:
        read(name, response, count)
    for name in READ_STATUS:
        read_status(name, response, count)
