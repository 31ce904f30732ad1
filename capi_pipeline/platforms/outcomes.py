"""What becomes of an event: withheld for a reason, or what the platform said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Reason(StrEnum):
    """Why a conversion was not sent. The same words stand in the ledger, the metadata, the CLI and the docs."""

    CONSENT_DENIED = "consent_denied"  # ad storage or ad user data was refused
    CONSENT_UNKNOWN = "consent_unknown"  # nobody asked, in a country where silence means no
    CONSENT_UNREADABLE = "consent_unreadable"  # only a TCF or GPP string could tell, and it cannot be read
    VENDOR_DENIED = "vendor_denied"  # the person's TCF string gives this platform no vendor consent
    ERASED = "erased"  # the person asked to be forgotten (`capi forget`)
    OPTED_OUT = "opted_out"  # opt-out of sale, and the platform has no limited-data flag for this event
    NOT_SELECTED = "not_selected"  # the destination's document does not list this event
    FILTERED = "filtered"  # the destination's filter leaves it out
    UNSUPPORTED_EVENT = "unsupported_event"  # the platform has no such event
    NOT_CONFIGURED = "not_configured"  # the account has no conversion action, goal or event set for it
    TOO_OLD = "too_old"  # older than the platform accepts
    IN_FUTURE = "in_future"  # the event's time has not come yet (a wrong client clock)
    NO_IDENTIFIER = "no_identifier"  # nothing by which the platform could match the person
    NO_CLICK_ID = "no_click_id"  # the platform needs its click id
    MISSING_FIELD = "missing_field"  # the platform requires a field that the conversion lacks
    INVALID_VALUE = "invalid_value"  # a field holds what the platform refuses
    ORIGINAL_NOT_SENT = "original_not_sent"  # an adjustment of a conversion that this destination does not have
    SUPERSEDED = "superseded"  # a later adjustment of the same conversion already went out
    DUPLICATE = "duplicate"  # the same event name and id belongs to another hour
    TEST_MODE = "test_mode"  # the platform only checked or showed it; it still has to be sent for good


class Withhold(Exception):
    """This conversion is not for this platform: the reason, and a detail for a person (never an identifier)."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class Kind(StrEnum):
    """What the sender does next."""

    SETTLED = "settled"  # each event has its outcome
    TRANSIENT = "transient"  # again later, same event ids
    RATE_LIMITED = "rate_limited"  # slow the destination down, then again
    AUTH = "auth"  # refresh the token once, then stop: a person must act
    CONFIGURATION = "configuration"  # stop: an account, id or permission is wrong; the events are not to blame
    REFUSED = "refused"  # nothing stored, because of the events in `culprits` (or of unknown ones)
    WAITING = "waiting"  # a verdict that is not there yet


def need(value: T | None, what: str) -> T:
    """A value that the platform requires. Raises Withhold."""
    if value is None or value == "":
        raise Withhold(Reason.MISSING_FIELD, what)
    return value


class State(StrEnum):
    """State of one event in the ledger."""

    SENDING = "sending"
    ACCEPTED = "accepted"
    PENDING = "pending"
    REJECTED = "rejected"
    WITHHELD = "withheld"
    RETRY = "retry"
    HELD = "held"


@dataclass(frozen=True)
class Outcome:
    """What became of one event: its state, the platform's code, and its words."""

    state: State
    code: str = ""
    message: str = ""
    wait: timedelta | None = None  # with RETRY: not before


@dataclass(frozen=True)
class Verdict:
    """The reading of one answer. `outcomes`: one per event, in order (SETTLED). `culprits`: index -> outcome (REFUSED;
    empty if the answer does not name them). `maybe_stored`: the platform may have the events although it did not say so."""

    kind: Kind
    outcomes: Sequence[Outcome] = ()
    culprits: Mapping[int, Outcome] = field(default_factory=dict)
    wait: timedelta | None = None
    maybe_stored: bool = False
    code: str = ""
    message: str = ""
    trace_id: str = ""


def accepted(count: int, trace_id: str = "", message: str = "") -> Verdict:
    outcome = Outcome(State.ACCEPTED, message=message)  # a warning of the platform stays with the events
    return Verdict(Kind.SETTLED, [outcome] * count, trace_id=trace_id, message=message)


def only_tested(count: int, trace_id: str = "", message: str = "") -> Verdict:
    """The answer of a test mode in which nothing counts: the events are still to be sent once the test is over."""
    outcome = Outcome(State.WITHHELD, Reason.TEST_MODE.value, message)
    return Verdict(Kind.SETTLED, [outcome] * count, trace_id=trace_id)


def rejected(code: object, message: str = "") -> Outcome:
    return Outcome(State.REJECTED, str(code), message)
