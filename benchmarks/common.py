"""What the benchmarks share: a section of the page, one stage measured in a process of its own. Standard library only, for the
peers run in an environment without this package."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

PAGE = Path(__file__).with_name("README.md")


def put(section: str, text: str, path: Path = PAGE) -> None:
    """Put `text` between the markers of `section` in benchmarks/README.md, or another page."""
    begin, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    page = path.read_text("utf-8")
    path.write_text(f"{page[: page.index(begin) + len(begin)]}\n{text}\n{page[page.index(end) :]}", "utf-8")


def machine() -> str:
    return f"Python {platform.python_version()}, {os.cpu_count()} cores"


# --- one stage, in a process of its own -----------------------------------------------------------------------------


@dataclass
class Cost:
    """Seconds on the clock, and of this process on all processors, for so many conversions."""

    wall: float = 0.0
    cpu: float = 0.0
    rows: int = 0

    @contextmanager
    def of(self, rows: int = 0) -> Iterator[None]:
        """Add the time of this block, and the rows that it worked on."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall
        self.rows += rows


@dataclass
class Result:
    """What a stage's process prints: its parts, the peak of its resident memory (bytes), and what it has to say."""

    parts: dict[str, Cost] = field(default_factory=dict)
    peak: int = 0
    facts: dict[str, float] = field(default_factory=dict)
    profile: list[str] = field(default_factory=list)

    def part(self, name: str) -> Cost:
        return self.parts.setdefault(name, Cost())

    def show(self) -> None:
        """The last line of this process, read by `measured`."""
        self.peak = _peak()
        print(json.dumps(asdict(self)))


def measured(command: list[str], environment: dict[str, str] | None = None, cwd: Path | None = None) -> Result:
    """Run a stage in a fresh process. Ends the benchmark with its words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})}, cwd=cwd)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Result({name: Cost(**cost) for name, cost in found.pop("parts").items()}, **found)


def _peak() -> int:
    """The kernel's own high-water mark of this process. getrusage() would start with the parent's, which fork copies."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("benchmarks: /proc/self/status has no VmHWM (Linux only)")


# --- where the time goes --------------------------------------------------------------------------------------------


@contextmanager
def sampled(out: list[str], every: float = 0.005, top: int = 16) -> Iterator[None]:
    """Stack samples of all threads but this sampler's; `out` gets the functions by their own share. What is written in C
    counts for the line that calls it, and so does waiting for it."""
    counts: Counter[str] = Counter()
    done = threading.Event()
    watched = threading.get_ident()

    def sample() -> None:
        here = threading.get_ident()
        while not done.wait(every):
            for thread, frame in sys._current_frames().items():
                if thread != here:
                    file = "/".join(Path(frame.f_code.co_filename).parts[-2:])
                    who = "main" if thread == watched else "other"
                    counts[f"{who} {file}:{frame.f_lineno} {frame.f_code.co_name}"] += 1

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield
    finally:
        done.set()
        sampler.join()
    for who in ("main", "other"):
        mine = {key: number for key, number in counts.items() if key.startswith(who)}
        total = sum(mine.values())
        functions: Counter[str] = Counter()
        lines: dict[str, Counter[str]] = {}
        for key, number in mine.items():
            _, place, name = key.split(" ", 2)
            file, _, line = place.rpartition(":")
            functions[f"{file} {name}"] += number
            lines.setdefault(f"{file} {name}", Counter())[line] += number
        for name, number in functions.most_common(top):
            busiest = ", ".join(f"{line}: {n / total:.0%}" for line, n in lines[name].most_common(3))
            out.append(f"{who:5} {number / total:6.1%}  {name} (lines {busiest})")
