"""dbt, run by its own command: the project's manifest, and one build of some hours.

Not through dagster-dbt: importing that takes each of a run's processes a second, and each of its invocations asks
`dbt --version` first (two seconds, and a request to PyPI) and sets up an adapter of its own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import make_url

from capi_pipeline.errors import ConfigurationError, without_values

STOP_SECONDS = 20.0
_LAST_WORDS = 600  # characters


@dataclass(frozen=True)
class Build:
    """What `dbt build` says it did. `results`: dbt's run_results.json, empty when it could not even begin."""

    ok: bool
    words: str
    results: list[dict[str, Any]] = field(default_factory=list)

    def why(self) -> str:
        """The models and tests that failed, with the database's words; empty when there is none to name."""
        bad = [result for result in self.results if result["status"] in ("error", "fail")]
        return "\n".join(f"{r['unique_id'].split('.', 2)[-1]}: {one_line(r['message'] or '', 300)}" for r in bad[:5])


def environment(url: str) -> dict[str, str]:
    """The variables by which dbt's profile finds the warehouse at a SQLAlchemy URL."""
    parts = make_url(url)
    query = {key: value if isinstance(value, str) else value[0] for key, value in parts.query.items()}
    return {
        "CAPI_DBT_HOST": parts.host or query.get("host", "localhost"),
        "CAPI_DBT_PORT": str(parts.port or query.get("port", 5432)),
        "CAPI_DBT_USER": parts.username or "",
        "CAPI_DBT_PASSWORD": str(parts.password or ""),
        "CAPI_DBT_DATABASE": parts.database or "",
    }


def manifest(project: Path) -> dict[str, Any]:
    """The project's manifest, parsed again when a file of the project is newer. Needs no database."""
    target = project / "target"
    path = target / "manifest.json"
    target.mkdir(exist_ok=True)
    with (target / ".parse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes may load the code location at once
        made = path.stat().st_mtime if path.exists() else 0.0
        if any(file.stat().st_mtime > made for file in _sources(project)):
            with tempfile.TemporaryDirectory(prefix="capi-dbt-") as scratch:
                names = ("CAPI_DBT_HOST", "CAPI_DBT_PORT", "CAPI_DBT_USER", "CAPI_DBT_PASSWORD", "CAPI_DBT_DATABASE")
                done = subprocess.run(
                    [*_dbt(project, Path(scratch), "parse"), "--quiet"],
                    env={**dict.fromkeys(names, "0"), **os.environ},
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    raise ConfigurationError(
                        f"The dbt project {project} does not parse:\n{done.stdout[-2000:]}{done.stderr[-500:]}".rstrip(),
                        "Correct the file that dbt names.",
                    )
                shutil.copy(Path(scratch) / "manifest.json", target / "manifest.draft")
            (target / "manifest.draft").rename(path)
        found: dict[str, Any] = orjson.loads(path.read_bytes())
        return found


def build(project: Path, variables: Mapping[str, str], select: Sequence[str] = ()) -> Build:
    """Build the project, or what `select` names (dbt's own words), with its tests. dbt's lines go to standard output.
    Interrupted, it lets dbt cancel its queries first."""
    with tempfile.TemporaryDirectory(prefix="capi-dbt-") as scratch:  # dbt would keep a folder per run for ever
        target, kept = Path(scratch), project / "target" / "partial_parse.msgpack"
        if kept.exists():
            shutil.copy(kept, target / kept.name)
        command = [*_dbt(project, target, "build"), "--exclude-resource-type", "unit_test", "--log-level-file", "none"]
        if select:
            command += ["--select", *select, "--indirect-selection", "empty"]
        lines = []
        with _running(command, variables) as process:
            for line in process.stdout or ():
                lines.append(without_values(line))  # the database quotes values of rows
                sys.stdout.write(lines[-1])
        _keep_parsed(target, kept)
        results = target / "run_results.json"
        told = orjson.loads(results.read_bytes())["results"] if results.exists() else []
        for result in told:
            result["message"] = result["message"] and without_values(result["message"])
        return Build(process.returncode == 0, one_line("".join(lines[-20:]), -_LAST_WORDS), told)


@contextmanager
def _running(command: list[str], variables: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """dbt as a process of its own, which is over when this block is."""
    environment = {**os.environ, **variables, "PYTHONUNBUFFERED": "1", "DBT_USE_COLORS": "false"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
            process.wait()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_SECONDS)
                process.kill()


def executable() -> str:
    """The dbt of this very environment, whether or not it is activated."""
    beside = Path(sys.executable).with_name("dbt")
    return str(beside) if beside.exists() else "dbt"


def one_line(words: str, most: int) -> str:
    """The first `most` characters of some words without line breaks, or (negative) the last."""
    text = " ".join(words.split())
    return text[:most] if most >= 0 else text[most:]


def _dbt(project: Path, target: Path, command: str) -> list[str]:
    return [
        executable(), command, "--project-dir", str(project), "--profiles-dir", str(project),
        "--target-path", str(target), "--log-path", str(target), "--no-send-anonymous-usage-stats",
    ]  # fmt: skip


def _sources(project: Path) -> Iterator[Path]:
    yield from project.glob("*.yml")
    for folder in ("models", "macros", "tests", "seeds", "snapshots"):
        yield from (project / folder).rglob("*.*")


def _keep_parsed(target: Path, kept: Path) -> None:
    """Put what this run parsed where the next run takes it from: parsing is most of a short run."""
    parsed = target / kept.name
    if parsed.exists():
        draft = kept.with_name(f"{kept.name}.{os.getpid()}")
        shutil.copy(parsed, draft)
        draft.replace(kept)
