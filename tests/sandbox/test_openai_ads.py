"""OpenAI Ads: pages on the Conversions API and the supported events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.openai_ads import API_KEY, FOREIGN_PIXEL_ID, PIXEL_ID

from .conftest import Client, Clock
from .payloads import ABSENT, AGENT, EMAIL, EMPTY, changed, seconds


def millis(age: timedelta = timedelta(hours=1)) -> int:
    return seconds(age) * 1000


def good(number: object = 1) -> dict[str, Any]:
    return {
        "id": f"evt-{number}",
        "type": "order_created",
        "timestamp_ms": millis(),
        "action_source": "web",
        "source_url": "https://shop.example.com/thank-you",
        "opt_out": False,
        "user": {"emails_sha256": [EMAIL], "countries": ["US"], "cities": ["san francisco"], "postal_codes": ["94105"],
                 "ip_address": "203.0.113.7", "user_agent": AGENT},
        "data": {
            "type": "contents",
            "amount": 14997,
            "currency": "USD",
            "contents": [{"id": "SKU-1", "name": "Shoe", "quantity": 1, "amount": 14997, "currency": "USD"}],
        },
    }  # fmt: skip


LEAD = good() | {"type": "lead_created", "action_source": "offline", "data": {"type": "customer_action"}}
OWN = good() | {"type": "custom", "custom_event_name": "demo_booked", "data": {"type": "custom", "plan_id": "gold"}}


def send(
    sandbox: Client, *events: object, key: str = API_KEY, pixel: str = PIXEL_ID, **root: object
) -> requests.Response:
    return sandbox.http.post(
        f"{sandbox.base}/openai_ads/v1/events",
        json={"events": list(events), **root},
        params={"pid": pixel},
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )


@pytest.mark.parametrize(
    "event",
    [
        good(),
        LEAD,
        OWN,
        changed(good(), "user", ABSENT),
        changed(good(), "timestamp_ms", millis(timedelta(days=7))),
        changed(good(), "timestamp_ms", millis(timedelta(minutes=-10))),
        changed(good(), "source_url", "https://shop.example.com/?q=1"),
        LEAD | {"type": "app_opened", "action_source": "mobile_app"},
        LEAD | {"type": "trial_started", "data": {"type": "plan_enrollment", "plan_id": "gold"}},
    ],
)
def test_accepts_good_events(sandbox: Client, event: dict[str, Any]) -> None:
    answer = send(sandbox, event, good(2), integration_source="capi_pipeline")
    assert (answer.status_code, answer.json()) == (200, {"accepted_events": 2})


@pytest.mark.parametrize(
    ("event", "path", "value"),
    [
        *((good(), path, value) for path, value in (
            ("id", ABSENT), ("id", 7), ("type", "purchase"), ("custom_event_name", "own"), ("timestamp_ms", seconds()),
            ("timestamp_ms", str(millis())), ("timestamp_ms", millis(timedelta(days=7, seconds=1))),
            ("timestamp_ms", millis(timedelta(minutes=-10, seconds=-1))), ("action_source", "website"), ("source_url", ABSENT),
            ("source_url", "shop"), ("opt_out", "false"), ("user.emails_sha256", EMAIL), ("user.emails_sha256", [EMPTY]),
            ("user.countries", ["us"]), ("user.cities", [EMAIL]), ("user.cities", ["x" * 129]), ("user.postal_codes", ["1/2"]),
            ("user.ip_address", "shop"), ("user.android_advertising_id", "AB-1"), ("data", ABSENT),
            ("data.type", "customer_action"), ("data.amount", 149.97), ("data.amount", ABSENT), ("data.currency", ABSENT),
            ("data.currency", "usd"), ("data.plan_id", "gold"), ("data.contents.0.amount", 1.5),
            ("data.contents.0.currency", ABSENT), ("data.contents.0.quantity", "1"), ("data.contents", {}),
        )),
        (LEAD, "data.contents", []),
        (LEAD, "type", "app_opened"),
        *((OWN, "custom_event_name", value) for value in (ABSENT, "Demo Booked", "_x", "x" * 65, "order_created")),
    ],
)  # fmt: skip
def test_one_bad_event_fails_the_request(sandbox: Client, event: dict[str, Any], path: str, value: object) -> None:
    answer = send(sandbox, good(1), changed(event, path, value))
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("events[1]: ")
    counts = sandbox.counts("openai_ads")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


def test_envelope(sandbox: Client) -> None:
    assert send(sandbox).status_code == 400
    assert send(sandbox, good(), validate_only="yes").status_code == 400
    assert send(sandbox, *[good(number) for number in range(1001)]).status_code == 400
    assert send(sandbox, *[good(number) for number in range(1000)]).json() == {"accepted_events": 1000}


@pytest.mark.parametrize(
    ("given", "status"),
    [({"key": ""}, 401), ({"key": "other"}, 401), ({"pixel": FOREIGN_PIXEL_ID}, 403), ({"pixel": "px_other"}, 404)],
)
def test_authentication(sandbox: Client, given: dict[str, str], status: int) -> None:
    assert send(sandbox, good(), **given).status_code == status  # type: ignore[arg-type]


def test_validation_stores_nothing(sandbox: Client) -> None:
    assert send(sandbox, good(), validate_only=True).json() == {"accepted_events": 1}
    assert sandbox.outcomes("openai_ads") == []


def test_of_copies_the_first_is_kept(sandbox: Client, clock: Clock) -> None:
    send(sandbox, good(), good(), good() | {"type": "items_added"})
    clock.forward(days=6)
    send(sandbox, good())
    assert sandbox.outcomes("openai_ads") == ["first", "duplicate", "first", "duplicate"]
