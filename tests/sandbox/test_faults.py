"""Every kind of fault, over a real TCP connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.faults import KINDS

from .conftest import Client
from .payloads import NOW, google_event, meta_event, microsoft_row, outbrain_query, tiktok_event

PLATFORMS = ("meta", "google_data_manager", "tiktok", "microsoft_offline", "outbrain")
Send = Callable[[], requests.Response]


def sender(sandbox: Client, platform: str, number: object = 1) -> Send:
    """Sends one good event; OAuth tokens are fetched before, so that faults meet the delivery."""
    sends: dict[str, Send] = {
        "meta": lambda: sandbox.meta(meta_event(number)),
        "tiktok": lambda: sandbox.tiktok(tiktok_event(number)),
        "google_data_manager": lambda: sandbox.google(google_event(number)),
        "microsoft_offline": lambda: sandbox.microsoft(microsoft_row(number)),
        "outbrain": lambda: sandbox.outbrain(outbrain_query(number)),
    }
    return sends[platform]


def last_request(sandbox: Client, platform: str) -> dict[str, Any]:
    line: dict[str, Any] = sandbox.get("requests", platform=platform)[-1]
    return line


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(("kind", "stored"), [("reset_before", 0), ("reset_after", 1)])
def test_resets(sandbox: Client, platform: str, kind: str, stored: int) -> None:
    send = sender(sandbox, platform)
    sandbox.fault(platform, kind, times=1)
    with pytest.raises(requests.ConnectionError):
        send()
    assert sandbox.counts(platform)["accepted"] == stored
    line = last_request(sandbox, platform)
    assert (line["status"], line["fault"]) == (0, kind)
    assert send().status_code == 200


def test_a_reset_sends_not_one_byte(sandbox: Client) -> None:
    sandbox.fault("outbrain", "reset_after", times=1)
    host, port = sandbox.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"GET /outbrain/unifiedPixel?ob_click_id=a&name=Lead HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert sandbox.counts("outbrain")["accepted"] == 1


def test_timeout_after(sandbox: Client) -> None:
    sandbox.fault("meta", "timeout_after", times=1, seconds=5)
    with pytest.raises(requests.ReadTimeout):
        sandbox.http.post(
            f"{sandbox.base}/meta/v26.0/123456789012345/events",
            json={"data": [meta_event()]},
            headers={"Authorization": "Bearer sandbox-meta-token"},
            timeout=0.2,
        )
    assert sandbox.counts("meta")["accepted"] == 1


def test_a_timeout_ends_with_the_answer(sandbox: Client) -> None:
    sandbox.fault("meta", "timeout_after", times=1, seconds=0.2)
    before = time.monotonic()
    assert sandbox.meta(meta_event()).json()["events_received"] == 1
    assert time.monotonic() - before >= 0.2


def test_latency(sandbox: Client, platform: str) -> None:
    send = sender(sandbox, platform)
    if platform in ("google_data_manager", "microsoft_offline"):
        send()
    sandbox.fault(platform, "latency", times=1, seconds=0.2)
    before = time.monotonic()
    assert send().status_code == 200
    assert time.monotonic() - before >= 0.2


def test_slow_drip(sandbox: Client) -> None:
    sandbox.fault("tiktok", "slow_drip", times=1, seconds=0.3)
    before = time.monotonic()
    assert sandbox.tiktok(tiktok_event()).json()["code"] == 0
    assert time.monotonic() - before >= 0.25


@pytest.mark.parametrize(
    ("platform", "parameters", "status", "code"),
    [
        ("meta", {}, 400, ("error", "code", 4)),
        ("meta", {"code": 80004}, 400, ("error", "code", 80004)),
        ("meta", {"code": 17, "status": 403}, 403, ("error", "code", 17)),
        ("tiktok", {}, 401, ("code", 40100)),
        ("tiktok", {"status": 200}, 200, ("code", 40100)),
        ("google_data_manager", {}, 429, ("error", "status", "RESOURCE_EXHAUSTED")),
        ("microsoft_offline", {}, 429, ("Errors", 0, "Code", 117)),
        ("microsoft_offline", {"status": 400}, 400, ("Errors", 0, "Code", 117)),
        ("outbrain", {}, 429, ()),
    ],
)
def test_rate_limits_in_the_platforms_own_shape(
    sandbox: Client, platform: str, parameters: dict[str, Any], status: int, code: tuple[Any, ...]
) -> None:
    send = sender(sandbox, platform)
    sandbox.fault(platform, "rate_limit", times=1, **parameters)
    answer = send()
    assert answer.status_code == status
    assert "Retry-After" not in answer.headers
    if code:
        value = answer.json()
        *path, expected = code
        for step in path:
            value = value[step]
        assert value == expected
    counts = sandbox.counts(platform)
    assert (counts["accepted"], counts["rejected"]) == (0, 0)
    assert send().status_code == 200


def test_retry_after(sandbox: Client) -> None:
    for parameters in ({"retry_after": 30}, {"retry_after": 30, "as_date": True}, {"retry_after": "soon"}):
        sandbox.fault("outbrain", "rate_limit", times=1, **parameters)
    waits = [sandbox.outbrain(outbrain_query()).headers["Retry-After"] for _ in range(3)]
    assert (waits[0], waits[2]) == ("30", "soon")
    assert (parsedate_to_datetime(waits[1]) - NOW).total_seconds() == 30
    sandbox.fault("meta", "server_error", times=1, retry_after=7)
    assert sandbox.meta(meta_event()).headers["Retry-After"] == "7"


def test_meta_tells_the_wait_in_minutes(sandbox: Client) -> None:
    sandbox.fault("meta", "rate_limit", times=1, code=80004, regain_minutes=12)
    usage = sandbox.meta(meta_event()).headers["X-Business-Use-Case-Usage"]
    assert '"estimated_time_to_regain_access":12' in usage


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("html", [True, False])
def test_server_errors(sandbox: Client, platform: str, status: int, html: bool) -> None:
    send = sender(sandbox, platform)
    sandbox.fault(platform, "server_error", times=1, status=status, html=html)
    answer = send()
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith(
        "text/html" if html or platform == "outbrain" else "application/json"
    )
    assert sandbox.counts(platform)["accepted"] == 0
    assert send().status_code == 200


def test_a_server_error_may_hide_a_success(sandbox: Client, platform: str) -> None:
    send = sender(sandbox, platform)
    sandbox.fault(platform, "server_error", times=1, stored=True)
    assert send().status_code == 503
    assert sandbox.counts(platform)["accepted"] == 1


def test_html_and_empty(sandbox: Client, platform: str) -> None:
    send = sender(sandbox, platform)
    sandbox.fault(platform, "html", times=1)
    sandbox.fault(platform, "empty", times=1)
    page, nothing = send(), send()
    assert (page.status_code, nothing.status_code, nothing.content) == (200, 200, b"")
    assert page.text.startswith("<!DOCTYPE html>")
    assert sandbox.counts(platform)["accepted"] == 0
    assert send().status_code == 200


@pytest.mark.parametrize("stored", [True, False])
def test_truncated(sandbox: Client, platform: str, stored: bool) -> None:
    send = sender(sandbox, platform)
    sandbox.fault(platform, "truncated", times=1, stored=stored)
    answer = send()
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"."):
        answer.json()
    assert sandbox.counts(platform)["accepted"] == int(stored)


def test_wrong_content_type(sandbox: Client) -> None:
    sandbox.fault("meta", "wrong_content_type", times=1)
    answer = sandbox.meta(meta_event())
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.json()["events_received"] == 1
    assert sandbox.counts("meta")["accepted"] == 1


def test_redirect(sandbox: Client) -> None:
    sandbox.fault("meta", "redirect", times=1)
    answer = sandbox.meta(meta_event())
    assert [step.status_code for step in answer.history] == [302]
    assert "This is not the API" in answer.text
    assert sandbox.counts("meta")["accepted"] == 0


def test_reject_event(sandbox: Client) -> None:
    sandbox.fault("*", "reject_event", match='"evt-2"')
    sandbox.fault("*", "reject_event", match="ORD-2")
    sandbox.fault("*", "reject_event", match="msclkid-2")
    assert sandbox.meta(meta_event(1), meta_event(2)).json()["error"]["code"] == 100
    assert sandbox.tiktok(tiktok_event(1), tiktok_event(2)).json()["code"] == 40002
    google = sandbox.google(google_event(1), google_event(2)).json()["error"]["details"][1]["fieldViolations"]
    assert [item["field"] for item in google] == ["events[1]"]
    assert sandbox.microsoft_codes(microsoft_row(1), microsoft_row(2)) == {1: 5604}
    assert sandbox.outbrain(outbrain_query(2)).status_code == 400
    accepted = {platform: sandbox.counts(platform)["accepted"] for platform in PLATFORMS}
    assert accepted == dict.fromkeys(PLATFORMS, 0) | {"microsoft_offline": 1}
    assert sandbox.meta(meta_event(1)).status_code == 200


def test_reject_event_with_a_code(sandbox: Client) -> None:
    sandbox.fault("tiktok", "reject_event", code=20001, times=1)
    assert sandbox.tiktok(tiktok_event()).json()["code"] == 20001
    sandbox.fault("google_data_manager", "reject_event", code="INVALID_NUMBER_FORMAT", times=1)
    answer = sandbox.google(google_event()).json()["error"]
    assert answer["details"][0]["reason"] == "INVALID_NUMBER_FORMAT"


def test_expired_tokens(sandbox: Client) -> None:
    assert sandbox.google(google_event()).ok
    assert sandbox.microsoft(microsoft_row()).ok
    sandbox.fault("*", "expired_token")
    meta = sandbox.meta(meta_event())
    assert (meta.status_code, meta.json()["error"]["code"], meta.json()["error"]["error_subcode"]) == (401, 190, 463)
    assert sandbox.tiktok(tiktok_event()).json()["code"] == 40105
    assert sandbox.google(google_event()).status_code == 401
    assert sandbox.microsoft(microsoft_row()).json()["Errors"][0]["Code"] == 109
    sandbox.tokens.clear()  # a refresh brings working tokens although the fault stays
    assert sandbox.google(google_event()).status_code == 200
    assert sandbox.microsoft(microsoft_row()).status_code == 200
    sandbox.delete("faults")
    assert sandbox.meta(meta_event()).status_code == 200


def test_revoked_tokens(sandbox: Client) -> None:
    assert sandbox.google(google_event()).ok
    assert sandbox.microsoft(microsoft_row()).ok
    sandbox.fault("*", "revoked_token")
    assert sandbox.meta(meta_event()).json()["error"]["error_subcode"] == 460
    assert sandbox.tiktok(tiktok_event()).json()["code"] == 40105
    assert sandbox.google(google_event()).status_code == 401
    assert sandbox.microsoft(microsoft_row()).json()["Errors"][0]["Code"] == 105
    for answer in (sandbox.google_token(), sandbox.microsoft_token()):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_faults_meet_other_endpoints_only_by_path(sandbox: Client) -> None:
    sandbox.fault("google_data_manager", "server_error")
    assert sandbox.google_token().status_code == 200
    sandbox.delete("faults")
    sandbox.fault("google_data_manager", "server_error", path="/token", status=500)
    assert sandbox.google_token().status_code == 500
    sandbox.delete("faults")
    request_id = sandbox.google(google_event()).json()["requestId"]
    sandbox.fault("google_data_manager", "rate_limit", path="requestStatus")
    assert sandbox.google_status(request_id).status_code == 429


def test_times_match_and_platform(sandbox: Client) -> None:
    sandbox.fault("meta", "empty", times=2, match="evt-7")
    for number in (1, 7, 7, 7):
        sandbox.meta(meta_event(number))
    assert sandbox.tiktok(tiktok_event(7)).json()["code"] == 0
    assert [line["fault"] for line in sandbox.get("requests", platform="meta")] == ["", "empty", "empty", ""]
    (fault,) = sandbox.get("faults")
    assert (fault["times"], fault["struck"]) == (0, 2)


def test_match_looks_into_the_query(sandbox: Client) -> None:
    sandbox.fault("outbrain", "html", match="10:00:00 x")
    sandbox.outbrain(outbrain_query() | {"note": "10:00:00 x"})
    sandbox.outbrain(outbrain_query())
    assert sandbox.counts("outbrain")["accepted"] == 1


def test_probability_is_repeatable(sandbox: Client) -> None:
    runs = []
    for _ in range(2):
        sandbox.reset()
        sandbox.fault("outbrain", "empty", probability=0.5, seed=7)
        runs.append([sandbox.outbrain(outbrain_query(number)).content == b"" for number in range(40)])
    assert runs[0] == runs[1]
    assert 8 < sum(runs[0]) < 32


def test_faults_go_together(sandbox: Client) -> None:
    sandbox.fault("*", "latency", times=1, seconds=0.1)
    sandbox.fault("meta", "server_error", times=1)
    sandbox.fault("meta", "html", times=1)
    before = time.monotonic()
    assert sandbox.meta(meta_event()).status_code == 503  # the first of the two that spoil an answer
    assert time.monotonic() - before >= 0.1
    assert sandbox.meta(meta_event()).text.startswith("<!DOCTYPE")
    assert sandbox.meta(meta_event()).json()["events_received"] == 1


def test_clearing(sandbox: Client) -> None:
    for platform in ("meta", "tiktok", "*"):
        sandbox.fault(platform, "empty")
    first = sandbox.get("faults")[0]["id"]
    assert sandbox.delete("faults", id=first) == {"cleared": 1}
    assert sandbox.delete("faults", platform="tiktok") == {"cleared": 1}
    assert [fault["platform"] for fault in sandbox.get("faults")] == ["*"]
    assert sandbox.delete("faults") == {"cleared": 1}
    assert sandbox.delete("faults", id="x") == {"error": "id must be a number"}


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"kind": "unknown"}, "unknown kind"),
        ({"kind": ["html"]}, "unknown kind"),
        ({"kind": "html", "platform": "myspace"}, "unknown platform"),
        ({"kind": "html", "platform": []}, "unknown platform"),
        ({"kind": "html", "seconds": 3}, "no parameter seconds"),
        ({"kind": "html", "times": 0}, "times"),
        ({"kind": "html", "times": True}, "times"),
        ({"kind": "html", "times": "2"}, "times"),
        ({"kind": "html", "probability": 2}, "probability"),
        ({"kind": "html", "match": 7}, "match"),
        ({"kind": "html", "stored": "yes"}, "stored"),
        ({"kind": "latency", "seconds": "1"}, "seconds"),
        ({"kind": "latency", "seconds": -1}, "seconds"),
        ({"kind": "server_error", "status": "503"}, "status"),
        ([], "JSON object"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(sandbox: Client, fault: object, word: str) -> None:
    answer = sandbox.post("faults", fault)
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert sandbox.get("faults") == []


@pytest.mark.parametrize("html", [False, True])
def test_an_echo_repeats_the_request_with_its_secrets(sandbox: Client, platform: str, html: bool) -> None:
    secrets = {
        "meta": "sandbox-meta-token", "tiktok": "sandbox-tiktok-token", "microsoft_offline": "sandbox-developer-token",
        "google_data_manager": "Bearer ", "outbrain": "ob_click_id=",
    }  # fmt: skip
    send = sender(sandbox, platform)
    sandbox.fault(platform, "echo", times=1, html=html)
    answer = send()
    assert answer.status_code == 400
    assert secrets[platform] in answer.text
    assert ("<pre>" in answer.text) == (html or platform in ("outbrain",))
    assert sandbox.counts(platform)["accepted"] == 0
    assert send().status_code == 200


def test_every_kind_is_known(sandbox: Client) -> None:
    for kind in KINDS:
        sandbox.fault("meta", kind)
    assert [fault["kind"] for fault in sandbox.get("faults")] == list(KINDS)
