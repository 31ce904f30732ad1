"""Forgetting: settled rows go when they are older than any platform takes or recognises an event.

A row that is gone can no longer say that its event was accepted. So before the first row goes, the ledger keeps how far
back it reaches (table `pruned`), and a delivery takes an unknown event from before that time for one that was sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from capi_pipeline.delivery.database import answering
from capi_pipeline.delivery.ledger import Ledger, lock_key
from capi_pipeline.delivery.tables import SCHEMA
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.platforms.base import Platform

MARGIN = timedelta(days=30)  # beyond every platform's limits: for reruns that come late, and clocks that are wrong
BATCH = 10_000  # rows of one transaction


@dataclass
class Pruned:
    """What one pruning did, or (`dry`) would do. `rows`: destination -> rows; `busy`: hours that a run was sending, left
    for the next time; sizes in bytes, of the table with its indexes."""

    before: datetime
    dry: bool
    rows: Counter[str] = field(default_factory=Counter)
    hours: int = 0
    busy: int = 0
    bytes_before: int = 0
    bytes_after: int = 0

    def document(self) -> dict[str, Any]:
        return {**self.__dict__, "rows": dict(self.rows)}


def horizon(days: int, platforms: Iterable[type[Platform]], now: datetime) -> datetime:
    """The hour before which settled rows go. Raises ConfigurationError for a retention that one of these platforms, those
    of the destinations, outlasts."""
    longest, title = max(
        ((reach(platform), platform.title) for platform in platforms), default=(timedelta(0), "nobody")
    )
    if timedelta(days=days) < longest + MARGIN:
        raise ConfigurationError(
            f"CAPI_LEDGER_DAYS is {days}, and {title} takes or recognises events for {longest / timedelta(days=1):g} days: "
            "a conversion whose row is gone could be sent again.",
            f"Set it to {(longest + MARGIN) / timedelta(days=1):g} or more (or unset it).",
        )
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=days)


def reach(platform: type[Platform]) -> timedelta:
    """For how long a platform takes an event, or recognises it as a repetition."""
    limits, window = platform.limits, platform.deduplication.window
    return max(filter(None, (limits.oldest, *limits.oldest_for.values(), window)), default=timedelta(0))


def prune(
    ledger: Ledger,
    before: datetime,
    dry: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    batch: int = BATCH,
) -> Pruned:
    """Delete the settled rows of hours before `before`, hour by hour in transactions of `batch` rows, while runs go on.
    `progress(done, total)` is told after each hour. Stopped in the middle, the rest goes the next time."""
    report = Pruned(before, dry, bytes_before=_size(ledger))
    found = ledger.query(_FOUND, before=before)
    for destination in {row.destination for row in found} if not dry else ():
        ledger.query(_REMEMBER, destination=destination, before=before)
    for done, (destination, hour, rows) in enumerate(found, 1):
        gone = rows if dry else _hour(ledger, destination, hour, before, batch)
        if gone is None:
            report.busy += 1
        else:
            report.hours += 1
            report.rows[destination] += gone
        progress(done, len(found))
    if report.rows.total() and not dry:
        with answering("the ledger"), ledger.engine.connect() as connection:
            # Makes the room usable for new rows at once; it locks nobody out.
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(f"vacuum {SCHEMA}.deliveries"))
    report.bytes_after = _size(ledger)
    return report


def _hour(ledger: Ledger, destination: str, hour: datetime, before: datetime, batch: int) -> int | None:
    """Rows of one hour that went; None while a run is sending it."""
    gone, values = 0, {"destination": destination, "hour": hour, "before": before, "batch": batch}
    while True:
        with answering("the ledger"), ledger.engine.begin() as connection:
            lock = text("select pg_try_advisory_xact_lock(:key)")
            if not connection.execute(lock, {"key": lock_key(destination, hour)}).scalar():
                return gone or None
            count = connection.execute(text(_DELETE), values).rowcount
        gone += count
        if count < batch:
            return gone


def _size(ledger: Ledger) -> int:
    return int(ledger.query(f"select pg_total_relation_size('{SCHEMA}.deliveries')")[0][0])


_STATES = "('accepted', 'rejected', 'withheld')"
_OPEN_REFUND = f"""not exists (select from {SCHEMA}.deliveries refund where refund.destination = d.destination
        and refund.original_event_id = d.{{0}} and refund.state in ('sending', 'pending', 'retry', 'held'))"""
# All of a row's times are old. What an unfinished refund is decided by stays: its conversion, and other refunds of that.
_SETTLED = f"""d.state in {_STATES} and d.hour < :before and d.event_time < :before
    and coalesce(d.settled_at, d.claimed_at, d.hour) < :before
    and {_OPEN_REFUND.format("event_id")} and {_OPEN_REFUND.format("original_event_id")}"""

# The destinations by steps through the index: a plain `distinct` reads the whole ledger.
_FOUND = f"""with recursive names as (
        select min(destination) as destination from {SCHEMA}.deliveries
        union all
        select (select min(destination) from {SCHEMA}.deliveries where destination > names.destination) from names
        where names.destination is not null)
    select d.destination, d.hour, count(*) as rows from names join {SCHEMA}.deliveries d using (destination)
    where {_SETTLED} group by 1, 2 order by 2, 1"""

_REMEMBER = f"""insert into {SCHEMA}.pruned as p (destination, before) values (:destination, :before)
    on conflict (destination) do update set before = greatest(p.before, excluded.before)"""

# The state is asked twice: a person may reopen a row at this moment.
_DELETE = f"""delete from {SCHEMA}.deliveries where state in {_STATES} and ctid = any(array(
    select d.ctid from {SCHEMA}.deliveries d where d.destination = :destination and d.hour = :hour and {_SETTLED}
    limit :batch))"""
