"""What each delivery writes into the warehouse for analysts: counts by outcome, and measures. Never an identifier or an event id.

Two tables in the schema `delivery_log` (dbt_project/models/delivery builds on them). They are the ledger's shadow: an hour
that is delivered or settled again replaces its rows, and nothing depends on them, so that a warehouse that cannot be written
costs a warning and no delivery.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Connection, DateTime, Double, MetaData, Table, Text, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from capi_pipeline.delivery.queries import Lags
from capi_pipeline.delivery.report import Report
from capi_pipeline.errors import DeliveryError, address, first_line
from capi_pipeline.platforms.outcomes import State
from capi_pipeline.warehouse import Warehouse

SCHEMA = "delivery_log"
_metadata = MetaData(schema=SCHEMA)


def _table(name: str, *columns: Column[Any]) -> Table:
    key = (Column("destination", Text), Column("platform", Text), Column("hour", DateTime(timezone=True)))
    return Table(name, _metadata, *key, *columns, Column("written_at", DateTime(timezone=True)))


outcomes = _table(
    "outcomes",
    Column("state", Text),
    Column("reason", Text),
    Column("code", Text),
    Column("in_ledger", Boolean),  # else it was never the destination's business, and only the delivery knows of it
    Column("events", BigInteger),
)
measures = _table("measures", Column("measure", Text), Column("identifier", Text), Column("value", Double))

Row = dict[str, Any]
Count = tuple[State, str | None, str | None, int]  # state, reason, platform's code, events


class DeliveryLog:
    """The log in one warehouse. Every method raises DeliveryError where the warehouse does not let it."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def write(self, destination: str, platform: str, hour: datetime, counts: Iterable[Count], report: Report) -> None:
        """Replace what is known of one hour. `counts`: what the ledger says of it."""
        skipped = [
            {"state": State.WITHHELD.value, "reason": reason, "code": None, "in_ledger": False, "events": events}
            for reason, events in report.skipped.items()
        ]
        self._replace(destination, platform, hour, [*_outcomes(counts), *skipped], measured(report))

    def settle(self, destination: str, platform: str, hour: datetime, counts: Iterable[Count]) -> None:
        """Replace what the ledger says of one hour, after a verdict or a person's decision."""
        self._replace(destination, platform, hour, _outcomes(counts), None)

    def _replace(
        self, destination: str, platform: str, hour: datetime, rows: Sequence[Row], numbers: Sequence[Row] | None
    ) -> None:
        key = {"destination": destination, "platform": platform, "hour": hour, "written_at": datetime.now(UTC)}
        try:
            with self.warehouse.engine.begin() as connection:
                _make(connection)
                for table, found in ((outcomes, rows), (measures, numbers)):
                    if found is None:
                        continue
                    old = table.delete().where(table.c.destination == destination, table.c.hour == hour)
                    if numbers is None:
                        old = old.where(outcomes.c.in_ledger)
                    connection.execute(old)
                    if found:
                        connection.execute(table.insert(), [{**key, **row} for row in found])
        except SQLAlchemyError as error:
            raise self._unwritable(error) from None

    def read(self, since: datetime, until: datetime) -> tuple[list[Row], list[Row]]:
        """Rows of both tables for the hours [since, until); none where nothing was ever written."""
        try:
            with self.warehouse.engine.connect() as connection:
                if not inspect(connection).has_table("measures", SCHEMA):
                    return [], []
                found = []
                for table in (outcomes, measures):
                    rows = connection.execute(table.select().where(table.c.hour >= since, table.c.hour < until))
                    found.append([dict(row) for row in rows.mappings()])
                return found[0], found[1]
        except SQLAlchemyError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: Exception) -> DeliveryError:
        return DeliveryError(
            f"The delivery log in the warehouse ({address(self.warehouse.url)}, schema {SCHEMA}) cannot be used: "
            f"{first_line(error)}",
            f"Give the user of CAPI_WAREHOUSE_URL the right to make and write the schema {SCHEMA}, or set CAPI_DELIVERY_LOG=off.",
        )


def _make(connection: Connection) -> None:
    """The tables, if they are not there. Under a lock: of two that make a schema at once, PostgreSQL lets one fail."""
    if connection.dialect.name == "postgresql":
        if connection.execute(text(f"select to_regclass('{SCHEMA}.measures')")).scalar():
            return
        connection.execute(text(f"select pg_advisory_xact_lock(hashtext('capi_pipeline.{SCHEMA}'))"))
    connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
    _metadata.create_all(connection)


def _outcomes(counts: Iterable[Count]) -> list[Row]:
    merged: dict[tuple[str, str | None, str | None], int] = {}
    for state, reason, code, events in counts:
        name = State.RETRY if state is State.SENDING else state
        key = (name.value, reason if name in (State.WITHHELD, State.HELD) else None, code)
        merged[key] = merged.get(key, 0) + events
    return [
        {"state": state, "reason": reason, "code": code, "in_ledger": True, "events": events}
        for (state, reason, code), events in merged.items()
    ]


def measured(report: Report) -> list[Row]:
    """What a report says of match quality and of lags (seconds), as rows of the table `measures`."""
    found: dict[str, float | None] = {}
    rows: list[Row] = []
    if report.quality:
        quality = report.quality
        found |= {
            "judged": float(quality.events), "score_before": quality.score(before=True), "score": quality.score(),
            "click_id_share": quality.with_click_id, "two_strong_share": quality.with_two_strong, "fresh_share": quality.fresh,
        }  # fmt: skip
        for one in quality.coverage() if quality.events else ():
            values = {"covered_before": one.before, "covered": one.after, "gain": one.gain}
            rows += [{"measure": name, "identifier": one.signal.name, "value": v} for name, v in values.items()]
        if quality.events:
            found |= {f"score_{step}": float(events) for step, events in enumerate(quality.histogram())}
    if report.lags:
        found |= percentiles(report.lags)
    return rows + [{"measure": n, "identifier": None, "value": v} for n, v in found.items() if v is not None]


def percentiles(lags: Lags) -> dict[str, float]:
    """`landing_p50`, …: seconds."""
    return {
        f"{name}_p{share}": getattr(lags, name)[place]
        for name in ("landing", "delivery", "total")
        for place, share in enumerate((50, 95))
    }
