"""Writing the shop's rows: COPY in chunks, and the rows still to land."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from capi_pipeline.demo.indexes import INDEXES
from capi_pipeline.demo.rows import RAW, TRUTH, Cell, Landed, definition, stamp

_NULL = "\x00"  # no text of the warehouse can hold it

_STATE = """
create table raw._shop (
    seed bigint not null, rate double precision not null, people bigint not null, history_days integer not null,
    history_start timestamptz not null, window_start timestamptz not null, window_end timestamptz not null, rows jsonb not null
);
create table raw._later (
    at double precision not null, table_name text not null, conversion boolean not null, cells json not null
);
"""


def find_people(cursor: Any) -> None:
    """The temporary table of the ids that this transaction writes, repeatedly."""
    cursor.execute("create temp table found (like truth.people) on commit drop")


def create(cursor: Any) -> None:
    """Empty schemas `raw` and `truth` with their tables."""
    cursor.execute("drop schema if exists raw cascade; drop schema if exists truth cascade")
    cursor.execute("create schema raw; create schema truth")
    for schema, tables in (("raw", RAW), ("truth", TRUTH)):
        for table, columns in tables.items():
            cursor.execute(definition(f"{schema}.{table}", columns))
    cursor.execute(_STATE)


def index(cursor: Any) -> None:
    for table, indexes in INDEXES.items():
        for name, on in indexes.items():
            cursor.execute(f"create index capi_{table}_by_{name} on raw.{table} {on}")
    cursor.execute("create index on truth._clicks (person); create index on truth._clicks (landed_at)")
    cursor.execute("create index on truth._clicks (anonymous_id)")
    cursor.execute("create index on truth.people (person, id_type, id_value)")


def analyze(cursor: Any) -> None:
    for schema, tables in (("raw", RAW), ("truth", TRUTH)):
        for table in tables:
            cursor.execute(f"analyze {schema}.{table}")


def copy(cursor: Any, table: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """COPY the rows into a table; None is null. No cell holds a tab or a line break, so only backslashes need an escape."""
    lines = ["\t".join([_NULL if cell is None else cell for cell in row]) for row in rows]
    if lines:
        text = "\n".join(lines).replace("\\", "\\\\").replace(_NULL, r"\N")
        cursor.copy_expert(f"copy {table} ({', '.join(columns)}) from stdin", io.StringIO(text))


def copy_landed(cursor: Any, landed: Iterable[Landed]) -> dict[str, int]:
    """COPY rows of raw tables and the truth that lands with them; returns how many went into each raw table."""
    tables: dict[str, list[tuple[Cell, ...]]] = {}
    for row in landed:
        cells = (*row.cells, stamp(row.at)) if row.table in RAW else row.cells
        tables.setdefault(row.table, []).append(cells)
    copy(cursor, "found", TRUTH["people"], set(tables.pop("people", ())))
    for table in ("_conversions", "_links"):
        copy(cursor, f"truth.{table}", TRUTH[table], tables.pop(table, ()))
    for table, rows in tables.items():
        copy(cursor, f"raw.{table}", (*RAW[table], "_loaded_at"), rows)
    return {table: len(rows) for table, rows in tables.items()}


def add_people(cursor: Any) -> None:
    """Move the ids that are not known yet from the temporary table `found`."""
    cursor.execute("analyze found")
    cursor.execute(
        "insert into truth.people select distinct person, id_type, id_value from found where not exists ("
        "select from truth.people as known where (known.person, known.id_type, known.id_value)"
        " = (found.person, found.id_type, found.id_value)) order by 1, 2, 3"
    )


def store_later(cursor: Any, rows: Iterable[Landed]) -> None:
    cells = [(repr(r.at), r.table, "t" if r.conversion else "f", json.dumps(r.cells)) for r in rows]
    copy(cursor, "raw._later", ("at", "table_name", "conversion", "cells"), cells)


def take_later(cursor: Any) -> list[Landed]:
    """The rows that were to land after the last hour; they are the caller's now."""
    cursor.execute("delete from raw._later returning at, table_name, cells, conversion")
    return [Landed(at, table, tuple(cells), conversion) for at, table, cells, conversion in cursor.fetchall()]
