"""What to do with one event, given what the ledger knows of it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from capi_pipeline.delivery.ledger import Held, Row
from capi_pipeline.platforms.base import Deduplication
from capi_pipeline.platforms.outcomes import State
from capi_pipeline.platforms.times import LONGEST_WAIT

# A repeated event must reach the platform before its window closes, so stop a little earlier.
MARGIN = timedelta(minutes=10)


def resendable(window: timedelta) -> timedelta:
    """For how long after its first attempt an event may be sent again."""
    return window - min(MARGIN, window / 6)


class Step(StrEnum):
    """What happens to an event in this run."""

    SEND = "send"
    DONE = "done"  # the platform has it, or has queued it, or a person must look: nothing to do
    WAIT = "wait"  # the platform asked to come later
    HOLD = "hold"  # nobody knows whether the platform has it, and it must not be sent twice
    FOREIGN = "foreign"  # the same event name and id belongs to another hour


class OnUnknown(StrEnum):
    """A destination's policy for events that may or may not have arrived."""

    AUTO = "auto"  # send again where the platform deduplicates and its window is open, else hold
    HOLD = "hold"  # always ask a person
    RESEND = "resend"  # always send again, even if that may count twice


def decide(
    row: Row | None, hour: datetime, deduplication: Deduplication, policy: OnUnknown, now: datetime
) -> tuple[Step, Held | None]:
    """The step for an event with this ledger row in a run of `hour`, and for HOLD why."""
    if row is None:
        return Step.SEND, None
    if row.hour != hour:
        return Step.FOREIGN, None
    if row.state in (State.ACCEPTED, State.HELD) or (row.state is State.PENDING and not row.waits):
        return Step.DONE, None
    if row.unknown_since is not None:
        reason = hold_reason(row.unknown_since, deduplication, policy, now)
        if reason:
            return Step.HOLD, reason
    # A time that lies further ahead than any platform may ask for was noted by a clock that was wrong.
    if row.state is State.RETRY and row.not_before is not None and now < row.not_before <= now + LONGEST_WAIT:
        return Step.WAIT, None
    return Step.SEND, None


def hold_reason(since: datetime, deduplication: Deduplication, policy: OnUnknown, now: datetime) -> Held | None:
    """Why an event that may have arrived `since` cannot simply be sent again; None if it can."""
    if policy is OnUnknown.RESEND:
        return None
    if policy is OnUnknown.HOLD:
        return Held.POLICY
    if deduplication.window is None:
        return Held.NO_DEDUPLICATION
    return Held.WINDOW_CLOSED if now - since > resendable(deduplication.window) else None
