"""Events that keep the contract and are odd all the same: each is sent or withheld for a reason, without an exception."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
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


@given(st.lists(EVENT, min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_any_event_that_keeps_the_contract_is_sent_or_withheld(changes: list[dict[str, Any]]) -> None:
    events = [event(**{**some, "event_id": f"e{number}"}) for number, some in enumerate(changes)]
    for some in events:
        some["currency"] = None if some["value"] is None else "EUR"
    for name in NAMES:
        result = rendered(name, *events)
        ids = [entry["event_id"] for entry in result["withheld"]]
        ids += [id_ for request in result["requests"] for id_ in request["event_ids"]]
        assert sorted(ids) == sorted(some["event_id"] for some in events)
        assert {entry["reason"] for entry in result["withheld"]} <= set(Reason)
        for request in result["requests"]:
            assert all(isinstance(value, str) for value in request["params"].values())
            assert sha("")[:32] not in orjson.dumps(request).decode()  # what is sent can be sent: it is JSON
