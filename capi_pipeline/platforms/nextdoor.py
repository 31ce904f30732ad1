"""Nextdoor Conversion API (`nextdoor`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import (
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
    street_address,
    user_id,
)
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_table, is_page
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted, need, only_tested
from capi_pipeline.platforms.times import days, hours, seconds
from capi_pipeline.platforms.wire import Payload, Request, Response

# States of restricted data usage: developer.nextdoor.com/reference/privacy-and-restricted-data-usage
RESTRICTED_STATES = {
    "ca": 1000, "co": 1001, "ct": 1002, "ia": 1003, "or": 1004, "tx": 1005, "mt": 1006, "de": 1007, "ne": 1008, "nh": 1009,
    "nj": 1010, "ut": 1011, "va": 1012, "mn": 1013, "tn": 1014, "md": 1015,
}  # fmt: skip
DELIVERY = ("in_store", "curbside", "home_delivery")
SYSTEMS = {"ios": "iOS", "android": "Android"}
STATUSES = {400: Kind.REFUSED, 422: Kind.REFUSED, 401: Kind.AUTH, 403: Kind.AUTH, 404: Kind.CONFIGURATION}
Slot = Annotated[str, Field(pattern="^custom_conversion_([1-9]|10)$")]


class Nextdoor(Platform):
    """Nextdoor Conversion API, Ads API v2: one event per request.
    https://developer.nextdoor.com/reference/conversions-track"""

    name = "nextdoor"
    title = "Nextdoor"
    documentation = "https://developer.nextdoor.com/reference/conversions-track"
    host = "https://ads.nextdoor.com"
    # No age limit is published; clicks are credited for 7 days.
    limits = Limits(events=1, oldest=days(7), concurrency=8)
    deduplication = Deduplication(keys=("event_name", "event_id"), window=hours(48))  # the window is not published
    limited_data = True
    test_mode = "test_event"
    click_ids = ("ndclid",)
    event_names: ClassVar = {
        "page_view": "page_view",
        "view_item": "view_content",
        "view_item_list": "view_content",
        "search": "search",
        "add_to_wishlist": "add_to_wishlist",
        "add_to_cart": "add_to_cart",
        "begin_checkout": "initiate_checkout",
        "purchase": "purchase",
        "generate_lead": "lead",
        "sign_up": "sign_up",
        "subscribe": "subscribe",
    }
    single_identifiers: ClassVar = {
        "email": email.trimmed,
        "phone_number": phone.e164,
        "first_name": first_name.compact,
        "last_name": last_name.compact,
        "date_of_birth": birth_date.digits,
        "gender": gender.initial,
        "street_address": street_address.spaced,
        "city": city.compact,
        "state": region.two_letters,
        "zip_code": postal_code.whole,
        "country": country.code,
        "external_id": user_id.clear,
    }

    class Config(PlatformConfig):
        data_source_id: str = Field(
            description="Id of the pixel (data source) in Nextdoor Ads Manager.",
            examples=["fe411d2f-0000-4000-8000-00000000abcd"],
        )
        access_token: SecretStr = Field(
            description="Token of the Ads API (Business Settings > Ads API).", examples=["nextdoor-token"]
        )
        custom_events: dict[str, Slot] = Field(
            {},
            description="Custom name, or canonical name without one of its own -> one of the ten custom conversions.",
            examples=[{"Demo Booked": "custom_conversion_2"}],
        )
        max_age_days: float = Field(7, gt=0, le=30, description="Withhold events older than this.", examples=[7])
        test_event: str | None = Field(
            None, description="Marks every event as a test: `true`, or the code in Ads Manager.", examples=["true"]
        )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.limits = replace(self.limits, oldest=days(config.max_age_days))

    def encode(self, c: Conversion) -> Payload:
        payload: Payload = {
            "event_name": self.event_name(c),
            "event_id": c.event_id,
            "event_time_epoch": seconds(c.event_time),
            "action_source": c.action_source,
            "data_source_id": self.config.data_source_id,
            "customer": self.customer(c),
            "custom": self.custom(c),
            "delivery_optimization": not (c.opt_out_of_sale or c.consent_ad_personalization == "denied"),
            "test_event": self.config.test_event,
        }
        if c.action_source == "website":
            payload["action_source_url"] = web_address(need(c.source_url, "a website event needs source_url"))
        if c.action_source == "app":
            payload["app"] = app(c)
        if c.opt_out_of_sale:
            payload |= restricted(c)
        return payload

    def event_name(self, c: Conversion) -> str:
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Nextdoor takes no refunds")
        return self.event_names.get(c.event_name) or self.configured("custom_events", c.name)

    def customer(self, c: Conversion) -> Payload:
        customer = self.matched(c)
        customer["click_id"] = c.click_id("ndclid")
        if not any(customer.get(key) for key in ("email", "phone_number", "click_id")):
            raise Withhold(Reason.NO_IDENTIFIER, "Nextdoor needs an e-mail address, a phone number or its click id")
        customer["client_ip_address"] = str(c.ip) if c.ip else None
        customer["client_user_agent"] = c.user_agent
        return customer

    def custom(self, c: Conversion) -> Payload:
        if c.event_name == "purchase" and c.value is None:
            raise Withhold(Reason.MISSING_FIELD, "a purchase needs value and currency")
        if c.action_source == "physical_store":
            need(c.transaction_id, "a store event needs transaction_id")
        value, delivery = amounts.not_negative(c.value), c.properties.get("delivery_category")
        return {
            # One text, the currency first: USD149.97
            "order_value": None if value is None else f"{c.currency}{amounts.text(value, most=2)}",
            "order_id": c.transaction_id,
            "delivery_category": delivery if delivery in DELIVERY else None,
            "product_context": [
                {
                    "id": item["id"],
                    "content_name": item["name"],
                    "quantity": item["quantity"],
                    "item_price": item["price"],
                }
                for item in c.items
            ],
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        return self.post("/v2/api/conversions/track", payloads[0])

    def probe(self) -> Request:
        return Request("GET", self.url("/v2/api/me"))

    def read(self, response: Response, count: int) -> Verdict:
        if 200 <= response.status < 300 and not is_page(response):
            return only_tested(count) if self.config.test_event else accepted(count)
        return by_table(response, STATUSES, self.title)


def web_address(url: str) -> str:
    """An address of the web. Raises Withhold."""
    if not url.lower().startswith(("http://", "https://")):
        raise Withhold(Reason.INVALID_VALUE, "source_url begins with neither http:// nor https://")
    return url


def app(c: Conversion) -> Payload:
    """All four are required. Raises Withhold."""
    return {
        "app_id": need(c.device.get("app_id"), "an app event needs device.app_id"),
        "app_version": need(c.device.get("app_version"), "an app event needs device.app_version"),
        "platform": need(SYSTEMS.get(c.system), "an app event needs device.os, iOS or Android"),
        "app_tracking_enabled": c.may_track,
    }


def restricted(c: Conversion) -> Payload:
    """Restricted data usage: reporting only. Country and state are numbered for the United States alone."""
    nation, place = c.jurisdiction
    if nation != "US":
        return {"restricted_data_usage": 1}
    state = region.two_letters.normalise((place or "").strip(), "US")
    return {
        "restricted_data_usage": 1,
        "restricted_data_usage_country": 1,
        "restricted_data_usage_state": RESTRICTED_STATES.get(state or ""),
    }
