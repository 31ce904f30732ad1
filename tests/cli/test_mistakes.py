"""Mistakes that people make: each ends with words and a non-zero code, and once it is corrected the same hour delivers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.fernet import Fernet

from capi_pipeline import embedded, stack
from capi_pipeline.sandbox import server
from tests import table
from tests.cli.command import Capi
from tests.cli.conftest import document

RECENT = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
ROOT = Path(__file__).parents[2]


def sync(capi: Capi, hour: datetime, *options: str, code: int = 1, **changes: str) -> str:
    """`capi sync` of one hour; what it says about the failure."""
    told = capi("sync", "--hour", f"{hour:%Y-%m-%dT%H}", *options, "--json", code=code, **changes).json
    if code == 0:
        assert told["failures"] == []
    return f"{told['error']} {told['remedy']}" if "error" in told else " ".join(f["why"] for f in told["failures"])


def stored(capi: Capi) -> dict[str, Any]:
    return dict(requests.get(f"{capi.environment['SANDBOX']}/_sandbox/counts", timeout=10).json()["meta"])


def test_nothing_is_lost_by_a_wrong_table(delivering: Capi) -> None:
    url, hour = delivering.environment["CAPI_WAREHOUSE_URL"], RECENT
    good = [table.row(n, hour) for n in range(3)]
    assert "no table `marts.conversions`" in sync(delivering, hour)
    table.create(url, without=["gpp_sid"])
    assert "column gpp_sid" in sync(delivering, hour)
    table.create(url, [*good, table.row(7, hour, currency="euro")])
    said = sync(delivering, hour)
    for words in ("Column `currency`", "order-000007", "^[A-Z]{3}$", "Nothing of this hour was sent"):
        assert words in said
    assert stored(delivering)["accepted"] == 0
    table.create(url, good)
    sync(delivering, hour, code=0)
    assert stored(delivering)["accepted"] == 3
    sync(delivering, hour, code=0)
    assert stored(delivering)["accepted"] == 3
    assert stored(delivering)["duplicates"] == 0


def test_nothing_is_lost_by_a_wrong_environment(delivering: Capi) -> None:
    url, hour = delivering.environment["CAPI_WAREHOUSE_URL"], RECENT - timedelta(hours=1)
    table.create(url, [table.row(n, hour) for n in range(3)])
    nowhere = "postgresql://me:geheim@127.0.0.1:1/nowhere"
    for name in ("CAPI_WAREHOUSE_URL", "CAPI_LEDGER_URL"):
        said = sync(delivering, hour, **{name: nowhere})
        assert "127.0.0.1:1/nowhere" in said
        assert name in said
        assert "geheim" not in said
    assert "Dagster's storage" in sync(delivering, hour, CAPI_DAGSTER_URL=nowhere)
    assert "META_TOKEN" in sync(delivering, hour, META_TOKEN="")
    assert "META_TOKEN" in sync(delivering, hour, META_TOKEN="geheim")  # refused by the platform
    key = {"CAPI_STAGING_KEY": Fernet.generate_key().decode()}
    (failure,) = delivering("retry", "--json", code=1, **key).json["failures"]
    assert "another CAPI_STAGING_KEY" in failure["why"]
    assert stored(delivering)["accepted"] == 0
    told = delivering("retry", "--json").json
    assert [row["accepted"] for row in told["hours"]] == [3]
    assert stored(delivering)["accepted"] == 3
    assert "Nothing is left to send" in delivering("retry").out


def test_nothing_is_lost_by_a_wrong_document(delivering: Capi) -> None:
    url, hour = delivering.environment["CAPI_WAREHOUSE_URL"], RECENT - timedelta(hours=2)
    table.create(url, [table.row(n, hour) for n in range(2)])
    path = Path(delivering.environment["CAPI_DESTINATIONS"], "meta", "defs.yaml")
    good = path.read_text()
    for wrong, words in (
        (good.replace("platform: meta", "platform: facebook"), "no platform `facebook`"),
        (good.replace("{env: META_TOKEN}", "geheim"), "may not stand in a file"),
        (good + "  filters: {}\n", "filters: Extra inputs"),
        (good + "  base_url: nowhere\n", "`base_url` stands twice"),
    ):
        path.write_text(wrong)
        said = sync(delivering, hour)
        assert str(path) in said
        assert words in said
        assert "geheim" not in said
    path.write_text(good.replace("/meta\n", "/nothing\n"))  # an address where no platform is
    assert "meta" in sync(delivering, hour)
    path.write_text(good)
    sync(delivering, hour, code=0)
    assert stored(delivering)["accepted"] == 2


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"CAPI_DBT_PROJECT": "/nowhere"}, ["CAPI_DBT_PROJECT", "`off`"]),
        ({"CAPI_START": "2026-02-30-00:00"}, ["CAPI_START", "2026-01-01-00:00"]),
        ({"CAPI_SANDBOX_PORT": "70000"}, ["CAPI_SANDBOX_PORT"]),
        ({"CAPI_OPT_IN_COUNTRIES": "UK"}, ["CAPI_OPT_IN_COUNTRIES", "GB"]),
        ({"CAPI_DESTINATIONS": "/nowhere"}, ["/nowhere", "CAPI_DESTINATIONS"]),
        ({"CAPI_HOME": "/proc/nowhere"}, ["/proc/nowhere", "CAPI_HOME"]),
        ({"DAGSTER_HOME": "nowhere"}, ["DAGSTER_HOME"]),
    ],
)  # fmt: skip
def test_a_wrong_setting_ends_any_command(own: Capi, variables: dict[str, str], words: list[str]) -> None:
    own.mistake("status", names=words, **variables)


def test_a_home_without_rights_ends_before_postgresql_starts(capi: Capi) -> None:
    capi.mistake("status", names=["/proc/nowhere", "CAPI_HOME"], CAPI_HOME="/proc/nowhere")


def test_a_wrong_cron_expression_ends_a_run(own: Capi) -> None:
    own.mistake(
        "sync", "--hour", f"{RECENT:%Y-%m-%dT%H}", names=["CAPI_CRON", "`hourly`", "10 * * * *"], CAPI_CRON="hourly"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("hour", "words"),
    [
        (f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H}", "not complete yet"),
        (f"{datetime.now(UTC):%Y-%m-%dT%H}", "not complete yet"),
        ("2019-01-01T00", "before the first partition"),
        ("yesterday", "2026-10-01T14"),
        ("2026-10-01T14:30", "2026-10-01T14"),
        ("", "2026-10-01T14"),
    ],
)
def test_an_hour_that_cannot_be_delivered(own: Capi, hour: str, words: str) -> None:
    assert words in own("sync", "--hour", hour, "--json", code=2).json["error"]


@pytest.mark.parametrize("command", ["sync", "retry", "resolve"])
def test_a_destination_that_does_not_exist(own: Capi, command: str) -> None:
    own.mistake(command, "--destination", "facebook", names=["no destination `facebook`", "Known: meta"])


def test_two_documents_of_one_name(own: Capi) -> None:
    folder = Path(own.environment["CAPI_DESTINATIONS"])
    second = document(folder, "zweite")
    second.write_text(second.read_text() + "  name: meta\n")
    own.mistake("status", names=[str(second), str(folder / "meta" / "defs.yaml"), "another `name`"])


def test_a_port_that_is_taken(own: Capi) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        for command in ("up", "sandbox"):
            done = own(command, "--port", port, code=1)
            assert f"Port {port} is taken" in done.err
            assert "--port" in done.err
        document(Path(own.environment["CAPI_DESTINATIONS"]), base_url=f"http://127.0.0.1:{port}/meta")
        own.mistake("doctor", names=[f"Port {port} is taken", "CAPI_SANDBOX_PORT"], CAPI_SANDBOX_PORT=port)


def test_the_demo_keeps_its_hands_off_an_own_warehouse(own: Capi) -> None:
    own.mistake("demo", names=["CAPI_WAREHOUSE_URL", "capi sync"])


def test_dagsters_own_tools_show_a_mistake_with_file_key_and_remedy(capi: Capi, tmp_path: Path) -> None:
    path = document(tmp_path / "destinations")
    path.write_text(path.read_text().replace("pixel_id", "pixel"))
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "capi_pipeline.definitions"],
        env={**os.environ, **capi.environment, "DAGSTER_HOME": str(tmp_path)}, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert f"{path}: account.pixel: Meta has no such key." in said
    assert "Known keys: pixel_id" in said


def test_a_command_that_is_told_to_end_stops_what_it_started(capi: Capi, tmp_path: Path) -> None:
    port = server.free_port()
    document(tmp_path / "destinations", base_url=f"http://127.0.0.1:{port}/meta")
    environment = {**os.environ, **capi.environment, "CAPI_SANDBOX_PORT": str(port)}
    data = tmp_path / "home" / "postgres" / f"data{embedded.MAJOR}"
    with subprocess.Popen(
        [sys.executable, "-m", "capi_pipeline.cli", "sync", "--hour", f"{RECENT:%Y-%m-%dT%H}"],
        env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        while not (tmp_path / "home" / "sandbox.log").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        pid = int((data / "postmaster.pid").read_text().split("\n")[0])
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert not (data / "postmaster.pid").exists()
    assert not Path(f"/proc/{pid}").exists()
    while stack.ask(f"http://127.0.0.1:{port}/_sandbox/health"):  # one that was just being born ends after its parent
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_retry_finds_an_hour_that_failed_before_anything_was_sent(delivering: Capi) -> None:
    url, hour = delivering.environment["CAPI_WAREHOUSE_URL"], RECENT - timedelta(hours=3)
    table.create(url, [table.row(0, hour, currency="euro")])
    assert "Column `currency`" in sync(delivering, hour)
    table.create(url, [table.row(0, hour)])
    told = delivering("retry", "--json").json
    assert [row["accepted"] for row in told["hours"]] == [1]
    assert stored(delivering)["accepted"] == 1
