"""A whole installation in a temporary folder: embedded PostgreSQL, sandbox, Dagster, the demo shop, all real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from capi_pipeline import settings
from capi_pipeline.demo import FIVE
from capi_pipeline.sandbox.server import free_port

CAPI = [sys.executable, "-m", "capi_pipeline.cli"]


@dataclass
class Installation:
    """One CAPI_HOME with its own sandbox port and documents. `run` calls `capi` as a user does."""

    home: Path
    destinations: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("CAPI_", "DAGSTER_"))}
        return clean | {
            "CAPI_HOME": str(self.home),
            "CAPI_DESTINATIONS": str(self.destinations),
            "CAPI_SANDBOX_PORT": str(self.port),
            "CAPI_PATIENCE": "1",
            "CAPI_STEP_RETRIES": "0",
            "COLUMNS": "160",
        }

    def run(self, *arguments: str, fails: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*CAPI, *arguments], env=self.environment | environment, capture_output=True, text=True, timeout=280
        )
        assert (done.returncode != 0) == fails, (
            f"{arguments}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        return done

    def json(self, *arguments: str, fails: bool = False, **environment: str) -> Any:
        return json.loads(self.run(*arguments, "--json", fails=fails, **environment).stdout)

    @property
    def sandbox(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> Any:
        return requests.get(f"{self.sandbox}/_sandbox/counts", timeout=10).json()


def install(folder: Path, names: Sequence[str] = FIVE) -> Installation:
    port = free_port()
    destinations = folder / "destinations"
    for name in names:
        shutil.copytree(settings.DESTINATIONS / name, destinations / name)
    for document in destinations.glob("*/defs.yaml"):
        document.write_text(document.read_text().replace("127.0.0.1:8765", f"127.0.0.1:{port}"))
    return Installation(folder / "home", destinations, port)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Installation, Any]:
    """An installation in which `capi demo` has run once, and what it said."""
    there = install(tmp_path_factory.mktemp("demo"))
    return there, there.json("demo", "--conversions", "600")
