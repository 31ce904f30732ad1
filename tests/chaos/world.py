"""The real parts around a schedule, each a process that can be killed: PostgreSQL, the platforms' sandbox, workers, `capi`."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import requests
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from capi_pipeline import embedded
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.sandbox import server
from tests.chaos import worker
from tests.chaos.schedule import Posted

LONGEST: Final = 90.0  # seconds that one worker may take; a longer one hangs, and that is a violation
DISK: Final = 256 * 1024  # bytes of the small disk that gets full
TEMPLATE: Final = "ledger"

forks = multiprocessing.get_context("forkserver")  # workers start in milliseconds, from a process without threads
forks.set_forkserver_preload(
    [
        "tests.chaos.worker",
        *(
            "adbc_driver_postgresql.dbapi",
            "pandas",
            "psycopg2.extras",
            "upath.implementations.local",
        ),  # loaded when needed
        *("pytest", "rich.progress", "tests.chaos.running"),  # by the parent's main module, which a worker loads, too
    ]
)


class Database:
    """One embedded PostgreSQL, used by many schedules one after the other; each gets a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Database:
        self.start()
        Ledger.open(self.url(TEMPLATE)).engine.dispose()  # migrated once, then copied
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start it, also after a kill."""
        self.sockets = self._stack.enter_context(embedded.postgres(self.folder, (TEMPLATE, "dagster")))

    def url(self, name: str) -> str:
        return embedded.url(self.sockets, name)

    def pid(self) -> int:
        return int((self.folder / f"data{embedded.MAJOR}" / "postmaster.pid").read_text().split("\n", 1)[0])

    def kill(self) -> None:
        os.kill(self.pid(), signal.SIGKILL)

    def kill_backend(self, name: str) -> None:
        """Kill the process of one session of a database; the server then ends all sessions and recovers by itself."""
        with suppress(OperationalError):
            found = self.query(
                "select pid from pg_stat_activity where datname = :name and pid <> pg_backend_pid() limit 1", name=name
            )
            if found:
                os.kill(found[0][0], signal.SIGKILL)

    def ready(self) -> None:
        """Wait until it lets sessions in again."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self.query("select 1")
                return
            except OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def query(self, statement: str, database: str = "postgres", **values: Any) -> list[Any]:
        engine = create_engine(self.url(database), poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            result = connection.execute(text(statement), values)
            return list(result) if result.returns_rows else []

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Name of a new database with an empty ledger."""
        self.ready()
        name = f"chaos_{uuid.uuid4().hex[:12]}"
        self.query(f"create database {name} template {TEMPLATE}")
        try:
            yield name
        finally:
            self.ready()
            self.query(f"drop database if exists {name} with (force)")


class Platforms:
    """The sandbox as a process; what it has taken survives its death, its faults do not. Counts the faults that struck."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "sandbox.db"
        self._log = (folder / "sandbox.log").open("ab")  # a request that its client did not live to end leaves words
        self.port = server.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.struck: Counter[str] = Counter()
        self._labels: dict[int, str] = {}
        self._left: list[tuple[str, Posted]] = []  # faults that had not run out when the process was killed
        self._http = requests.Session()
        self._http.trust_env = False
        self._stack = ExitStack()

    def __enter__(self) -> Platforms:
        self._stack.enter_context(server.running(self.database, self.port, self._log))
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._stack.close()
        self._log.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, f"{self.url}/_sandbox/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def post(self, label: str, fault: Posted) -> None:
        self._labels[self.call("POST", "faults", fault)["id"]] = label

    def clear(self) -> None:
        self._count()
        self.call("DELETE", "faults")

    def _count(self) -> list[tuple[str, Posted]]:
        """Add up what struck; the faults that have not run out, but for poison (an event that was refused may be taken in
        the moment before it is posted again, and no platform takes an event and refuses it later)."""
        left = []
        for fault in self.call("GET", "faults"):
            label = self._labels.pop(fault.pop("id"), "")
            self.struck[label] += fault.pop("struck")
            if fault["times"] and not fault["match"]:
                left.append((label, fault))
        return left

    def kill(self) -> None:
        self._left = self._count()
        os.kill(self.call("GET", "health")["pid"], signal.SIGKILL)

    def start(self) -> None:
        """Start it again after a kill."""
        self._http.close()
        self._stack.close()
        self._stack.enter_context(server.running(self.database, self.port, self._log))
        for label, fault in self._left:
            self.post(label, fault)

    def settings(self, **changes: object) -> None:
        self.call("POST", "settings", changes)

    def stored(self) -> list[dict[str, Any]]:
        """Every event that the platforms have recorded."""
        return list(self.call("GET", "events?limit=100000"))

    def requests(self) -> int:
        with closing(sqlite3.connect(self.database)) as connection:
            return int(connection.execute("select count(*) from requests").fetchone()[0])


class Disk:
    """A folder that can be made full: a small mounted disk where this process may mount one (root), else a limit on the
    size of the worker's files (RLIMIT_FSIZE)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "chaos", str(folder)]
        self.full = False
        self.mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0

    def fill(self) -> int | None:
        """Make it full; the largest file that a worker may write, where that has to stand in for it."""
        self.full = True
        if not self.mounted:
            return 1024
        with (self.folder / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"\0" * 4096):
                pass
        return None

    def empty(self) -> None:
        self.full = False
        (self.folder / "ballast").unlink(missing_ok=True)

    def __enter__(self) -> Disk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def start(job: worker.Job) -> BaseProcess:
    """A worker at its job."""
    process = forks.Process(target=worker.work, args=(job,))
    process.start()
    return process


def command(environment: dict[str, str], log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """`capi` as a person or a scheduler starts it, in a process group of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CAPI_", "DAGSTER_"))}
    with log.open("ab") as words:
        return subprocess.Popen(
            [sys.executable, "-m", "capi_pipeline.cli", *arguments],
            env=clean | environment, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True,
        )  # fmt: skip


def wait(alive: Callable[[], bool], seconds: float) -> bool:
    """Until it is no longer alive, at most so long; whether it ended."""
    deadline = time.monotonic() + seconds
    while alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
