"""What has to run around a command: the embedded PostgreSQL, Dagster's home, the sandbox. Stops what it started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from capi_pipeline import embedded
from capi_pipeline.destinations import DestinationConfig, load
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.settings import Settings, settings

DATABASES = {"CAPI_WAREHOUSE_URL": "warehouse", "CAPI_LEDGER_URL": "ledger", "CAPI_DAGSTER_URL": "dagster"}


@contextmanager
def running(sandbox: bool = False) -> Iterator[Settings]:
    """The environment of a command and its children: databases (embedded where no URL is set), DAGSTER_HOME and, with
    `sandbox`, the sandbox if destinations point to it. The environment is put back afterwards."""
    before = dict(os.environ)
    try:
        with ExitStack() as stack:
            chosen = settings()
            os.environ["CAPI_HOME"] = str(chosen.home.resolve())
            missing = [name for name in DATABASES if not os.environ.get(name)]
            if missing:
                sockets = stack.enter_context(embedded.postgres(chosen.home.resolve() / "postgres"))
                os.environ.update({name: embedded.url(sockets, DATABASES[name]) for name in missing})
            _dagster_home(chosen)
            destinations = load(chosen.destinations)
            if points_to_sandbox(destinations, chosen):
                from capi_pipeline.sandbox.accounts import ENVIRONMENT

                for name, value in ENVIRONMENT.items():
                    os.environ.setdefault(name, value)
                if sandbox:
                    stack.enter_context(sandbox_process(chosen))
            yield settings()
    finally:
        os.environ.clear()
        os.environ.update(before)


def points_to_sandbox(destinations: list[DestinationConfig], chosen: Settings) -> bool:
    """Whether any destination is sent to the local sandbox."""
    return any(
        (address := urlsplit(config.base_url or "")).hostname == "127.0.0.1" and address.port == chosen.sandbox_port
        for config in destinations
    )


def _dagster_home(chosen: Settings) -> None:
    if os.environ.get("DAGSTER_HOME"):
        return  # the user's own instance, with its own dagster.yaml
    home = chosen.home.resolve() / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    template = (files("capi_pipeline") / "dagster.yaml").read_text("utf-8")
    path = home / "dagster.yaml"
    if not path.exists() or path.read_text("utf-8") != template:
        path.write_text(template, "utf-8")
    os.environ["DAGSTER_HOME"] = str(home)


@contextmanager
def sandbox_process(chosen: Settings) -> Iterator[str]:
    """The sandbox on its port, as a process of its own; one that already runs there is used and left alone."""
    address = f"http://127.0.0.1:{chosen.sandbox_port}"
    if _is_sandbox(address):
        yield address
        return
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", chosen.sandbox_port)) == 0:
            raise ConfigurationError(
                f"Port {chosen.sandbox_port} is taken by another program, so the sandbox cannot start.",
                "Stop that program, or set CAPI_SANDBOX_PORT and the same port in the destinations' base_url.",
            )
    log = chosen.home.resolve() / "sandbox.log"
    command = [sys.executable, "-m", "capi_pipeline.sandbox", "--port", str(chosen.sandbox_port), "--with-parent"]
    command += ["--database", str(chosen.home.resolve() / "sandbox.db")]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while not _is_sandbox(address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"The sandbox did not start; its words are in {log}.", "Read them, then try again."
                )
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_sandbox(address: str) -> bool:
    import requests

    try:
        return requests.get(f"{address}/_sandbox/health", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def workspace() -> Path:
    """A workspace file for the webserver and the daemon that works from any folder."""
    path = Path(os.environ["DAGSTER_HOME"]) / "workspace.yaml"
    path.write_text(
        "load_from:\n  - python_module:\n      module_name: capi_pipeline.definitions\n      location_name: capi_pipeline\n",
        "utf-8",
    )
    return path
