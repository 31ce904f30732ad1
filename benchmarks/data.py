"""The conversions that every contender gets: a table that keeps the contract, made inside PostgreSQL by one statement.

Nine of ten conversions are of a person of their own, the tenth of one of these. Everybody has granted consent and has an e-mail
address, nine of ten have a phone number, so that every contender sends every row. One click id each, of five platforms in turn.
"""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import create_engine, text

from capi_pipeline.conversions.contract import COLUMNS, Kind

_TYPES = {Kind.OBJECT: "jsonb", Kind.ARRAY: "jsonb"}
_FIRST = (
    "Anna Marie Léa Sofía Jürgen Karl-Heinz Chloé Mia Noah Emma Liam Olivia Lucas Élodie Søren Zoë Björn Inès Hugo Mila"
)
_LAST = (
    "Müller Schmidt O'Connor García Dubois Janssen de-Vries Smith Johnson Nguyen Weiß Lefèvre Rossi Novák Kowalski "
    "Andersson Martin Bernard Fischer Brown"
)
_PLACES = (  # country, region, city, postal code (#: five digits), phone (#: six digits)
    ("DE", "Bayern", "München", "#", "+49 151 23#"),
    ("DE", "Berlin", "Berlin", "#", "+49 (170) 4#"),
    ("FR", "Île-de-France", "Paris", "#", "+33 6 12 #"),
    ("GB", "England", "Milton Keynes", "MK#", "+44 7911 #"),
    ("NL", "Noord-Holland", "'s-Gravenhage", "# AB", "+31 6 12#"),
    ("US", "California", "San Francisco", "#", "+1 415 2#"),
    ("US", "TX", "Fort Worth", "#-1234", "+1 (817) 3#"),
    ("IT", "Lazio", "Roma", "#", "+39 347 1#"),
)
_PRODUCTS = (
    ("Linen shirt", "Shirts", "Nordlicht", 39.9),
    ("Trail running shoe", "Shoes", "Strider", 119.0),
    ("Ceramic mug", "Kitchen", "Töpferei", 14.5),
    ("Wool blanket", "Home", "Highland", 89.0),
    ("Rain jacket", "Jackets", "Regen & Co", 149.95),
    ("Coffee grinder", "Kitchen", "Molino", 64.0),
)
_CLICKS = ("fbclid", "gclid", "ttclid", "msclkid", "obclid")

_VALUES = {  # column: its value, of the row number `i`, the person's number and what `_DRAWN` draws
    "event_id": "md5(:rows || ' event ' || i)",  # no two tables share one: a ledger would know it
    "event_name": "name",
    "event_time": "hour + i % 3600 * interval '1 second' - interval '1 hour'",
    "recorded_at": "hour + i % 3600 * interval '1 second'",
    "action_source": "'website'",
    "source_url": "'https://shop.example/checkout/thanks?order=' || i",
    "referrer_url": "'https://www.shop.example/cart'",
    "transaction_id": "case when name = 'purchase' then 'A-' || 1000000 + i end",
    "value": "case when name <> 'sign_up' then (500 + i * 37 % 40000) / 100.0 end",
    "currency": "case when name <> 'sign_up' then 'EUR' end",
    "contents": "case when name in ('purchase', 'add_to_cart') then jsonb_build_array(item(p, i), item(q, i / 3)) end",
    "customer_type": "case when i % 3 = 0 then 'returning' else 'new' end",
    "user_id": "'customer-' || person",
    "anonymous_id": "'anon-' || md5('device ' || person)",
    "emails": "jsonb_build_array(translate(first, 'éíøëöüèÉ-', 'eioeoueE') || '.' || person "
    "|| (array['@Example.com', '@mail.example'])[1 + person % 2])",
    "phones": "case when person % 10 < 8 then jsonb_build_array(replace(place ->> 4, '#', "
    "lpad((person % 1000000)::text, 6, '0'))) end",
    "first_name": "first",
    "last_name": "last",
    "gender": "(array['female', 'male'])[1 + person % 2]",
    "date_of_birth": "date '1950-01-01' + person % 20000",
    "street_address": "person % 200 || ' Long Street'",
    "city": "place ->> 2",
    "region": "place ->> 1",
    "postal_code": "replace(place ->> 3, '#', lpad((person % 90000 + 10000)::text, 5, '0'))",
    "country": "place ->> 0",
    "ip_address": "concat_ws('.', 11 + person % 180, person / 180 % 256, person / 46080 % 256, 7)",
    "user_agent": "'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1' || 20 + i % 20 "
    "|| '.0.' || i % 90 || '.0 Safari/537.36'",
    "click_ids": "jsonb_build_object(click, jsonb_build_object('value', 'IwAR' || md5('c' || i) || md5('d' || i), "
    "'clicked_at', hour - interval '2 hours'))",
    "browser_ids": "jsonb_build_object('fbp', 'fb.1.1760000000000.' || 1000000000 + person, 'ttp', md5('t' || person), "
    "'ga_client_id', person || '.1760000000')",
    "consent_ad_storage": "'granted'",
    "consent_ad_user_data": "'granted'",
    "consent_ad_personalization": "'granted'",
    "opt_out_of_sale": "false",
}  # fmt: skip
_DRAWN = """
    select i, person, cast(:hour as timestamptz) as hour,
        case when i % 20 < 14 then 'purchase' when i % 20 < 17 then 'generate_lead' when i % 20 < 19 then 'add_to_cart'
            else 'sign_up' end as name,
        firsts ->> person % jsonb_array_length(firsts) as first, lasts ->> person / 7 % jsonb_array_length(lasts) as last,
        places -> person % jsonb_array_length(places) as place, clicks ->> i % jsonb_array_length(clicks) as click,
        products -> i % jsonb_array_length(products) as p, products -> i / 5 % jsonb_array_length(products) as q
    from (select i, case when i % 10 = 9 then i - 5 else i end as person from generate_series(1, :rows) as i) as numbered,
        (select cast(:firsts as jsonb) as firsts, cast(:lasts as jsonb) as lasts, cast(:places as jsonb) as places,
            cast(:clicks as jsonb) as clicks, cast(:products as jsonb) as products) as words
"""
_ITEM = """
create or replace function item(product jsonb, number int) returns jsonb immutable language sql return jsonb_build_object(
    'id', 'sku-' || number % 5000, 'name', product -> 0, 'category', product -> 1, 'brand', product -> 2,
    'price', product -> 3, 'quantity', 1 + number % 2)
"""


def table(rows: int) -> str:
    return f"marts.conversions_{rows}"


def fill(url: str, rows: int, hour: datetime) -> dict[str, float]:
    """Make the table of so many rows, all landed in `hour`; returns the shares of distinct values, and of rows with a phone."""
    fields = ", ".join(f"{column.name} {_TYPES.get(column.kind, column.kind.value)}" for column in COLUMNS)
    words = {
        "firsts": _FIRST.split(),
        "lasts": _LAST.split(),
        "places": _PLACES,
        "clicks": _CLICKS,
        "products": _PRODUCTS,
    }
    values = {"rows": rows, "hour": hour, **{key: json.dumps(value) for key, value in words.items()}}
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(_ITEM))
        connection.execute(text("create schema if not exists marts"))
        connection.execute(text(f"create unlogged table {table(rows)} ({fields})"))
        insert = f"insert into {table(rows)} ({', '.join(_VALUES)}) select {', '.join(_VALUES.values())} from ({_DRAWN}) as drawn"
        connection.execute(text(insert), values)
        connection.execute(text(f"create index on {table(rows)} (recorded_at)"))
        connection.execute(text(f"vacuum analyze {table(rows)}"))
        connection.execute(text("checkpoint"))
        shares = connection.execute(
            text(
                f"""select count(distinct emails)::float / count(*) as emails, count(phones)::float / count(*) as with_phone,
                    count(distinct phones)::float / count(phones) as phones from {table(rows)}"""
            )
        )
        found = dict(shares.mappings().one())
    engine.dispose()
    return found
