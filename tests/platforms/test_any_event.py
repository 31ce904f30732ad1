"""Events that keep the contract and are odd all the same: each is sent or withheld for a reason, without an exception."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capi_pipeline.conversions.contract import ACTION_SOURCES, EVENT_NAMES
from capi_pipeline.platforms import NAMES, platform
from capi_pipeline.platforms.outcomes import Reason
from tests.platforms.support import CLICK_IDS, NOW, event, rendered, sha

BROWSER_IDS = sorted({name for kind in map(platform, NAMES) for name in kind.browser_ids})
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([0, 1, 2, 200, "0", "OK", "SUCCESS", "abc", 40002, 100, 190, 5604, "9" * 5000, "²", -1])
)  # fmt: skip
TEXT = st.none() | st.sampled_from(["", " ", "a", "ÄÖ ß", "李", "x" * 70, "86e0b9e5" * 8]) | st.text(max_size=6)
IDS = st.dictionaries(
    st.sampled_from([*CLICK_IDS, "dicbo", "fb_lead_id", "tiktok_lead_id"]),
    st.none()
    | st.fixed_dictionaries(
        {"value": TEXT | st.integers(0, 2**60) | st.just("123456789012345")},
        optional={"clicked_at": st.sampled_from([None, "2026-09-30T08:00:00Z", "2026-09-30", "0001-01-01T00:00:00+14:00"])},
    ),
    max_size=3,
)  # fmt: skip
AMOUNT = st.none() | st.decimals(-10, 10**14 - 1, places=4)
STORED = SCALARS.filter(lambda value: value == value and not (isinstance(value, int) and abs(value) > 2**60))
ITEM = st.dictionaries(st.sampled_from(["id", "name", "quantity", "price", "brand", "x"]), STORED, max_size=4)
DEVICE = st.dictionaries(
    st.sampled_from(["os", "os_version", "app_id", "app_version", "advertising_id", "vendor_id", "att_status", "language",
                     "screen_width"]),
    st.sampled_from(["iOS", "Android", "iPadOS", "", "authorized", "0000-00", "1", 18.5, 390, None, True, [1]]), max_size=5,
)  # fmt: skip
EVENT = st.fixed_dictionaries(
    {
        "event_name": st.sampled_from(EVENT_NAMES),
        "action_source": st.sampled_from(ACTION_SOURCES),
        "event_time": st.sampled_from([NOW, NOW - timedelta(microseconds=1), NOW - timedelta(days=5), NOW - timedelta(days=80)]),
        "custom_event_name": TEXT.map(lambda text: text or "Own"),
        "original_event_id": st.sampled_from(["evt-0", "é" * 40]),
        "original_event_time": st.just(NOW - timedelta(days=30)),
    },
    optional={
        "value": AMOUNT, "remaining_value": AMOUNT, "contents": st.lists(ITEM, max_size=3), "click_ids": IDS, "device": DEVICE,
        "browser_ids": st.dictionaries(st.sampled_from(BROWSER_IDS), STORED, max_size=3),
        "emails": st.lists(TEXT, max_size=3), "phones": st.lists(TEXT, max_size=3),
             "properties": st.just({"original_event_name": 1}),
        "country": st.sampled_from([None, "US", "DE"]), "customer_type": st.sampled_from([None, "new"]),
        "opt_out_of_sale": st.sampled_from([None, True, False]), "consent_ad_storage": st.sampled_from([None, "granted",
             "denied"]),
        **dict.fromkeys(("source_url", "transaction_id", "coupon", "search_term", "user_id", "first_name", "last_name", "city",
                         "region", "postal_code", "ip_address", "user_agent", "privacy_region"), TEXT),
    },
)  # fmt: skip


PLANTED = {
    "emails": ["zq.planted@quuxmail.example"], "phones": ["+14155550123"], "first_name": "Zquellina", "last_name": "Quxworthy",
    "street_address": "12 Zebrafinch Way", "date_of_birth": "1979-03-17", "user_id": "zq-customer-77",
    "anonymous_id": "zq-browser-88",
}  # fmt: skip
TELLTALE = {
    "date_of_birth": ("19790317", "1979-03-17"),
    "phones": ("4155550123",),
    "emails": ("zq.planted", "zqplanted"),
}


def some(changes: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    events = [event(**{**change, **more, "event_id": f"e{number}"}) for number, change in enumerate(changes)]
    for one in events:
        one["currency"] = None if one["value"] is None else "EUR"
    return events


@pytest.mark.parametrize("name", NAMES)
@given(changes=st.lists(EVENT, min_size=1, max_size=8))
@settings(max_examples=20, deadline=None)
def test_any_event_that_keeps_the_contract_is_sent_or_withheld(name: str, changes: list[dict[str, Any]]) -> None:
    events, limits = some(changes), platform(name).limits
    result = rendered(name, *events)
    assert rendered(name, *events) == result  # the platform sees the same keys when it is sent again
    ids = [entry["event_id"] for entry in result["withheld"]]
    ids += [id_ for request in result["requests"] for id_ in request["event_ids"]]
    assert sorted(ids) == sorted(one["event_id"] for one in events)
    assert {entry["reason"] for entry in result["withheld"]} <= set(Reason)
    for request in result["requests"]:
        body = orjson.dumps(request.get("json"))
        assert len(request["event_ids"]) <= limits.events
        assert limits.bytes is None or len(body) <= limits.bytes + 10_000  # and the envelope
        for texts in (request["params"], request.get("form") or {}):
            assert all(isinstance(value, str) for value in texts.values())
        for part in (request.get("multipart") or {}).values():
            rows = list(csv.reader(io.StringIO(part["content"])))
            assert {len(row) for row in rows} == {len(rows[0])}
            assert len(rows) == len(request["event_ids"]) + 1
        assert sha("")[:32] not in orjson.dumps(request).decode()  # what is sent can be sent: it is JSON


@pytest.mark.parametrize("name", NAMES)
@given(changes=st.lists(EVENT, min_size=1, max_size=4))
@settings(max_examples=5, deadline=None)
def test_no_identifier_leaves_as_it_is(name: str, changes: list[dict[str, Any]]) -> None:
    """Except where the platform's documentation asks for one in the clear: then a recipe says so."""
    clear = {recipe.source for recipe in platform(name).recipes() if not recipe.hashed}
    result = rendered(name, *some(changes, **PLANTED))
    text = orjson.dumps(result).decode().lower()
    for column, value in PLANTED.items():
        for word in () if column in clear else TELLTALE.get(column, (str(value).lower(),)):
            assert word not in text, column
