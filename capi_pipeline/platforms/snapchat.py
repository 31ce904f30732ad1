"""Snapchat Conversions API (`snapchat`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.contract import ACTION_SOURCES
from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import (
    anonymous_id,
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
from capi_pipeline.platforms.answers import by_status, dicts, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import (
    Kind,
    Outcome,
    Reason,
    Verdict,
    Withhold,
    accepted,
    need,
    only_tested,
    rejected,
)
from capi_pipeline.platforms.times import days, hours, seconds
from capi_pipeline.platforms.wire import Payload, Request, Response

SOURCES = {"website": "WEB", "app": "MOBILE_APP"}  # all others are OFFLINE
CURRENCIES = frozenset([
    "AED", "ALL", "AUD", "BGN", "BHD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "DZD", "EGP", "EUR", "GBP",
    "GHS", "GIP", "HKD", "HRK", "HUF", "IDR", "ILS", "INR", "IQD", "ISK", "JOD", "JPY", "KES", "KRW", "KWD", "KZT", "LBP",
    "MAD", "MXN", "MYR", "NGN", "NOK", "NZD", "OMR", "PEN", "PHP", "PKR", "PLN", "QAR", "RON", "RUB", "SAR", "SEK", "SGD",
    "THB", "TRY", "TWD", "TZS", "UAH", "USD", "VND", "XOF", "ZAR",
])  # fmt: skip
UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
UNAUTHORIZED = "unauthorized resources"  # a wrong token or asset


class Snapchat(Platform):
    """Snap Conversions API v3: web and offline events go to a pixel, app events to a Snap app.
    https://developers.snap.com/api/marketing-api/Conversions-API"""

    name = "snapchat"
    title = "Snapchat"
    documentation = "https://developers.snap.com/api/marketing-api/Conversions-API"
    host = "https://tr.snapchat.com"
    # Whether the good events of a refused request are stored is not documented: taken for refused and sent again, which
    # deduplication makes safe. The Introduction speaks of 37 days; the Parameters page of 7.
    limits = Limits(
        events=2000,
        oldest=days(7),
        atomic=True,
        per_second=1000,
        oldest_for={source: days(28) for source in ACTION_SOURCES if source not in SOURCES},
    )
    deduplication = Deduplication(keys=("event_name", "event_id"), window=hours(48))
    limited_data = True  # web only
    test_mode = "test_event_code"
    click_ids = ("ScCid",)
    browser_ids = ("scid",)
    event_names: ClassVar = {
        "page_view": "PAGE_VIEW",
        "view_item": "VIEW_CONTENT",
        "view_item_list": "LIST_VIEW",
        "search": "SEARCH",
        "add_to_wishlist": "ADD_TO_WISHLIST",
        "add_to_cart": "ADD_CART",
        "begin_checkout": "START_CHECKOUT",
        "add_payment_info": "ADD_BILLING",
        "purchase": "PURCHASE",
        "generate_lead": "SIGN_UP",  # as in Snap's own server tag: there is no lead event
        "sign_up": "SIGN_UP",
        "start_trial": "START_TRIAL",
        "subscribe": "SUBSCRIBE",
        "schedule": "RESERVE",
        "app_install": "APP_INSTALL",
        "app_open": "APP_OPEN",
    }
    identifiers: ClassVar = {
        "em": email.trimmed,
        "ph": phone.digits,
        "fn": first_name.alphabetic,
        "ln": last_name.alphabetic,
        "ge": gender.initial,
        "ct": city.letters,
        "st": region.code,
        "zp": postal_code.whole,
        "country": country.code,
        "external_id": (user_id.lower, anonymous_id.lower),
    }

    class Config(PlatformConfig):
        pixel_id: str | None = Field(
            None,
            description="Snap pixel id (UUID), target of web and offline events.",
            pattern=UUID,
            examples=["0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"],
        )
        snap_app_id: str | None = Field(
            None,
            description="Snap app id (UUID, not the store's id), target of app events.",
            pattern=UUID,
            examples=["5a6b7c8d-9e0f-4a1b-8c2d-3e4f5a6b7c8d"],
        )
        access_token: SecretStr = Field(description="Long-lived Conversions API token of the organisation.")
        test_event_code: str | None = Field(
            None, description="Shows events in Test Events; whether they count is not documented.", examples=["TEST123"]
        )
        custom_event_map: dict[str, Annotated[str, Field(pattern="^CUSTOM_EVENT_[1-5]$")]] = Field(
            {},
            description="Canonical or own name -> one of the five custom slots.",
            examples=[{"Test Drive Booked": "CUSTOM_EVENT_1"}],
        )

    def group(self, c: Conversion) -> str:
        """The asset that takes the event. Raises Withhold when the account has none."""
        in_app = c.action_source == "app"
        asset = self.config.snap_app_id if in_app else self.config.pixel_id
        if not asset:
            raise Withhold(Reason.NOT_CONFIGURED, "app events need snap_app_id" if in_app else "pixel_id is needed")
        return str(asset)

    def event_name(self, c: Conversion) -> str:
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Snapchat takes no refunds")
        known = self.config.custom_event_map.get(c.name) or self.event_names.get(c.event_name)
        return known or self.configured("custom_event_map", c.name)

    def encode(self, c: Conversion) -> Payload:
        self.group(c)
        name, source = self.event_name(c), SOURCES.get(c.action_source, "OFFLINE")
        limited = c.consent_ad_personalization == "denied"
        if c.opt_out_of_sale and source != "WEB":
            raise Withhold(Reason.OPTED_OUT, f"Snapchat's {source} events have no limited-use flag")
        if limited and source == "OFFLINE":
            raise Withhold(Reason.CONSENT_DENIED, "personalisation denied, and OFFLINE events have no limited-use flag")
        if source == "WEB":
            need(c.source_url, "a web event needs source_url")
        return {
            "event_name": name,
            "action_source": source,
            "event_time": seconds(c.event_time),
            "event_id": c.event_id,
            "event_source_url": None if source == "OFFLINE" else c.source_url,
            "user_data": self.user_data(c, source),
            "custom_data": self.custom_data(c, name),
            "app_data": self.app_data(c, not limited) if source == "MOBILE_APP" else None,
            "data_processing_options": ["LMU"] if source == "WEB" and (limited or c.opt_out_of_sale) else None,
            "test_event_code": self.config.test_event_code,
        }

    def user_data(self, c: Conversion, source: str) -> Payload:
        data = self.matched(c)
        data |= {
            "client_ip_address": c.ip_address,
            "client_user_agent": c.user_agent,
            "sc_click_id": c.click_id("ScCid"),
            "sc_cookie1": c.browser_ids.get("scid"),
        }
        if source == "MOBILE_APP":
            data |= {"madid": (c.advertising_id or "").lower(), "idfv": c.device.get("vendor_id")}
        if not (data.get("em") or data.get("ph") or data.get("madid") or (c.ip_address and c.user_agent)):
            raise Withhold(
                Reason.NO_IDENTIFIER, "Snapchat needs an e-mail, a phone, a device, or IP address and browser"
            )
        return data

    def custom_data(self, c: Conversion, name: str) -> Payload:
        known = c.currency in CURRENCIES
        if name == "PURCHASE":
            need(c.value, "a purchase needs value and currency")
            if not known:
                raise Withhold(Reason.INVALID_VALUE, f"Snapchat takes no purchases in {c.currency}")
        data: Payload = {
            "value": c.value if known else None,
            "currency": c.currency if known else None,
            "order_id": c.transaction_id,
            "search_string": c.search_term,
        }
        if items := c.items:
            data["content_type"] = "product"
            data["content_ids"] = [item["id"] for item in items]
            data["contents"] = [
                {
                    "id": item["id"],
                    "quantity": None if item["quantity"] is None else str(item["quantity"]),
                    "item_price": None if item["price"] is None else amounts.text(item["price"]),
                    "brand": item["brand"],
                }
                for item in items
            ]
            data["num_items"] = c.quantity
        return data

    def app_data(self, c: Conversion, personal: bool) -> Payload:
        """`personal`: personalisation was not refused."""
        need(c.system, "an app event needs device.os")
        if c.system not in ("ios", "android"):
            raise Withhold(Reason.INVALID_VALUE, "Snapchat takes app events of iOS and Android")
        extended = [""] * 16
        extended[0] = "i2" if c.system == "ios" else "a2"
        extended[4] = c.device.get("os_version") or ""
        return {
            "app_id": c.device.get("app_id"),
            "advertiser_tracking_enabled": int(c.may_track and personal),
            "extinfo": extended,
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        return self.post(f"/v3/{group}/events", {"data": list(payloads)})

    def authorize(self, request: Request, token: str) -> Request:
        return request.with_params(access_token=token)

    def probe(self) -> Request:
        asset = self.config.pixel_id or self.config.snap_app_id
        return Request("GET", self.url(f"/v3/{asset}/events/validate/stats"))

    def read(self, response: Response, count: int) -> Verdict:
        """The outcome stands in the body's `status`; HTTP 200 alone says nothing."""
        body = response.json()
        status, reason, logs = body.get("status"), body.get("reason", ""), body.get("event_logs")
        known: dict[str, Any] = {
            "code": f"http_{response.status}",
            "message": reason if isinstance(reason, str) else "",
        }
        if response.status == 413:
            return Verdict(Kind.REFUSED, **known)
        if response.status in (200, 400) and isinstance(reason, str):
            if UNAUTHORIZED in reason.lower():
                return Verdict(Kind.AUTH, **known)
            marked = [log for log in dicts(logs) if log.get("status") == "INVALID"]
            if status == "VALID" and response.status == 200 and isinstance(logs, list | None) and not marked:
                warnings = "; ".join(str(log["warnings"]) for log in dicts(logs) if log.get("warnings"))
                return (only_tested if self.config.test_event_code else accepted)(count, message=warnings)
            if status == "INVALID":
                return Verdict(Kind.REFUSED, culprits=culprits(marked, count), **{**known, "code": status})
        return by_status(response, **known) or unreadable(response)


def culprits(marked: Sequence[Payload], count: int) -> dict[int, Outcome]:
    """Index -> outcome of the events that the answer marks, which it counts from 1; nothing if one of them was not sent."""
    found = {}
    for log in marked:
        position, errors = log.get("event"), log.get("errors")
        if type(position) is not int or not 1 <= position <= count:
            return {}
        codes, words = (listed(errors, key) for key in ("codes", "error_msgs"))
        found[position - 1] = rejected("/".join(codes) or "INVALID", "; ".join(words))
    return found


def listed(errors: Any, key: str) -> list[str]:
    """The texts or numbers of one list of `errors`."""
    values = errors.get(key) if isinstance(errors, dict) else None
    return [str(value) for value in values if isinstance(value, str | int)] if isinstance(values, list) else []
