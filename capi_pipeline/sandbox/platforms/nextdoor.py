"""Nextdoor Conversion API: https://developer.nextdoor.com/reference/conversions-track"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token
from capi_pipeline.sandbox.store import Event

DATA_SOURCE_ID: Final = "fe411d2f-0000-4000-8000-00000000abcd"
ACCESS_TOKEN: Final = "sandbox-nextdoor-token"
WINDOW: Final = timedelta(hours=48)  # not published

EVENTS: Final = rules.words(
    "page_view view_content search add_to_wishlist add_to_cart initiate_checkout purchase lead sign_up subscribe"
) | {f"custom_conversion_{slot}" for slot in range(1, 11)}
ACTION_SOURCES: Final = rules.words("website app physical_store phone_call chat email system_generated other")
HASHED: Final = ("email", "phone_number", "first_name", "last_name", "date_of_birth", "gender", "street_address", "city",
                 "state", "zip_code", "country")  # fmt: skip
CLEAR: Final = ("external_id", "click_id", "client_ip_address", "client_user_agent")
ORDER_VALUE = re.compile(r"([A-Z]{3})(\d+(?:\.\d{1,2})?)", re.ASCII)
RESTRICTED: Final = {
    "restricted_data_usage": {1},
    "restricted_data_usage_country": {1},
    "restricted_data_usage_state": set(range(1000, 1016)),
}
APP: Final = {"app_id": str, "app_version": str, "platform": str, "app_tracking_enabled": bool}


class Nextdoor(Platform):
    """One event per request, by bearer token. The first copy of a name and id counts; a test event does not."""

    slug = "nextdoor"
    title = "Nextdoor Conversion API"
    documentation = "https://developer.nextdoor.com/reference/conversions-track"
    environment: ClassVar = {"NEXTDOOR_ACCESS_TOKEN": ACCESS_TOKEN}

    def endpoints(self) -> Sequence[Endpoint]:
        return [
            Endpoint("POST", "/v2/api/conversions/track", self.track),
            Endpoint("GET", "/v2/api/me", self.me, kind="status"),
        ]

    def me(self, call: Call) -> Reply:
        authorise(call)
        return Reply({"id": "advertiser"})

    def track(self, call: Call) -> Reply:
        call.events = 1
        authorise(call)
        event = call.json() or {}
        problem = first_problem(event)
        if problem is not None:
            raise Refused(error(400, problem), rejected=1)
        if event["data_source_id"] != DATA_SOURCE_ID:
            raise Refused(error(404, "Data source not found"))
        status = call.refusal(event, 400)
        if status is not None:
            raise Refused(error(int(status), "custom is not valid"), rejected=1)
        call.record([accepted(event)])
        return Reply({"status": "ok"})

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return error(parameters.get("status") or 429, "Too many requests")


def error(status: int, message: str) -> Reply:
    return Reply({"message": message}, status)


def authorise(call: Call) -> None:
    if call.static_token(call.bearer(), ACCESS_TOKEN) is not Token.GOOD:
        raise Refused(error(401, "Unauthorized"))


def accepted(event: dict[str, Any]) -> Event:
    name, order = event["event_name"], ORDER_VALUE.fullmatch((event.get("custom") or {}).get("order_value", ""))
    return Event(
        account=DATA_SOURCE_ID, identity=f"{name}\x1f{event['event_id']}", name=name, id=event["event_id"], payload=event,
        window=WINDOW, outcome="test" if event.get("test_event") else None,
        value=float(order[2]) if order else None, currency=order[1] if order else None,
    )  # fmt: skip


def first_problem(event: Mapping[str, Any]) -> str | None:
    """The first field that is not as documented, in the words of the answer; None for a good event."""
    name, source, at = event.get("event_name"), event.get("action_source"), event.get("event_time_epoch")
    if not isinstance(name, str) or name not in EVENTS:
        return "event_name must be one of the documented events"
    for field in ("event_id", "data_source_id"):
        if not rules.is_text(event.get(field)):
            return f"{field} is required"
    if not rules.is_integer(at) or not 0 < at < 10**11:
        return "event_time_epoch must be Unix time in seconds"
    if not isinstance(source, str) or source not in ACTION_SOURCES:
        return "action_source must be one of the documented values"
    if source == "website" and not str(event.get("action_source_url")).startswith(("http://", "https://")):
        return "action_source_url is required for website events"
    if not isinstance(event.get("delivery_optimization", True), bool):
        return "delivery_optimization must be a boolean"
    for field, values in RESTRICTED.items():
        if field in event and not (rules.is_integer(event[field]) and event[field] in values):
            return f"{field} must be one of the documented integers"
    if "test_event" in event and not isinstance(event["test_event"], str):
        return "test_event must be a string"
    customer, custom, app = event.get("customer"), event.get("custom", {}), event.get("app")
    if not isinstance(customer, dict) or not isinstance(custom, dict):
        return "customer and custom must be objects"
    if source == "app" and not (
        isinstance(app, dict)
        and all(isinstance(app.get(field), kind) for field, kind in APP.items())
        and app["platform"] in ("iOS", "Android")
    ):
        return "app must hold app_id, app_version, platform and app_tracking_enabled"
    return customer_problem(customer) or custom_problem(name, source, custom)


def customer_problem(customer: Mapping[str, Any]) -> str | None:
    for field in HASHED:
        if field in customer and not rules.is_digest(customer[field]):
            return f"customer.{field} must be SHA-256 in lower-case hex"
    for field in CLEAR:
        if field in customer and (not rules.is_text(customer[field]) or rules.looks_hashed(customer[field])):
            return f"customer.{field} must be a string that is not hashed"
    if not any(field in customer for field in ("email", "phone_number", "click_id")):
        return "customer must hold email, phone_number or click_id"
    if not rules.is_ip_address(customer.get("client_ip_address", "::")):
        return "customer.client_ip_address must be an IP address"
    return None


def custom_problem(name: str, source: str, custom: Mapping[str, Any]) -> str | None:
    value = custom.get("order_value", None if name == "purchase" else "USD0")
    if not isinstance(value, str) or ORDER_VALUE.fullmatch(value) is None:
        return "custom.order_value must be a currency code and an amount"
    if not rules.is_text(custom.get("order_id", None if source == "physical_store" else "-")):
        return "custom.order_id is required for offline events"
    if custom.get("delivery_category", "in_store") not in ("in_store", "curbside", "home_delivery"):
        return "custom.delivery_category must be in_store, curbside or home_delivery"
    products = custom.get("product_context", [])
    if not isinstance(products, list) or not all(isinstance(product, dict) for product in products):
        return "custom.product_context must be a list of objects"
    for product in products:
        texts = rules.is_text(product.get("id")) and isinstance(product.get("content_name", ""), str)
        numbers = rules.is_integer(product.get("quantity", 1)) and rules.is_number(product.get("item_price", 0))
        if not (texts and numbers):
            return "custom.product_context holds a product that is not valid"
    return None
