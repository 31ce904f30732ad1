"""One installation with planted secrets and people: real databases with passwords, five destinations, logging at DEBUG."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.fernet import Fernet
from sqlalchemy import create_engine, inspect, make_url, text

from capi_pipeline import embedded
from capi_pipeline.sandbox import accounts, server
from capi_pipeline.sandbox.platforms import ENVIRONMENT
from tests import table
from tests.cli.command import Capi
from tests.end_to_end.conftest import Installation, install
from tests.end_to_end.processes import Watch
from tests.secrets.planted import CLICKS, PASSWORDS, PERSON, SECRETS, Search

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
LOUD = (  # everything that a library says, and Dagster keeps it as events
    "\npython_logs:\n  python_log_level: DEBUG\n"
    "  managed_python_loggers: [root, urllib3.connectionpool, sqlalchemy.engine, requests, alembic]\n"
)


@dataclass
class Planted(Installation):
    """An installation whose every secret and every person is planted; its processes are watched."""

    capi: Capi
    sockets: Path
    watch: Watch
    more: dict[str, str]
    search: Search = field(default_factory=Search)
    _hours: int = 2

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | self.more

    def hour(self, **changes: Any) -> datetime:
        """An hour of its own, in which the planted person has bought something."""
        self._hours += 1
        hour = NOW - timedelta(hours=self._hours)
        clicked = {name: {"value": value, "clicked_at": f"{hour:%Y-%m-%dT%H:00:00Z}"} for name, value in CLICKS.items()}
        table.insert(
            self.database("warehouse"), [table.row(self._hours, hour, **PERSON | {"click_ids": clicked}, **changes)]
        )
        return hour

    def database(self, name: str) -> str:
        return embedded.url(self.sockets, name)

    def sync(self, hour: datetime, *options: str, code: int = 1, **changes: str) -> str:
        """`capi sync --json` of an hour."""
        return self.says("sync", "--hour", f"{hour:%Y-%m-%dT%H}", *options, "--json", code=code, **changes)

    def says(self, *arguments: str, code: int = 0, **changes: str) -> str:
        """What a command says at DEBUG on both outputs; nothing planted may stand there."""
        done = self.capi(*arguments, code=code, **changes)
        said = done.out + done.err
        self.know_granted()
        assert not self.search(said), self.search.shown(said)
        return " ".join(said.split())

    def know_granted(self) -> None:
        """From now on, also search for the tokens that platforms granted: they are in the ledger, encrypted."""
        fernet = (
            Fernet((self.home / "keys" / "token_key").read_bytes())
            if (self.home / "keys" / "token_key").exists()
            else None
        )
        engine = create_engine(self.database("ledger"))
        if fernet and inspect(engine).has_table("tokens", "capi"):
            with engine.connect() as connection:
                columns = ("refresh_token", "previous_refresh_token", "access_token")
                for row in connection.execute(text(f"select {', '.join(columns)} from capi.tokens")):
                    tokens = [fernet.decrypt(bytes(value)).decode() for value in row if value]
                    self.search.add(
                        {f"granted {token[:6]}": token for token in tokens if token not in SECRETS.values()}
                    )
        engine.dispose()

    def fault(self, kind: str, platform: str = "*", **parameters: object) -> None:
        fault = {"platform": platform, "kind": kind, **parameters}
        answer = requests.post(f"{self.sandbox}/_sandbox/faults", json=fault, timeout=10)
        assert answer.status_code == 201, answer.text

    def clear(self) -> None:
        """No faults any more."""
        requests.delete(f"{self.sandbox}/_sandbox/faults", timeout=10)

    def kept(self) -> Iterator[tuple[str, str]]:
        """Everything that rests: (place, text) of each table of ledger and Dagster's storage and each file of CAPI_HOME."""
        for name in ("ledger", "dagster"):
            engine = create_engine(self.database(name))
            with engine.connect() as connection:
                for schema in inspect(engine).get_schema_names():
                    for found in inspect(engine).get_table_names(schema) if schema != "information_schema" else ():
                        rows = connection.execute(text(f'select t::text from "{schema}"."{found}" t'))
                        yield f"{name}: {schema}.{found}", "\n".join(row[0] for row in rows)
            engine.dispose()
        for path in self.home.rglob("*"):
            if path.is_file() and self.home / "postgres" not in path.parents:
                yield str(path.relative_to(self.home)), path.read_bytes().decode("utf-8", "replace")

    def found(self) -> dict[str, set[str]]:
        """What planted values rest where."""
        return {place: names for place, words in self.kept() if (names := self.search(words))}


def locked(url: str, password: str) -> str:
    """A database's URL with a password in it (which the embedded server, on its socket, does not ask for)."""
    return make_url(url).set(password=password).render_as_string(hide_password=False)


def ask_for_passwords(home: Path, url: str) -> None:
    """The role `locked` must give its password from now on."""
    rules = home / "postgres" / f"data{embedded.MAJOR}" / "pg_hba.conf"
    rules.write_text("local all locked scram-sha-256\n" + rules.read_text())
    table.sql(url, "create role locked login password 'another'; select pg_reload_conf()")


@contextmanager
def loud_forks() -> Iterator[subprocess.Popen[str]]:
    """As tests.cli.command.forks, with Python's logging at DEBUG on standard error."""
    code = "import logging; logging.basicConfig(level=logging.DEBUG); from tests.cli.command import serve; serve()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        yield process
        assert process.stdin
        process.stdin.close()


def environment(sockets: Path, made: Installation, folder: Path) -> Mapping[str, str]:
    urls = {
        f"CAPI_{name.upper()}_URL": locked(embedded.url(sockets, name), PASSWORDS[name])
        for name in ("warehouse", "ledger", "dagster")
    }
    return {
        **urls, **ENVIRONMENT,
        "META_APP_SECRET": accounts.META_APP_SECRET,
        "DAGSTER_HOME": str(folder),
        "CAPI_DBT_PROJECT": "off",
        "CAPI_PATIENCE": "0",
    }  # fmt: skip


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    folder = tmp_path_factory.mktemp("secrets")
    made = install(folder)
    document = made.destinations / "meta" / "defs.yaml"
    document.write_text(
        document.read_text().replace("  account:\n", "  account:\n    app_secret: {env: META_APP_SECRET}\n")
    )
    own = made.home / "own-dagster"
    own.mkdir(parents=True)
    (own / "dagster.yaml").write_text((files("capi_pipeline") / "dagster.yaml").read_text("utf-8") + LOUD)
    with (
        embedded.postgres(made.home / "postgres") as sockets,
        server.running(folder / "sandbox.db", made.port),  # the platforms' own store is not ours to keep clean
        loud_forks() as forks,
        Watch(made.home) as watch,
    ):
        more = dict(environment(sockets, made, own))
        planted = Planted(made.home, made.destinations, made.port, Capi(forks, folder), sockets, watch, more)
        planted.capi.environment = {
            key: value for key, value in planted.environment.items() if key.startswith("CAPI_") or key in more
        }
        ask_for_passwords(made.home, planted.database("postgres"))
        table.create(planted.database("warehouse"))
        yield planted
