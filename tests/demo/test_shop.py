"""The demo shop: the same seed makes the same rows, in one go or hour by hour; the mess is there; the truth fits the rows."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text

from capi_pipeline.demo import journeys, people, sales, shop, visits
from capi_pipeline.demo.clicks import PARAMETERS
from capi_pipeline.demo.rows import RAW, TRUTH

UNTIL = datetime(2025, 6, 10, 12, 0, tzinfo=UTC)
CONVERSIONS = 8000
LANDED = """
select name, min(landed) as landed from (
    select 'purchase' as name, order_id as id, _loaded_at as landed from raw.orders where status in ('placed', 'paid')
    union all select 'refund', refund_id, _loaded_at from raw.refunds
    union all select stage, lead_id, _loaded_at from raw.leads where stage <> 'lost'
    union all select event_name, event_id, _loaded_at from raw.web_events where event_name in
        ('sign_up', 'add_to_cart', 'begin_checkout', 'add_payment_info', 'start_trial', 'subscribe', 'contact')
) as told group by name, id
"""


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def contents(url: str) -> dict[str, list[str]]:
    """Every row of every table as text, sorted."""
    tables = [f"raw.{table}" for table in (*RAW, "_later")] + [f"truth.{table}" for table in TRUTH]
    with connected(url) as connection:
        return {t: sorted(connection.execute(text(f"select row::text from {t} as row")).scalars()) for t in tables}


@pytest.fixture(scope="module")
def filled(module_database_url: str) -> str:
    """A database with a shop of a day."""
    shop.fill(module_database_url, conversions=CONVERSIONS, until=UNTIL)
    return module_database_url


@pytest.fixture
def db(filled: str) -> Iterator[Connection]:
    with connected(filled) as connection:
        yield connection


def one(db: Connection, query: str, **values: Any) -> Any:
    return db.execute(text(query), values).scalar()


def test_same_seed_same_rows(warehouse_url: str) -> None:
    def fill(seed: int) -> dict[str, list[str]]:
        shop.fill(warehouse_url, conversions=200, hours=5, until=UNTIL, seed=seed, history_days=1)
        return contents(warehouse_url)

    first = fill(3)
    assert {table for table, rows in first.items() if not rows} <= {"raw.erasures"}  # rare
    assert fill(3) == first
    assert fill(4) != first


def test_extending_makes_what_filling_to_the_later_end_makes(warehouse_url: str) -> None:
    late = UNTIL + timedelta(hours=24)  # whole days: the pace follows the hours of the day
    whole = shop.fill(warehouse_url, conversions=480, hours=48, until=late, history_days=3)
    want = contents(warehouse_url)
    assert shop.fill(warehouse_url, conversions=240, hours=24, until=UNTIL, history_days=3).end == UNTIL
    shop.extend(warehouse_url, UNTIL + timedelta(hours=1, minutes=59))
    assert shop.extend(warehouse_url, late) == whole
    assert contents(warehouse_url) == want
    assert shop.extend(warehouse_url, UNTIL) == whole  # never backwards


def test_extending_leaves_the_hours_before_alone(warehouse_url: str) -> None:
    shop.fill(warehouse_url, conversions=240, until=UNTIL, history_days=2)
    shop.extend(warehouse_url, UNTIL + timedelta(hours=2))
    with connected(warehouse_url) as db:
        counts = {
            table: one(db, f"select count(*) from raw.{table} where _loaded_at < :end", end=UNTIL) for table in RAW
        }
    assert counts == shop.fill(warehouse_url, conversions=240, until=UNTIL, history_days=2).rows


def test_window(warehouse_url: str) -> None:
    assert shop.window(warehouse_url) is None
    calls: list[tuple[int, int]] = []
    until = UNTIL + timedelta(minutes=20)
    made = shop.fill(
        warehouse_url, conversions=30, hours=3, until=until, history_days=0, progress=lambda *done: calls.append(done)
    )
    assert (made.start, made.end) == (UNTIL - timedelta(hours=3), UNTIL)
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert shop.window(warehouse_url) == made
    with connected(warehouse_url) as db:
        assert made.rows == {table: one(db, f"select count(*) from raw.{table}") for table in RAW}


def test_conversions_land_in_the_window(db: Connection) -> None:
    start = UNTIL - timedelta(hours=24)
    rows = db.execute(
        text(f"select name, landed from ({LANDED}) as told where landed >= :start"), {"start": start}
    ).all()
    assert abs(len(rows) - CONVERSIONS) < CONVERSIONS * 0.1
    assert len({landed.replace(minute=0, second=0, microsecond=0) for _, landed in rows}) == 24
    share = {name: sum(row[0] == name for row in rows) / len(rows) for name, _ in rows}
    assert 0.24 < share["purchase"] < 0.32
    assert 0.015 < share["refund"] < 0.045
    assert 0.055 < share["new"] + share["qualified"] + share["converted"] < 0.105
    history = one(db, f"select count(*) from ({LANDED}) as told where landed < :start", start=start)
    assert 0.9 < history / (CONVERSIONS * shop.HISTORY_DAYS * shop.HISTORY_PACE) < 1.1
    assert one(
        db,
        "select max(_loaded_at) < :end and min(_loaded_at) >= :start from raw.web_events",
        end=UNTIL,
        start=start - timedelta(days=shop.HISTORY_DAYS),
    )


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from raw.orders where email ~ '[A-Z]'",
        "select count(*) from raw.orders where email <> trim(email)",
        "select count(*) from raw.orders where email <> '' and length(email) <> 64 and email not like '%@%'",
        "select count(*) from raw.orders where email ~ '^[0-9a-f]{64}$'",
        "select count(*) from raw.orders where email ~ '[+]news@'",
        "select count(*) from raw.orders where phone in ('0', 'n/a', '123')",
        "select count(*) from raw.orders where phone = ''",
        "select count(*) from raw.orders where phone is null",
        "select count(*) from raw.orders where phone ~ '[ ./()-]'",
        "select count(*) from raw.orders where first_name like 'Dr. %'",
        "select count(*) from raw.customers where first_name ~ '[\u3040-\u9fff]'",
        "select count(*) from raw.customers where first_name ~ '[\u0600-\u06ff]'",
        "select count(*) from raw.orders where last_name like '%''%' or last_name like '%-%'",
        "select count(*) from raw.orders where region in ('California', 'california')",
        "select count(*) from raw.orders where postal_code ~ '^[0-9]{5}-[0-9]{4}$'",
        "select count(*) from raw.orders where country is null",
        "select count(*) from raw.orders where country ~ '[a-z]'",
        "select count(*) from raw.orders where country = 'UK'",
        "select count(*) from raw.orders where currency <> upper(currency)",
        "select count(*) from raw.orders where upper(currency) = 'KWD' and total <> round(total, 2)",
        "select count(*) from raw.orders where customer_id is null",
        "select count(*) from raw.orders where status = 'cancelled'",
        "select count(*) from raw.orders where _loaded_at - created_at between '1 hour' and '5 days'",
        "select count(*) from raw.web_events where _loaded_at - occurred_at > '8 days'",
        "select count(*) from raw.web_events where occurred_at > _loaded_at + interval '1 hour'",
        "select count(*) from (select from raw.orders group by order_id, status having count(*) > 1) as again",
        "select count(*) from (select from raw.web_events group by event_name, event_id having count(*) > 1) as again",
        "select count(*) from (select from raw.refunds group by order_id having count(*) > 1) as again",
        "select count(*) from raw.web_events where device ->> 'att_status' = 'denied'",
        "select count(*) from raw.web_events where user_id = ''",
        "select count(*) from raw.consents where gpc",
        "select count(*) from raw.consents where ad_storage = 'denied'",
        "select count(*) from raw.consents where ad_storage is null",
        "select count(distinct subject_type) / 3 from raw.consents",
        "select count(*) from raw.orders where email ~ '@@'",
        "select count(*) from raw.orders where email like '%.at.%'",
        "select count(*) from raw.orders where phone ~ ' (ext[.]|x) '",
        "select count(*) from raw.orders where phone ~ '^([+]|00)'",
        "select count(*) from raw.orders where first_name = '' and last_name is null",
        "select count(*) from raw.orders where first_name like '%🌻'",
        "select count(*) from raw.orders where last_name <> trim(last_name)",
        "select count(*) from raw.orders where postal_code <> trim(postal_code)",
        "select count(*) from raw.orders where country = ''",
        "select count(*) from raw.orders where coupon = ''",
        "select count(*) from raw.orders where channel = 'web' and anonymous_id is null",
        "select count(*) from raw.orders where upper(currency) = 'JPY'",
        "select count(*) from raw.customers where gender = ''",
        "select count(*) from raw.leads where source <> trim(source)",
        "select count(*) from raw.leads where json_typeof(click_ids -> 'gclid') = 'object'",
        "select count(*) from raw.leads where json_typeof(click_ids -> 'gclid') = 'string'",
        "select count(*) from raw.leads where anonymous_id is null",
        "select count(*) from raw.refunds where items is null",
        "select count(*) from raw.refunds inner join raw.orders using (order_id) where amount < total",
        "select count(*) from raw.web_events where json_typeof(properties -> 'value') = 'string'",
        "select count(*) from raw.web_events where length(page_url) > 3000",
        "select count(*) from raw.web_events where cookies is null or cookies::text = '{}'",
        "select count(*) from (select properties ->> 'order_id' from raw.web_events where event_name = 'purchase'"
        " group by 1 having count(distinct event_id) > 1) as thanked_again",
        "select count(*) from (select page_url from raw.web_events where page_url like '%clid=%'"
        " group by anonymous_id, page_url having count(distinct event_id) > 1) as reloaded",
        "select count(*) from (select order_id from raw.orders group by 1 having count(distinct status) > 1"
        " and bool_or(status = 'cancelled')) as cancelled_later",
        "select count(*) from (select order_id from raw.orders group by 1 having bool_or(status = 'placed')"
        " and bool_or(status = 'paid')) as paid_later",
        "select count(*) from raw.consents where ad_storage = 'GRANTED' and ad_personalization is null",
        "select count(*) from raw.consents where analytics_storage = ''",
        "select count(*) from raw.web_events where anonymous_id not in"
        " (select subject_id from raw.consents where subject_type = 'anonymous_id')",
        "select count(*) from raw.erasures",
    ],
)
def test_mess(db: Connection, query: str) -> None:
    assert one(db, query) > 0


@pytest.mark.parametrize(
    ("what", "of", "share"),
    [
        ("status = 'cancelled' and other is null", "orders", sales.CANCELLED),
        ("status = 'placed'", "orders", sales.PLACED_FIRST),
        ("currency <> upper(currency)", "orders", sales.CURRENCY_LOWER),
        ("coalesce(email, '') = '' and channel <> 'store'", "orders", 0.88 * people.EMAIL_MISSING),
        ("coalesce(phone, '') = ''", "orders", people.PHONE_MISSING),
        ("phone in ('0', 'n/a', '123')", "orders", people.PHONE_INVALID),
        ("coalesce(country, '') = ''", "orders", people.COUNTRY_MISSING),
        ("copies > 1", "orders", visits.DUPLICATE),
        ("landed - at > interval '30 minutes'", "orders", 0.8 * (visits.LATE + visits.VERY_LATE)),
        ("copies > 1", "web_events", visits.DUPLICATE),
        ("landed - at > interval '30 minutes'", "web_events", visits.LATE + visits.VERY_LATE),
        ("at > landed", "web_events", 0.75 * visits.FUTURE_CLOCK),
        ("user_id = ''", "web_events", 0.7 * visits.EMPTY_NOT_NULL),
        ("ad_storage = 'GRANTED' or ad_storage = 'DENIED'", "consents", journeys.CHOICE_SHOUTED),
    ],
)
def test_shares_of_mess(db: Connection, what: str, of: str, share: float) -> None:
    """About as often as promised; some apply to a part of the rows only, which the factor allows for."""
    first = {
        "orders": "select distinct on (order_id) *, created_at as at, _loaded_at as landed,"
        " count(*) over (partition by order_id, status) as copies,"
        " nullif(max(status) over (partition by order_id), status) as other from raw.orders order by order_id, _loaded_at",
        "web_events": "select distinct on (event_name, event_id) *, occurred_at as at, _loaded_at as landed,"
        " count(*) over (partition by event_name, event_id) as copies from raw.web_events"
        " order by event_name, event_id, _loaded_at",
        "consents": "select * from raw.consents",
    }[of]
    query = f"select count(*), avg(coalesce({what}, false)::int)::float from ({first}) as first"
    rows, found = db.execute(text(query)).one()
    chance = 5 * math.sqrt(share / rows)  # five standard deviations
    assert found == pytest.approx(share, rel=0.15, abs=chance)
    assert chance < share, "too few rows to tell"


def test_channels_and_pixels(db: Connection) -> None:
    channels = dict(db.execute(text("select channel, count(distinct order_id) from raw.orders group by 1")).all())
    assert channels.keys() == {"web", "app", "store", "phone"}
    with_pixel = one(
        db,
        "select count(distinct order_id) from raw.orders where channel = 'web' and order_id in"
        " (select properties ->> 'order_id' from raw.web_events where event_name = 'purchase')",
    )
    assert 0.8 < with_pixel / channels["web"] < 0.9
    before = one(
        db,
        "select avg((pixel.landed < orders.landed)::int) from"
        " (select order_id, min(_loaded_at) as landed from raw.orders group by 1) as orders inner join"
        " (select properties ->> 'order_id' as order_id, min(_loaded_at) as landed from raw.web_events"
        "  where event_name = 'purchase' group by 1) as pixel using (order_id)",
    )
    assert before > 0.95


def test_money(db: Connection) -> None:
    assert not one(db, "select count(*) from raw.orders where total is null or currency is null or total <= 0")
    assert not one(db, "select count(*) from raw.orders where upper(currency) = 'JPY' and total <> round(total)")
    assert not one(db, "select count(*) from raw.orders where total <> round(total, 3)")
    assert not one(db, "select count(*) from raw.leads where (value is null) <> (currency is null)")
    assert not one(
        db,
        "select count(*) from raw.web_events where (properties ->> 'value' is null) <> (properties ->> 'currency' is null)",
    )
    rest = db.execute(
        text(
            "select total, sum(amount), bool_and(refunds.currency = upper(orders.currency)"
            " and refunds.created_at > orders.created_at)"
            " from raw.refunds inner join (select distinct order_id, total, currency, created_at from raw.orders) as orders"
            " using (order_id) group by order_id, total"
        )
    ).all()
    assert all(given <= total and right for total, given, right in rest)
    assert {given == total for total, given, _ in rest} == {True, False}
    goods = db.execute(
        text(
            "select total - shipping, sum(quantity * unit_price) from (select distinct order_id, total, shipping from raw.orders)"
            " as orders inner join raw.order_items using (order_id) group by order_id, total, shipping"
        )
    ).all()
    assert all(Decimal(paid) == worth for paid, worth in goods)


def test_leads_go_through_their_stages(db: Connection) -> None:
    paths = set(
        db.execute(text("select string_agg(stage, ' ' order by _loaded_at) from raw.leads group by lead_id")).scalars()
    )
    assert {"new", "new lost", "new qualified converted", "new qualified lost"} <= paths
    assert all(path.startswith("new") for path in paths)


def test_clicks_and_cookies(db: Connection) -> None:
    pages = list(db.execute(text("select page_url from raw.web_events where event_name = 'page_view'")).scalars())
    for parameter in PARAMETERS:
        assert any(f"&{parameter}=" in page for page in pages), parameter
    assert 0.5 < sum(any(f"&{p}=" in page for p in PARAMETERS) for page in pages) / len(pages) < 0.65
    names = set(db.execute(text("select distinct json_object_keys(cookies) from raw.web_events")).scalars())
    assert {"_fbp", "_fbc", "_ttp", "_ga", "_ga_ABC123", "_gcl_aw", "_uetmsclkid"} <= names


def test_nothing_leads_to_anyone_real(db: Connection) -> None:
    networks = [ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")]
    for address in db.execute(text("select distinct ip_address from raw.web_events")).scalars():
        assert any(ipaddress.ip_address(address) in network for network in networks), address
    for email in db.execute(text("select email from raw.customers where email like '%@%.%'")).scalars():
        local, _, domain = email.strip().lower().rpartition("@")
        assert domain in {"example.com", "example.org", "example.net", "gmail.com", "googlemail.com"}
        assert "shopper" in local


def test_truth_fits_the_rows(db: Connection) -> None:
    """Ids of `people` are in the rows, attributed clicks before the conversion, knowable ones in an address or a lead."""
    assert not one(
        db,
        "select count(*) from truth.people where id_type = 'order_id' and id_value not in"
        " (select order_id from raw.orders)",
    )
    assert not one(
        db,
        "select count(*) from truth.people where id_type = 'email' and id_value not in (select email from raw.orders where"
        " email <> '' union all select email from raw.customers where email <> '' union all select email from raw.leads where"
        " email <> '' union all select properties ->> 'email' from raw.web_events where properties ->> 'email' <> '' union all"
        " select subject_id from raw.consents union all select email from raw.erasures where email <> '')",
    )
    assert not one(
        db,
        "select count(*) from (select from truth.people group by 1, 2, 3 having count(*) > 1) as twice".replace(
            "1, 2, 3", "person, id_type, id_value"
        ),
    )
    assert not one(
        db,
        "select count(*) from (select from truth.people where id_type = 'order_id' group by id_value having count(*) > 1) as x",
    )
    assert not one(
        db,
        "select count(*) from truth.attribution where conversion_type = 'order' and clicked_at >"
        " (select max(created_at) from raw.orders where order_id = conversion_id)",
    )
    assert not one(
        db,
        "select count(*) from truth.attribution where knowable and conversion_type = 'order' and not exists ("
        "select from raw.web_events where page_url like '%' || parameter || '=' || click_value || '%'"
        " and occurred_at = clicked_at)",
    )
    knowable = dict(db.execute(text("select knowable, count(*) from truth.attribution group by 1")).all())
    assert 0.55 < knowable[True] / (knowable[True] + knowable[False]) < 0.9
