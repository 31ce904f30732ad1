"""How long `capi sync` takes for one hour, and where the time goes: `python benchmarks/sync_hour.py`.

Real parts: the embedded PostgreSQL with the demo shop, dbt, Dagster, the five destinations of the repository on the local
sandbox. PostgreSQL and sandbox run before the clock starts, as they do in operation. Each repetition delivers another hour.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import typer
from common import machine, put

from capi_pipeline import settings, stack
from capi_pipeline.demo import FIVE, shop
from capi_pipeline.sandbox.server import free_port
from capi_pipeline.steps import key_of

PARTS = ("process start, Dagster", "dbt", "extract + transform", "send")


def main(conversions: int = 2000, repetitions: int = 5, write: bool = False) -> None:
    """Print the table; with --write, put it into benchmarks/README.md."""
    with tempfile.TemporaryDirectory(prefix="capi-bench-") as folder:
        os.environ["CAPI_HOME"] = f"{folder}/home"
        os.environ["CAPI_DESTINATIONS"] = _destinations(Path(folder))
        with stack.running(sandbox=True) as chosen:
            world = shop.fill(
                chosen.require("warehouse_url"), conversions=conversions * (repetitions + 1), hours=repetitions + 1
            )
            hours = [world.end - timedelta(hours=n) for n in range(repetitions, 0, -1)]
            os.environ["CAPI_START"] = key_of(world.start)
            _sync(key_of(world.start))  # makes the tables, the keys, the bytecode
            measured = [_sync(key_of(hour)) for hour in hours]
    page = _table(measured)
    print(page)
    if write:
        put("sync_hour", page)


def _destinations(folder: Path) -> str:
    """The documents of five platforms, pointed to a sandbox on a free port."""
    port = str(free_port())
    os.environ["CAPI_SANDBOX_PORT"] = port
    for name in FIVE:
        document, copy = settings.DESTINATIONS / name / "defs.yaml", folder / "destinations" / name / "defs.yaml"
        copy.parent.mkdir(parents=True)
        copy.write_text(document.read_text("utf-8").replace("127.0.0.1:8765", f"127.0.0.1:{port}"), "utf-8")
    return f"{folder}/destinations"


def _sync(hour: str) -> dict[str, float]:
    """Seconds of each part of one `capi sync`, and what it delivered."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "capi_pipeline.cli", "sync", "--hour", hour, "--json"],
        capture_output=True, text=True,
    )  # fmt: skip
    total = time.monotonic() - started
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}")
    document = json.loads(done.stdout)
    steps = {name: seconds for run in document["runs"] for name, seconds in run["steps"].items()}
    out = {"total": total, "dbt": steps["dbt_models"], "extract + transform": steps["extract_and_transform"]}
    out["send"] = sum(seconds for name, seconds in steps.items() if name.startswith("destinations__"))
    out["process start, Dagster"] = total - out["dbt"] - out["extract + transform"] - out["send"]
    out["events"] = sum(row["accepted"] + row["pending"] for row in document["hours"])
    return out


def _table(measured: list[dict[str, float]]) -> str:
    def middle(part: str) -> float:
        return statistics.median(m[part] for m in measured)

    rows = [f"| {part} | {middle(part):.2f} | {middle(part) / middle('total'):.0%} |" for part in PARTS]
    low, high = min(m["total"] for m in measured), max(m["total"] for m in measured)
    return "\n".join(
        [
            f"Median of {len(measured)} hours, {middle('events'):,.0f} events delivered in each; "
            f"total {middle('total'):.1f} s ({low:.1f} to {high:.1f}). {machine()}.",
            "",
            "| part | seconds | share |",
            "|---|---:|---:|",
            *rows,
        ]
    )


if __name__ == "__main__":
    typer.run(main)
