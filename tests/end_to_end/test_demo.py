"""The demo, once and again; no raw identifier anywhere it leaves something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from capi_pipeline import embedded
from tests.end_to_end.conftest import Installation

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(600)]


def test_demo_delivers_everything_once_and_survives_the_failed_hour(demo: tuple[Installation, Any]) -> None:
    _, report = demo
    rows = {row["destination"]: row for row in report["destinations"]}
    assert set(rows) == {"meta", "google", "tiktok", "microsoft", "outbrain"}
    for name, row in rows.items():
        assert row["accepted"] > 0, name
        assert row["left"] == row["held"] == row["duplicates"] == 0, row
    assert rows["tiktok"]["retried"] > 0  # the hour in which it was down


def test_second_demo_sends_nothing_again(demo: tuple[Installation, Any]) -> None:
    there, first = demo
    again = there.json("demo", "--conversions", "600")
    assert again["sent_now"] == 0
    for before, after in zip(first["destinations"], again["destinations"], strict=True):
        assert {k: v for k, v in before.items() if k != "seconds"} == {k: v for k, v in after.items() if k != "seconds"}


def test_every_hour_reconciles_with_the_warehouse(demo: tuple[Installation, Any]) -> None:
    """rows of the mart = ledger + what a destination's document leaves out, for each hour and destination."""
    there, _ = demo
    from capi_pipeline.destinations import load

    with embedded.postgres(there.home / "postgres") as sockets:
        warehouse = create_engine(embedded.url(sockets, "warehouse"))
        ledger = create_engine(embedded.url(sockets, "ledger"))
        with warehouse.connect() as connection:
            mart = list(
                connection.execute(
                    text(
                        "select event_name, date_trunc('hour', recorded_at), count(*) from marts.conversions group by 1, 2"
                    )
                )
            )
        with ledger.connect() as connection:
            query = "select destination, hour, count(*) from capi.deliveries group by 1, 2"
            known = {(name, hour): count for name, hour, count in connection.execute(text(query))}
        for engine in (warehouse, ledger):
            engine.dispose()
    hours = {hour for _, hour in known}
    for config in load(there.destinations):
        for hour in hours:
            want = sum(count for event, when, count in mart if when == hour and event in (config.events or ()))
            assert known.get((config.name, hour), 0) == want, (config.name, hour)


def test_no_raw_identifier_rests_outside_the_warehouse(demo: tuple[Installation, Any]) -> None:
    """Every demo e-mail, phone and name against the bytes on disk and every row of ledger and Dagster's storage."""
    there, _ = demo
    with embedded.postgres(there.home / "postgres") as sockets:
        needles = _identifiers(embedded.url(sockets, "warehouse"))
        assert len(needles) > 300
        haystacks = {database: _everything(embedded.url(sockets, database)) for database in ("ledger", "dagster")}
    for path in there.home.rglob("*"):
        if path.is_file() and (there.home / "postgres") not in path.parents:
            haystacks[str(path.relative_to(there.home))] = path.read_bytes().decode("utf-8", "replace").lower()
    assert any(name.endswith(".parquet") for name in haystacks)
    assert any(name.endswith("sandbox.db") for name in haystacks)
    found = [(needle, place) for place, hay in haystacks.items() for needle in needles if needle in hay]
    assert not found, found[:10]


def _identifiers(url: str) -> set[str]:
    """E-mails, phones (as typed and digits only), and names long enough not to occur by chance, lower case."""
    engine = create_engine(url)
    out: set[str] = set()
    with engine.connect() as connection:
        for table in ("customers", "orders", "leads"):
            for email, phone, first, last in connection.execute(
                text(f"select email, phone, first_name, last_name from raw.{table}")
            ):
                out |= {value.strip().lower() for value in (email, phone) if value and len(value.strip()) >= 8}
                full = f"{(first or '').strip()} {(last or '').strip()}".lower()
                if len(full) >= 10 and " " in full.strip():
                    out.add(full)
                digits = "".join(c for c in phone or "" if c.isdigit())
                if len(digits) >= 9:
                    out.add(digits)
    engine.dispose()
    return {needle for needle in out if not _is_digest(needle)}


def _is_digest(value: str) -> bool:
    return len(value) == 64 and all(c in "0123456789abcdef" for c in value)


def _everything(url: str) -> str:
    """All rows of all tables of a database as lower-case text."""
    engine = create_engine(url)
    parts: list[str] = []
    with engine.connect() as connection:
        for schema in inspect(engine).get_schema_names():
            if schema in ("information_schema",) or schema.startswith("pg_"):
                continue
            for name in inspect(engine).get_table_names(schema):
                parts += [row[0] for row in connection.execute(text(f'select t::text from "{schema}"."{name}" t'))]
    engine.dispose()
    return "\n".join(parts).lower()


def test_staging_is_encrypted(demo: tuple[Installation, Any]) -> None:
    there, _ = demo
    files = list(Path(there.home).rglob("*.parquet"))
    assert len(files) == 24
    for path in files:
        assert b"event_id" not in path.read_bytes()
