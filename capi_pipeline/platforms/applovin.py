"""Axon Conversion API by AppLovin (`applovin`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import unquote_plus

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import anonymous_id, country, email, phone, postal_code, user_id
from capi_pipeline.platforms.answers import by_table, is_page
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted, need
from capi_pipeline.platforms.times import hours, milliseconds, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

MONEY = ("currency", "value")
FIELDS = {  # of `data`, by event
    "purchase": (*MONEY, "items", "transaction_id", "tax", "shipping"),
    "begin_checkout": (*MONEY, "items"),
    "add_to_cart": (*MONEY, "items"),
    "view_item": (*MONEY, "items"),
    "add_payment_info": ("payment_type",),
    "generate_lead": MONEY,
    "search": ("search_term", "results"),
    "sign_up": ("method",),
    "subscribe": MONEY,
}
REQUIRED = {
    "purchase": (*MONEY, "items", "transaction_id"),
    "begin_checkout": (*MONEY, "items"),
    "add_to_cart": ("items",),
    "view_item": ("items",),
    "generate_lead": MONEY,
}
WITHOUT_DATA = ("page_view", "app_open")  # `data` has to be there all the same, as null
LINKS = ("aleid", "axwrt", "alart", "client_id", "user_id", "email", "phone")  # one of them leads to a person
SHORTEST_USER_ID = 6
SYSTEMS = {
    "ios": "ios", "android": "android",
    **dict.fromkeys(("windows", "macos", "mac os", "mac os x", "linux", "chrome os", "chromeos"), "desktop_os"),
}  # fmt: skip
STATUSES = {
    400: Kind.REFUSED,
    401: Kind.AUTH,
    403: Kind.AUTH,
    404: Kind.CONFIGURATION,
    413: Kind.REFUSED,
    422: Kind.REFUSED,
}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S")
_ALEID = re.compile("[?&]aleid=([^&#]+)")


class AppLovin(Platform):
    """Axon Conversion API v1, for web and e-commerce advertisers: one invalid event refuses the request.
    https://support.axon.ai/en/growth/promoting-your-websites/api/axon-conversion-api"""

    name = "applovin"
    title = "Axon by AppLovin"
    documentation = "https://support.axon.ai/en/growth/promoting-your-websites/api/axon-conversion-api"
    host = "https://b.applovin.com"
    limits = Limits(events=100, newest=minutes(0), atomic=True)  # no age, size or rate is published
    # Merged with the pixel's for 5 minutes, dropped as a repeat after that; for how long is not published, a day is ours.
    deduplication = Deduplication(keys=("dedupe_id",), window=hours(24))
    token_key = "conversion_api_key"
    click_ids = ("aleid", "alart")
    browser_ids = ("axeid", "_axeid", "axart", "_axart", "axwrt", "_axwrt", "ga_session_id")
    event_names: ClassVar = {name: name for name in (*FIELDS, *WITHOUT_DATA)}
    single_identifiers: ClassVar = {
        "email": email.trimmed,
        "phone": phone.digits,
        "user_id": user_id.as_is,
        "client_id": anonymous_id.as_is,
        "country_code": country.clear,
        "zip": postal_code.axon,
    }

    class Config(PlatformConfig):
        event_key: str = Field(
            description="Event key (pixel id), 36 characters.",
            pattern=r"^[0-9A-Za-z-]{36}$",
            examples=["11111111-2222-4333-8444-555555555555"],
        )
        conversion_api_key: SecretStr = Field(description="Conversion API key of the same account.")

    def authorize(self, request: Request, token: str) -> Request:
        return request.with_headers(Authorization=token)  # the bare key

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "custom":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Axon has no custom events")
        name = self.event_name(c)
        page = need(c.source_url, "an event needs source_url")
        if not _URL.match(page):
            raise Withhold(Reason.INVALID_VALUE, "source_url is no full address")
        return {
            "name": name,
            "event_time": milliseconds(c.event_time),
            "event_source_url": page,
            "dedupe_id": c.event_id,
            "user_data": self.user_data(c),
            "data": data(c, name),
        }

    def user_data(self, c: Conversion) -> Payload:
        app = c.action_source == "app"
        found = self.matched(c)
        if len(found.get("user_id", "")) < SHORTEST_USER_ID:
            found.pop("user_id", None)
        in_page = _ALEID.search(c.source_url or "")
        found |= {
            "esi": "app" if app or c.event_name == "app_open" else "web",
            "client_ip_address": str(need(c.ip, "an event needs a valid ip_address")),
            "client_user_agent": need(c.user_agent, "an event needs user_agent"),
            "aleid": c.click_id("aleid") or cookie(c, "axeid") or (unquote_plus(in_page[1]) if in_page else None),
            "alart": c.click_id("alart") or cookie(c, "axart"),
            "axwrt": cookie(c, "axwrt"),
            "os": SYSTEMS.get(c.system),
            "sid": c.browser_ids.get("ga_session_id"),
            "ifa": c.advertising_id if app else None,
            "idfv": c.device.get("vendor_id") if app else None,
        }
        if not any(found.get(field) for field in LINKS):
            raise Withhold(Reason.NO_IDENTIFIER, "no Axon id, own id, e-mail or phone")
        return found

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        events = [{"data": None if payload["name"] in WITHOUT_DATA else {}, **payload} for payload in payloads]
        return self.post("/v1/event", {"events": events}).with_params(pixel_id=self.config.event_key)

    def read(self, response: Response, count: int) -> Verdict:
        """200 takes all events, and nothing is documented of its body; 400 takes none."""
        if response.status == 200 and not is_page(response) and not response.json().keys() & {"error", "errors"}:
            return accepted(count)
        return by_table(response, STATUSES, self.title)


def data(c: Conversion, name: str) -> Payload:
    """The fields of this event. Raises Withhold where one is missing that would refuse the whole request."""
    items = [item(some) for some in c.items] or None
    known = {
        "currency": c.currency,
        "value": c.value,
        "items": items,
        "results": items,
        "transaction_id": c.transaction_id,
        "tax": c.tax or 0,  # required of a purchase, also where nobody knows
        "shipping": c.shipping or 0,
        "search_term": c.search_term,
        "payment_type": text(c.properties.get("payment_type")),
        "method": text(c.properties.get("method")),
    }
    for field in REQUIRED.get(name, ()):
        need(known[field], f"{name} needs {'contents' if field == 'items' else field}")
    return {field: known[field] for field in FIELDS.get(name, ())}


def item(some: Mapping[str, Any]) -> Payload:
    return {
        "item_id": some["id"],
        "item_name": some["name"],
        "item_brand": some["brand"],
        "item_category": some["category"],
        "item_variant_id": some["variant"],
        "price": some["price"],
        "quantity": 1 if some["quantity"] is None else some["quantity"],
    }


def cookie(c: Conversion, name: str) -> str | None:
    return c.browser_ids.get(name) or c.browser_ids.get(f"_{name}")


def text(value: object) -> str | None:
    return value if isinstance(value, str) else None
