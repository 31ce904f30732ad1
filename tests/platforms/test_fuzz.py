"""Answers and events that nobody documented: no exception, and nothing is accepted that the platform did not say."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capi_pipeline.conversions.contract import ACTION_SOURCES, EVENT_NAMES
from capi_pipeline.platforms import NAMES, platform
from capi_pipeline.platforms.base import Kind, Reason, Response, State, Verdict
from tests.platforms.support import NOW, Answer, cases, event, made, rendered, sha

every_platform = pytest.mark.parametrize("name", NAMES)
every_queue = pytest.mark.parametrize("name", [name for name in NAMES if platform(name).verdicts])
COUNT = st.integers(1, 4)
STATUS = st.sampled_from(
    [0, 100, 200, 200, 200, 201, 204, 301, 304, 400, 401, 403, 404, 408, 409, 413, 418, 429, 500, 503]
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "date", "content-type", "x-business-use-case-usage", "trackingid"]),
    st.text(max_size=20) | st.sampled_from(["0", "-1", "99999999999999999999", "{}", '{"a": [{}]}',
         "Thu, 01 Jan 1970 00:00:00 GMT"]),
    max_size=3,
)  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([0, 1, 2, 200, "0", "OK", "SUCCESS", "abc", 40002, 100, 190, 5604, "9" * 5000, "²", -1])
)  # fmt: skip
WORDS = st.text(max_size=4) | st.sampled_from(
    ["code", "error", "requestId", "request_id", "events_received", "fbtrace_id", "PartialErrors", "Index", "Code",
     "requestStatusPerDestination", "requestStatus", "errorInfo", "errorCounts", "reason", "recordCount", "recordIndices",
     "details", "fieldViolations", "field", "metadata", "message", "Errors", "BatchErrors"]
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)


def mutated(document: Any, data: st.DataObject) -> Any:
    """The document with one of its members replaced, repeated or gone."""
    if isinstance(document, dict) and document and data.draw(st.integers(0, 5)):
        key = data.draw(st.sampled_from(sorted(document)))
        if data.draw(st.integers(0, 5)) == 0:
            return {k: v for k, v in document.items() if k != key}
        return {**document, key: mutated(document[key], data)}
    if isinstance(document, list) and document and data.draw(st.integers(0, 5)):
        index = data.draw(st.integers(0, len(document) - 1))
        if data.draw(st.integers(0, 5)) == 0:
            return [*document, document[index]]
        return [*document[:index], mutated(document[index], data), *document[index + 1 :]]
    return data.draw(JSON)


def anything(data: st.DataObject, documented: list[Answer]) -> Response:
    """Bytes, JSON, or a documented answer that was changed on the way."""
    kind = data.draw(st.integers(0, 7))
    status, headers = data.draw(STATUS), data.draw(HEADERS)
    if kind == 0:
        return Response(status, headers, data.draw(st.binary(max_size=60)))
    if kind == 1:
        return Response(status, headers, json.dumps(data.draw(JSON)).encode())
    known = data.draw(st.sampled_from(documented)).response
    status = status if data.draw(st.integers(0, 3)) == 0 else known.status
    try:
        body = json.dumps(mutated(json.loads(known.body), data)).encode()
    except ValueError:
        body = known.body
    if kind == 2:
        body = body[: data.draw(st.integers(0, len(body)))]
    return Response(status, {**known.headers, **headers}, body)


def sensible(verdict: Verdict, count: int) -> None:
    """What the delivery relies on."""
    assert isinstance(verdict.kind, Kind)
    assert len(verdict.outcomes) == (count if verdict.kind is Kind.SETTLED else 0)
    assert all(0 <= index < count and outcome.state is State.REJECTED for index, outcome in verdict.culprits.items())
    assert verdict.kind is Kind.REFUSED or not verdict.culprits
    for wait in [verdict.wait, *(outcome.wait for outcome in verdict.outcomes)]:
        assert wait is None or timedelta(0) <= wait <= timedelta(days=1)
    for text in (verdict.code, verdict.message, verdict.trace_id, *(o.code for o in verdict.outcomes)):
        assert isinstance(text, str)
    assert all(isinstance(outcome.message, str) for outcome in verdict.outcomes)


@every_platform
@given(data=st.data(), count=COUNT)
@settings(max_examples=300, deadline=None)
def test_no_answer_is_read_as_more_than_it_says(name: str, data: st.DataObject, count: int) -> None:
    known = cases(name)
    response = anything(data, known.ANSWERS)
    verdict = made(name).read(response, count)
    sensible(verdict, count)
    if any(outcome.state in (State.ACCEPTED, State.PENDING) for outcome in verdict.outcomes):
        assert known.succeeded(response, count)
    if any(outcome.state is State.PENDING for outcome in verdict.outcomes):
        assert verdict.trace_id


@every_queue
@given(data=st.data(), count=COUNT)
@settings(max_examples=300, deadline=None)
def test_no_later_answer_is_read_as_more_than_it_says(name: str, data: st.DataObject, count: int) -> None:
    known = cases(name)
    response = anything(data, known.STATUS_ANSWERS)
    verdict = made(name).read_status(response, count)
    sensible(verdict, count)
    assert all(outcome.state is not State.PENDING for outcome in verdict.outcomes)
    if any(outcome.state is State.ACCEPTED for outcome in verdict.outcomes):
        assert known.settled(response, count)


TEXT = st.none() | st.sampled_from(["", " ", "a", "ÄÖ ß", "李", "x" * 70, "86e0b9e5" * 8]) | st.text(max_size=6)
IDS = st.dictionaries(
    st.sampled_from(["gclid", "gbraid", "fbclid", "ttclid", "msclkid", "obclid", "dicbo", "fb_lead_id", "tiktok_lead_id"]),
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
        "browser_ids": st.dictionaries(st.sampled_from(["fbp", "fbc", "ttp"]), STORED, max_size=3),
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
