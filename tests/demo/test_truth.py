"""The truth of the demo shop holds what has landed, once, however often the shop trades on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import create_engine, text

from capi_pipeline.demo import shop

UNTIL = datetime(2025, 6, 10, 20, 0, tzinfo=UTC)
TOO_MUCH = {
    "orders of people that have not landed": "select count(*) from truth.people where id_type = 'order_id'"
    " and id_value not in (select order_id from raw.orders)",
    "attributed leads that have not landed": "select count(*) from truth.attribution where conversion_type = 'lead'"
    " and conversion_id not in (select lead_id from raw.leads)",
    "attributed orders that have not landed": "select count(*) from truth.attribution where conversion_type = 'order'"
    " and conversion_id not in (select order_id from raw.orders)",
    "attributed twice": "select count(*) from (select from truth.attribution"
    " group by conversion_type, conversion_id, parameter having count(*) > 1) as twice",
    "refusals as people": "select count(*) from truth.people where id_value in ('n/a', 'a@b', 'not-an-email', '0', '123')",
}


def test_the_truth_waits_for_its_rows_and_comes_once(warehouse_url: str) -> None:
    shop.fill(warehouse_url, conversions=1500, hours=6, until=UNTIL, history_days=1)
    engine = create_engine(warehouse_url)
    with engine.connect() as db:
        assert db.execute(text("select count(*) from raw._later where table_name = '_conversions'")).scalar()
        assert {what: db.execute(text(query)).scalar() for what, query in TOO_MUCH.items()} == dict.fromkeys(
            TOO_MUCH, 0
        )
    shop.extend(warehouse_url, UNTIL + timedelta(hours=2))
    with engine.connect() as db:
        assert {what: db.execute(text(query)).scalar() for what, query in TOO_MUCH.items()} == dict.fromkeys(
            TOO_MUCH, 0
        )
    engine.dispose()
