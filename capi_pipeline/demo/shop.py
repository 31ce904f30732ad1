"""The demo shop: fills a warehouse with raw tables as a real shop's are, and goes on trading. Deterministic by seed.

What staging must repair is typed on purpose: currencies in lower case, `UK`, countries in lower case or missing, empty
strings, rows that land twice, blanks around names, e-mails and postal codes. Numbers are never broken: a total always has a
currency.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
from sqlalchemy import make_url

from capi_pipeline.demo import load
from capi_pipeline.demo.journeys import LONGEST, PER_VISIT, World, plan, weight
from capi_pipeline.demo.people import CALIFORNIAN_OPT_OUT, CONSENT_DENIED, CONSENT_GRANTED, person, typed_email

HOUR = timedelta(hours=1)
HISTORY_SHARE = 0.1  # how busy the shop was before the window
ERASED = 0.002  # customers who asked to be forgotten
WITHDRAWN = 0.03  # of those who agreed: they changed their mind

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Shop:
    """What was filled: the window of complete hours [start, end), and rows per table."""

    start: datetime
    end: datetime
    seed: int
    rows: dict[str, int]


def fill(
    url: str,
    *,
    conversions: int = 5000,
    hours: int = 24,
    until: datetime | None = None,
    seed: int = 1,
    history_days: int = 14,
    progress: Progress | None = None,
) -> Shop:
    """Make the schemas `raw` and `truth` anew, so that about `conversions` conversions land in the last `hours` hours."""
    end = (until or datetime.now(UTC)).replace(minute=0, second=0, microsecond=0)
    start = end - hours * HOUR
    busy = sum(weight(start + n * HOUR) for n in range(hours))
    world = World(seed, conversions / PER_VISIT / busy, max(300, conversions // 4))
    with _connected(url) as cursor:
        for statement in load.schema_sql():
            cursor.execute(statement)
        first = start - timedelta(days=history_days)
        rows = Counter(_people(cursor, world, first))
        rows += _trade(cursor, world, first, start, end, progress)
        for index in load.INDEXES:
            cursor.execute(f"create index on raw.{index}")
        cursor.execute(
            "insert into raw._shop values (%s, %s, %s, %s, %s)", (seed, world.visits, world.people, hours, end)
        )
        cursor.execute("analyze")
    return Shop(start, end, seed, dict(rows))


def extend(url: str, until: datetime) -> Shop:
    """The shop goes on trading: append the hours up to `until`. Raises LookupError when there is no shop."""
    found = _state(url)
    if found is None:
        raise LookupError("there is no demo shop in this warehouse")
    world, hours, end = found
    until = until.replace(minute=0, second=0, microsecond=0)
    rows: Counter[str] = Counter()
    if until > end:
        with _connected(url) as cursor:
            rows = _trade(cursor, world, end - LONGEST - HOUR, end, until, None, only_from=end)
            cursor.execute("update raw._shop set until = %s", (until,))
    end = max(end, until)
    return Shop(end - hours * HOUR, end, world.seed, dict(rows))


def window(url: str) -> Shop | None:
    """The shop that is there, if there is one."""
    found = _state(url)
    if found is None:
        return None
    world, hours, end = found
    return Shop(end - hours * HOUR, end, world.seed, {})


def _trade(
    cursor: Any,
    world: World,
    first: datetime,
    start: datetime,
    end: datetime,
    progress: Progress | None,
    only_from: datetime | None = None,
) -> Counter[str]:
    """Plan each hour from `first` on (thinly before `start`), and load what lands before `end` (from `only_from` on)."""
    thin = World(world.seed, world.visits * HISTORY_SHARE, world.people)
    waiting: dict[datetime, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    rows: Counter[str] = Counter()
    total = round((end - first) / HOUR)
    for number in range(total):
        hour = first + number * HOUR
        busy = world if hour >= start or only_from else thin
        for lands, table, row in plan(busy, hour):
            landing = lands.replace(minute=0, second=0, microsecond=0)
            if landing < end:
                waiting[landing][table].append((lands, row))
        ready = waiting.pop(hour, {})
        if only_from is None or hour >= only_from:
            for table, found in ready.items():
                rows[table] += load.copy(cursor, table, found)
        if progress:
            progress(number + 1, total)
    return rows


def _people(cursor: Any, world: World, first: datetime) -> Counter[str]:
    """Customers, choices of consent, erasures, and the truth of who is who."""
    tables: dict[str, list[Any]] = defaultdict(list)
    for number in range(world.people):
        for table, lands, row in _person_rows(world, number, first):
            tables[table].append((lands, row))
    return Counter({table: load.copy(cursor, table, rows) for table, rows in tables.items()})


def _person_rows(world: World, number: int, first: datetime) -> Iterator[tuple[str, datetime, dict[str, Any]]]:
    r = random.Random(f"{world.seed}/rows/{number}")
    who = person(world.seed, number)
    since = first + timedelta(minutes=r.randrange(60 * 24))
    if who.customer_id:
        yield "customers", since, {
            "customer_id": who.customer_id, "email": typed_email(who, r), "phone": r.choice([who.phone_national, who.phone, ""]),
            "first_name": who.first, "last_name": who.last, "gender": who.gender, "birth_date": who.birth, "street": who.street,
            "city": who.city, "region": who.region, "postal_code": who.postal, "country": who.country,
            "created_at": since - timedelta(days=r.randrange(1, 900)), "updated_at": since,
        }  # fmt: skip
        yield "people", since, {"person": number, "id_type": "customer_id", "id_value": who.customer_id}
        if r.random() < ERASED:
            asked = since + timedelta(days=r.randrange(1, 10))
            yield "erasures", asked, {"request_id": f"er-{number}", "customer_id": who.customer_id, "email": who.email,
                                      "phone": who.phone, "requested_at": asked}  # fmt: skip
    for id_type, value in (("email", who.email), ("phone", who.phone)):
        yield "people", since, {"person": number, "id_type": id_type, "id_value": value}
    for device in range(who.devices):
        yield "people", since, {"person": number, "id_type": "anonymous_id", "id_value": who.anonymous_id(device)}
        yield from _consents(r, world, number, device, since)


def _consents(
    r: random.Random, world: World, number: int, device: int, since: datetime
) -> Iterator[tuple[str, datetime, dict[str, Any]]]:
    who = person(world.seed, number)
    chance = r.random()
    choice = "granted" if chance < CONSENT_GRANTED else "denied" if chance < CONSENT_GRANTED + CONSENT_DENIED else None
    opted_out = who.country == "US" and who.region in ("CA", "California") and r.random() < CALIFORNIAN_OPT_OUT
    if choice is None and not opted_out:
        return
    subject = r.choices([("anonymous_id", who.anonymous_id(device)), ("customer_id", who.customer_id), ("email", who.email)],
                        [8, 3 if who.customer_id else 0, 1])[0]  # fmt: skip
    row = {
        "subject_type": subject[0], "subject_id": subject[1], "ad_storage": choice, "ad_user_data": choice,
        "ad_personalization": choice if r.random() > 0.1 else "denied", "analytics_storage": choice,
        "gpc": opted_out and r.random() < 0.5, "opt_out_of_sale": opted_out, "tcf_string": None, "gpp_string": None,
        "gpp_sid": None, "country": who.country, "region": who.region or None, "given_at": since,
    }  # fmt: skip
    yield "consents", since, row
    if choice == "granted" and r.random() < WITHDRAWN:
        later = since + timedelta(days=r.randrange(1, 13))
        no = {
            "ad_storage": "denied",
            "ad_user_data": "denied",
            "ad_personalization": "denied",
            "analytics_storage": "denied",
        }
        yield "consents", later, {**row, **no, "given_at": later}


def _state(url: str) -> tuple[World, int, datetime] | None:
    with _connected(url) as cursor:
        cursor.execute("select to_regclass('raw._shop')")
        if cursor.fetchone()[0] is None:
            return None
        cursor.execute("select seed, visits, people, hours, until from raw._shop")
        row = cursor.fetchone()
    return (World(row[0], row[1], row[2]), row[3], row[4].astimezone(UTC)) if row else None


class _connected:
    """One transaction on the warehouse."""

    def __init__(self, url: str) -> None:
        parts = make_url(url)
        host = parts.host or parts.query.get("host")
        self._connection = psycopg2.connect(
            host=host, port=parts.port, user=parts.username, password=parts.password, dbname=parts.database
        )

    def __enter__(self) -> Any:
        return self._connection.cursor()

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self._connection.commit()
        self._connection.close()
