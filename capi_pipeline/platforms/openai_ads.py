"""OpenAI Ads Conversions API (`openai_ads`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Amount, Conversion
from capi_pipeline.conversions.identifiers import (
    city,
    country,
    email,
    first_name,
    last_name,
    phone,
    postal_code,
    region,
    user_id,
)
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status, is_page, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted, need, only_tested
from capi_pipeline.platforms.times import days, milliseconds, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

SOURCES = {
    "website": "web", "app": "mobile_app", "physical_store": "physical_store", "phone_call": "phone_call", "email": "email",
    "system_generated": "offline", "chat": "other", "other": "other",
}  # fmt: skip
# `data.type` of each type.
DATA = {
    "page_viewed": "contents",
    "contents_viewed": "contents",
    "items_added": "contents",
    "checkout_started": "contents",
    "order_created": "contents",
    "lead_created": "customer_action",
    "registration_completed": "customer_action",
    "appointment_scheduled": "customer_action",
    "app_installed": "customer_action",
    "app_opened": "customer_action",
    "trial_started": "plan_enrollment",
    "subscription_created": "plan_enrollment",
    "custom": "custom",
}
LONGEST_NAME = 64
OWN_NAME = f"^[A-Za-z0-9]([A-Za-z0-9_-]{{0,{LONGEST_NAME - 2}}}[A-Za-z0-9])?$"
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class OpenAIAds(Platform):
    """OpenAI Ads Conversions API v1 (2026-09): one bad event fails the request, and is not named.
    https://developers.openai.com/ads/conversions-api"""

    name = "openai_ads"
    title = "OpenAI Ads"
    documentation = "https://developers.openai.com/ads/conversions-api"
    host = "https://bzr.openai.com"
    # No size is published; below 4 MB with room for the envelope.
    limits = Limits(events=1000, oldest=days(7), newest=minutes(10), atomic=True, bytes=3_900_000)
    # The first one is kept; for how long is not published, but for as long as an event may be sent.
    deduplication = Deduplication(keys=("pid", "type", "id"), window=days(7))
    token_key = "api_key"
    limited_data = True
    test_mode = "validate_only"
    click_ids = ("oppref",)
    browser_ids = ("__oppref", "__obref")
    event_names: ClassVar = {
        "page_view": "page_viewed",
        "view_item": "contents_viewed",
        "view_item_list": "contents_viewed",
        "add_to_cart": "items_added",
        "begin_checkout": "checkout_started",
        "purchase": "order_created",
        "generate_lead": "lead_created",
        "sign_up": "registration_completed",
        "schedule": "appointment_scheduled",
        "app_install": "app_installed",
        "app_open": "app_opened",
        "start_trial": "trial_started",
        "subscribe": "subscription_created",
        # with the canonical name as `custom_event_name`
        "search": "custom",
        "add_to_wishlist": "custom",
        "add_payment_info": "custom",
        "qualify_lead": "custom",
        "close_convert_lead": "custom",
        "contact": "custom",
        "submit_application": "custom",
        "find_location": "custom",
        "customize_product": "custom",
        "donate": "custom",
        "download": "custom",
    }
    identifiers: ClassVar = {
        "emails_sha256": email.trimmed,
        "phone_numbers_sha256": phone.digits,
        "external_ids_sha256": user_id.trimmed,
        "first_names_sha256": first_name.letters,
        "last_names_sha256": last_name.letters,
        "countries": country.clear,
        "cities": city.clear,
        "regions": region.clear,
        "postal_codes": postal_code.clear,
    }

    class Config(PlatformConfig):
        pixel_id: str = Field(description="Pixel id (Ads Manager, Conversions).", examples=["px_0123456789abcdef"])
        api_key: SecretStr = Field(description="Conversions API key made there; no platform key, no Ads API key.")
        custom_events: dict[str, Annotated[str, Field(pattern=OWN_NAME)]] = Field(
            {},
            description="Canonical or own name -> name of an event that is sent as `custom`.",
            examples=[{"add_payment_info": "add_payment_info"}],
        )
        validate_only: bool = Field(False, description="OpenAI checks the events, and stores none.")

    def encode(self, c: Conversion) -> Payload:
        kind = "custom" if c.event_name == "custom" else self.event_name(c)
        source = SOURCES[c.action_source]
        if kind in ("app_installed", "app_opened") and source != "mobile_app":
            raise Withhold(Reason.INVALID_VALUE, f"{kind} is an event of an app")
        oppref, user = c.click_id("oppref") or c.browser_ids.get("__oppref"), self.user(c)
        page = site_and_path(need(c.source_url, "a website event needs source_url")) if source == "web" else None
        if not (oppref or any(user.values())):
            raise Withhold(Reason.NO_IDENTIFIER, "no oppref, and nothing known of the person")
        return {
            "id": c.event_id,
            "type": kind,
            "custom_event_name": self.own_name(c) if kind == "custom" else None,
            "timestamp_ms": milliseconds(c.event_time),
            "action_source": source,
            "source_url": page,
            "oppref": oppref,
            "opt_out": bool(c.opt_out_of_sale) or c.consent_ad_personalization == "denied",
            "user": user,
            "data": self.data(c, DATA[kind]),
        }

    def own_name(self, c: Conversion) -> str:
        configured = self.config.custom_events.get(c.name)
        name = configured or re.sub("[^a-z0-9_-]+", "_", c.name.lower()).strip("_-")[:LONGEST_NAME].rstrip("_-")
        if not name or name in DATA:
            raise Withhold(Reason.INVALID_VALUE, "OpenAI Ads allows no custom event of this name")
        return str(name)

    def user(self, c: Conversion) -> Payload:
        user = self.matched(c)
        device = c.advertising_id or ""
        return user | {
            "ip_address": c.ip_address,
            "user_agent": c.user_agent,
            "obref": c.browser_ids.get("__obref"),
            "android_advertising_id": device if c.system == "android" and _UUID.fullmatch(device) else None,
        }

    def data(self, c: Conversion, kind: str) -> Payload:
        plan = c.properties.get("plan_id") if kind in ("plan_enrollment", "custom") else None
        return {
            "type": kind,
            **money(c.value, c.currency),
            "plan_id": plan if isinstance(plan, str) else None,
            "contents": None
            if kind == "customer_action"
            else [
                {
                    "id": item["id"],
                    "name": item["name"],
                    "quantity": item["quantity"],
                    **money(item["price"], c.currency),
                }
                for item in c.items
            ],
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        body: Payload = {"events": list(payloads)}
        if self.config.validate_only:
            body["validate_only"] = True
        return self.post("/v1/events", body).with_params(pid=self.config.pixel_id)

    def read(self, response: Response, count: int) -> Verdict:
        """No answers are published; integrators saw `accepted_events`, and errors with a message."""
        body, status = response.json(), response.status
        number = body.get("accepted_events", count)
        if 200 <= status < 300 and body and "error" not in body and type(number) is int and number == count:
            return (only_tested if self.config.validate_only else accepted)(count)
        error = body.get("error")
        words = error.get("message") if isinstance(error, dict) else error
        known: dict[str, Any] = {"code": f"http_{status}", "message": words if isinstance(words, str) else ""}
        if status == 413 or (status in (400, 422) and not is_page(response)):
            return Verdict(Kind.REFUSED, **known)
        return by_status(response, **known, wait=timedelta(seconds=10)) or unreadable(response)


def site_and_path(url: str) -> str:
    """A page's address without name, password, query and fragment, which can hold personal data. Raises Withhold."""
    try:
        parts = urlsplit(url)
        site = parts.netloc.rpartition("@")[2]
    except ValueError:
        site = ""
    if not site or parts.scheme not in ("http", "https"):
        raise Withhold(Reason.INVALID_VALUE, "source_url is not the address of a page")
    return f"{parts.scheme}://{site}{parts.path}"


def money(amount: Amount | None, currency: str | None) -> Payload:
    """In minor units, never without its currency."""
    return (
        {}
        if amount is None or not currency
        else {"amount": amounts.minor_units(amount, currency), "currency": currency}
    )
