"""What has to run around a command: the embedded PostgreSQL, Dagster's home, the sandbox. Stops what it started."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import NullPool, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from capi_pipeline import embedded
from capi_pipeline.destinations import DestinationConfig, load
from capi_pipeline.errors import ConfigurationError, address, first_line
from capi_pipeline.settings import EXAMPLE_URL, Settings, settings

DATABASES = {"CAPI_WAREHOUSE_URL": "warehouse", "CAPI_LEDGER_URL": "ledger", "CAPI_DAGSTER_URL": "dagster"}


@contextmanager
def running(sandbox: bool = False, destinations: list[DestinationConfig] | None = None) -> Iterator[Settings]:
    """The environment of a command and its children: databases (embedded where no URL is set), DAGSTER_HOME and, with
    `sandbox`, the sandbox if destinations (default: all documents) point to it. The environment is put back afterwards."""
    before = dict(os.environ)
    try:
        with ExitStack() as stack:
            chosen = settings()
            if destinations is None:
                destinations = load(chosen.destinations)
            os.environ["CAPI_HOME"] = str(chosen.home.resolve())
            if chosen.dagster_url:  # Dagster's storage reads the variable itself
                os.environ["CAPI_DAGSTER_URL"] = chosen.dagster_url
                _reach(chosen.dagster_url)
                if chosen.ledger_url and _same_database(chosen.dagster_url, chosen.ledger_url):
                    raise ConfigurationError(
                        "CAPI_DAGSTER_URL and CAPI_LEDGER_URL name the same database.",
                        "Give Dagster's storage a database of its own: both keep a table of schema versions.",
                    )
            missing = [name for name in DATABASES if not os.environ.get(name)]
            if missing:
                sockets = stack.enter_context(embedded.postgres(chosen.home.resolve() / "postgres"))
                os.environ.update({name: embedded.url(sockets, DATABASES[name]) for name in missing})
                if "CAPI_WAREHOUSE_URL" in missing:
                    begin_with_the_shop(os.environ["CAPI_WAREHOUSE_URL"])
            _dagster_home(chosen)
            sandboxed = [config for config in destinations if points_to_sandbox(config, chosen)]
            if sandboxed:
                os.environ.update(_sandbox_secrets(destinations, sandboxed))
                if sandbox:
                    stack.enter_context(sandbox_process(chosen))
            yield settings()
    finally:
        os.environ.clear()
        os.environ.update(before)


def begin_with_the_shop(url: str) -> None:
    """Without CAPI_START, partitions begin with the demo shop's first hour: not with months of empty ones."""
    from capi_pipeline.demo.shop import window
    from capi_pipeline.steps import key_of

    if not os.environ.get("CAPI_START") and (shop := window(url)):
        os.environ["CAPI_START"] = key_of(shop.start)


def points_to_sandbox(config: DestinationConfig, chosen: Settings) -> bool:
    """Whether a destination is sent to the local sandbox."""
    address = urlsplit(config.base_url or "")
    return address.hostname == "127.0.0.1" and address.port == chosen.sandbox_port


def _sandbox_secrets(all_: list[DestinationConfig], sandboxed: list[DestinationConfig]) -> dict[str, str]:
    """The sandbox's secrets for variables that are not set; never for one that a destination elsewhere reads, too."""
    from capi_pipeline.sandbox.platforms import ENVIRONMENT

    elsewhere = {name for config in all_ if config not in sandboxed for name in config.variables.values()}
    wanted = {name for config in sandboxed for name in config.variables.values()} - elsewhere
    return {name: value for name, value in ENVIRONMENT.items() if name in wanted and not os.environ.get(name)}


def _reach(url: str) -> None:
    """Raise ConfigurationError when Dagster's storage does not answer: Dagster itself would show a traceback."""
    try:
        create_engine(url, poolclass=NullPool).connect().close()
    except (SQLAlchemyError, ImportError) as error:
        raise ConfigurationError(
            f"Dagster's storage ({address(make_url(url))}) cannot be used: {first_line(error)}",
            f"Start it, or correct CAPI_DAGSTER_URL (PostgreSQL, e.g. {EXAMPLE_URL}).",
        ) from None


def _same_database(one: str, other: str) -> bool:
    first, second = (make_url(url) for url in (one, other))
    return (first.host, first.port, first.database, first.query) == (
        second.host, second.port, second.database, second.query,
    )  # fmt: skip


def _dagster_home(chosen: Settings) -> None:
    own = os.environ.get("DAGSTER_HOME")
    if own:  # the user's own instance, with its own dagster.yaml
        if not Path(own).is_absolute() or not Path(own).is_dir():
            raise ConfigurationError(
                f"DAGSTER_HOME: {own} is not the absolute path of a folder.",
                "Correct it, or unset it: then `capi` keeps an instance in CAPI_HOME.",
            )
        return
    home = chosen.home.resolve() / "dagster"
    template = (files("capi_pipeline") / "dagster.yaml").read_text("utf-8")
    path = home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != template:
            path.write_text(template, "utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"Dagster's home {home} cannot be written: {error.strerror}.",
            "Set CAPI_HOME to a folder that you may write to.",
        ) from None
    os.environ["DAGSTER_HOME"] = str(home)


@contextmanager
def sandbox_process(chosen: Settings) -> Iterator[str]:
    """The sandbox on its port, as a process of its own; one that already runs there is used and left alone."""
    address = f"http://127.0.0.1:{chosen.sandbox_port}"
    if _is_sandbox(address):
        yield address
        return
    require_free(chosen.sandbox_port, "set CAPI_SANDBOX_PORT and the same port in the destinations' base_url")
    from capi_pipeline.sandbox.server import running as sandbox_running

    home = chosen.home.resolve()
    with (home / "sandbox.log").open("ab") as log, ExitStack() as started:
        try:
            started.enter_context(sandbox_running(home / "sandbox.db", chosen.sandbox_port, log))
        except (RuntimeError, TimeoutError):
            raise ConfigurationError(
                f"The sandbox did not start; its words are in {log.name}.", "Read them, then try again."
            ) from None
        yield address


def require_free(port: int, otherwise: str, host: str = "127.0.0.1") -> None:
    """Raise ConfigurationError when a program listens on this port already."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        if probe.connect_ex((host, port)) == 0:
            raise ConfigurationError(f"Port {port} is taken by another program.", f"Stop that program, or {otherwise}.")


def ask(address: str, seconds: float = 2) -> Any:
    """The JSON that a local server answers with status 200 in so many seconds; None if there is none. Proxies are left
    aside."""
    import requests

    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(address, timeout=seconds)
            return answer.json() if answer.status_code == 200 else None
        except (requests.RequestException, ValueError):
            return None


def _is_sandbox(address: str) -> bool:
    known = ask(f"{address}/_sandbox/health")
    return isinstance(known, dict) and "pid" in known


def workspace(chosen: Settings) -> Path:
    """A workspace file for the webserver and the daemon that works from any folder."""
    path = chosen.home.resolve() / "workspace.yaml"  # DAGSTER_HOME may be the user's, with a file of that name
    path.write_text(
        "load_from:\n  - python_module:\n      module_name: capi_pipeline.definitions\n      location_name: capi_pipeline\n",
        "utf-8",
    )
    return path
