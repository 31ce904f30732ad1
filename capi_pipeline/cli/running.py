"""Commands that run things: `demo`, `up` and `sandbox`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from capi_pipeline import stack
from capi_pipeline.cli.output import Json, err, out
from capi_pipeline.destinations import load
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.settings import Settings, settings

STOP_SECONDS = 40  # a request in flight has 25 s in all; the rest is for the ledger
NOTHING = 0  # the signal that only asks whether somebody is there


def register(app: typer.Typer) -> None:
    app.command()(demo)
    app.command()(up)
    app.command()(sandbox)


def demo(
    conversions: Annotated[int, typer.Option(help="How many conversions land in the last 24 hours.", min=50)] = 5000,
    seed: Annotated[int, typer.Option(help="Another seed makes another shop (in a fresh CAPI_HOME).")] = 1,
    json: Json = False,
) -> None:
    """The whole road on this machine: a shop's warehouse, dbt, 24 hours to five sandboxed platforms, a failure, its rerun.

    A second call sends nothing again. Example: capi demo --conversions 20000
    """
    from capi_pipeline.cli.demo import play

    if os.environ.get("CAPI_WAREHOUSE_URL"):
        raise ConfigurationError(
            "The demo writes tables and will not touch the warehouse that CAPI_WAREHOUSE_URL names.",
            "Unset CAPI_WAREHOUSE_URL for the demo, or use `capi sync` with your own warehouse.",
        )
    # The failure on purpose should not keep anybody waiting.
    os.environ.setdefault("CAPI_PATIENCE", "1")
    with stack.running(sandbox=True) as chosen:
        play(chosen, conversions, seed, json)


def up(
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    host: Annotated[
        str, typer.Option(help="Address of the Dagster UI. It has no login: keep it on 127.0.0.1.")
    ] = "127.0.0.1",
    schedules: Annotated[
        bool, typer.Option(help="Start the hourly schedule, the verdicts and the retry sensor.")
    ] = True,
) -> None:
    """Everything that runs all day: PostgreSQL, Dagster's UI and daemon, the sandbox if destinations point to it.

    Ctrl-C stops all of it. Example: capi up --port 3001
    """
    stack.require_free(port, "choose another with --port", host)
    if host not in ("127.0.0.1", "localhost", "::1"):
        err.print(
            f"[bold yellow]Warning:[/] the UI will listen on {host}. Dagster has no login: whoever reaches it can run and "
            "stop everything. Put a reverse proxy with a login in front of it and keep --host 127.0.0.1."
        )
    own_warehouse = bool(os.environ.get("CAPI_WAREHOUSE_URL"))
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    # Behind nohup or a script's `&` SIGINT is ignored; Dagster's processes would inherit that, and ignore SIGTERM with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with stack.running(sandbox=True) as chosen, _until_stopped():
        _check_loads()
        workspace = str(stack.workspace(chosen))
        if schedules:
            _start_schedules(workspace)
        tools = Path(sys.executable).parent
        commands = {
            "webserver": [
                str(tools / "dagster-webserver"),
                "-h",
                host,
                "-p",
                str(port),
                "-w",
                workspace,
                "--log-level",
                "warning",
            ],
            "daemon": [str(tools / "dagster-daemon"), "run", "-w", workspace, "--log-level", "warning"],
        }
        with _processes(commands, chosen.home.resolve() / "logs") as processes:
            with err.status("Dagster starts"):
                _until_ready(f"{address}/server_info", processes, chosen)
            out.print(f"Dagster UI: {address}   (logs: {chosen.home / 'logs'})")
            for config in load(chosen.destinations):
                out.print(f"  destinations/{config.name} -> {config.base_url or config.platform}")
            out.print("Ctrl-C stops everything.")
            with nullcontext() if own_warehouse else _shop_open(chosen):
                _watch(processes, chosen)


def sandbox(
    port: Annotated[int | None, typer.Option(help="Port on 127.0.0.1. Default: CAPI_SANDBOX_PORT or 8765.")] = None,
) -> None:
    """Stand-ins of the platforms on this machine, with their documented rules. Inspect: http://127.0.0.1:8765/

    Example: capi sandbox --port 8765
    """
    from capi_pipeline.sandbox.server import serve

    chosen = settings()
    number = port or chosen.sandbox_port
    stack.require_free(number, "choose another with --port")
    chosen.home.mkdir(parents=True, exist_ok=True)
    out.print(
        f"Sandbox: http://127.0.0.1:{number}/   (events: /_sandbox/events?platform=meta, faults: /_sandbox/faults)"
    )
    serve(number, chosen.home / "sandbox.db")


def _check_loads() -> None:
    """A wrong document ends `capi up` with its message, not with an empty UI."""
    from capi_pipeline.cli.runs import definitions

    definitions()


def _start_schedules(workspace: str) -> None:
    """Schedules and sensors are STOPPED in the code; this switches them on for this instance, and keeps what a person
    switched since."""
    marker = Path(os.environ["DAGSTER_HOME"]) / "schedules-started"
    if marker.exists():
        return
    dagster = str(Path(sys.executable).with_name("dagster"))
    for command in (["schedule", "start", "--start-all"], ["sensor", "start", "--start-all"]):
        done = subprocess.run(
            [dagster, *command, "-w", workspace, "-l", "capi_pipeline"], capture_output=True, text=True
        )
        if done.returncode:
            err.print(f"The schedules could not be started; start them in the UI.\n{done.stderr[-500:]}", markup=False)
            return
    marker.touch()


@contextmanager
def _until_stopped() -> Iterator[None]:
    """Ctrl-C (or SIGTERM) is how this command ends well."""
    try:
        yield
    except KeyboardInterrupt:
        out.print("Stopping …")


@contextmanager
def _processes(commands: dict[str, list[str]], logs: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    logs.mkdir(parents=True, exist_ok=True)
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            with (logs / f"{name}.log").open("ab") as log:
                started[name] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        yield started
    finally:
        # Code servers and runs are in the groups of the two: a run that is sending records what is in flight, and ends.
        groups = [process.pid for process in started.values()]
        _signal(groups, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and _signal(groups, NOTHING):
            for process in started.values():
                process.poll()
            time.sleep(0.1)
        _signal(groups, signal.SIGKILL)
        for process in started.values():
            process.wait()


def _signal(groups: list[int], number: int) -> bool:
    """Send a signal to process groups; whether any of them is still there."""
    there = False
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, number)
            there = True
    return there


def _until_ready(address: str, processes: dict[str, subprocess.Popen[bytes]], chosen: Settings) -> None:
    while stack.ask(address) is None:
        _alive(processes, chosen)
        time.sleep(0.2)


def _watch(processes: dict[str, subprocess.Popen[bytes]], chosen: Settings) -> None:
    while True:
        _alive(processes, chosen)
        time.sleep(1)


def _alive(processes: dict[str, subprocess.Popen[bytes]], chosen: Settings) -> None:
    for name, process in processes.items():
        if process.poll() is not None:
            raise ConfigurationError(
                f"The {name} ended (exit code {process.returncode}).",
                f"Its last words are in {chosen.home / 'logs' / (name + '.log')}. A taken port? Use --port.",
            )


@contextmanager
def _shop_open(chosen: Settings) -> Iterator[None]:
    """The demo shop in the embedded warehouse goes on trading while `capi up` runs, if there is one."""
    from capi_pipeline.demo.shop import extend, window

    url = chosen.require("warehouse_url")
    done = threading.Event()

    def trade() -> None:
        while not done.wait(5):
            now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            state = window(url)
            if state is not None and state.end < now:
                extend(url, now)

    if window(url) is not None:
        threading.Thread(target=trade, name="shop", daemon=True).start()
    try:
        yield
    finally:
        done.set()
