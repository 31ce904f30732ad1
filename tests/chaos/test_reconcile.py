"""The comparison finds what it is there to find."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.chaos.reconcile import Row, Stored, Verdict, reconcile
from tests.chaos.rows import Event

HOUR = datetime(2026, 10, 1, 14, tzinfo=UTC)
SALE = Event("purchase", "e1", (HOUR,), 20.0, time=HOUR)
REFUND = Event("refund", "r1", (HOUR,), 2.5, original="e1", remaining=17.5, time=HOUR)


def judged(events: list[Event], ledger: dict[str, str | tuple[str, str]], store: list[Stored], **more: Any) -> Verdict:
    names = {event.id: event.name for event in events}
    rows = [
        Row((names[id_], id_), *((state, None) if isinstance(state, str) else state)) for id_, state in ledger.items()
    ]
    given = {"held": set(), "listed": set(), "poison": set(), "restates": True} | more
    return reconcile(events, rows, store, **given)


def once(id_: str = "e1", value: float = 20.0, **more: Any) -> Stored:
    return Stored(id_, True, "first", value, **more)


def test_what_was_accepted_and_is_counted_once_is_right() -> None:
    verdict = judged([SALE], {"e1": "accepted"}, [once(), Stored("e1", False, "duplicate", 20.0)])
    assert verdict.violations == []
    assert (verdict.events, verdict.accepted) == (1, 1)


@pytest.mark.parametrize(
    ("ledger", "store", "violation"),
    [
        ({"e1": "accepted"}, [], "lost"),
        ({}, [], "lost"),
        ({}, [once()], "lost"),
        ({"e1": ("withheld", "too_old")}, [], "lost"),
        ({"e1": ("withheld", "consent_denied")}, [], "lost"),  # the person had agreed
        ({"e1": "rejected"}, [], "lost"),
        ({"e1": "accepted"}, [once(), once()], "twice"),
        ({"e1": "held"}, [once(), once()], "twice"),
        ({"e1": "held"}, [], "unlisted"),
        ({"e1": "retry"}, [], "unlisted"),
        ({"e1": "retry"}, [], "unfinished"),
        ({"e1": "sending"}, [once()], "unfinished"),
        ({"e1": "accepted"}, [once(value=19.0)], "misreported"),
        ({"e1": "accepted"}, [once(retracted=True)], "misreported"),
        ({"e1": "accepted"}, [once(), once("stranger")], "misreported"),
    ],
)
def test_what_is_wrong_is_found(ledger: dict[str, Any], store: list[Stored], violation: str) -> None:
    found = judged([SALE], ledger, store).violations
    assert any(words.startswith(f"{violation}: ") for words in found), found


def test_a_held_event_that_is_listed_is_no_violation_whether_it_arrived_or_not() -> None:
    for store in ([], [once()]):
        verdict = judged([SALE], {"e1": "held"}, store, held={("purchase", "e1")})
        assert verdict.violations == []
        assert verdict.held == 1


def test_a_poison_event_is_refused_and_must_not_be_counted() -> None:
    assert judged([SALE], {"e1": "rejected"}, [], poison={"e1"}).violations == []
    assert judged([SALE], {"e1": "rejected"}, [once()], poison={"e1"}).misreported


def test_a_refund_leaves_its_total_at_the_platform() -> None:
    ledger, adjusted = {"e1": "accepted", "r1": "accepted"}, Stored("e1", False, "restated", 17.5)
    assert judged([SALE, REFUND], ledger, [once(value=17.5), adjusted]).violations == []
    assert judged([SALE, REFUND], ledger, [once(value=20.0), adjusted]).misreported
    assert judged([SALE, REFUND], ledger, [once(value=17.5)]).lost


def test_a_refund_of_a_held_conversion_waits_for_the_person() -> None:
    listed = {("refund", "r1")}
    verdict = judged([SALE, REFUND], {"e1": "held", "r1": "retry"}, [], held={("purchase", "e1")}, listed=listed)
    assert verdict.violations == []
    assert verdict.waiting == 1
