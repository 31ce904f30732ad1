"""What a conversion costs, stage by stage, beside others that do the same: `python benchmarks/throughput.py`.

Each stage of each size runs in a fresh process (stages.py, peers.py) on the same rows of a PostgreSQL of its own; the platforms are a
loopback server that does nothing (sink.py). The others live in an environment of their own, made once from peers.txt.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import data
import typer
from common import Cost, Result, machine, measured, put
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import make_url

from capi_pipeline import embedded
from capi_pipeline.delivery.ledger import Ledger

HERE = Path(__file__).parent
OURS = ("extract", "hash", "meta", "step", "encode", "ledger", "deliver")
PEERS = ("facebook", "drt_batch", "drt_same", "drt_rows")
ONE_BY_ONE = 100_000  # rows at most where each is a request
Results = dict[tuple[str, int], Result]


def main(sizes: str = "10000,100000,1000000", write: bool = False, profile: bool = False, only: str = "") -> None:
    """Print the tables; with --write, put them into benchmarks/README.md. --profile: where the time goes, by samples."""
    numbers = sorted(int(size) for size in sizes.split(","))
    jobs = [
        (stage, rows)
        for rows in numbers
        for stage in (*OURS, *PEERS)
        if (not only or stage in only.split(",")) and (stage != "drt_rows" or rows <= max(ONE_BY_ONE, numbers[0]))
    ]
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    peers = _peers() if any(stage in PEERS for stage, _ in jobs) else ""
    results: Results = {}
    columns = (TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="capi-bench-") as folder,
        embedded.postgres(Path(folder) / "pg", ("warehouse", *(f"ledger_{rows}" for rows in numbers))) as sockets,
        _sink() as sink,
        Progress(*columns) as bar,
    ):
        warehouse = embedded.url(sockets, "warehouse")
        task = bar.add_task("", total=len(jobs))
        shares: dict[str, float] = {}
        for stage, rows in jobs:
            ledger = embedded.url(sockets, f"ledger_{rows}")
            if not any(done == rows for _, done in results):
                bar.update(task, description=f"{rows:,} rows: their table")
                shares = data.fill(warehouse, rows, hour)
                Ledger.open(ledger).engine.dispose()
            bar.update(task, description=f"{rows:,} rows: {stage}")
            python, script = (peers, "peers.py") if stage in PEERS else (sys.executable, "stages.py")
            environment = {
                "CAPI_HOME": f"{folder}/{rows}", "CAPI_WAREHOUSE_URL": warehouse, "CAPI_LEDGER_URL": ledger,
                "CAPI_BENCH_LIBPQ": _libpq(warehouse), "CAPI_BENCH_PROFILE": "yes" if profile else "",
            }  # fmt: skip
            results[stage, rows] = measured(
                [python, str(HERE / script), stage, str(rows), hour.isoformat(), str(sink)], environment
            )
            bar.advance(task)
    if profile:
        for (stage, rows), result in results.items():
            print(f"\n{stage}, {rows:,} rows")
            print("\n".join(result.profile))
    page = report(results, numbers, shares)
    print(page)
    if write:
        put("throughput", page)


@contextmanager
def _sink() -> Iterator[int]:
    server = subprocess.Popen(
        [sys.executable, str(HERE / "sink.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        yield int(server.stdout.readline())
    finally:
        assert server.stdin
        server.stdin.close()
        server.wait(10)


def _peers() -> str:
    """The Python of the environment with the others, made where there is none yet for these versions."""
    pins = HERE / "peers.txt"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "capi_pipeline"
    folder = cache / f"benchmark-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        command = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), "-r", str(pins)]
        subprocess.run(command, check=True)
        (folder / "ready").touch()
    return str(python)


def _libpq(url: str) -> str:
    parsed = make_url(url)
    return f"host={parsed.query['host']} port={parsed.query['port']} user={parsed.username} dbname={parsed.database}"


# --- the page ---------------------------------------------------------------------------------------------------------


def report(results: Results, sizes: list[int], shares: dict[str, float]) -> str:
    parts = list(dict.fromkeys((stage, part) for (stage, _), result in results.items() for part in result.parts))
    head = " | ".join(f"{rows:,}" for rows in sizes)
    lines = [
        f"{machine()}. CPU microseconds of the process per conversion (in brackets: on the clock), by conversions in the hour.",
        "",
        f"| | {head} | a second | peak memory |",
        f"|---|{'---:|' * (len(sizes) + 2)}",
    ]
    for stage, part in parts:
        found = [results[stage, rows] for rows in sizes if (stage, rows) in results]
        cells = [_cell(results, stage, part, rows) for rows in sizes]
        last = found[-1].parts[part]
        lines.append(f"| {part} | {' | '.join(cells)} | {last.rows / last.wall:,.0f} | {found[-1].peak / 1e6:,.0f} MB |")
    return "\n".join([*lines, "", str(shares)])


def _cell(results: Results, stage: str, part: str, rows: int) -> str:
    if (stage, rows) not in results:
        return ""
    cost = results[stage, rows].parts[part]
    return f"{_micros(cost.cpu, cost):.1f} ({_micros(cost.wall, cost):.1f})"


def _micros(seconds: float, cost: Cost) -> float:
    return seconds / cost.rows * 1e6


if __name__ == "__main__":
    typer.run(main)
