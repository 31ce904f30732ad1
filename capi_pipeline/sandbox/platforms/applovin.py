"""Axon Conversion API: https://support.axon.ai/en/growth/promoting-your-websites/api/axon-conversion-api"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import FOREVER, NEVER, Event

EVENT_KEY, API_KEY = "11111111-2222-4333-8444-555555555555", "sandbox-axon-key"
MAXIMUM: Final = 100
MERGE: Final = timedelta(minutes=5)
EVENTS: Final = rules.words(
    "page_view view_item search add_to_cart begin_checkout add_payment_info purchase generate_lead sign_up subscribe "
    "app_open view_cart remove_from_cart login"
)
WITHOUT_DATA: Final = ("page_view", "app_open")
REQUIRED: Final = {
    "purchase": ("currency", "value", "items", "transaction_id", "tax", "shipping"),
    "begin_checkout": ("currency", "value", "items"),
    "add_to_cart": ("items",),
    "view_item": ("items",),
    "generate_lead": ("currency", "value"),
}
COUNTED_ITEMS: Final = ("purchase", "begin_checkout", "add_to_cart")
USER: Final = rules.words(
    "client_ip_address client_user_agent esi email phone user_id client_id country_code zip os sid ifa idfv aleid alart axwrt"
)
LINKS: Final = rules.words("aleid axwrt alart client_id user_id email phone")


class AppLovin(Platform):
    """All or nothing: one invalid event refuses the request. The same `dedupe_id` is merged for five minutes and dropped as
    a repeat after that."""

    slug = "applovin"
    title = "Axon by AppLovin"
    documentation = "https://support.axon.ai/en/growth/promoting-your-websites/api/axon-conversion-api"
    environment: ClassVar = {"AXON_CONVERSION_API_KEY": API_KEY}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/v1/event", self.send)]

    def send(self, call: Call) -> Reply:
        known = call.static_token(call.headers.get("authorization", ""), API_KEY) is Token.GOOD
        if not known or call.query.get("pixel_id") != EVENT_KEY:
            raise Refused(answer(401, "Unauthorized"))
        events = (call.json() or {}).get("events")
        if not isinstance(events, list) or not 0 < len(events) <= MAXIMUM:
            raise Refused(answer(400, f"events: 1 to {MAXIMUM}"))
        call.events = len(events)
        for event in events:
            found = problem(event) if isinstance(event, dict) else "not an object"
            if found or call.refusal(event, 400) is not None:
                raise Refused(answer(400, found or "invalid event"), rejected=1)
        call.record([accepted(event) for event in events])
        return Reply({})


def answer(status: int, message: str) -> Reply:
    return Reply({"message": message}, status)


def accepted(event: Mapping[str, Any]) -> Event:
    name, dedupe_id, data = event["name"], event.get("dedupe_id"), event["data"] or {}
    return Event(
        account=EVENT_KEY, identity=f"{name}\x1f{dedupe_id}" if dedupe_id else payload_digest(event), name=name, id=dedupe_id,
        payload=event, window=FOREVER if dedupe_id else NEVER, merge=MERGE if dedupe_id else NEVER, value=data.get("value"),
        currency=data.get("currency"),
    )  # fmt: skip


def problem(event: Mapping[str, Any]) -> str | None:
    """The first rule that an event breaks."""
    name, at = event.get("name"), event.get("event_time")
    if not rules.is_one_of(name, EVENTS):
        return "name is not in the catalogue"
    if not rules.is_integer(at) or not 10**12 <= at < 10**14:
        return "event_time is not in milliseconds"
    if not is_url(event.get("event_source_url")):
        return "event_source_url is not a full URL"
    if "dedupe_id" in event and not rules.is_text(event["dedupe_id"]):
        return "dedupe_id is not a text"
    return user_problem(name, event.get("user_data")) or data_problem(name, event)


def user_problem(name: str, user: object) -> str | None:
    if not isinstance(user, dict) or not user.keys() <= USER or not all(map(rules.is_text, user.values())):
        return "user_data is an object of texts"
    if not {"client_ip_address", "client_user_agent", "esi"} <= user.keys():
        return "client_ip_address, client_user_agent and esi are required"
    if not rules.is_ip_address(user["client_ip_address"]):
        return "client_ip_address is not an address"
    if user["esi"] not in ("web", "app") or (name == "app_open" and user["esi"] != "app"):
        return "esi is web or app"
    for field in ("email", "phone"):
        if field in user and not rules.is_digest(user[field]):
            return f"{field} is not a SHA-256"
    if any(rules.looks_hashed(user.get(field)) for field in ("user_id", "client_id", "zip", "aleid")):
        return "an id is hashed"
    if len(user.get("user_id", "123456")) < 6:
        return "user_id has less than 6 characters"
    if user.get("os", "ios") not in ("ios", "android", "desktop_os"):
        return "os is ios, android or desktop_os"
    code = user.get("country_code", "US")
    if len(code) != 2 or not code.isupper():
        return "country_code is not ISO alpha-2"
    return None if LINKS & user.keys() else "an identifier is required"


def data_problem(name: str, event: Mapping[str, Any]) -> str | None:
    if "data" not in event:
        return "data is required"
    data = event["data"]
    if data is None:
        return None if name in WITHOUT_DATA else "data is required"
    if not isinstance(data, dict):
        return "data is not an object"
    for field in REQUIRED.get(name, ()):
        if field not in data:
            return f"{field} is required"
    for field in ("value", "tax", "shipping"):
        if field in data and not rules.is_number(data[field]):
            return f"{field} is not a number"
    if "currency" in data and not rules.is_currency(data["currency"]):
        return "currency is not ISO 4217"
    for field in ("transaction_id", "search_term", "payment_type", "method"):
        if field in data and not rules.is_text(data[field]):
            return f"{field} is not a text"
    for field in ("items", "results"):
        listed = data.get(field, [])
        if not isinstance(listed, list) or not all(is_item(item, name in COUNTED_ITEMS) for item in listed):
            return f"{field} holds an invalid item"
    if "items" in REQUIRED.get(name, ()) and not data["items"]:
        return "items is empty"
    return None


def is_item(item: object, counted: bool) -> bool:
    if not isinstance(item, dict) or not rules.is_text(item.get("item_id")):
        return False
    quantity = item.get("quantity", None if counted else 1)
    texts = ("item_name", "item_brand", "item_category", "item_variant_id")
    return (
        rules.is_integer(quantity)
        and rules.is_number(item.get("price", 0))
        and all(rules.is_text(item.get(field, "-")) for field in texts)
    )


def is_url(value: object) -> bool:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return bool(parts and parts.scheme and parts.netloc)
