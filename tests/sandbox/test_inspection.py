"""Looking into the sandbox, its settings, and what it keeps."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from capi_pipeline.sandbox.platforms import PLATFORMS
from capi_pipeline.sandbox.server import in_thread

from .conftest import Client, Clock
from .payloads import EMAIL, meta_event, outbrain_query, tiktok_event


def test_events_are_filtered_and_paged(sandbox: Client) -> None:
    sandbox.meta(*[meta_event(number) for number in range(5)])
    sandbox.tiktok(tiktok_event(1))
    assert len(sandbox.get("events")) == 6
    assert [event["event_id"] for event in sandbox.get("events", platform="meta", limit=2, offset=1)] == [
        "evt-1",
        "evt-2",
    ]
    assert {event["platform"] for event in sandbox.get("events", event_id="evt-1")} == {"meta", "tiktok"}
    assert sandbox.get("events", event_name="Lead") == []
    (event,) = sandbox.get("events", platform="tiktok")
    assert event["received_at"] == "2026-10-01T16:00:00+00:00"
    assert (event["counted"], event["retracted"], event["currency"]) == (True, False, "USD")
    assert "error" in sandbox.get("events", limit="x")
    assert "error" in sandbox.get("events", limit=1_000_000)


def test_the_request_log_holds_no_query_and_no_body(sandbox: Client) -> None:
    sandbox.meta(meta_event(), query={"access_token": "secret"})
    sandbox.outbrain(outbrain_query())
    text = json.dumps(sandbox.get("requests"))
    for word in ("secret", "sandbox-meta-token", EMAIL, "clk-obclid", "203.0.113.7", "ORD-1"):
        assert word not in text
    line = sandbox.get("requests", platform="meta")[0]
    assert (line["method"], line["path"], line["status"], line["events"], line["rejected"], line["fault"]) == (
        "POST", "/{version}/{pixel_id}/events", 200, 1, 0, "",
    )  # fmt: skip


def test_counts_name_every_platform(sandbox: Client) -> None:
    counts = sandbox.get("counts")
    assert sorted(counts) == sorted(platform.slug for platform in PLATFORMS)
    assert set(map(tuple, counts.values())) == {
        ("requests", "accepted", "duplicates", "adjustments", "double_counted", "ignored", "rejected")
    }


def test_settings(sandbox: Client) -> None:
    sandbox.settings(verdict_delay=3)
    assert sandbox.get("settings")["verdict_delay"] == 3
    for bad in ({"unknown": 1}, {"strict_rotation": 1}, {"verdict_delay": "3"}, {"verdict_delay": True}):
        assert sandbox.post("settings", bad).status_code == 400


def test_the_clock_can_be_moved_over_http(sandbox: Client) -> None:
    sandbox.meta(meta_event())
    sandbox.settings(clock_offset=49 * 3600)
    assert sandbox.get("health")["now"] == "2026-10-03T17:00:00+00:00"
    sandbox.meta(meta_event())
    assert sandbox.outcomes("meta") == ["first", "again"]


def test_the_page_for_people(sandbox: Client) -> None:
    sandbox.outbrain(outbrain_query())
    sandbox.outbrain(outbrain_query())
    page = sandbox.http.get(sandbox.base)
    assert page.headers["Content-Type"].startswith("text/html")
    assert '<td class="bad">1</td>' in page.text
    assert "http" not in page.text.lower().replace("<!doctype html>", "")  # no external assets


def test_unknown_paths(sandbox: Client) -> None:
    assert sandbox.http.post(f"{sandbox.base}/tiktok/open_api/v1.3/event/track").status_code == 404
    assert sandbox.http.get(f"{sandbox.base}/myspace").status_code == 404


def test_a_database_outlives_the_server(tmp_path: Path, clock: Clock) -> None:
    database = tmp_path / "new" / "sandbox.sqlite"
    for expected in ("first", "duplicate"):
        with in_thread(database, clock) as base:
            client = Client(base)
            client.meta(meta_event())
            assert client.outcomes("meta")[-1] == expected
            if expected == "first":
                client.settings(strict_rotation=True)
            assert client.get("settings")["strict_rotation"] is True
            client.http.close()


def test_nothing_is_logged(sandbox: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="uvicorn"):
        sandbox.meta(meta_event())
        sandbox.meta({"event_name": "x"})
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []


def imports(source: str) -> set[str]:
    lines = [line.split() for line in source.splitlines() if line.startswith(("from ", "import "))]
    return {words[1] for words in lines if words[1].startswith("capi_pipeline")}


def test_the_sandbox_imports_nothing_else_of_the_project() -> None:
    root = Path(__file__).parents[2] / "capi_pipeline" / "sandbox"
    found: dict[str, Any] = {str(path): imports(path.read_text()) for path in root.rglob("*.py")}
    assert found
    foreign = {
        path: names for path, names in found.items() if any("capi_pipeline.sandbox" not in name for name in names)
    }
    assert foreign == {}
