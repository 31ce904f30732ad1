"""Running the sandbox: blocking, as a separate process, or in a thread of a test."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, Any, Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from capi_pipeline.sandbox.answers import CONNECTION
from capi_pipeline.sandbox.app import Clock, create_app

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 30.0


class Protocol(H11Protocol):
    """HTTP that tells the app its TCP connection, so that it can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app: Any = self.app

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[CONNECTION] = transport
            await app(scope, receive, send)

        self.app = with_connection


def _server(app: ASGIApp, host: str, port: int) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app, host=host, port=port, http=Protocol, ws="none", log_level="warning", access_log=False,
            timeout_keep_alive=30, timeout_graceful_shutdown=1,
        )
    )  # fmt: skip


def serve(port: int, database: Path | None, host: str = HOST, parent: int | None = None) -> None:
    """Serves until it is stopped; with `parent` (a process id), also until that is no longer the parent process."""
    server = _server(create_app(database), host, port)
    if parent:
        threading.Thread(target=_stop_without, args=(parent, server), daemon=True).start()
    server.run()


def _stop_without(parent: int, server: uvicorn.Server) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    server.should_exit = True
    time.sleep(3)
    os._exit(0)  # a request that hangs must not keep an orphan alive


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _process_at(port: int) -> int | None:
    """Process id of the sandbox that answers at a port."""
    connection = HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/_sandbox/health")
        return int(json.loads(connection.getresponse().read())["pid"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


@contextmanager
def running(database: Path | None = None, port: int = 0, log: IO[bytes] | None = None) -> Iterator[str]:
    """The sandbox as a process of its own; gives its base URL. The process ends with the block, or with its parent.
    Raises RuntimeError or TimeoutError when it does not start; its words go to `log`."""
    port = port or free_port()
    command = [sys.executable, "-m", "capi_pipeline.sandbox", "--port", str(port), "--parent", str(os.getpid())]
    if database is not None:
        command += ["--database", str(database)]
    # A session of its own: Ctrl-C belongs to the parent, which then ends the sandbox in order.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while _process_at(port) != process.pid:
                if process.poll() is not None:
                    raise RuntimeError(f"the sandbox ended with code {process.returncode} before it was ready")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the sandbox was not ready after {START_SECONDS:.0f} seconds")
                time.sleep(0.05)
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def in_thread(database: Path | None = None, clock: Clock | None = None) -> Iterator[str]:
    """The sandbox in a thread of this process, over a real port, with a clock of the caller's."""
    listener = socket.socket()
    listener.bind((HOST, 0))
    server = _server(create_app(database, clock), HOST, 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise TimeoutError("the sandbox did not start")
            time.sleep(0.005)
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
