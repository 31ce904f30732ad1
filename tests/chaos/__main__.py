"""`python -m tests.chaos`: many schedules with a progress bar, or (`--seed`) one again, in words."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from capi_pipeline import embedded
from tests.chaos.page import measured, replaced
from tests.chaos.play import Result
from tests.chaos.reconcile import Verdict
from tests.chaos.running import play_all
from tests.chaos.schedule import schedule


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--schedules", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default: 2)")
    parser.add_argument("--seed", type=int, help="only this one; prints its schedule and what it came to")
    parser.add_argument("--page", type=Path, help="write the tables into this page, between its marks")
    parser.add_argument("--results", type=Path, help="file that keeps one line per schedule")
    parser.add_argument("--resume", action="store_true", help="go on where the file of results ends")
    given = parser.parse_args()
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # ends in order: running schedules are played to their end
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if given.seed is not None:
        return replay(given.seed)
    seeds = range(given.first, given.first + given.schedules)
    results = kept(given.results) if given.resume and given.results else []
    if given.results and not given.resume:
        given.results.parent.mkdir(parents=True, exist_ok=True)
        given.results.write_text("")
    run(seeds, results, given.jobs, given.results)
    results.sort(key=lambda result: result.seed)
    minutes = sum(result.seconds for result in results) / 60 / given.jobs
    text = measured(results, machine(results), minutes)
    print(text)
    if given.page:
        given.page.write_text(replaced(given.page.read_text("utf-8"), text), "utf-8")
    return int(any(result.violations for result in results))


def run(seeds: range, results: list[Result], jobs: int, file: Path | None) -> None:
    """Play what `results` lacks and add it, a line at a time, so that an interruption loses nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn()) as bar:
        done = {result.seed for result in results}
        task = bar.add_task("0 lost, 0 twice", total=len(seeds), completed=len(done & set(seeds)))
        for result in play_all([seed for seed in seeds if seed not in done], jobs):
            results.append(result)
            if file:
                with file.open("a") as out:
                    out.write(json.dumps(plain(result)) + "\n")
            lost, twice = (sum(r.total(what) for r in results) for what in ("lost", "twice"))
            bar.update(task, advance=1, description=f"{lost} lost, {twice} twice")
            for words in result.violations[:5]:
                bar.console.print(f"seed {result.seed}: {words[:1500]}", markup=False)
            if result.violations:
                bar.console.print(f"again: python -m tests.chaos --seed {result.seed}", markup=False)


def replay(seed: int) -> int:
    print("\n".join(schedule(seed).lines()))
    (result,) = play_all([seed], 1)
    print(json.dumps(plain(result), indent=1))
    return int(bool(result.violations))


def plain(result: Result) -> dict[str, Any]:
    return {**vars(result), "verdicts": {name: vars(verdict) for name, verdict in result.verdicts.items()}}


def kept(file: Path) -> list[Result]:
    """Results of an earlier run that was interrupted."""
    return [loaded(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def loaded(line: dict[str, Any]) -> Result:
    verdicts = {name: Verdict(**verdict) for name, verdict in line["verdicts"].items()}
    counters = {name: Counter(line[name]) for name in ("faults", "kills", "happened")}
    return Result(**{**line, **counters, "verdicts": verdicts})


def machine(results: list[Result]) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    small = all(result.small_disk for result in results)
    return (
        f"{datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores with {memory:.0f} GB ({platform.system()}, Python "
        f"{platform.python_version()}, PostgreSQL {embedded.MAJOR}; the full disk was "
        f"{'a small one, mounted for it' if small else 'a limit on the size of files'})"
    )


if __name__ == "__main__":
    sys.exit(main())
