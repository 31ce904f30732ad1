"""What stitching costs as a company grows: `python benchmarks/identity.py --write`.

A warehouse of people who each have a customer number, an address, a phone and a device, and orders that connect some of them
with a second device; stitched from nothing, and then for one more hour (3,000 orders, a tenth of them of new people).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import typer
from common import machine, put
from sqlalchemy import NullPool, create_engine

from capi_pipeline import embedded
from capi_pipeline.defs import models
from capi_pipeline.demo import load
from capi_pipeline.settings import DBT_PROJECT

MODELS = ("identity_links", "identity_area", "identity_ids", "identity_merges", "identity_spellings")
HOUR = 3000  # orders
ROWS = """
insert into raw.customers (customer_id, email, phone, first_name, last_name, country, created_at, updated_at, _loaded_at)
select 'c' || i, 'person' || i || '@example.com', '+1' || (2000000000 + i), 'Ada', 'Name' || i, 'US', at, at, at
from (select i, timestamptz '2026-01-01' + i * interval '1 second' as at from generate_series({first}, {last}) as i) as people;
insert into raw.orders (order_id, customer_id, anonymous_id, channel, status, email, phone, first_name, last_name, country, total,
    currency, created_at, _loaded_at)
select 'o' || i, case when i % 2 = 0 then 'c' || i end, 'd' || i || '-' || i % 3 / 2, 'web', 'paid',
    'person' || i || '@example.com',
    '+1' || (2000000000 + i), 'Ada', 'Name' || i, 'US', 10, 'USD', at, at
from (select i, timestamptz '2026-01-01' + i * interval '1 second' as at from generate_series({first}, {last}) as i) as people;
"""
LATE = """
insert into raw.orders (order_id, customer_id, anonymous_id, channel, status, email, first_name, last_name, country, total,
    currency, created_at, _loaded_at)
select 'late' || n, case when n % 2 = 0 then 'c' || i end, 'new' || n, 'web', 'paid', 'person' || i || '@example.com', 'Ada',
    'Name' || i, 'US', 10, 'USD', at, at
from (
    select
        n,
        case when n % 10 = 0 then {people} + n else n * 7919 % {people} end as i,
        timestamptz '2027-01-01' + n * interval '1 second' as at
    from generate_series(1, {hour}) as n
) as late
"""


def main(sizes: str = "100000,1000000", write: bool = False) -> None:
    """Print the table; with --write, put it into benchmarks/README.md. Sizes are identifiers."""
    lines = [
        f"{machine()}. Seconds of dbt's run of the five models, and of each; an hour is {HOUR:,} orders.",
        "",
        "| identifiers | from nothing, s | µs each | one hour more, s | "
        + " | ".join(f"{name}, s" for name in MODELS)
        + " |",
        "|---:" * (4 + len(MODELS)) + "|",
    ]
    for size in map(int, sizes.split(",")):
        with (
            tempfile.TemporaryDirectory(prefix="capi-bench-") as folder,
            embedded.postgres(Path(folder) / "pg", ("warehouse",)) as sockets,
        ):
            url = embedded.url(sockets, "warehouse")
            people = size // 4
            _tables(url)
            _run(url, ROWS.format(first=1, last=people), "analyze")
            _dbt(url, folder, "run-operation", "index_raw_tables")
            whole, _ = _dbt(url, folder, "run", "--select", "+identity_merges", "+identity_spellings")
            _run(url, LATE.format(people=people, hour=HOUR), "analyze")
            hour = {"CAPI_DBT_START": "2027-01-01T00:00:00Z", "CAPI_DBT_END": "2027-01-01T01:00:00Z"}
            again, parts = _dbt(url, folder, "run", "--select", *MODELS, environment=hour)
        cells = " | ".join(f"{parts[name]:.2f}" for name in MODELS)
        lines.append(f"| {size:,} | {whole:.1f} | {whole / size * 1e6:.0f} | **{again:.1f}** | {cells} |")
        print(lines[-1], flush=True)
    page = "\n".join(lines)
    print(page)
    if write:
        put("identity", page)


def _tables(url: str) -> None:
    connection = create_engine(url, poolclass=NullPool).raw_connection()
    load.create(connection.cursor())
    connection.commit()
    connection.close()


def _run(url: str, *statements: str) -> None:
    options = {"no_parameters": True}  # a percent sign is one
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", execution_options=options)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _dbt(
    url: str, folder: str, *arguments: str, environment: dict[str, str] | None = None
) -> tuple[float, dict[str, float]]:
    """Seconds of dbt's work (without its own start), and of each model."""
    target = Path(folder) / "target"
    variables = {**os.environ, **models.environment(url), **(environment or {}), "DBT_TARGET_PATH": str(target)}
    variables |= {"DBT_LOG_PATH": folder, "DBT_PROFILES_DIR": str(DBT_PROJECT), "DBT_PROJECT_DIR": str(DBT_PROJECT)}
    begun = time.monotonic()
    done = subprocess.run([models.dbt_executable(), *arguments], env=variables, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-3000:])
    if arguments[0] != "run":
        return time.monotonic() - begun, {}
    results = json.loads((target / "run_results.json").read_text("utf-8"))
    return results["elapsed_time"], {r["unique_id"].rpartition(".")[2]: r["execution_time"] for r in results["results"]}


if __name__ == "__main__":
    typer.run(main)
