"""The demo shop: fill a warehouse with its last hours, and let it go on trading."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import create_engine

from capi_pipeline.demo import attribution, journeys, load
from capi_pipeline.demo.people import person
from capi_pipeline.demo.rows import HOUR, RAW, TRUTH, Cell, Landed
from capi_pipeline.demo.visits import Hour

HISTORY_DAYS = 30  # before the window: visits with clicks on ads, and orders
HISTORY_PACE = 0.028  # of the window's rate: enough for earlier clicks and orders, little enough to be quick
PEOPLE_PER_RATE = 25  # people at the start, per conversion and hour
NEW_PEOPLE = 0.012  # per conversion
CHUNK = 80_000  # rows per COPY
# How busy each hour of the day (UTC) is, in percent of the average: buyers sleep in Europe, then in America.
BUSY = (78, 70, 62, 52, 44, 45, 56, 74, 90, 104, 112, 118, 122, 120, 118, 122, 130, 140, 150, 152, 140, 119, 98, 84)


@dataclass(frozen=True)
class Shop:
    """What a warehouse holds of the shop: the window [start, end) and the rows of each raw table."""

    start: datetime
    end: datetime
    seed: int
    rows: dict[str, int]


@dataclass
class _World:
    seed: int
    rate: float
    people: int
    history_days: int
    history_start: int
    start: int
    end: int
    rows: Counter[str] = field(default_factory=Counter)

    def shop(self) -> Shop:
        start, end = (datetime.fromtimestamp(at, UTC) for at in (self.start, self.end))
        return Shop(start, end, self.seed, {table: self.rows[table] for table in RAW})

    def population(self, at: int) -> int:
        """How many people the shop knows when the hour `at` begins; none before its first hour."""
        if at < self.history_start:
            return 0
        return self.people + int((at - self.history_start) // HOUR * self.rate * NEW_PEOPLE)


def fill(
    url: str,
    *,
    conversions: int = 5000,
    hours: int = 24,
    until: datetime | None = None,
    seed: int = 1,
    history_days: int = HISTORY_DAYS,
    progress: Callable[[int, int], None] | None = None,
) -> Shop:
    """Make the schemas `raw` and `truth` anew; about `conversions` conversions land in the `hours` hours before `until`."""
    end = _hour(until or datetime.now(UTC))
    start = end - hours * HOUR
    first = start - history_days * 24 * HOUR
    rate = 100 * conversions / sum(_busy(at) for at in range(start, end, HOUR))  # of an average hour
    world = _World(seed, rate, max(50, int(rate * PEOPLE_PER_RATE)), history_days, first, start, first)
    with _cursor(url) as cursor:
        load.create(cursor)
        _trade(cursor, world, end, [], progress)
        load.index(cursor)
        load.analyze(cursor)
        attribution.attribute(cursor, first, end)
        _store(cursor, world)
    return world.shop()


def extend(url: str, until: datetime) -> Shop:
    """Let the shop trade on to the last complete hour before `until`."""
    end = _hour(until)
    with _cursor(url) as cursor:
        cursor.execute("lock table raw._shop")  # two who extend at once would write the same hours twice
        world = _read(cursor)
        if end > world.end:
            begun = world.end
            _trade(cursor, world, end, load.take_later(cursor))
            attribution.attribute(cursor, begun, end)
            _store(cursor, world)
    return world.shop()


def window(url: str) -> Shop | None:
    """The shop that this warehouse holds, if any."""
    with _cursor(url) as cursor:
        cursor.execute("select to_regclass('raw._shop')")
        return _read(cursor).shop() if cursor.fetchone()[0] else None


def _trade(
    cursor: Any,
    world: _World,
    end: int,
    later: list[Landed],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the hours from the world's end to `end`; what lands after that is stored for the next time."""
    due = Counter(int(row.at) // HOUR for row in later if row.conversion)
    ready = [row for row in later if row.at < end]
    later = [row for row in later if row.at >= end]
    clicks: list[tuple[Cell, ...]] = []
    load.find_people(cursor)
    total = (end - world.end) // HOUR
    for done, at in enumerate(range(world.end, end, HOUR), 1):
        hour = Hour(Random(f"{world.seed}:{at // HOUR}"), world.seed, at)
        known, grown = world.population(at - HOUR), world.population(at)
        for number in range(known, grown):
            journeys.arrive(hour, person(world.seed, number), regular=number < world.people)
        pace = world.rate * _busy(at) / 100 * (1.0 if at >= world.start else HISTORY_PACE) * hour.rng.uniform(0.9, 1.1)
        looks = int(pace * journeys.LOOKS_BEFORE + hour.rng.random()) if at < world.start else 0
        journeys.trade(hour, grown, int(pace + hour.rng.random()) - due.pop(at // HOUR, 0), looks)
        for row in hour.rows:
            (ready if row.at < end else later).append(row)
            if row.conversion and row.at >= at + HOUR:
                due[int(row.at) // HOUR] += 1
        clicks += hour.clicks
        if len(ready) >= CHUNK or done == total:
            world.rows.update(load.copy_landed(cursor, ready))
            ready = []
            load.copy(cursor, "truth._clicks", TRUTH["_clicks"], clicks)
            clicks = []
        if progress:
            progress(done, total)
    load.add_people(cursor)
    load.store_later(cursor, later)
    world.end = end


def _store(cursor: Any, world: _World) -> None:
    cursor.execute("delete from raw._shop")
    cursor.execute(
        "insert into raw._shop values (%s, %s, %s, %s, to_timestamp(%s), to_timestamp(%s), to_timestamp(%s), %s)",
        (
            world.seed,
            world.rate,
            world.people,
            world.history_days,
            world.history_start,
            world.start,
            world.end,
            json.dumps(world.rows),
        ),
    )


def _read(cursor: Any) -> _World:
    cursor.execute(
        "select seed, rate, people, history_days, extract(epoch from history_start)::bigint,"
        " extract(epoch from window_start)::bigint, extract(epoch from window_end)::bigint, rows from raw._shop"
    )
    seed, rate, people, history_days, history_start, start, end, rows = cursor.fetchone()
    return _World(seed, rate, people, history_days, history_start, start, end, Counter(rows))


def _busy(at: int) -> int:
    return BUSY[at // HOUR % 24]


def _hour(at: datetime) -> int:
    """The start of the hour of a time (UTC if it names no zone), in seconds since 1970."""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(hours=1)) * HOUR


@contextmanager
def _cursor(url: str) -> Iterator[Any]:
    """One transaction: a shop that was not filled to its end does not exist."""
    engine = create_engine(url)
    try:
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("set local synchronous_commit = off")  # lost or kept as a whole either way
            yield cursor
            connection.commit()
        finally:
            connection.close()
    finally:
        engine.dispose()
