"""TikTok Events API (`tiktok`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import (
    advertising_id,
    anonymous_id,
    city,
    email,
    first_name,
    last_name,
    phone,
    postal_code,
    region,
    user_id,
)
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status, retry_after, trace, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted, only_tested, rejected
from capi_pipeline.platforms.times import days, hours, minutes, seconds
from capi_pipeline.platforms.wire import Payload, Request, Response

# Names that TikTok keeps for itself (help centre, custom and reserved events, Feb 2026).
RESERVED = frozenset([
    "AddBilling", "Browse", "Checkout", "ClickForm", "ClickInDownloadPage", "ClickToDownload", "Consult",
    "ConsultByPhone", "CompletePayment", "Registration", "StartCheckout", "ViewConsultationPage", "ViewDownloadPage",
    "ViewForm",
])  # fmt: skip
# App events that go by another name than on the web.
APP_NAMES = {
    "page_view": "page_view",
    "begin_checkout": "Checkout",
    "generate_lead": "GenerateLead",
    "sign_up": "Registration",
    "app_install": "InstallApp",
    "app_open": "LaunchAPP",
}
ATT_STATUS = {"AUTHORIZED", "DENIED", "NOT_DETERMINED", "RESTRICTED", "NOT_APPLICABLE"}
LONGEST_CLICK_ID = 1000
_INDEX = re.compile(r"\b(?:batch|data)[.\[](-?[0-9]+)", re.I)


class TikTok(Platform):
    """TikTok Events API 2.0 on Business API v1.3: one endpoint, one event source a request.
    https://business-api.tiktok.com/portal/docs?id=1771101303285761"""

    name = "tiktok"
    title = "TikTok"
    documentation = "https://business-api.tiktok.com/portal/docs?id=1771101303285761"
    host = "https://business-api.tiktok.com"
    # No size is published; below 1 MB with room for the envelope.
    limits = Limits(events=1000, oldest=days(28), newest=minutes(0), atomic=True, bytes=990_000, per_second=500)
    deduplication = Deduplication(keys=("event", "event_id"), window=hours(48))
    limited_data = True  # web and app only
    test_mode = "test_event_code"
    click_ids = ("ttclid", "tiktok_lead_id")
    browser_ids = ("ttp",)
    event_names: ClassVar = {
        "page_view": "Pageview",
        "view_item": "ViewContent",
        "view_item_list": "ViewContent",
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
        "app_install": "AppInstall",
        "app_open": "AppOpen",
    }
    identifiers: ClassVar = {
        "email": email.trimmed,
        "phone": phone.e164,
        "external_id": (user_id.trimmed, anonymous_id.trimmed),
    }
    single_identifiers: ClassVar = {
        "first_name": first_name.words,
        "last_name": last_name.words,
        "zip_code": postal_code.compact,
        "city": city.plain,
        "state": region.plain,
    }

    class Config(PlatformConfig):
        access_token: SecretStr = Field(
            description="Access token of the pixel or event set (Events Manager, Settings)."
        )
        pixel_code: str | None = Field(
            None, description="Pixel code, source of web events.", examples=["C4EXAMPLEPIXEL00000"]
        )
        app_id: str | None = Field(
            None,
            description="TikTok App ID (not the bundle id), source of app events.",
            examples=["6600000000000000001"],
        )
        offline_event_set_id: str | None = Field(
            None, description="Source of store, phone, chat and CRM events.", examples=["7300000000000000001"]
        )
        crm_event_set_id: str | None = Field(
            None, description="Source of CRM events that carry TikTok's lead id.", examples=["7400000000000000001"]
        )
        crm_name: str | None = Field(None, description="Name of the CRM, sent with CRM events.", examples=["HubSpot"])
        test_event_code: str | None = Field(
            None, description="Shows events in Test Events; TikTok does not count them.", examples=["TEST12345"]
        )
        default_page_url: str | None = Field(
            None, description="Page address of web events that have none.", examples=["https://shop.example.com/"]
        )

    def source(self, c: Conversion) -> tuple[str, str]:
        """Event source and its id. Raises Withhold when the account has none for this event."""
        config = self.config
        if c.action_source == "website":
            found = ("web", config.pixel_code)
        elif c.action_source == "app":
            found = ("app", config.app_id)
        elif c.action_source == "system_generated" and config.crm_event_set_id and c.click_id("tiktok_lead_id"):
            found = ("crm", config.crm_event_set_id)
        else:
            found = ("offline", config.offline_event_set_id)
        if not found[1]:
            raise Withhold(Reason.NOT_CONFIGURED, f"no event source configured for {found[0]} events")
        return found

    def group(self, c: Conversion) -> tuple[str, str]:
        return self.source(c)

    def encode(self, c: Conversion) -> Payload:
        source, _ = self.source(c)
        name = self.tiktok_name(c, source)
        if c.opt_out_of_sale and source not in ("web", "app"):
            raise Withhold(Reason.OPTED_OUT, f"TikTok's {source} events have no limited-data flag")
        amounts.not_negative(c.value)
        payload: Payload = {
            "event": name,
            "event_time": seconds(c.event_time),
            "event_id": c.event_id,
            "user": self.user(c, source),
            "properties": self.properties(c),
        }
        if source == "web":
            page = c.source_url or self.config.default_page_url
            if not page:
                raise Withhold(Reason.MISSING_FIELD, "a web event needs source_url")
            payload["page"] = {"url": page, "referrer": c.referrer_url}
        if source == "app":
            if not c.device.get("app_id"):
                raise Withhold(Reason.MISSING_FIELD, "an app event needs device.app_id")
            payload["app"] = {"app_id": c.device["app_id"], "app_version": c.device.get("app_version")}
        if source == "crm":
            payload["lead"] = {"lead_id": c.click_id("tiktok_lead_id"), "lead_event_source": self.config.crm_name}
        if c.opt_out_of_sale:
            payload["limited_data_use"] = True
        return payload

    def tiktok_name(self, c: Conversion, source: str) -> str:
        if c.event_name == "custom":
            name = re.sub(r"[^A-Za-z0-9_-]+", "_", c.name).strip("_")[:50]
            if not name or not name[0].isalpha() or name in RESERVED:
                raise Withhold(Reason.INVALID_VALUE, "TikTok allows no custom event of this name")
            return name
        if source == "app" and c.event_name in APP_NAMES:
            return APP_NAMES[c.event_name]
        return self.event_name(c)

    def user(self, c: Conversion, source: str) -> Payload:
        user = self.matched(c)
        user |= {
            "country": c.country.lower() if c.country else None,
            "ip": c.ip_address,
            "user_agent": c.user_agent,
            "locale": c.device.get("language"),
        }
        strong = any(user.get(field) for field in ("email", "phone", "external_id"))
        if source == "web":
            click = c.click_id("ttclid") or ""  # never cut: a part of it is another click
            user |= {"ttclid": click if len(click) <= LONGEST_CLICK_ID else None, "ttp": c.browser_ids.get("ttp")}
            strong = strong or bool(user["ttclid"] or user["ttp"] or (c.ip_address and c.user_agent))
        elif source == "app":
            user |= self.device_ids(c)
            strong = strong or bool(user.get("idfa") or user.get("gaid"))
        if not strong and source != "crm":
            raise Withhold(Reason.NO_IDENTIFIER, f"nothing by which TikTok matches {source} events")
        return user

    def device_ids(self, c: Conversion) -> Payload:
        known = c.advertising_id
        if c.system == "android":
            return {"gaid": advertising_id.gaid(known) if known else None}
        if c.system != "ios":
            return {}
        status = str(c.device.get("att_status") or "").upper()
        return {
            "idfa": advertising_id.idfa(known) if known else None,
            "idfv": c.device.get("vendor_id"),
            "att_status": status if status in ATT_STATUS else None,
        }

    def properties(self, c: Conversion) -> Payload:
        out: Payload = {
            "value": c.value,
            "currency": c.currency,
            "order_id": c.transaction_id,
            "search_string": c.search_term,
            "query": c.search_term,
        }
        if items := c.items:
            out["content_type"] = "product"
            out["contents"] = [
                {
                    "content_id": item["id"],
                    "content_name": item["name"],
                    "content_category": item["category"],
                    "brand": item["brand"],
                    "quantity": item["quantity"],
                    "price": item["price"],
                }
                for item in items
            ]
            if c.event_name == "begin_checkout":
                out["num_items"] = c.quantity
        return out

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        source, source_id = group
        body: Payload = {"event_source": source, "event_source_id": source_id, "data": list(payloads)}
        if self.config.test_event_code:
            body["test_event_code"] = self.config.test_event_code
        return self.post("/open_api/v1.3/event/track/", body)

    def authorize(self, request: Request, token: str) -> Request:
        return request.with_headers(**{"Access-Token": token})

    def read(self, response: Response, count: int) -> Verdict:
        """The outcome stands in the body's `code`, whatever the HTTP status says."""
        body = response.json()
        code = body.get("code")
        if not isinstance(code, int) or isinstance(code, bool):
            return by_status(response) or unreadable(response)
        message, trace_id = body.get("message", ""), trace(body.get("request_id"))
        known: dict[str, Any] = {"code": str(code), "message": str(message or ""), "trace_id": trace_id}
        documented = isinstance(message, str) and isinstance(body.get("data"), dict | None)
        if code in (0, 20001) and response.status == 200 and trace_id and documented:
            if self.config.test_event_code:
                return only_tested(count, trace_id, "shown in Test Events; TikTok did not count it")
            # 20001, "partially successful", names no event; sending again would not find the failed one either.
            return accepted(count, trace_id, f"20001: {known['message']}" if code else "")
        if code == 40100:
            return Verdict(Kind.RATE_LIMITED, wait=retry_after(response) or minutes(5), **known)
        if code in (40001, 40104, 40105):
            return Verdict(Kind.AUTH, **known)
        if 40000 <= code < 50000:
            named = set(_INDEX.findall(known["message"]))
            ours = named <= {str(index) for index in range(count)}  # else the words are about another request
            culprits = {int(index): rejected(code, known["message"]) for index in named if ours}
            return Verdict(Kind.REFUSED, culprits=culprits, **known)
        if 50000 <= code < 60000:
            return Verdict(Kind.TRANSIENT, maybe_stored=True, **known)
        return by_status(response, **known) or unreadable(response)
