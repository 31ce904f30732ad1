"""Google Analytics 4, Measurement Protocol (`ga4`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import (
    anonymous_id,
    city,
    email,
    first_name,
    last_name,
    phone,
    postal_code,
    region,
    street_address,
    user_id,
)
from capi_pipeline.platforms.answers import by_status_alone, dicts, is_page, unreadable
from capi_pipeline.platforms.base import NEVER, Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted, only_tested, rejected
from capi_pipeline.platforms.times import hours, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

NAMES = (
    "page_view", "view_item", "view_item_list", "search", "add_to_wishlist", "add_to_cart", "begin_checkout",
    "add_payment_info", "purchase", "refund", "generate_lead", "qualify_lead", "close_convert_lead", "sign_up",
    "start_trial", "subscribe", "contact", "schedule", "submit_application", "find_location", "customize_product",
    "donate", "download", "app_open",
)  # fmt: skip
RESERVED = re.compile(
    "_.*|firebase_.*|ga_.*|google_.*|session_start|first_visit|first_open|user_engagement|error|in_app_purchase|app_remove|"
    "app_update|app_store_.*|ad_click|ad_exposure|ad_impression|ad_query|ad_reward|click|scroll|file_download|form_start|"
    "form_submit|video_.*|view_search_results"
)
NAME = "[A-Za-z][A-Za-z0-9_]{0,39}"
ADDRESS = {
    "sha256_first_name": first_name.undigited,
    "sha256_last_name": last_name.undigited,
    "sha256_street": street_address.unmarked,
    "city": city.undigited,
    "region": region.undigited,
    "postal_code": postal_code.undotted,
}
LONGEST = {"page_location": 1000, "page_referrer": 420}  # characters of a text; of any other
LONGEST_TEXT = 100
LONGEST_USER_ID = 256
MOST_ITEMS, MOST_CONTACTS = 200, 3


class Ga4(Platform):
    """GA4 Measurement Protocol: server events join what the Google tag collected. One event a request; any receipt is a 204.
    https://developers.google.com/analytics/devguides/collection/protocol/ga4"""

    name = "ga4"
    title = "Google Analytics 4"
    documentation = "https://developers.google.com/analytics/devguides/collection/protocol/ga4"
    host = "https://www.google-analytics.com"
    eu_host = "https://region1.google-analytics.com"
    limits = Limits(events=1, oldest=hours(72), newest=minutes(0), bytes=130_000, concurrency=8)
    # Of the same user; nobody says for how long: within a day a repetition is safe, later a person decides.
    deduplication = Deduplication(
        keys=("transaction_id",), window=hours(24), only="purchases with a transaction_id", exact=True
    )
    limited_data = True
    test_mode = "validate_only"
    browser_ids = ("ga_client_id", "ga_session_id")
    event_names: ClassVar = {name: name for name in NAMES}
    identifiers: ClassVar = {"sha256_email_address": email.google, "sha256_phone_number": phone.e164}
    single_identifiers: ClassVar = {"client_id": anonymous_id.clear, "user_id": user_id.clear, **ADDRESS}

    class Config(PlatformConfig):
        measurement_id: str = Field(
            description="Measurement id of the web data stream.", pattern="^G-[A-Z0-9]+$", examples=["G-ABC1234567"]
        )
        api_secret: SecretStr = Field(description="A Measurement Protocol API secret of that stream.")
        region: str = Field("global", description="`global`, or `eu` for servers in the EU.", pattern="^(global|eu)$")
        client_id_fallback: str = Field(
            "none",
            description="What stands in for a missing `ga_client_id`: `none`, or `anonymous_id` (a new user without source).",
            pattern="^(none|anonymous_id)$",
        )
        event_names: dict[str, Annotated[str, Field(pattern=f"^{NAME}$")]] = Field(
            default_factory=dict,
            description="Canonical or custom name -> name in Analytics, where it is another.",
            examples=[{"subscribe": "newsletter"}],
        )
        validate_only: bool = Field(False, description="Google checks the events on its debug server and keeps none.")

    def encode(self, c: Conversion) -> Payload:
        name, matched = self.analytics_name(c), self.matched(c)
        fallback = matched.get("client_id") if self.config.client_id_fallback == "anonymous_id" else None
        client_id = c.browser_ids.get("ga_client_id") or fallback
        if not client_id:
            raise Withhold(Reason.NO_IDENTIFIER, "no ga_client_id, and no anonymous_id that may stand in for it")
        known = matched.get("user_id", "")
        payload: Payload = {
            "client_id": client_id,
            "user_id": known if len(known) <= LONGEST_USER_ID else None,  # a part of it is somebody else
            "timestamp_micros": c.event_time,
            "consent": consent(c),
            "user_data": {} if c.opt_out_of_sale else user_data(matched, c),
            "user_agent": c.user_agent,
            "ip_override": str(c.ip) if c.ip else None,
            "device": {} if c.user_agent else device(c),  # it would override the user agent
            "events": [{"name": name, "params": self.params(c)}],
        }
        if len(orjson.dumps(payload)) >= (self.limits.bytes or 0):
            raise Withhold(Reason.INVALID_VALUE, "larger than the 130 kB of a request")
        return payload

    def analytics_name(self, c: Conversion) -> str:
        chosen: str = self.config.event_names.get(c.name, "")
        if c.event_name == "custom" and not chosen:
            chosen = re.sub("[^a-z0-9_]+", "_", c.name.lower()).strip("_")[:40]
        name = self.event_name(c) if c.event_name != "custom" and not chosen else chosen
        if not re.fullmatch(NAME, name) or RESERVED.fullmatch(name):
            raise Withhold(Reason.INVALID_VALUE, "Analytics allows no event of this name")
        return name

    def params(self, c: Conversion) -> Payload:
        session = c.browser_ids.get("ga_session_id")
        order = c.transaction_id
        if (
            c.event_name in ("purchase", "refund") and not order
        ):  # a refund names the order, which went under its own id
            order = c.original_event_id if c.event_name == "refund" else c.event_id
        if len(order or "") > LONGEST_TEXT:
            raise Withhold(Reason.INVALID_VALUE, f"transaction_id is longer than {LONGEST_TEXT} characters")
        params: Payload = {
            "session_id": session,
            "engagement_time_msec": 1 if session else None,
            "page_location": c.source_url,
            "page_referrer": c.referrer_url,
            "currency": c.currency,
            "value": c.value,
            "transaction_id": order,
            "tax": c.tax,
            "shipping": c.shipping,
            "coupon": c.coupon,
            "search_term": c.search_term,
            "customer_type": c.customer_type,
        }
        items = [item for item in c.contents if item["id"] or item["name"]][:MOST_ITEMS]
        return cut(params) | {
            "items": [
                cut({
                    "item_id": item["id"],
                    "item_name": item["name"],
                    "item_brand": item["brand"],
                    "item_category": item["category"],
                    "item_variant": item["variant"],
                    "price": item["price"],
                    "quantity": item["quantity"],
                })
                for item in items
            ]
        }  # fmt: skip

    def deduplication_of(self, payload: Any) -> Deduplication:
        event = payload["events"][0]
        order = event["name"] == "purchase" and "transaction_id" in event["params"]
        return self.deduplication if order else NEVER

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        config = self.config
        path = "/debug/mp/collect" if config.validate_only else "/mp/collect"
        url = self.url(path, self.eu_host if config.region == "eu" else None)
        params = {"measurement_id": config.measurement_id, "api_secret": config.api_secret.get_secret_value()}
        return Request("POST", url, {"Content-Type": "application/json"}, params, json=payloads[0])

    def read(self, response: Response, count: int) -> Verdict:
        """Received is all that Analytics ever says: a 2xx without a page. What a 5xx answers was not received."""
        if self.config.validate_only and response.status == 200:
            return read_check(response, count)
        if 200 <= response.status < 300 and not (self.config.validate_only or is_page(response)):
            return accepted(count)
        if response.status == 413:
            return Verdict(Kind.SETTLED, [rejected("http_413", "the event is too large")] * count)
        if response.status < 400:
            return unreadable(response)
        return by_status_alone(response, count, self.title, failures_are_clear=True)


def read_check(response: Response, count: int) -> Verdict:
    """What the debug server found: an empty list is a good event. It knows neither the secret nor the stream."""
    messages = response.json().get("validationMessages")
    if dicts(messages) != messages:
        return unreadable(response)
    if not messages:
        return only_tested(count, message="checked; Google kept nothing")
    codes = " ".join(dict.fromkeys(str(message.get("validationCode")) for message in messages))
    words = "; ".join(f"{message.get('fieldPath')}: {message.get('description')}" for message in messages)
    return Verdict(Kind.SETTLED, [rejected(codes, words)] * count)


def consent(c: Conversion) -> Payload:
    """Where nobody asked, Analytics takes what the tag said last. Who opted out of sale is sent without ads."""
    if c.opt_out_of_sale:
        return {"ad_user_data": "DENIED", "ad_personalization": "DENIED"}
    return {
        "ad_user_data": (c.consent_ad_user_data or "").upper(),
        "ad_personalization": (c.consent_ad_personalization or "").upper(),
    }


def user_data(matched: Payload, c: Conversion) -> Payload:
    """Hashed contacts, and the address if both names are there."""
    address = {field: matched.get(field) for field in ADDRESS} | {"country": c.country}
    named = address["sha256_first_name"] and address["sha256_last_name"]
    return {
        "sha256_email_address": matched.get("sha256_email_address", [])[:MOST_CONTACTS],
        "sha256_phone_number": matched.get("sha256_phone_number", [])[:MOST_CONTACTS],
        "address": [address] if named else [],
    }


def device(c: Conversion) -> Payload:
    width, height = c.device.get("screen_width"), c.device.get("screen_height")
    return {
        "language": c.device.get("language"),
        "screen_resolution": f"{width}x{height}" if width and height else None,
        "operating_system": c.device.get("os"),
        "operating_system_version": c.device.get("os_version"),
        "model": c.device.get("model"),
    }


def cut(params: Payload) -> Payload:
    """Texts within their limits."""
    return {
        key: value[: LONGEST.get(key, LONGEST_TEXT)] if isinstance(value, str) else value
        for key, value in params.items()
    }
