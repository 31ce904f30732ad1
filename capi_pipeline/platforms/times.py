"""Times as platforms write them, from epoch microseconds (UTC)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_WAIT = timedelta(days=1)  # that a platform may ask for


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def days(count: float) -> timedelta:
    return timedelta(days=count)


def span(time: timedelta) -> str:
    """`1 min`, `48 h`, `28 days`."""
    count = time.total_seconds() / 3600
    if count < 1:
        return f"{count * 60:g} min"
    return f"{count:g} h" if count < 72 else f"{count / 24:g} days"


def age_of(time: int, now: datetime) -> timedelta:
    """How long ago epoch microseconds were; negative if they lie ahead. Takes any 64-bit number."""
    return timedelta(microseconds=microseconds(now) - time)


def microseconds(moment: datetime) -> int:
    """Epoch microseconds."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def seconds(time: int) -> int:
    """Epoch seconds, floored, of epoch microseconds."""
    return time // 1_000_000


def milliseconds(time: int) -> int:
    """Epoch milliseconds, floored, of epoch microseconds."""
    return time // 1000


def iso(time: int, decimals: int = 0) -> str:
    """ISO 8601 in UTC with `Z`, cut (never rounded) to `decimals` digits of the second."""
    text = datetime.fromtimestamp(time // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{time % 1_000_000:06d}"[: decimals + 1] if decimals else ""
    return f"{text}{fraction}Z"
