"""Whatever arrives, a platform answers; it never breaks."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
import requests

from .conftest import Client
from .payloads import google_event, meta_event, microsoft_adjustment, microsoft_row, tiktok_event

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**18, 2**64 - 1, 1e300, "", "x", "0" * 64, "é" * 100, "\x00", [], {}, [None], [[]],
    {"a": None}, [{}], "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+23:59",
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


def spoiled(event: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(event)
    target: Any = result
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return result


@pytest.mark.parametrize(
    ("event", "send"),
    [
        (meta_event(), lambda sandbox, event: sandbox.meta(event)),
        (
            meta_event() | {"data_processing_options": ["LDU"], "app_data": {"extinfo": []}, "action_source": "app"},
            lambda sandbox, event: sandbox.meta(event),
        ),
        (tiktok_event(), lambda sandbox, event: sandbox.tiktok(event)),
        (google_event(), lambda sandbox, event: sandbox.google(event)),
        (microsoft_row(), lambda sandbox, event: sandbox.microsoft(event)),
        (microsoft_adjustment(), lambda sandbox, event: sandbox.microsoft(event, adjust=True)),
    ],
    ids=["meta", "meta app", "tiktok", "google", "microsoft", "microsoft adjustment"],
)
def test_odd_values_anywhere(
    sandbox: Client, event: dict[str, Any], send: Callable[[Client, dict[str, Any]], requests.Response]
) -> None:
    cases = [(path, value) for path in places(event) for value in ODD]
    for path, value in random.Random(1).sample(cases, min(len(cases), 350)):
        answer = send(sandbox, spoiled(event, path, value))
        assert answer.status_code < 500, (path, value, answer.text)
        assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"7", b'"x"', b"\xff\xfe", b"{", b'{"data":', b"{}"])
@pytest.mark.parametrize(
    "path",
    [
        "meta/v26.0/123456789012345/events",
        "tiktok/open_api/v1.3/event/track/",
        "google_data_manager/v1/events:ingest",
        "google_data_manager/token",
        "microsoft_offline/CampaignManagement/v13/OfflineConversions/Apply",
        "microsoft_offline/CampaignManagement/v13/OfflineConversionAdjustments/Apply",
        "microsoft_offline/common/oauth2/v2.0/token",
    ],
)
def test_odd_bodies(sandbox: Client, path: str, body: bytes) -> None:
    headers = {"Authorization": "Bearer sandbox-meta-token", "Access-Token": "sandbox-tiktok-token"}
    answer = sandbox.http.post(f"{sandbox.base}/{path}", data=body, headers=headers)
    assert answer.status_code < 500
