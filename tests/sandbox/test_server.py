"""The sandbox as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from capi_pipeline.sandbox.server import running

PARENT = """
import sys, time
from capi_pipeline.sandbox.server import running
with running() as base:
    print(base, flush=True)
    time.sleep(60)
"""


def is_up(base: str) -> bool:
    try:
        return requests.get(f"{base}/_sandbox/health", timeout=1).ok
    except requests.ConnectionError:
        return False


def test_running_starts_and_ends(tmp_path: Path) -> None:
    database = tmp_path / "sandbox.sqlite"
    query = {"ob_click_id": "a", "name": "Lead"}
    for accepted in (1, 2):
        with running(database) as base:
            assert requests.get(f"{base}/outbrain/unifiedPixel", params=query, timeout=5).status_code == 200
            assert requests.get(f"{base}/_sandbox/counts", timeout=5).json()["outbrain"]["accepted"] == accepted
        assert not is_up(base)


def test_a_killed_sandbox_keeps_what_it_answered(tmp_path: Path) -> None:
    database = tmp_path / "sandbox.sqlite"
    with running(database) as base:
        for number in range(20):
            query = {"ob_click_id": str(number), "name": "Lead"}
            assert requests.get(f"{base}/outbrain/unifiedPixel", params=query, timeout=5).ok
        os.kill(requests.get(f"{base}/_sandbox/health", timeout=5).json()["pid"], signal.SIGKILL)
    with running(database) as base:
        assert requests.get(f"{base}/_sandbox/counts", timeout=5).json()["outbrain"]["accepted"] == 20


def test_a_hanging_request_does_not_hold_the_end_up() -> None:
    with running() as base:
        fault = {"platform": "outbrain", "kind": "timeout_after", "seconds": 60}
        requests.post(f"{base}/_sandbox/faults", json=fault, timeout=5)
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{base}/outbrain/unifiedPixel", params={"ob_click_id": "a", "name": "Lead"}, timeout=0.2)
        before = time.monotonic()
    assert time.monotonic() - before < 30  # of 60


def test_the_sandbox_ends_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        base = parent.stdout.readline().strip()
        assert is_up(base)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while is_up(base):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_sandbox_that_cannot_start_is_reported(tmp_path: Path) -> None:
    (tmp_path / "sandbox.sqlite").write_text("this is not a database, but it is long enough to look at" * 40)
    with pytest.raises(RuntimeError, match="ended with code"), running(tmp_path / "sandbox.sqlite"):
        pass
