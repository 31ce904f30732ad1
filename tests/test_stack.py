"""What runs around a command, what it finds already there, and that everything is put back."""

from __future__ import annotations

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text

from capi_pipeline import stack
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.sandbox import accounts, server
from capi_pipeline.settings import settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("CAPI_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CAPI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CAPI_SANDBOX_PORT", str(server.free_port()))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def databases(
    home: Path, warehouse_url: str, ledger_url: str, module_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Databases of the user's own: no embedded server is needed."""
    monkeypatch.setenv("CAPI_WAREHOUSE_URL", warehouse_url)
    monkeypatch.setenv("CAPI_LEDGER_URL", ledger_url)
    monkeypatch.setenv("CAPI_DAGSTER_URL", module_database_url)
    return home


def meta(name: str = "meta", base_url: str | None = None, variable: str = "META_ACCESS_TOKEN") -> DestinationConfig:
    account = {"pixel_id": accounts.META_PIXEL_ID, "access_token": {"env": variable}}
    return DestinationConfig(name=name, platform="meta", account=account, base_url=base_url)


def sandboxed(**changes: Any) -> DestinationConfig:
    return meta(base_url=f"http://127.0.0.1:{os.environ['CAPI_SANDBOX_PORT']}/meta", **changes)


def test_the_embedded_databases_are_there_while_it_runs_and_the_environment_is_put_back(home: Path) -> None:
    before = dict(os.environ)
    with stack.running(destinations=[]) as chosen:
        assert chosen.home == home
        for name, database in stack.DATABASES.items():
            engine = create_engine(os.environ[name], poolclass=NullPool)
            with engine.connect() as connection:
                assert connection.scalar(text("select current_database()")) == database
        assert Path(os.environ["DAGSTER_HOME"], "dagster.yaml").read_text().startswith("# Dagster's instance")
    assert dict(os.environ) == before


def test_the_environment_is_put_back_after_a_failure(databases: Path) -> None:
    before = dict(os.environ)
    with pytest.raises(ZeroDivisionError), stack.running(destinations=[meta()]):
        raise ZeroDivisionError
    assert dict(os.environ) == before


def test_own_databases_are_used_and_nothing_is_started(databases: Path) -> None:
    with stack.running(destinations=[]) as chosen:
        assert chosen.warehouse_url == os.environ["CAPI_WAREHOUSE_URL"]
        assert not (databases / "postgres").exists()


def test_dagsters_storage_gets_the_driver_that_it_needs(databases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = os.environ["CAPI_DAGSTER_URL"]
    monkeypatch.setenv("CAPI_DAGSTER_URL", url.replace("postgresql+psycopg2", "postgresql"))
    with stack.running(destinations=[]):
        assert os.environ["CAPI_DAGSTER_URL"] == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:geheim@127.0.0.1:1/dagster", "127.0.0.1"),
        ("mysql://127.0.0.1/dagster", "MySQLdb"),
        ("nodatabase://x/y", "nodatabase"),
    ],
)
def test_dagsters_storage_that_cannot_be_used_is_named(
    databases: Path, monkeypatch: pytest.MonkeyPatch, url: str, words: str
) -> None:
    monkeypatch.setenv("CAPI_DAGSTER_URL", url)
    with pytest.raises(ConfigurationError, match=words) as error, stack.running(destinations=[]):
        pass
    assert "CAPI_DAGSTER_URL" in error.value.remedy
    assert "geheim" not in str(error.value)


def test_dagsters_storage_must_not_share_the_ledgers_database(databases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both keep a table `alembic_version`; for a user named as the ledger's schema, they would be one."""
    monkeypatch.setenv("CAPI_DAGSTER_URL", os.environ["CAPI_LEDGER_URL"])
    with pytest.raises(ConfigurationError, match="the same database"), stack.running(destinations=[]):
        pass


@pytest.mark.parametrize("own", ["relative", "/nowhere/at/all"])
def test_a_dagster_home_that_is_no_folder_is_named(databases: Path, monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    monkeypatch.setenv("DAGSTER_HOME", own)
    with pytest.raises(ConfigurationError, match="DAGSTER_HOME"), stack.running(destinations=[]):
        pass


def test_an_own_dagster_home_is_left_as_it_is(databases: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "workspace.yaml").write_text("mine")
    monkeypatch.setenv("DAGSTER_HOME", str(own))
    with stack.running(destinations=[]) as chosen:
        assert "capi_pipeline.definitions" in stack.workspace(chosen).read_text()
    assert [p.name for p in own.iterdir()] == ["workspace.yaml"]
    assert (own / "workspace.yaml").read_text() == "mine"


def test_a_changed_dagster_yaml_of_ours_is_written_anew(databases: Path) -> None:
    with stack.running(destinations=[]):
        path = Path(os.environ["DAGSTER_HOME"], "dagster.yaml")
        good = path.read_text()
        path.write_text("of an older version")
    with stack.running(destinations=[]):
        assert path.read_text() == good


def test_a_home_that_cannot_be_written_is_named(databases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (databases / "file").touch()
    monkeypatch.setenv("CAPI_HOME", str(databases / "file"))
    with pytest.raises(ConfigurationError, match=str(databases / "file")), stack.running(destinations=[]):
        pass


# --- the sandbox ------------------------------------------------------------------------------------------------------


def test_the_sandbox_runs_while_a_destination_points_to_it(databases: Path) -> None:
    address = f"http://127.0.0.1:{os.environ['CAPI_SANDBOX_PORT']}"
    with stack.running(sandbox=True, destinations=[sandboxed()]):
        assert stack.ask(f"{address}/_sandbox/health")["pid"] != os.getpid()
        with stack.running(sandbox=True, destinations=[sandboxed()]):  # a second command joins
            pass
        assert stack.ask(f"{address}/_sandbox/health")
    assert stack.ask(f"{address}/_sandbox/health") is None


@pytest.mark.parametrize("base_url", [None, "http://127.0.0.1:1/meta", "https://proxy.example/meta"])
def test_no_sandbox_and_no_secret_of_it_for_destinations_elsewhere(databases: Path, base_url: str | None) -> None:
    with stack.running(sandbox=True, destinations=[meta(base_url=base_url)]):
        assert "META_ACCESS_TOKEN" not in os.environ
    assert not (databases / "sandbox.log").exists()


def test_the_sandboxs_secrets_are_set_where_none_are(databases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stack.running(destinations=[sandboxed()]):
        assert os.environ["META_ACCESS_TOKEN"] == accounts.META_ACCESS_TOKEN
        assert "TIKTOK_ACCESS_TOKEN" not in os.environ
    monkeypatch.setenv("META_ACCESS_TOKEN", "mine")
    with stack.running(destinations=[sandboxed()]):
        assert os.environ["META_ACCESS_TOKEN"] == "mine"


def test_a_real_destination_never_gets_a_secret_of_the_sandbox(databases: Path) -> None:
    with stack.running(destinations=[sandboxed(), meta("real")]):
        assert "META_ACCESS_TOKEN" not in os.environ  # so the real one says that it is not set
    with stack.running(destinations=[sandboxed(), meta("real", variable="REAL_TOKEN")]):
        assert os.environ["META_ACCESS_TOKEN"] == accounts.META_ACCESS_TOKEN


@contextmanager
def stranger(port: int) -> Iterator[None]:
    """A program that answers everything with 200."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", port), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield
        listening.shutdown()
        thread.join()


def test_a_taken_port_is_named_even_if_the_program_there_answers(databases: Path) -> None:
    port = int(os.environ["CAPI_SANDBOX_PORT"])
    with (
        stranger(port),
        pytest.raises(ConfigurationError, match=f"Port {port} is taken") as error,
        stack.running(sandbox=True, destinations=[sandboxed()]),
    ):
        pass
    assert "CAPI_SANDBOX_PORT" in error.value.remedy


def test_a_port_of_another_address_family_is_looked_at_too() -> None:
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listening, pytest.raises(ConfigurationError, match="is taken"):
        stack.require_free(listening.getsockname()[1], "choose another", "::1")


def test_a_proxy_is_not_asked_for_local_servers(databases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with server.in_thread() as address:
        assert stack.ask(f"{address}/_sandbox/health")


def test_settings_are_read_inside(databases: Path) -> None:
    with stack.running(destinations=[]) as chosen:
        assert chosen == settings()
