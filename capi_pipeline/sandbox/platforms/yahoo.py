"""LINE Yahoo (LY Ads) Conversion API v1: https://ads-developers.yahoo.co.jp/en/conversion-api/"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token
from capi_pipeline.sandbox.store import Event

TAG_ID: Final = "TAG1234567"
TAG_ACCESS_TOKEN: Final = "sandbox-ly-tag-token"
CHANNEL_ID: Final = 1234567890

MAXIMUM: Final = 1000
MOST_ITEMS: Final = 10
AGE: Final = timedelta(days=90)
WINDOW: Final = timedelta(days=7)
TYPES: Final = rules.words(
    "page_view view_product view_listing search add_wishlist add_cart view_cart check_out payment_info purchase "
    "generate_lead sign_up reservation login"
)
TRANSACTION_ID = re.compile(r"[!\"#$%&'()*+,\-./0-9:;=?@A-Z_a-z~]{1,64}")
HASHED: Final = ("hashed_email", "hashed_phone_number")
CLEAR: Final = ("ly_su", "ly_c", "ly_r", "ifa", "line_uid")
TIMED = re.compile(r"\d+\.\S+", re.ASCII)  # `<timestamp>.<id>`


def error(status: int, message: str) -> Reply:
    return Reply({"Error": {"Message": message}}, status)


class Yahoo(Platform):
    """202 without a body covers the request. A parameter that is not as documented refuses it (400); a time that is too
    old or to come is dropped without a word, and so is a transaction id of the last 7 days, whatever its event type."""

    slug = "yahoo"
    title = "LINE Yahoo Conversion API"
    documentation = "https://ads-developers.yahoo.co.jp/en/conversion-api/"
    environment: ClassVar = {"YAHOO_TAG_ACCESS_TOKEN": TAG_ACCESS_TOKEN}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/v1/", self.convert)]

    def convert(self, call: Call) -> Reply:
        state = call.static_token(call.headers.get("x-tagaccesstoken", ""), TAG_ACCESS_TOKEN)
        if state is not Token.GOOD:
            raise Refused(error(401, "The access token of the tag is missing or invalid."))
        if call.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise Refused(error(415, "Unsupported media type."))
        body = call.json()
        if body is None:
            raise Refused(error(400, "The request body is not JSON."))
        if body.get("tag_id") != TAG_ID:
            raise Refused(error(403, "The tag is not allowed."))
        events = body.get("data")
        if not isinstance(events, list) or not 1 <= len(events) <= MAXIMUM:
            raise Refused(error(400, f"data: 1 to {MAXIMUM} events are required."))
        call.events = len(events)
        for index, event in enumerate(events):
            problem = first_problem(event, body.get("channel_id"))
            if problem is not None or call.refusal(event, "parameter") is not None:
                raise Refused(error(400, f"data[{index}].{problem or 'event is invalid'}"), rejected=1)
        call.record([accepted(event, call.now) for event in events])
        return Reply(b"", 202)

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return error(parameters.get("status") or 429, "Too many requests.")

    def server_error(self, status: int) -> Reply:
        return error(status, "Under maintenance." if status == 503 else "Internal server error.")


def accepted(event: Mapping[str, Any], now: datetime) -> Event:
    facts, custom = event["event"], event.get("custom") or {}
    identity = facts.get("transaction_id") or f"time:{facts['event_time']}"
    outcome = "test" if facts.get("test_flag") else None
    if not (now - AGE).timestamp() <= facts["event_time"] <= now.timestamp():
        outcome = "dropped"
    return Event(
        account=TAG_ID, identity=identity, name=facts["event_type"], id=facts.get("transaction_id"), payload=event,
        window=WINDOW, outcome=outcome, value=custom.get("value"), currency=custom.get("currency"),
    )  # fmt: skip


def first_problem(event: object, channel_id: object) -> str | None:
    """The first parameter of an event that is not as documented."""
    if not isinstance(event, dict):
        return "must be an object"
    for part in ("event", "user", "web", "custom"):
        if part in event and not (isinstance(event[part], dict) and event[part]):
            return f"{part} must be an object that is not empty"
    facts = event.get("event", {})
    if not rules.is_one_of(facts.get("event_type"), TYPES):
        return "event.event_type is invalid"
    if not rules.is_integer(facts.get("event_time")) or not 10**9 <= facts["event_time"] < 10**10:
        return "event.event_time must be Unix seconds"
    if facts.get("action_source") != "web":
        return "event.action_source must be web"
    if "transaction_id" in facts and not (
        rules.is_text(facts["transaction_id"]) and TRANSACTION_ID.fullmatch(facts["transaction_id"])
    ):
        return "event.transaction_id is invalid"
    if "event_snippet_id" in facts and (
        not rules.is_text(facts["event_snippet_id"]) or facts["event_type"] == "page_view"
    ):
        return "event.event_snippet_id is invalid"
    if not isinstance(facts.get("test_flag", False), bool):
        return "event.test_flag must be a boolean"
    return (
        user_problem(event.get("user", {}), channel_id)
        or web_problem(event.get("web", {}))
        or custom_problem(event.get("custom", {}), facts["event_type"])
    )


def user_problem(user: Mapping[str, Any], channel_id: object) -> str | None:
    if not any(user.get(field) for field in (*HASHED, *CLEAR)):
        return "user needs at least one identifier"
    for field in HASHED:
        if field in user and not rules.is_digest(user[field]):
            return f"user.{field} must be SHA-256 in lower-case hex"
    for field in CLEAR:
        if field in user and not rules.is_text(user[field]):
            return f"user.{field} must be a string"
    for field in ("ly_su", "ly_c"):
        if field in user and not TIMED.fullmatch(user[field]):
            return f"user.{field} must hold a timestamp"
    if "ifa" in user and user["ifa"] not in (user["ifa"].upper(), user["ifa"].lower()):
        return "user.ifa must be in one case"
    if ("line_uid" in user) and channel_id != CHANNEL_ID:
        return "user.line_uid needs channel_id"
    return None


def web_problem(web: Mapping[str, Any]) -> str | None:
    for field in ("url", "referrer_url", "user_agent", "ip"):
        if field in web and not rules.is_text(web[field]):
            return f"web.{field} must be a string"
    return None if rules.is_ip_address(web.get("ip", "::")) else "web.ip is invalid"


def custom_problem(custom: Mapping[str, Any], event_type: str) -> str | None:
    if "value" in custom and (not rules.is_number(custom["value"]) or "currency" not in custom):
        return "custom.value must be a number with a currency"
    if custom.get("currency", "JPY") not in ("JPY", "USD"):
        return "custom.currency must be JPY or USD"
    items = custom.get("items", [])
    if not isinstance(items, list) or len(items) > MOST_ITEMS or (items and event_type == "page_view"):
        return f"custom.items must be a list of at most {MOST_ITEMS}, and not of a page view"
    for item in items:
        if not isinstance(item, dict) or not rules.is_text(item.get("item_id")):
            return "custom.items.item_id is required"
        if not rules.is_number(item.get("price", 0)) or not rules.is_integer(item.get("quantity", 1)):
            return "custom.items: price and quantity must be numbers"
    return None
