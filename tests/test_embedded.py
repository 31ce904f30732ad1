"""The built-in PostgreSQL: shared by processes, and none of the ways in which a process can die leaves it unusable."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest

from capi_pipeline import embedded
from capi_pipeline.errors import ConfigurationError

ROOT = Path(__file__).parents[1]
HOLD = """
import sys, signal
from pathlib import Path
from capi_pipeline import embedded

def end(*_):
    raise SystemExit(0)

signal.signal(signal.SIGTERM, end)
with embedded.postgres(Path(sys.argv[1]), ("warehouse",)) as sockets:
    print(sockets, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster that has been set up and stopped, to copy from."""
    made = tmp_path_factory.mktemp("cluster") / "pg"
    with embedded.postgres(made, ("warehouse",)):
        pass
    return made


@pytest.fixture
def folder(cluster: Path, tmp_path: Path) -> Iterator[Path]:
    there = tmp_path / "pg"
    subprocess.run(["cp", "-a", str(cluster), str(there)], check=True)
    yield there
    with embedded.postgres(there):  # whatever a test left behind, the last one to leave stops it
        pass
    assert not running(there)


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server until its standard input is closed."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def ready(process: subprocess.Popen[str]) -> Path:
    assert process.stdout
    line = process.stdout.readline().strip()
    assert line, "the process did not get the server"
    return Path(line)


def leave(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.close()
    assert process.wait(30) == 0


def postmaster(folder: Path) -> int:
    return int((folder / f"data{embedded.MAJOR}" / "postmaster.pid").read_text().split("\n")[0])


def running(folder: Path) -> bool:
    return answers(folder / f"data{embedded.MAJOR}")


def answers(sockets: Path) -> bool:
    try:
        psycopg2.connect(host=str(sockets), port=embedded.PORT, user=embedded.USER, dbname="postgres").close()
    except psycopg2.OperationalError:
        return False
    return True


def kept(sockets: Path) -> list[int]:
    """Rows of a table that the tests write."""
    connection = psycopg2.connect(host=str(sockets), user=embedded.USER, dbname="warehouse")
    with connection, connection.cursor() as cursor:
        cursor.execute("create table if not exists kept (n int)")
        cursor.execute("select n from kept order by n")
        rows = [n for (n,) in cursor.fetchall()]
        cursor.execute("insert into kept values (%s)", [len(rows)])
    connection.close()
    return rows


def test_the_first_start_makes_the_databases_and_the_last_to_leave_stops_the_server(tmp_path: Path) -> None:
    with embedded.postgres(tmp_path / "pg", ("warehouse", "ledger")) as sockets:
        connection = psycopg2.connect(host=str(sockets), user=embedded.USER, dbname="ledger")
        with connection.cursor() as cursor:
            cursor.execute("select datname from pg_database")
            assert {"warehouse", "ledger"} <= {name for (name,) in cursor.fetchall()}
            cursor.execute("show server_version_num")
            assert int(cursor.fetchone()[0]) // 10000 == embedded.MAJOR  # type: ignore[index]
            cursor.execute("show timezone")
            assert cursor.fetchone() == ("UTC",)
        connection.close()
        assert oct(sockets.stat().st_mode)[-3:] == "700"
    assert not answers(sockets)


def test_a_second_process_joins_and_leaves_without_stopping_it(folder: Path) -> None:
    with embedded.postgres(folder) as sockets:
        pid = postmaster(folder)
        with holder(folder) as other:
            assert ready(other) == sockets
            leave(other)
        assert postmaster(folder) == pid
        assert answers(sockets)
    assert not running(folder)


def test_the_starter_may_leave_first(folder: Path) -> None:
    with holder(folder) as other:
        with embedded.postgres(folder) as sockets:
            ready(other)
        assert answers(sockets)
        leave(other)
    assert not running(folder)


def test_a_killed_owner_leaves_a_server_that_the_next_process_adopts_and_stops(folder: Path) -> None:
    with holder(folder) as owner:
        ready(owner)
        pid = postmaster(folder)
        owner.kill()
        owner.wait()
        assert running(folder)
        with embedded.postgres(folder):
            assert postmaster(folder) == pid
    assert not running(folder)


def test_sigterm_of_the_owner_stops_the_server(folder: Path) -> None:
    with holder(folder) as owner:
        ready(owner)
        owner.terminate()
        assert owner.wait(30) == 0
        assert not running(folder)


def test_a_killed_server_is_started_again_by_the_next_process_and_keeps_its_rows(folder: Path) -> None:
    with embedded.postgres(folder) as sockets:
        assert kept(sockets) == []
        busy = psycopg2.connect(host=str(sockets), user=embedded.USER, dbname="warehouse")
        os.kill(postmaster(folder), signal.SIGKILL)
        with holder(folder) as other:  # at once: the killed server's own processes may still hold its shared memory
            assert ready(other) == sockets
            assert kept(sockets) == [0]
            leave(other)
        busy.close()
    assert not running(folder)


def test_the_pid_file_of_a_killed_server_may_name_a_stranger(folder: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        crash(folder, stranger.pid)
        with embedded.postgres(folder) as sockets:
            assert answers(sockets)
            assert postmaster(folder) != stranger.pid
        assert stranger.poll() is None  # nobody took it for the server and stopped it
    finally:
        stranger.kill()
        stranger.wait()


def test_the_pid_file_of_a_killed_server_may_name_a_zombie(folder: Path) -> None:
    zombie = subprocess.Popen(["true"])
    while Path(f"/proc/{zombie.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        time.sleep(0.01)
    crash(folder, zombie.pid)
    with embedded.postgres(folder) as sockets:
        assert answers(sockets)
    zombie.wait()


def test_a_pid_file_of_a_stranger_without_a_server_is_not_a_server(folder: Path) -> None:
    """On the way out: the pid in the file must not be stopped when no server answers."""
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        with embedded.postgres(folder):
            crash(folder, stranger.pid, started=False)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def crash(folder: Path, pid: int, started: bool = True) -> None:
    """Kill the server in a way that leaves its pid files, then let them name another process."""
    if started:
        with holder(folder) as owner:
            ready(owner)
            os.kill(postmaster(folder), signal.SIGKILL)
    else:
        os.kill(postmaster(folder), signal.SIGKILL)
    for path in (folder / f"data{embedded.MAJOR}").iterdir():
        if path.name in ("postmaster.pid", f".s.PGSQL.{embedded.PORT}.lock"):
            lines = path.read_text().split("\n")
            path.write_text("\n".join([str(pid), *lines[1:]]))


def test_three_processes_race_on_an_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    with holder(folder) as one, holder(folder) as two, holder(folder) as three:
        assert ready(one) == ready(two) == ready(three)
        for process in (two, one, three):
            assert running(folder)
            leave(process)
    assert not running(folder)


def test_a_setup_that_was_killed_half_way_is_done_again(tmp_path: Path) -> None:
    """A cluster without its last files looks whole to PostgreSQL (it has a PG_VERSION) but never starts."""
    folder = tmp_path / "pg"
    with holder(folder) as owner:
        deadline = time.monotonic() + 30
        while not list(folder.glob("*/PG_VERSION")):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        for child in Path(f"/proc/{owner.pid}/task/{owner.pid}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        owner.kill()
        owner.wait()
    with embedded.postgres(folder) as sockets:
        assert kept(sockets) == []


def test_a_server_without_a_free_connection_is_stopped_all_the_same(folder: Path) -> None:
    with embedded.postgres(folder):
        taken = []
        server = embedded._Server(folder)
        with suppress(psycopg2.OperationalError):
            while True:
                taken.append(server._connect())
        assert "too many clients" in str(server.refusal())
    assert not running(folder)
    for connection in taken:
        connection.close()


def test_nothing_listens_on_tcp(folder: Path) -> None:
    with embedded.postgres(folder):
        ours = {str(postmaster(folder)), *descendants(postmaster(folder))}
        sockets = set()
        for pid in ours:
            with suppress(OSError):
                sockets |= {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
        lines = [
            line.split()
            for name in ("tcp", "tcp6", "udp", "udp6")
            if Path(f"/proc/net/{name}").exists()
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        ]
        assert any(link.startswith("socket:") for link in sockets)  # its unix socket: we can see what it holds
        assert not [line for line in lines if f"socket:[{line[9]}]" in sockets]


def descendants(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.parametrize("name", ["long" * 25, "ü" * 40, "a,b"])
def test_a_path_that_no_socket_can_have_works_too(cluster: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "pg"
    folder.parent.mkdir()
    subprocess.run(["cp", "-a", str(cluster), str(folder)], check=True)
    with embedded.postgres(folder) as sockets:
        assert sockets.parent == Path("/tmp")
        assert oct(sockets.stat().st_mode)[-3:] == "700"
        with holder(folder) as other:
            assert ready(other) == sockets
            leave(other)
        assert kept(sockets) == []
        url = embedded.url(sockets, "warehouse")
        assert str(sockets).replace("/", "%2F") in url
    assert not sockets.exists()


def test_a_trap_in_tmp_is_not_walked_into(cluster: Path, tmp_path: Path) -> None:
    """The socket's folder in /tmp has a name that others can foresee; a link there must not be followed (or chowned)."""
    folder = tmp_path / ("long" * 25) / "pg"
    folder.parent.mkdir()
    subprocess.run(["cp", "-a", str(cluster), str(folder)], check=True)
    victim = tmp_path / "victim"
    victim.mkdir()
    before = victim.stat().st_uid
    with embedded.postgres(folder) as sockets:
        pass
    sockets.symlink_to(victim)
    try:
        with pytest.raises(ConfigurationError, match="belongs to another user"), embedded.postgres(folder):
            pass
    finally:
        sockets.unlink()
    assert victim.stat().st_uid == before


def test_a_port_in_the_environment_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with holder(folder) as owner:
        ready(owner)
        monkeypatch.setenv("PGPORT", "6000")
        pid = postmaster(folder)
        with embedded.postgres(folder):
            assert postmaster(folder) == pid
        leave(owner)


def test_a_folder_that_cannot_be_used_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigurationError) as error, embedded.postgres(tmp_path / "file" / "pg"):
        pass
    assert str(tmp_path / "file" / "pg") in error.value.message
    assert "CAPI_HOME" in error.value.remedy


def test_a_broken_cluster_is_reported_with_the_servers_words(folder: Path) -> None:
    broken = folder / f"data{embedded.MAJOR}" / "postgresql.conf"
    whole = broken.read_text()
    broken.write_text("no such setting\n")
    with pytest.raises(ConfigurationError) as error, embedded.postgres(folder):
        pass
    assert "did not start" in error.value.message
    assert "contains errors" in error.value.message
    assert "CAPI_WAREHOUSE_URL" in error.value.remedy
    broken.write_text(whole)


def test_it_runs_as_an_ordinary_user() -> None:
    """Also where root set nothing up: the user owns only a folder."""
    if os.geteuid() != 0:
        pytest.skip("the other tests of this file run as an ordinary user already")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is needed to become an ordinary user")
    user = pwd.getpwnam("daemon")
    step_down = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    if subprocess.run([*step_down, sys.executable, "-c", "import capi_pipeline.embedded"], cwd="/").returncode:
        pytest.skip("this user may not enter the folder of the Python environment")
    with tempfile.TemporaryDirectory(prefix="capi-", dir="/tmp") as home:
        os.chown(home, user.pw_uid, user.pw_gid)
        done = subprocess.run(
            [*step_down, sys.executable, "-c", HOLD, f"{home}/pg"],
            input="", capture_output=True, text=True, cwd="/", env={"PATH": os.environ["PATH"], "HOME": home},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        data = Path(home, "pg", f"data{embedded.MAJOR}")
        assert data.stat().st_uid == user.pw_uid
        with embedded.postgres(Path(home, "pg")) as sockets:  # root comes along: the server is still the user's
            assert kept(sockets) == []
            assert Path(f"/proc/{postmaster(Path(home, 'pg'))}").stat().st_uid == user.pw_uid
        again = subprocess.run(
            [*step_down, sys.executable, "-c", HOLD, f"{home}/pg"],
            input="", capture_output=True, text=True, cwd="/", env={"PATH": os.environ["PATH"], "HOME": home},
        )  # fmt: skip
        assert again.returncode == 0, again.stderr
