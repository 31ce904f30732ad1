"""What an hour with nothing to send costs beside Dagster's own floor: `python benchmarks/empty_hour.py`.

The floor (floor.py) has as many assets, checks and partitions, and the same pools, executor and PostgreSQL storage; its steps do
nothing. Both run as a process of their own, as `capi up` launches a run (a process per run, a fork per step), and inside one
process, as `capi sync` does. Repetitions alternate, so that a busy machine slows both. CPU seconds are those of every process
of a run, the forkserver and the steps included (Linux only).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import typer
from common import machine, put

from capi_pipeline import stack
from capi_pipeline.defs import models
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.delivery.tables import SCHEMA
from capi_pipeline.demo import FIVE, shop
from capi_pipeline.settings import DBT_PROJECT, DESTINATIONS, Settings
from capi_pipeline.steps import key_of

HERE = Path(__file__).parent
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass
class Cost:
    """Seconds of each repetition: on the clock, and of all processors together."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def main(repetitions: int = 7, write: bool = False) -> None:
    """Print the table; with --write, put it into benchmarks/README.md."""
    if sys.platform == "linux":  # a forkserver outlives its run for a moment: its processes are then counted here
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    with tempfile.TemporaryDirectory(prefix="capi-bench-") as made:
        folder = Path(made)
        project = shutil.copytree(DBT_PROJECT, folder / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
        for name in FIVE:
            shutil.copytree(DESTINATIONS / name, folder / "destinations" / name)
        os.environ |= {"CAPI_HOME": f"{folder}/home", "CAPI_DBT_PROJECT": str(project)}
        os.environ["CAPI_DESTINATIONS"] = f"{folder}/destinations"
        with stack.running() as chosen:
            world = shop.fill(chosen.require("warehouse_url"), conversions=200, hours=2)
            first = world.start - timedelta(days=30)  # before anything happened in the shop
            os.environ |= models.environment(chosen.require("warehouse_url"))
            os.environ |= {"CAPI_START": key_of(first), "CAPI_FLOOR_DESTINATIONS": ",".join(FIVE)}
            os.environ["CAPI_SANDBOX_PORT"] = "1"  # nothing is sent, so none has to run
            ways = _ways(chosen, folder)
            costs = {name: Cost() for name in ways}
            hours = (first + timedelta(hours=n) for n in count())
            for number in range(repetitions + 1):
                for name, command in ways.items():
                    wall, cpu = _measured(command(next(hours)))
                    if number:  # the first one makes the tables, the keys, the bytecode
                        costs[name].wall.append(wall)
                        costs[name].cpu.append(cpu)
            rows = Ledger.open(chosen.require("ledger_url")).query(f"select count(*) from {SCHEMA}.deliveries")
            if rows[0][0]:
                sys.exit(f"These hours were not empty: {rows[0][0]} events in the ledger.")
    page = _table(costs)
    print(page)
    if write:
        put("empty_hour", page)


def _ways(chosen: Settings, folder: Path) -> dict[str, Callable[[datetime], list[str]]]:
    """Name -> the command that runs one hour. `floor`: Dagster with empty steps; `ours`: this package."""
    tools, project = Path(sys.executable).parent, str(chosen.dbt_project)

    def dagster(location: str, job: str, hour: datetime) -> list[str]:
        tags = json.dumps({"dagster/partition": key_of(hour)})
        return [str(tools / "dagster"), "job", "execute", "-m", location, "-d", str(HERE), "-j", job, "--tags", tags]

    def capi(hour: datetime, *more: str) -> list[str]:
        return [sys.executable, "-m", "capi_pipeline.cli", "sync", "--hour", key_of(hour), "--json", *more]

    def build(hour: datetime) -> list[str]:
        os.environ |= {"CAPI_DBT_START": hour.isoformat(), "CAPI_DBT_END": (hour + timedelta(hours=1)).isoformat()}
        return [models.dbt_executable(), "build", "--exclude-resource-type", "unit_test", "--quiet", "--project-dir", project,
                "--profiles-dir", project, "--target-path", f"{folder}/target", "--log-path", f"{folder}/target"]  # fmt: skip

    return {
        "dbt": build,  # first: it makes the table that `deliver` reads
        "floor, a run": lambda hour: dagster("floor", "deliver", hour),
        "deliver, a run": lambda hour: dagster("capi_pipeline.definitions", "deliver", hour),
        "floor, in process": lambda hour: [sys.executable, str(HERE / "floor.py"), key_of(hour)],
        "deliver, in process": lambda hour: capi(hour, "--no-models"),
        "hour, a run": lambda hour: dagster("capi_pipeline.definitions", "hour", hour),
        "hour, in process": capi,
    }


def _measured(command: list[str]) -> tuple[float, float]:
    """Seconds on the clock until it is done, and of all processors until its last process is gone."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    words, _ = process.communicate()
    wall = time.monotonic() - started
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{words}")
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-process.pid, 0)  # whoever is left of its group
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


ROWS = {  # what is compared: the floor's parts, and ours
    "`deliver`, a run of its own": (("floor, a run",), "deliver, a run"),
    "`deliver`, in the process of `capi sync`": (("floor, in process",), "deliver, in process"),
    "`hour` with dbt, a run of its own": (("floor, a run", "dbt"), "hour, a run"),
    "`hour` with dbt, in the process of `capi sync`": (("floor, in process", "dbt"), "hour, in process"),
}


def _table(costs: dict[str, Cost]) -> str:
    rows = []
    for title, (floor, ours) in ROWS.items():
        cells = [title]
        for kind in ("wall", "cpu"):
            least = [sum(seconds) for seconds in zip(*(getattr(costs[part], kind) for part in floor), strict=True)]
            real = getattr(costs[ours], kind)
            ratio = statistics.median(b / a for a, b in zip(least, real, strict=True))
            cells += [f"{statistics.median(least):.2f}", f"{statistics.median(real):.2f}", f"**{ratio:.2f}**"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            f"Medians of {len(costs['dbt'].wall)} hours in turns; a ratio is the median of the turns' ratios. "
            f"{machine()}.",
            "",
            "| what | floor, s | ours, s | ratio | floor, CPU s | ours, CPU s | ratio |",
            "|---|---:|---:|---:|---:|---:|---:|",
            *rows,
        ]
    )


if __name__ == "__main__":
    typer.run(main)
