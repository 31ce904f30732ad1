"""The delivery log in a real warehouse: replaced hour by hour, made by whoever comes first, and the same for dbt."""

from __future__ import annotations

import re
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from capi_pipeline.delivery.report import Report
from capi_pipeline.delivery_log import SCHEMA, DeliveryLog, _metadata
from capi_pipeline.errors import DeliveryError
from capi_pipeline.platforms.outcomes import State
from capi_pipeline.warehouse import Warehouse

HOUR = datetime(2026, 10, 1, 14, tzinfo=UTC)
LATER = HOUR + timedelta(hours=1)


def log(url: str) -> DeliveryLog:
    return DeliveryLog(Warehouse(url, "marts.conversions"))


def states(url: str, hour: datetime = HOUR) -> list[tuple[str, str, str | None, str | None, int]]:
    outcomes, _ = log(url).read(hour, hour + timedelta(hours=1))
    return sorted(
        (row["destination"], row["state"], row["reason"], row["code"], row["events"]) for row in outcomes
    )  # fmt: skip


def test_an_hour_that_is_written_again_is_there_once(warehouse_url: str) -> None:
    assert log(warehouse_url).read(HOUR, LATER) == ([], [])
    counts = [
        (State.ACCEPTED, None, None, 3),
        (State.WITHHELD, "consent_denied", None, 2),
        (State.REJECTED, None, "100", 1),
    ]
    report = Report(skipped=Counter(not_selected=4))
    for _ in range(2):
        log(warehouse_url).write("meta", "meta", HOUR, counts, report)
    log(warehouse_url).write("tiktok", "tiktok", HOUR, counts[:1], Report())
    log(warehouse_url).write("meta", "meta", LATER, counts[:1], Report())
    assert states(warehouse_url) == [
        ("meta", "accepted", None, None, 3), ("meta", "rejected", None, "100", 1),
        ("meta", "withheld", "consent_denied", None, 2), ("meta", "withheld", "not_selected", None, 4),
        ("tiktok", "accepted", None, None, 3),
    ]  # fmt: skip


def test_a_later_verdict_replaces_what_the_ledger_said_and_nothing_else(warehouse_url: str) -> None:
    first = [(State.PENDING, None, None, 3), (State.SENDING, None, None, 1), (State.RETRY, None, None, 1)]
    log(warehouse_url).write("google", "google_ads", HOUR, first, Report(skipped=Counter(filtered=2)))
    assert ("google", "retry", None, None, 2) in states(warehouse_url)  # what a crash left behind is left to send
    log(warehouse_url).settle("google", "google_ads", HOUR, [(State.ACCEPTED, None, None, 5)])
    assert states(warehouse_url) == [("google", "accepted", None, None, 5), ("google", "withheld", "filtered", None, 2)]


def test_destinations_that_begin_at_once_make_the_tables_once(warehouse_url: str) -> None:
    failures: list[Exception] = []

    def write(name: str) -> None:
        try:
            log(warehouse_url).write(name, "meta", HOUR, [(State.ACCEPTED, None, None, 1)], Report())
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(f"d{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(states(warehouse_url)) == 6


def test_a_warehouse_that_may_not_be_written_is_named_with_the_remedy(warehouse_url: str) -> None:
    engine = create_engine(warehouse_url)
    with engine.begin() as connection:
        connection.execute(
            text(f"create view public.x as select 1; create schema {SCHEMA}; create view {SCHEMA}.measures as select 1")
        )
    engine.dispose()
    with pytest.raises(DeliveryError, match="CAPI_DELIVERY_LOG"):
        log(warehouse_url).write("meta", "meta", HOUR, [(State.ACCEPTED, None, None, 1)], Report())


def test_dbt_makes_the_same_tables() -> None:
    macro = (Path(__file__).parents[1] / "dbt_project" / "macros" / "delivery.sql").read_text()
    key = dict.fromkeys(re.findall(r"'(\w+)': (?:'text'|type_time\(\))", re.search(r"set key = \{(.*?)\}", macro)[1]))  # type: ignore[index]
    for table in _metadata.tables.values():
        (rest,) = re.findall(rf"'{table.name}': dict\(key, (.*?)\),\n", macro)
        assert [*key, *re.findall(r"(\w+)=", rest)] == [column.name for column in table.columns]
