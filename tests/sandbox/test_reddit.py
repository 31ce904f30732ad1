"""Reddit: the pages on direct integration, error handling and deduplication of v3."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox.platforms.reddit import CONVERSION_TOKEN, FOREIGN_PIXEL_ID, PIXEL_ID

from .conftest import Client, Clock
from .payloads import ABSENT, AGENT, EMAIL, EMPTY, PHONE, changed, seconds

LDU = {"modes": ["LDU"], "country": "US", "region": "US-CA"}


def millis(age: timedelta = timedelta(hours=1)) -> int:
    return seconds(age) * 1000


def good(number: object = 1) -> dict[str, Any]:
    return {
        "event_at": millis(),
        "action_source": "WEBSITE",
        "event_source_url": "https://shop.example.com/thank-you",
        "click_id": "c",
        "type": {"tracking_type": "PURCHASE"},
        "metadata": {
            "conversion_id": f"evt-{number}",
            "value": 149.97,
            "currency": "USD",
            "item_count": 1,
            "products": [{"id": "SKU-1", "name": "Shoe", "quantity": 1, "item_price": 149.97}],
        },
        "user": {
            "email": EMAIL,
            "phone_number": PHONE,
            "uuid": "1.u",
            "ip_address": "203.0.113.7",
            "user_agent": AGENT,
        },
    }


STORE = {
    "event_at": millis(),
    "action_source": "PHYSICAL_STORE",
    "type": {"tracking_type": "CUSTOM", "custom_event_name": "pick up"},
    "user": {"phone_number": PHONE, "data_processing_options": LDU},
}


def send(
    sandbox: Client, *events: object, token: str = CONVERSION_TOKEN, pixel: str = PIXEL_ID, agent: str = "tests/1",
    **data: object,
) -> requests.Response:  # fmt: skip
    return sandbox.http.post(
        f"{sandbox.base}/reddit/api/v3/pixels/{pixel}/conversion_events",
        json={"data": {"events": list(events), **data}},
        headers={"User-Agent": agent} | ({"Authorization": f"Bearer {token}"} if token else {}),
    )


@pytest.mark.parametrize(
    "event",
    [
        good(),
        STORE,
        changed(good(), "user.email", "jane.doe@example.com"),
        changed(good(), "event_at", millis(timedelta(minutes=-5))),
        changed(good(), "event_at", millis(timedelta(hours=168))),
        changed(good(), "user.data_processing_options", {"modes": ["LDU"], "country": "DE"}),
        changed(good(), "user", {"ip_address": "203.0.113.7"}),  # the click is enough
    ],
)
def test_accepts_good_events(sandbox: Client, event: dict[str, Any]) -> None:
    answer = send(sandbox, event, good(2))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"data": {"message": "Successfully processed 2 conversion events."}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event_at", seconds()), ("event_at", str(millis())), ("event_at", millis(timedelta(hours=168, seconds=1))),
        ("event_at", millis(timedelta(minutes=-5, seconds=-1))), ("action_source", "website"), ("type", ABSENT),
        ("type.tracking_type", "Purchase"), ("type.tracking_type", "CUSTOM"), ("type.custom_event_name", "own"),
        ("type", {"tracking_type": "CUSTOM", "custom_event_name": "x" * 65}), ("type.tracking_type", "PAGE_VISIT"),
        ("type.tracking_type", "LEAD"), ("metadata.value", "149.97"), ("metadata.currency", ABSENT), ("metadata.currency", "usd"),
        ("metadata.conversion_id", 7), ("metadata.item_count", "1"), ("metadata.products.0.quantity", "1"),
        ("metadata.products.0.item_price", "149.97"), ("user", ABSENT), ("user.email", ""), ("user.email", "jane"),
        ("user.email", EMPTY), ("user.uuid", EMAIL), ("user.screen_dimensions", {"width": 1}),
        ("user.data_processing_options", {"modes": ["LDU"]}), ("user.data_processing_options", {"modes": [], "country": "US"}),
        ("order_id", "1"), ("click_id", ""), ("action_source", "OTHER"),
    ],
)  # fmt: skip
def test_one_invalid_event_rejects_the_request(sandbox: Client, path: str, value: object) -> None:
    answer = send(sandbox, good(1), changed(good(2), path, value))
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "There were 1 invalid conversion events. None were processed."
    counts = sandbox.counts("reddit")
    assert (counts["accepted"], counts["rejected"]) == (0, 1)


@pytest.mark.parametrize("field", ["uuid", "ip_address", "idfa", "user_agent"])
def test_a_store_has_a_hashed_person_only(sandbox: Client, field: str) -> None:
    assert send(sandbox, changed(STORE, f"user.{field}", "x")).status_code == 400


def test_an_address_and_a_browser_need_a_screen(sandbox: Client) -> None:
    event = changed(good(), "click_id", ABSENT) | {"user": {"ip_address": "203.0.113.7", "user_agent": AGENT}}
    assert send(sandbox, event).status_code == 400
    assert send(sandbox, changed(event, "user.screen_dimensions", {"width": 390, "height": 844})).status_code == 200


def test_envelope(sandbox: Client) -> None:
    assert send(sandbox).json()["error"]["message"] == "Bad Request"
    assert send(sandbox, *[good(number) for number in range(1001)]).status_code == 400
    assert send(sandbox, *[good(number) for number in range(1000)]).status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"token": ""}, 401),
        ({"token": "other"}, 401),
        ({"pixel": FOREIGN_PIXEL_ID}, 403),
        ({"pixel": "a2_other"}, 404),
        ({"agent": "python-requests/2.32"}, 429),
        ({"agent": ""}, 429),
    ],
)
def test_who_may_come_in(sandbox: Client, given: dict[str, str], status: int) -> None:
    answer = send(sandbox, good(), **given)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)


def test_test_events_are_not_counted(sandbox: Client) -> None:
    assert send(sandbox, good(), test_id="t2_test").status_code == 200
    assert sandbox.outcomes("reddit") == ["test"]


def test_a_copy_is_dropped_for_7_days(sandbox: Client, clock: Clock) -> None:
    lead = good() | {"type": {"tracking_type": "LEAD"}, "metadata": {"conversion_id": "evt-1"}}
    send(sandbox, good(), good(), lead)
    clock.forward(days=6, hours=22)
    send(sandbox, good())
    clock.forward(hours=2)
    later = good() | {"event_at": int(clock.now.timestamp() * 1000)}
    send(sandbox, later)
    assert sandbox.outcomes("reddit") == ["first", "duplicate", "first", "duplicate", "again"]
