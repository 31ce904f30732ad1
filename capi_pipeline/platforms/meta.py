"""Meta Conversions API (`meta`)."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import (
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
from capi_pipeline.platforms.answers import by_status, retry_after, trace, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted
from capi_pipeline.platforms.times import days, hours, minutes, seconds
from capi_pipeline.platforms.wire import Payload, Request, Response

# US states in which Limited Data Use acts: developers.facebook.com/docs/marketing-api/data-processing-options
LDU_STATES = {
    "CA": 1000, "CO": 1001, "CT": 1002, "FL": 1003, "OR": 1004, "TX": 1005, "MT": 1006, "DE": 1007, "NE": 1008,
    "NH": 1009, "NJ": 1010, "MN": 1011, "MD": 1012, "RI": 1013,
}  # fmt: skip
# Customer data that Meta refuses (100/2804050) when it is all there is.
TOO_WEAK = (
    {"ct", "country", "st", "zp", "ge", "client_user_agent"}, {"db", "client_user_agent"}, {"fn", "ge"}, {"ln", "ge"},
)  # fmt: skip
WEAK = frozenset().union(*TOO_WEAK)
TOO_MUCH = "reduce the amount of data"  # an oversized body, which has no code of its own
TRANSIENT = {1, 2, 368, 5000, 21009}
RATE_LIMITED = {4, 17, 32, 341, 613, *range(80000, 80015)}
_MILLIS = re.compile("[0-9]{1,15}")
AUTH = {3, 10, 102, 104, 190, 200, 294}


class Meta(Platform):
    """Meta Conversions API, Graph v26.0 (2026-07-29).
    https://developers.facebook.com/docs/marketing-api/conversions-api"""

    name = "meta"
    title = "Meta"
    documentation = "https://developers.facebook.com/docs/marketing-api/conversions-api"
    host = "https://graph.facebook.com"
    limits = Limits(
        events=1000,
        oldest=days(7),
        newest=minutes(0),
        atomic=True,
        concurrency=4,
        oldest_for={"physical_store": days(62)},
    )
    deduplication = Deduplication(keys=("event_name", "event_id"), window=hours(48))
    limited_data = True
    test_mode = "test_event_code"
    click_ids = ("fbclid", "fb_lead_id")
    browser_ids = ("fbc", "fbp")
    event_names: ClassVar = {
        "page_view": "PageView",
        "view_item": "ViewContent",
        "view_item_list": "ViewCategory",
        "search": "Search",
        "add_to_wishlist": "AddToWishlist",
        "add_to_cart": "AddToCart",
        "begin_checkout": "InitiateCheckout",
        "add_payment_info": "AddPaymentInfo",
        "purchase": "Purchase",
        "generate_lead": "Lead",
        "qualify_lead": "QualifiedLead",
        "close_convert_lead": "ConvertedLead",
        "sign_up": "CompleteRegistration",
        "start_trial": "StartTrial",
        "subscribe": "Subscribe",
        "contact": "Contact",
        "schedule": "Schedule",
        "submit_application": "SubmitApplication",
        "find_location": "FindLocation",
        "customize_product": "CustomizeProduct",
        "donate": "Donate",
        "download": "Download",
        "app_install": "MobileAppInstall",
        "app_open": "AppOpen",
    }
    identifiers: ClassVar = {
        "em": email.trimmed,
        "ph": phone.digits,
        "fn": first_name.letters,
        "ln": last_name.letters,
        "ge": gender.initial,
        "db": birth_date.digits,
        "ct": city.letters,
        "st": region.code,
        "zp": postal_code.meta,
        "country": country.code,
        "external_id": (user_id.compact, anonymous_id.compact),
    }

    class Config(PlatformConfig):
        pixel_id: str = Field(description="Dataset (pixel) id, digits.", pattern=r"^\d+$", examples=["123456789012345"])
        access_token: SecretStr = Field(description="Token of a system user with access to the dataset.")
        api_version: str = Field("v26.0", description="Graph API version.", pattern=r"^v\d+\.\d+$", examples=["v26.0"])
        test_event_code: str | None = Field(
            None, description="Shows events in Test Events; they are still counted.", examples=["TEST12345"]
        )
        app_secret: SecretStr | None = Field(None, description="Adds `appsecret_proof` to each request.")
        partner_agent: str | None = Field(
            None,
            description="Partner's name on each request.",
            max_length=22,
            pattern="[A-Za-z].*[A-Za-z]",
            examples=["acme"],
        )
        lead_event_source: str | None = Field(
            None, description="Name of the CRM; switches the CRM fields on.", examples=["HubSpot"]
        )

    def encode(self, c: Conversion) -> Payload:
        payload: Payload = {
            "event_name": self.event_name(c),
            "event_time": seconds(c.event_time),
            "event_id": c.event_id,
            "action_source": c.action_source,
            "event_source_url": c.source_url,
            "referrer_url": c.referrer_url,
            "user_data": self.user_data(c),
            "custom_data": self.custom_data(c),
        }
        if c.action_source == "website" and not (c.source_url and c.user_agent):
            raise Withhold(Reason.MISSING_FIELD, "a website event needs source_url and user_agent")
        if payload["event_name"] == "Purchase" and c.value is None:
            raise Withhold(Reason.MISSING_FIELD, "Purchase needs value and currency")
        amounts.not_negative(c.value)
        if c.action_source == "app":
            payload["app_data"] = self.app_data(c)
        if c.consent_ad_personalization == "denied":
            payload["opt_out"] = True
        if c.opt_out_of_sale:
            payload |= self.limited_data_use(c)
        return payload

    def user_data(self, c: Conversion) -> Payload:
        data = self.matched(c)
        data["client_ip_address"] = c.ip_address
        data["client_user_agent"] = c.user_agent
        data["fbc"] = click_cookie(c)
        data["fbp"] = c.browser_ids.get("fbp")
        if c.action_source == "app" and c.advertising_id:
            data["madid"] = c.advertising_id.lower()
        lead = c.click_id("fb_lead_id") or ""
        if self.config.lead_event_source and re.fullmatch("[0-9]{15,17}", lead):
            data["lead_id"] = int(lead)
        have = {key for key, value in data.items() if value}
        if have <= WEAK and any(have <= weak for weak in TOO_WEAK):
            raise Withhold(Reason.NO_IDENTIFIER, "too little customer data for Meta (100/2804050)")
        return data

    def custom_data(self, c: Conversion) -> Payload:
        data: Payload = {
            "value": c.value,
            "currency": c.currency,
            "order_id": c.transaction_id,
            "search_string": c.search_term,
            "customer_segmentation": {
                "new": "new_customer_to_business",
                "returning": "existing_customer_to_business",
            }.get(c.customer_type or ""),
        }
        if items := c.items:
            data["content_type"] = "product"
            data["content_ids"] = [item["id"] for item in items]
            data["contents"] = [
                {
                    "id": item["id"],
                    "quantity": item["quantity"],
                    "item_price": item["price"],
                    "title": item["name"],
                    "brand": item["brand"],
                    "category": item["category"],
                }
                for item in items
            ]
            if c.event_name in ("purchase", "begin_checkout"):
                data["num_items"] = c.quantity
        if c.action_source == "system_generated" and self.config.lead_event_source:
            data["event_source"] = "crm"
            data["lead_event_source"] = self.config.lead_event_source
        return data

    def app_data(self, c: Conversion) -> Payload:
        device = c.device
        ios = c.system == "ios"
        if not device.get("os") or not device.get("os_version"):
            raise Withhold(Reason.MISSING_FIELD, "an app event needs device.os and device.os_version")
        if c.system not in ("ios", "android"):
            raise Withhold(Reason.INVALID_VALUE, "Meta takes app events of iOS and Android")
        extended = [""] * 16
        extended[0] = "i2" if ios else "a2"
        for place, key in ((1, "app_id"), (2, "app_version"), (3, "app_version"), (4, "os_version"), (5, "model"),
                           (6, "language"), (9, "screen_width"), (10, "screen_height")):  # fmt: skip
            extended[place] = str(device.get(key) or "")
        return {
            "advertiser_tracking_enabled": int(c.may_track),
            "application_tracking_enabled": int(c.may_track),
            "vendor_id": device.get("vendor_id"),
            "extinfo": extended,
        }

    def limited_data_use(self, c: Conversion) -> Payload:
        """Limited Data Use: in its states by number, elsewhere 0/0 lets Meta geolocate, which needs an IP address."""
        nation, region_name = c.jurisdiction
        code = region.code.normalise(region_name.strip(), "US") if nation == "US" and region_name else None
        state = LDU_STATES.get((code or "").upper())
        if state is None and not c.ip_address:
            raise Withhold(Reason.OPTED_OUT, "no US state and no IP address for limited data use")
        return {
            "data_processing_options": ["LDU"],
            "data_processing_options_country": 1 if state else 0,
            "data_processing_options_state": state or 0,
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        body: Payload = {"data": list(payloads)}
        if self.config.test_event_code:
            body["test_event_code"] = self.config.test_event_code
        if self.config.partner_agent:
            body["partner_agent"] = self.config.partner_agent
        params = {}
        if self.config.app_secret:
            proof = hmac.new(self.config.app_secret.get_secret_value().encode(), self.token().encode(), hashlib.sha256)
            params["appsecret_proof"] = proof.hexdigest()
        path = f"/{self.config.api_version}/{self.config.pixel_id}/events"
        return Request("POST", self.url(path), {"Content-Type": "application/json"}, params, json=body)

    def probe(self) -> Request:
        path = f"/{self.config.api_version}/{self.config.pixel_id}"
        return Request("GET", self.url(path), params={"fields": "id"})

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        error = body.get("error")
        if isinstance(error, dict) and type(error.get("code")) is int:
            return self.read_error(error, response, count)
        received, trace_id, messages = (
            body.get("events_received"),
            trace(body.get("fbtrace_id")),
            body.get("messages", []),
        )
        counted = type(received) is int and received == count and "error" not in body
        if response.status == 200 and counted and trace_id and isinstance(messages, list):
            return accepted(count, trace_id, "; ".join(map(str, messages)))
        return by_status(response) or unreadable(response)

    def read_error(self, error: Payload, response: Response, count: int) -> Verdict:
        code, subcode = error["code"], error.get("error_subcode")
        label = f"{code}/{subcode}" if subcode else str(code)
        words = error.get("error_user_msg") or error.get("message") or ""
        known: dict[str, Any] = {"code": label, "message": str(words), "trace_id": trace(error.get("fbtrace_id"))}
        if code in RATE_LIMITED:
            return Verdict(Kind.RATE_LIMITED, wait=usage_wait(response) or retry_after(response) or minutes(1), **known)
        if count > 1 and TOO_MUCH in known["message"].lower():
            return Verdict(Kind.REFUSED, **known)
        if error.get("is_transient") is True or code in TRANSIENT:
            return Verdict(Kind.TRANSIENT, maybe_stored=True, **known)
        if code in AUTH:
            return Verdict(Kind.AUTH, **known)
        if response.status >= 500:  # also with code 100: a server that fails says nothing about the events
            return Verdict(Kind.TRANSIENT, maybe_stored=True, **known)
        if code == 100 and subcode == 33:
            return Verdict(Kind.CONFIGURATION, **known)
        if code == 100:
            return Verdict(Kind.REFUSED, **known)
        return by_status(response, **known) or Verdict(Kind.CONFIGURATION, **known)


def click_cookie(c: Conversion) -> str | None:
    """`fbc`: the cookie, or built from the click id when that click is newer than the cookie.
    https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/fbp-and-fbc"""
    cookie, click, clicked = c.browser_ids.get("fbc"), c.click_id("fbclid"), c.clicked_at("fbclid")
    if not click or clicked is None:
        return cookie
    if cookie:
        parts = cookie.split(".", 3)
        if parts[-1] == click or (len(parts) == 4 and _MILLIS.fullmatch(parts[2]) and clicked <= int(parts[2])):
            return cookie
    return f"fb.1.{clicked}.{click}"


def usage_wait(response: Response) -> timedelta | None:
    """The longest `estimated_time_to_regain_access` (minutes, a day at most) of the usage header, if it is there."""
    try:
        usage = json.loads(response.headers.get("x-business-use-case-usage", ""))
        longest = max(
            float(entry["estimated_time_to_regain_access"]) for entries in usage.values() for entry in entries
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return minutes(min(longest, 1440)) if longest > 0 else None
