"""What a conversion costs, stage by stage, beside others that do the same: `python benchmarks/throughput.py`.

Each stage of each size runs in a fresh process (stages.py, peers.py) on the same rows of the same PostgreSQL; the platform is a
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
PINS = HERE / "peers.txt"
COMPARED = ("facebook-business", "drt-core")
OURS = ("extract", "hash_meta", "hash_all", "meta", "step", "encode", "ledger", "deliver")
PEERS = ("facebook", "drt_batch", "drt_same", "drt_rows")
WRITING = ("ledger", "deliver")  # each writes an empty ledger of its own
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
        embedded.postgres(
            Path(folder) / "pg", ("warehouse", *(f"{stage}_{rows}" for stage in WRITING for rows in numbers))
        ) as sockets,
        _sink() as sink,
        Progress(*columns) as bar,
    ):
        warehouse = embedded.url(sockets, "warehouse")
        task = bar.add_task("", total=len(jobs))
        shares: dict[str, float] = {}
        for stage, rows in jobs:
            ledger = embedded.url(sockets, f"{stage if stage in WRITING else WRITING[0]}_{rows}")
            if not any(done == rows for _, done in results):
                bar.update(task, description=f"{rows:,} rows: their table")
                shares = data.fill(warehouse, rows, hour)
            if stage in WRITING:
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
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "capi_pipeline"
    folder = cache / f"benchmark-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        command = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), "-r", str(PINS)]
        subprocess.run(command, check=True)
        (folder / "ready").touch()
    return str(python)


def _libpq(url: str) -> str:
    parsed = make_url(url)
    return f"host={parsed.query['host']} port={parsed.query['port']} user={parsed.username} dbname={parsed.database}"


# --- the page ---------------------------------------------------------------------------------------------------------

STEPS = (
    ("step", "extract and transform"),
    ("deliver", "deliver to Meta"),
)  # together: an hour's work for one destination
ROAD = {  # (stage, part): what it is
    ("extract", "extract"): "extract: read and check the contract",
    ("hash_meta", "hash meta"): "normalise + hash, Meta's recipes",
    ("hash_all", "hash all"): "normalise + hash, all platforms' recipes",
    ("encode", "encode google_data_manager"): "encode, Google Data Manager",
    ("encode", "encode meta"): "encode, Meta",
    ("encode", "encode microsoft_offline"): "encode, Microsoft",
    ("encode", "encode outbrain"): "encode, Outbrain",
    ("encode", "encode tiktok"): "encode, TikTok",
    ("ledger", "ledger: look up"): "ledger: look up",
    ("ledger", "ledger: claim, settle"): "ledger: claim + settle",
    STEPS[0]: "**whole step: extract, transform, store encrypted**",
    STEPS[1]: "**whole step: deliver to Meta**",
}
SENT = {
    "drt_batch": "`drt-core`, 1,000 rows a request, as they are",
    "drt_same": "`drt-core`, 1,000 rows a request, hashed, with its ledger",
    "drt_rows": "`drt-core`, a request per row (its default)",
}
FLOOR = ("floor: SHA-256", "floor: JSON", "floor: POST")


def report(results: Results, sizes: list[int], shares: dict[str, float]) -> str:
    """The page's section; what was not measured (--only) is left out."""
    road = [
        f"| {words} | {' | '.join(_cell(results, stage, part, rows) for rows in sizes)} | {_last(results, stage, part)} |"
        for (stage, part), words in ROAD.items()
        if any(stage == done for done, _ in results)
    ]
    head = " | ".join(f"{rows:,}" for rows in sizes)
    packages = ", ".join(
        line.replace("==", " ") for line in PINS.read_text("utf-8").splitlines() if line.startswith(COMPARED)
    )
    return "\n".join(
        [
            f"{machine()}; {packages}. Of the conversions {shares['with_phone']:.0%} have a phone number; "
            f"{shares['emails']:.0%} of the e-mail addresses and {shares['phones']:.0%} of the phone numbers are distinct.",
            "",
            "Microseconds per conversion: CPU of the process (on the clock), by conversions in the hour.",
            "",
            f"| stage | {head} | a second | peak MB |",
            f"|---|{'---:|' * (len(sizes) + 2)}",
            *road,
            "",
            *(_comparisons(results, sizes) if not {"meta", "facebook"} - {stage for stage, _ in results} else ()),
            *(_aims(results, sizes) if not {*OURS, *PEERS} - {stage for stage, _ in results} else ()),
        ]
    ).rstrip()


def _comparisons(results: Results, sizes: list[int]) -> list[str]:
    rows = sizes[-1]
    meta, facebook = results["meta", rows].parts, results["facebook", rows].parts["facebook-business"]
    ours, floor = meta["normalise, hash, encode"], _sum(*(meta[part] for part in FLOOR))
    lines = [
        f"At {rows:,} conversions, next to ours (above 1: ours is faster):",
        "",
        "| compared | ours, µs | theirs, µs | ratio |",
        "|---|---:|---:|---:|",
        _versus("normalise + hash + encode for Meta, CPU: `facebook-business`", ours.cpu / rows, facebook.cpu / rows),
        _versus("the same, CPU: the floor, SHA-256 + JSON + POST", ours.cpu / rows, floor.cpu / rows),
        *(_versus(f"of which {part.removeprefix('floor: ')}", None, meta[part].cpu / rows) for part in FLOOR),
    ]
    for peer, words in SENT.items():
        if (found := _largest(results, peer, sizes)) and ("deliver", found) in results:
            whole, (theirs,) = _whole(results, found), results[peer, found].parts.values()
            at = "" if found == rows else f", at {found:,}"
            lines.append(_versus(f"full delivery on the clock{at}: {words}", whole.wall / found, theirs.wall / found))
            lines.append(_versus("the same, CPU", whole.cpu / found, theirs.cpu / found))
    return [*lines, ""]


def _versus(words: str, ours: float | None, theirs: float) -> str:
    mine, ratio = ("", "") if ours is None else (f"{ours * 1e6:.1f}", f"{theirs / ours:.2f}")
    return f"| {words} | {mine} | {theirs * 1e6:.1f} | {ratio} |"


def _aims(results: Results, sizes: list[int]) -> list[str]:
    least, rows = sizes[0], sizes[-1]
    meta, facebook = results["meta", rows].parts, results["facebook", rows].parts["facebook-business"]
    ours, floor = meta["normalise, hash, encode"], _sum(*(meta[part] for part in FLOOR))
    first, last = _whole(results, least), _whole(results, rows)
    growth = {"on the clock": last.wall / rows * least / first.wall - 1, "CPU": last.cpu / rows * least / first.cpu - 1}
    settled = results["ledger", rows].parts["ledger: claim, settle"].wall / rows * 1e6
    peak = max(results[stage, rows].peak for stage, _ in STEPS) / 1e6
    drt = {peer: _times(results, peer, sizes) for peer in SENT}
    aims = [
        ("normalise + hash + encode for Meta: 5 times `facebook-business`, per core",
         f"{facebook.cpu / ours.cpu:.2f} times", facebook.cpu >= 5 * ours.cpu),
        ("the same within 2 times the floor", f"{ours.cpu / floor.cpu:.1f} times", ours.cpu <= 2 * floor.cpu),
        ("full delivery: 5 times `drt-core`, however it is set up",
         ", ".join(f"{ratio:.2f}" for ratio in drt.values()) + " times", min(drt.values()) >= 5),
        (f"cost per conversion flat within 15% from {least:,} to {rows:,}",
         ", ".join(f"{share:+.0%} {what}" for what, share in growth.items()), max(map(abs, growth.values())) <= 0.15),
        (f"peak memory of a step at {rows:,}: under 600 MB", f"{peak:,.0f} MB", peak < 600),
        ("1,000,000 ledger rows claimed and settled: under 30 s",
         f"{settled:.0f} s" + ("" if rows == 1_000_000 else f" (from {rows:,})"), settled < 30),
    ]  # fmt: skip
    return [
        "| aim | measured | |",
        "|---|---:|---|",
        *(f"| {aim} | {found} | {'met' if met else '**not met**'} |" for aim, found, met in aims),
    ]


def _times(results: Results, peer: str, sizes: list[int]) -> float:
    found = _largest(results, peer, sizes)
    (theirs,) = results[peer, found].parts.values()
    return theirs.wall / _whole(results, found).wall


def _largest(results: Results, stage: str, sizes: list[int]) -> int:
    return max((rows for rows in sizes if (stage, rows) in results), default=0)


def _whole(results: Results, rows: int) -> Cost:
    """Both steps of an hour, one after the other."""
    return _sum(*(results[stage, rows].parts[part] for stage, part in STEPS))


def _sum(*costs: Cost) -> Cost:
    return Cost(sum(cost.wall for cost in costs), sum(cost.cpu for cost in costs), costs[0].rows)


def _cell(results: Results, stage: str, part: str, rows: int) -> str:
    cost = results[stage, rows].parts[part]
    return f"{cost.cpu / rows * 1e6:.1f} ({cost.wall / rows * 1e6:.1f})"


def _last(results: Results, stage: str, part: str) -> str:
    result = results[stage, max(rows for done, rows in results if done == stage)]
    cost = result.parts[part]
    return f"{cost.rows / cost.wall:,.0f} | {result.peak / 1e6:,.0f}"


if __name__ == "__main__":
    typer.run(main)
