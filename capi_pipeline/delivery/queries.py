"""Questions about the ledger that people ask, and the answers that they give to held events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from capi_pipeline.delivery.ledger import HELD_WORDS, WAITS, Held, Ledger
from capi_pipeline.delivery.tables import SCHEMA
from capi_pipeline.platforms.times import LONGEST_WAIT


@dataclass
class Summary:
    """One destination's hour (or all hours), by outcome; `withheld` by reason. Counts of events."""

    destination: str
    hour: datetime | None
    accepted: int = 0
    pending: int = 0
    rejected: int = 0
    held: int = 0
    retry: int = 0
    withheld: dict[str, int] = field(default_factory=dict)

    def add(self, state: str, reason: str | None, count: int) -> None:
        if state == "withheld":
            self.withheld[reason or "?"] = self.withheld.get(reason or "?", 0) + count
        else:
            name = "retry" if state == "sending" else state
            setattr(self, name, getattr(self, name) + count)

    def document(self) -> dict[str, Any]:
        return {**self.__dict__, "hour": self.hour.isoformat() if self.hour else None}


@dataclass(frozen=True)
class Lags:
    """How long conversions took, in seconds, as (half of them, 95 of 100): from the event to the warehouse, from there to
    the platform's yes (or its queue), and both together."""

    landing: tuple[float, float]
    delivery: tuple[float, float]
    total: tuple[float, float]


@dataclass(frozen=True)
class Open:
    """A destination's hour with something unfinished."""

    destination: str
    hour: datetime
    retry: int
    words: str


@dataclass(frozen=True)
class HeldRow:
    """One event that waits for a person."""

    destination: str
    event_name: str
    event_id: str
    hour: datetime
    reason: str
    message: str
    since: datetime | None
    trace_id: str | None

    @property
    def why(self) -> str:
        """The reason in words, and what was said at the time."""
        words = HELD_WORDS[Held(self.reason)]
        if self.message.startswith(words):
            return self.message
        return f"{words}: {self.message}" if self.message else words

    def document(self) -> dict[str, Any]:
        return {**self.__dict__, "why": self.why}


def summary(ledger: Ledger, destination: str, hour: datetime) -> Summary:
    """One hour of one destination."""
    out = Summary(destination, hour)
    for state, reason, _, count in ledger.counts(destination, hour):
        out.add(state.value, reason, count)
    return out


def summaries(ledger: Ledger, since: datetime | None = None) -> list[Summary]:
    """All hours (from `since` on) of each destination."""
    query = f"""select destination, state, reason, count(*) from {SCHEMA}.deliveries
        where cast(:since as timestamptz) is null or hour >= :since group by 1, 2, 3 order by 1, 4 desc"""
    found: dict[str, Summary] = {}
    for destination, state, reason, count in ledger.query(query, since=since):
        found.setdefault(destination, Summary(destination, None)).add(state, reason, count)
    return list(found.values())


def lags(ledger: Ledger, destination: str, hour: datetime) -> Lags | None:
    """Of what the platform has of one hour; None where that is nothing."""
    query = f"""select {_LAGS} from {SCHEMA}.deliveries d where destination = :name and hour = :hour and {_TAKEN}"""
    return lags_of(ledger.query(query, name=destination, hour=hour)[0])


def lags_since(ledger: Ledger, since: datetime, until: datetime) -> dict[str, Lags]:
    """The same of all hours from `since` to before `until`, by destination."""
    query = f"""select destination, {_LAGS} from {SCHEMA}.deliveries d
        where hour >= :since and hour < :until and {_TAKEN} group by 1"""
    found = {name: lags_of(values) for name, *values in ledger.query(query, since=since, until=until)}
    return {name: known for name, known in found.items() if known}


def lags_of(values: Sequence[Any]) -> Lags | None:
    if any(value is None for value in values):
        return None
    landing, delivery, total = ((float(half), float(most)) for half, most in values)
    return Lags(landing, delivery, total)


def unfinished(ledger: Ledger) -> list[Open]:
    """Hours with events to retry, left in the middle by a crash, or waiting for what they adjust, and the commonest words
    about them."""
    query = f"""select destination, hour, count(*), coalesce(mode() within group (order by message), '')
        from {SCHEMA}.deliveries d where {_LEFT} group by 1, 2 order by 2, 1"""
    return [Open(name, hour.astimezone(UTC), count, words) for name, hour, count, words in ledger.query(query)]


def due(
    ledger: Ledger, names: Sequence[str], start: datetime, least: timedelta = timedelta(minutes=15), most: int = 20
) -> list[tuple[str, datetime, datetime]]:
    """(destination, hour, last attempt) of unfinished hours from `start` on that may be tried again now: their last attempt
    lies `least` back (the step's own repetitions come first), and the platform asked for no longer wait."""
    query = f"""select destination, hour, max(coalesce(settled_at, claimed_at)) from {SCHEMA}.deliveries d
        where {_LEFT} and destination = any(:names) and hour >= :start
        group by 1, 2 having max(coalesce(settled_at, claimed_at)) < :before
            and min(coalesce(case when not_before <= :latest then not_before end, settled_at, claimed_at)) <= :now
        order by 2 limit :most"""
    now = datetime.now(UTC)
    found = ledger.query(
        query, names=list(names), start=start, before=now - least, now=now, latest=now + LONGEST_WAIT, most=most
    )
    return [(name, hour.astimezone(UTC), last) for name, hour, last in found]


def held(
    ledger: Ledger,
    destinations: Sequence[str] | None = None,
    event_ids: Sequence[str] | None = None,
    hour: datetime | None = None,
) -> list[HeldRow]:
    """Events that wait for a person."""
    query = f"""select destination, event_name, event_id, hour, reason, coalesce(message, ''), unknown_since, trace_id
        from {SCHEMA}.deliveries where state = 'held' and {_CHOSEN} order by hour, destination, event_id"""
    found = ledger.query(query, names=_list(destinations), ids=_list(event_ids), hour=hour)
    return [HeldRow(d, n, i, when.astimezone(UTC), *rest) for d, n, i, when, *rest in found]


def resolve(
    ledger: Ledger,
    accept: bool,
    destinations: Sequence[str] | None,
    event_ids: Sequence[str] | None,
    hour: datetime | None = None,
) -> int:
    """Settle held events: `accept` (the platform has them), or leave them for the next run. Returns how many."""
    new = "'accepted', reason = 'resolved_by_person'" if accept else "'retry', reason = null"
    query = f"""update {SCHEMA}.deliveries set state = {new}, unknown_since = null, not_before = null,
        settled_at = clock_timestamp() where state = 'held' and {_CHOSEN} returning 1"""
    return len(ledger.query(query, names=_list(destinations), ids=_list(event_ids), hour=hour))


def reopen_rejected(ledger: Ledger, destinations: Sequence[str], hour: datetime | None) -> int:
    """Make rejected events sendable again (the account was corrected). Returns how many."""
    query = f"""update {SCHEMA}.deliveries set state = 'retry', settled_at = clock_timestamp()
        where state = 'rejected' and destination = any(:names) and (cast(:hour as timestamptz) is null or hour = :hour)
        returning 1"""
    return len(ledger.query(query, names=list(destinations), hour=hour))


def retried(ledger: Ledger, destination: str, since: datetime) -> int:
    """Events that took more than one attempt."""
    query = f"select count(*) from {SCHEMA}.deliveries where destination = :name and hour >= :since and attempts > 1"
    return int(ledger.query(query, name=destination, since=since)[0][0])


def waiting_verdicts(ledger: Ledger) -> dict[str, int]:
    """Requests whose verdict is not there yet, per destination."""
    query = f"select destination, count(*) from {SCHEMA}.verdicts group by 1 order by 1"
    return dict(ledger.query(query))


_TAKEN = "state in ('accepted', 'pending') and d.settled_at is not null"
_LAGS = ", ".join(
    f"percentile_cont(array[0.5, 0.95]) within group (order by extract(epoch from {until} - {since}))"
    for since, until in (("event_time", "recorded_at"), ("recorded_at", "settled_at"), ("event_time", "settled_at"))
)
_LEFT = f"(state in ('retry', 'sending') or {WAITS})"
_CHOSEN = """(cast(:names as text[]) is null or destination = any(:names))
    and (cast(:ids as text[]) is null or event_id = any(:ids))
    and (cast(:hour as timestamptz) is null or hour = :hour)"""


def _list(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)
