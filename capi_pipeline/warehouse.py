"""The one place that reads the warehouse: an hour of the conversions table, streamed and checked against the contract."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Set
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson
import pyarrow as pa
from sqlalchemy import URL, Engine, NullPool, create_engine, inspect, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.types import Boolean, Date, DateTime, TypeEngine

from capi_pipeline.conversions.contract import COLUMNS, EVENT_NAMES, SCHEMA, Column, Kind, Window, check
from capi_pipeline.errors import CapiError, ConfigurationError, ContractError, DeliveryError, address, first_line
from capi_pipeline.settings import EXAMPLE_URL

ROWS = 8192  # rows of one batch: small enough to stay in the cache, large enough for vectorised work
EVERY = frozenset(column.name for column in COLUMNS)


class Warehouse:
    """Reads `table` (schema-qualified) of the warehouse at `url` (SQLAlchemy). Connects on first use."""

    def __init__(self, url: str, table: str) -> None:
        if not re.fullmatch(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*){0,2}", table):
            raise ConfigurationError(f"CAPI_CONVERSIONS_TABLE: `{table}` is not a table name.", "Write schema.table.")
        try:
            self.url: URL = make_url(url)
        except (SQLAlchemyError, ValueError):
            raise ConfigurationError(
                "CAPI_WAREHOUSE_URL is not a SQLAlchemy URL.", f"Write e.g. {EXAMPLE_URL}."
            ) from None
        self.table = table

    @cached_property
    def engine(self) -> Engine:
        try:
            # SQLAlchemy logs each row at DEBUG, and these rows are people: this engine's own logger does not.
            logging.getLogger("sqlalchemy.engine.Engine.warehouse").setLevel(logging.WARNING)
            return create_engine(self.url, poolclass=NullPool, logging_name="warehouse")  # a run reads once and leaves
        except (SQLAlchemyError, ModuleNotFoundError) as error:
            raise ConfigurationError(
                f"CAPI_WAREHOUSE_URL: no driver for {self.url.drivername} ({type(error).__name__}: {error}).",
                "Install the SQLAlchemy dialect of your warehouse, or correct the URL.",
            ) from None

    def check_table(self) -> set[str]:
        """The table's columns. Raise ContractError unless it is there and has every column of the contract in its type."""
        schema, _, name = self.table.rpartition(".")
        try:
            inspector = inspect(self.engine)
            exists = inspector.has_table(name, schema or None)
            found = inspector.get_columns(name, schema or None) if exists else []
        except SQLAlchemyError as error:
            raise self._unreadable(error) from None
        if not exists:
            raise ContractError(
                f"The warehouse has no table `{self.table}`.",
                "Build the dbt models (`capi sync`), or set CAPI_CONVERSIONS_TABLE to your own table. Nothing was sent.",
            )
        types = {column["name"].lower(): column["type"] for column in found}
        missing = [column.name for column in COLUMNS if column.name not in types and not column.optional]
        if missing:
            raise ContractError(
                f"The table `{self.table}` lacks the contract's column{'s' * (len(missing) > 1)} {', '.join(missing)}.",
                "Add them to the model (null where you have no value): see docs/contract.md. Nothing was sent.",
            )
        if self._is_postgresql:
            for column in COLUMNS:
                if column.name in types and not _fits(types[column.name], column.kind):
                    raise _wrong_type(column, f"the table has {types[column.name]}")
        return set(types)

    def hour(self, window: Window) -> Iterator[pa.RecordBatch]:
        """Batches of at most ROWS rows of the contract's schema, checked, in a fixed order.

        Raises ContractError (column, row key, rule), DeliveryError (unreachable now) or ConfigurationError.
        """
        present = self.check_table()
        self._unique(window)
        for batch in _sized(self._read(window, present)):
            check(batch, window)
            yield batch

    def identifiers(self, since: datetime) -> Iterator[tuple[Any, ...]]:
        """(event_name, event_id, user_id, emails, phones, country) of each conversion that landed since then, streamed; JSON
        as the driver gives it. Raises as `hour`."""
        self.check_table()
        fields = "event_name, event_id, user_id, emails, phones, country"
        query = text(f"select {fields} from {self.table} where recorded_at >= :start")
        try:
            with self.engine.connect().execution_options(yield_per=ROWS) as connection:
                yield from (tuple(row) for row in connection.execute(query, {"start": since}))
        except SQLAlchemyError as error:
            raise self._unreadable(error) from None

    def event(self, event_id: str) -> tuple[pa.RecordBatch | None, list[dict[str, Any]]]:
        """The conversions of one event id (at most one per event name), and what else the table says of each: `person_id` and
        `lead_id`, where it has them. Raises as `hour` does, but does not hold the rows against the contract."""
        present = self.check_table()
        more = [name for name in ("person_id", "lead_id") if name in present]
        fields = [column.name if column.name in present else "null" for column in COLUMNS] + more
        query = f"""select {", ".join(fields)} from {self.table}
            where event_id = :id and event_name in ({", ".join(f"'{name}'" for name in EVENT_NAMES)}) order by event_name"""
        try:
            with self.engine.connect() as connection:
                rows = [tuple(row) for row in connection.execute(text(query), {"id": event_id})]
        except SQLAlchemyError as error:
            raise self._unreadable(error) from None
        if not rows:
            return None, []
        columns = list(zip(*rows, strict=True))
        batch = _cast([_plain(values, column) for values, column in zip(columns, COLUMNS, strict=False)])
        return batch, [dict(zip(more, row[len(COLUMNS) :], strict=True)) for row in rows]

    def _unique(self, window: Window) -> None:
        """An event name and id stand once in an hour (first rule of exactly-once)."""
        twice = self._query(
            f"""select event_name, event_id, count(*) from {self.table} where {_WITHIN} and event_id is not null
                group by event_name, event_id having count(*) > 1 order by 1, 2""",
            window,
        )
        if twice:
            name, id_, number = twice[0]
            raise ContractError(
                f"Column `event_id` of the conversions table breaks the contract: it is unique with `event_name`. "
                f"First row: event_name={name!r}, event_id={id_!r}, {number} times; {len(twice)} such ids in this hour.",
                "Remove the repetition in the model, rebuild this hour and rerun the partition. Nothing of this hour was sent.",
            )

    def _query(self, sql: str, window: Window) -> list[Any]:
        try:
            with self.engine.connect() as connection:
                return list(connection.execute(text(sql), {"start": window.start, "end": window.end}))
        except SQLAlchemyError as error:
            raise self._unreadable(error) from None

    def _read(self, window: Window, present: Set[str] = EVERY) -> Iterator[pa.RecordBatch]:
        return self._arrow(window, present) if self._is_postgresql else self._rows(window, present)

    @property
    def _is_postgresql(self) -> bool:
        return self.url.get_backend_name() == "postgresql"

    def _arrow(self, window: Window, present: Set[str] = EVERY) -> Iterator[pa.RecordBatch]:
        """PostgreSQL by ADBC: Arrow straight from the wire, without a Python object per value."""
        import adbc_driver_manager
        import adbc_driver_postgresql.dbapi as adbc

        times = {key: getattr(window, key).isoformat() for key in ("start", "end")}
        where = _WITHIN.replace(":start", f"timestamptz '{times['start']}'").replace(
            ":end", f"timestamptz '{times['end']}'"
        )
        fields = ", ".join(_as_arrow(column) if column.name in present else "cast(null as text)" for column in COLUMNS)
        try:
            with adbc.connect(_libpq(self.url)) as connection, connection.cursor() as cursor:
                cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(8 << 20)})
                cursor.execute(f"select {fields} from {self.table} where {where} {_ORDER}")
                for batch in cursor.fetch_record_batch():
                    yield _cast([batch.column(i) for i in range(batch.num_columns)])
        except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
            raise self._unreadable(error, passing=True) from None  # the table was read a moment ago

    def _rows(self, window: Window, present: Set[str] = EVERY) -> Iterator[pa.RecordBatch]:
        """Any other warehouse, by SQLAlchemy's streamed rows."""
        fields = ", ".join(column.name if column.name in present else "null" for column in COLUMNS)
        query = text(f"select {fields} from {self.table} where {_WITHIN} {_ORDER}")
        try:
            with self.engine.connect().execution_options(yield_per=ROWS) as connection:
                rows = connection.execute(query, {"start": window.start, "end": window.end})
                for part in rows.partitions():
                    columns = zip(zip(*part, strict=True), COLUMNS, strict=True)
                    yield _cast([_plain(values, column) for values, column in columns])
        except SQLAlchemyError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception, passing: bool = False) -> CapiError:
        """`passing`: it may work in a minute, so the step is worth repeating."""
        words = first_line(error)
        kind = DeliveryError if passing or isinstance(error, OperationalError | InterfaceError) else ConfigurationError
        return kind(
            f"The warehouse ({address(self.url)}) cannot be read: {words}",
            "Start it, or correct CAPI_WAREHOUSE_URL and its rights. Nothing was sent.",
        )


_WITHIN = "recorded_at >= :start and recorded_at < :end"
_ORDER = "order by event_time, event_name, event_id"


def _as_arrow(column: Column) -> str:
    if column.kind in (Kind.TIME, Kind.FLAG, Kind.DATE):
        return column.name
    return f"cast({column.name} as text) as {column.name}"


def _cast(arrays: list[pa.Array]) -> pa.RecordBatch:
    out = []
    for array, column in zip(arrays, COLUMNS, strict=True):
        if pa.types.is_timestamp(array.type) and (column.kind is not Kind.TIME or array.type.tz is None):
            raise _wrong_type(column, f"the table has {array.type}")
        try:
            out.append(array.cast(SCHEMA.field(column.name).type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise _wrong_type(column, first_line(error)) from None
    return pa.RecordBatch.from_arrays(out, schema=SCHEMA)


def _fits(type_: TypeEngine[Any], kind: Kind) -> bool:
    """Whether a PostgreSQL type is what the contract asks for; the other kinds are read as text and checked by value."""
    if kind is Kind.TIME:
        return isinstance(type_, DateTime) and type_.timezone  # without a zone, nobody knows which hour it is
    wanted: dict[Kind, type[TypeEngine[Any]]] = {Kind.DATE: Date, Kind.FLAG: Boolean}
    return isinstance(type_, wanted.get(kind, TypeEngine))


def _wrong_type(column: Column, found: str) -> ContractError:
    return ContractError(
        f"Column `{column.name}` of the conversions table breaks the contract: it is not {column.kind.value} ({found}).",
        "Correct the model's type: see docs/contract.md. Nothing of this hour was sent.",
    )


def _plain(values: Iterable[Any], column: Column) -> pa.Array:
    """A column of Python values as Arrow; what travels as text becomes text."""
    try:
        if column.kind in (Kind.TIME, Kind.FLAG, Kind.DATE):
            return pa.array(values)
        if column.kind in (Kind.OBJECT, Kind.ARRAY):
            values = [v if v is None or isinstance(v, str) else orjson.dumps(v).decode() for v in values]
        return pa.array([None if v is None else str(v) for v in values], pa.string())
    except (pa.ArrowException, TypeError) as error:  # mixed types, or no JSON
        raise _wrong_type(column, first_line(error)) from None


def _sized(stream: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches of exactly ROWS rows but for the last, so that the same hour always reads the same."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in stream:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= ROWS:
            joined = pa.Table.from_batches(waiting).combine_chunks().to_batches()
            whole = joined[0]
            full = rows - rows % ROWS
            yield from (whole.slice(start, ROWS) for start in range(0, full, ROWS))
            waiting, rows = [whole.slice(full)], rows - full
    if rows:
        yield pa.Table.from_batches(waiting).combine_chunks().to_batches()[0]


def _libpq(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
