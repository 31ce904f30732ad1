"""Pinterest API for Conversions (`pinterest`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar, TypeGuard

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import (
    advertising_id,
    anonymous_id,
    birth_date,
    city,
    country,
    email,
    first_name,
    gender,
    last_name,
    phone,
    postal_code,
    region,
    user_id,
)
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status, dicts, trace, unreadable
from capi_pipeline.platforms.base import NEVER, Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, State, Verdict, Withhold, need, rejected
from capi_pipeline.platforms.times import LONGEST_WAIT, days, hours, seconds
from capi_pipeline.platforms.wire import Payload, Request, Response

APPS = {"ios": "app_ios", "android": "app_android"}
SCHEMA = {1, 4196}  # the body breaks the schema: nothing was stored
_LANGUAGE = re.compile("([A-Za-z]{2})(?:[-_].*)?")


class Pinterest(Platform):
    """Pinterest API v5, events/create: each event is judged alone, but one that breaks the schema fails the request.
    https://developers.pinterest.com/docs/api/v5/events-create"""

    name = "pinterest"
    title = "Pinterest"
    documentation = "https://developers.pinterest.com/docs/api/v5/events-create"
    host = "https://api.pinterest.com"
    # No age is published: nothing older than attribution looks back. 5,000 calls a minute and ad account.
    limits = Limits(events=1000, oldest=days(90), per_second=80)
    deduplication = Deduplication(keys=("event_name", "event_id"), window=hours(48), only="web and app events")
    token_key = "conversion_token"
    limited_data = True
    test_mode = "test"
    click_ids = ("epik",)
    browser_ids = ("epik",)
    event_names: ClassVar = {
        "page_view": "page_visit",
        "view_item": "page_visit",
        "view_item_list": "view_category",
        "search": "search",
        "add_to_wishlist": "add_to_wishlist",
        "add_to_cart": "add_to_cart",
        "begin_checkout": "initiate_checkout",
        "add_payment_info": "add_payment_info",
        "purchase": "checkout",
        "generate_lead": "lead",
        "qualify_lead": "custom",
        "close_convert_lead": "custom",
        "sign_up": "signup",
        "start_trial": "start_trial",
        "subscribe": "subscribe",
        "contact": "contact",
        "schedule": "schedule",
        "submit_application": "submit_application",
        "find_location": "find_location",
        "customize_product": "customize_product",
        "donate": "custom",
        "download": "custom",
        "app_install": "app_install",
        "app_open": "app_open",
    }
    identifiers: ClassVar = {
        "em": email.trimmed,
        "ph": phone.digits,
        "ge": gender.initial,
        "db": birth_date.digits,
        "fn": first_name.lower,
        "ln": last_name.lower,
        "ct": city.compact,
        "st": region.two_letters,
        "zp": postal_code.digits,
        "country": country.code,
        "external_id": (user_id.lower, anonymous_id.lower),
    }

    class Config(PlatformConfig):
        ad_account_id: str = Field(description="Ad account id, digits.", pattern=r"^\d+$", examples=["549755885175"])
        conversion_token: SecretStr = Field(description="Conversion token (Ads Manager, Conversions, Set up API).")
        test: bool = Field(False, description="Pinterest checks the events, and records none.")
        partner_name: str | None = Field(
            None, description="The name that Pinterest gave a partner.", pattern="^ss-.+$", examples=["ss-xyz"]
        )
        custom_event_map: dict[str, Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]] = Field(
            {},
            description="Canonical or own name -> own Pinterest event name (15 at most); others go as `custom`.",
            examples=[{"Demo Booked": "demo_booked"}],
        )

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        if config.test:  # looks at the first 20 events only, 10 times a second
            self.limits = replace(self.limits, events=20, per_second=10)

    def event_name(self, c: Conversion) -> str:
        name = "custom" if c.event_name == "custom" else super().event_name(c)
        return self.config.custom_event_map.get(c.name) or name

    def encode(self, c: Conversion) -> Payload:
        source, in_app = self.source(c), c.action_source == "app"
        language = _LANGUAGE.fullmatch(c.device.get("language") or "")
        payload: Payload = {
            "event_name": self.event_name(c),
            "action_source": source,
            "event_time": seconds(c.event_time),
            "event_id": c.event_id,
            "event_source_url": c.source_url if source == "web" else None,
            "user_data": self.user_data(c),
            "custom_data": self.custom_data(c),
            "language": language[1].lower() if language else None,
            "partner_name": self.config.partner_name,
        }
        if in_app:
            payload["app_info"] = {key: c.device.get(key) for key in ("app_id", "app_version")}
            payload["device_info"] = {
                "os_family": c.system,
                "os_version": c.device.get("os_version"),
                "model": c.device.get("model"),
                "locale": c.device.get("language"),
                "screen_width": c.device.get("screen_width"),
                "screen_height": c.device.get("screen_height"),
            }
        if c.consent_ad_personalization == "denied" or (in_app and not c.may_track):
            payload["opt_out"] = True
        return payload

    def source(self, c: Conversion) -> str:
        if c.action_source != "app":
            return "web" if c.action_source == "website" else "offline"
        need(c.system, "an app event needs device.os")
        if c.system not in APPS:
            raise Withhold(Reason.INVALID_VALUE, "Pinterest takes app events of iOS and Android")
        return APPS[c.system]

    def user_data(self, c: Conversion) -> Payload:
        data = self.matched(c)
        device = advertising_id.idfa(c.advertising_id) if c.advertising_id else None
        data |= {
            "hashed_maids": [device] if device else None,
            "client_ip_address": c.ip_address,
            "client_user_agent": c.user_agent,
            "click_id": c.click_id("epik") or c.browser_ids.get("epik"),
        }
        if not (data.get("em") or device or (c.ip_address and c.user_agent)):
            raise Withhold(Reason.NO_IDENTIFIER, "Pinterest needs an e-mail, a device id, or IP address and browser")
        return data

    def custom_data(self, c: Conversion) -> Payload:
        amounts.not_negative(c.value)
        data: Payload = {
            "currency": c.currency,
            "value": None if c.value is None else amounts.text(c.value),
            "order_id": c.transaction_id,
            "search_string": c.search_term,
            "opt_out_type": "LDP" if c.opt_out_of_sale else None,
        }
        if items := c.items:
            data["content_ids"] = [item["id"] for item in items]
            data["contents"] = [
                {
                    "id": item["id"],
                    "item_price": None if item["price"] is None else amounts.text(item["price"]),
                    "quantity": item["quantity"],
                    "item_name": item["name"],
                    "item_category": item["category"],
                    "item_brand": item["brand"],
                }
                for item in items
            ]
            data["num_items"] = c.quantity
        return data

    def deduplication_of(self, payload: Any) -> Deduplication:
        return NEVER if payload["action_source"] == "offline" else self.deduplication

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        request = self.post(f"/v5/ad_accounts/{self.config.ad_account_id}/events", {"data": list(payloads)})
        return request.with_params(test="true") if self.config.test else request

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        code, words = body.get("code"), body.get("message")
        known: dict[str, Any] = {
            "code": str(code) if type(code) is int else f"http_{response.status}",
            "message": words if isinstance(words, str) else "",
            "trace_id": trace(response.headers.get("x-pinterest-rid")),
        }
        if response.status == 200:
            events, received, processed = (
                body.get(key) for key in ("events", "num_events_received", "num_events_processed")
            )
            numbers = type(received) is int and type(processed) is int and received == count
            if numbers and judged(events, count) and processed == sum(e["status"] == "processed" for e in events):
                return Verdict(Kind.SETTLED, list(map(self.outcome, events)), trace_id=known["trace_id"])
        if response.status == 422 and body:
            # Where the states stand is not documented. Without them halves find the culprits; the others may be stored.
            found = [states for states in listed(body) if judged(states, count)]
            if len(found) == 1:
                return Verdict(Kind.SETTLED, list(map(self.outcome, found[0])), **known)
            return Verdict(Kind.REFUSED, maybe_stored=count > 1, **known)
        if response.status == 400 and type(code) is int and code in SCHEMA:
            return Verdict(Kind.REFUSED, **known)
        return by_status(response, **known, wait=reset_wait(response)) or unreadable(response)

    def outcome(self, event: Payload) -> Outcome:
        if event["status"] == "failed":
            return rejected("failed", text(event.get("error_message")))
        if self.config.test:
            return Outcome(State.WITHHELD, Reason.TEST_MODE.value)
        return Outcome(State.ACCEPTED, message=text(event.get("warning_message")))


def judged(events: Any, count: int) -> TypeGuard[list[Payload]]:
    """Whether this is a list with the documented state of each of `count` events."""
    return (
        isinstance(events, list)
        and len(events) == count
        and dicts(events) == events
        and all(event.get("status") in ("processed", "failed") for event in events)
    )


def listed(body: Payload) -> list[Any]:
    """Every member `events` of the document, at any depth."""
    found, left = [], [body]
    while left:
        value: Any = left.pop()
        if isinstance(value, dict) and "events" in value:
            found.append(value["events"])
        left += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return found


def reset_wait(response: Response) -> timedelta | None:
    """Seconds of the `x-ratelimit-reset` header."""
    reset = response.headers.get("x-ratelimit-reset", "")
    if not re.fullmatch("[0-9]{1,18}", reset):
        return None
    return min(timedelta(seconds=min(int(reset), 10**6)), LONGEST_WAIT)


def text(value: object) -> str:
    return value if isinstance(value, str) else ""
