"""Reddit Conversions API (`reddit`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import advertising_id, anonymous_id, email, phone, user_id
from capi_pipeline.platforms.answers import by_status, dicts, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted, only_tested
from capi_pipeline.platforms.times import days, hours, milliseconds, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

SOURCES = {"website": "WEBSITE", "app": "APP", "physical_store": "PHYSICAL_STORE"}  # all others are OTHER
# What each type may carry: Reddit may reject the event otherwise.
WITHOUT_VALUE = {"PAGE_VISIT", "VIEW_CONTENT", "SEARCH"}
WITHOUT_COUNT = {*WITHOUT_VALUE, "LEAD", "SIGN_UP"}
LONGEST_NAME = 64
_DONE = re.compile("Successfully processed ([0-9]{1,9}) conversion event")


class Reddit(Platform):
    """Reddit Ads API v3, Post Conversion Events: one invalid event rejects the request, and is not named.
    https://ads-api.reddit.com/docs/v3"""

    name = "reddit"
    title = "Reddit"
    documentation = "https://ads-api.reddit.com/docs/v3"
    host = "https://ads-api.reddit.com"
    # 250,000 events a minute are the smaller of two readings.
    limits = Limits(events=1000, oldest=days(7), newest=minutes(5), atomic=True, per_second=4)
    # Documented between pixel and API, if the copy comes within two days. Between two API requests the id may save it.
    deduplication = Deduplication(keys=("tracking_type", "custom_event_name", "conversion_id"), window=hours(48))
    token_key = "conversion_token"
    limited_data = True
    test_mode = "test_id"
    click_ids = ("rdt_cid",)
    browser_ids = ("rdt_uuid",)
    event_names: ClassVar = {
        "page_view": "PAGE_VISIT",
        "view_item": "VIEW_CONTENT",
        "search": "SEARCH",
        "add_to_wishlist": "ADD_TO_WISHLIST",
        "add_to_cart": "ADD_TO_CART",
        "purchase": "PURCHASE",
        "generate_lead": "LEAD",
        "sign_up": "SIGN_UP",
        # with the canonical name as `custom_event_name`
        "view_item_list": "CUSTOM",
        "begin_checkout": "CUSTOM",
        "add_payment_info": "CUSTOM",
        "qualify_lead": "CUSTOM",
        "close_convert_lead": "CUSTOM",
        "start_trial": "CUSTOM",
        "subscribe": "CUSTOM",
        "contact": "CUSTOM",
        "schedule": "CUSTOM",
        "submit_application": "CUSTOM",
        "find_location": "CUSTOM",
        "customize_product": "CUSTOM",
        "donate": "CUSTOM",
        "download": "CUSTOM",
        "app_install": "CUSTOM",
        "app_open": "CUSTOM",
    }
    identifiers: ClassVar = {"external_id": (user_id.trimmed, anonymous_id.trimmed)}  # the first of them
    single_identifiers: ClassVar = {"email": email.reddit, "phone_number": phone.e164}

    class Config(PlatformConfig):
        pixel_id: str = Field(description="Pixel id (Events Manager).", pattern="^[atp]2_.+$", examples=["a2_example"])
        conversion_token: SecretStr = Field(description="Conversion access token (Events Manager, Conversions API).")
        user_agent: str = Field(
            "capi-pipeline/1.0",
            description="Name of the sender; Reddit throttles the names of HTTP libraries.",
            pattern=r"^[!-~][ -~]*$",
            examples=["capi-pipeline/1.0"],
        )
        test_id: str | None = Field(
            None,
            description="Shows events under Event Testing; they are not used for reporting.",
            examples=["t2_example"],
        )

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        if config.test_id:  # one event a request, 10 a second
            self.limits = replace(self.limits, events=1, atomic=False, per_second=10)

    def encode(self, c: Conversion) -> Payload:
        tracking = "CUSTOM" if c.event_name == "custom" else self.event_name(c)
        source = SOURCES.get(c.action_source, "OTHER")
        online = source in ("WEBSITE", "APP")
        click = c.click_id("rdt_cid") if online else None
        return {
            "event_at": milliseconds(c.event_time),
            "action_source": source,
            "event_source_url": c.source_url if source == "WEBSITE" else None,
            "click_id": click,
            "type": {
                "tracking_type": tracking,
                "custom_event_name": c.name[:LONGEST_NAME] if tracking == "CUSTOM" else None,
            },
            "metadata": self.metadata(c, tracking),
            "user": self.user(c, online, click),
        }

    def metadata(self, c: Conversion, tracking: str) -> Payload:
        valued = tracking not in WITHOUT_VALUE
        return {
            "conversion_id": c.event_id,
            "currency": c.currency if valued else None,
            "value": c.value if valued else None,
            "item_count": c.quantity if c.items and tracking not in WITHOUT_COUNT else None,
            "products": [
                {
                    "id": item["id"],
                    "name": item["name"],
                    "category": item["category"],
                    "quantity": item["quantity"],
                    "item_price": item["price"],
                }
                for item in c.items
            ],
        }

    def user(self, c: Conversion, online: bool, click: str | None) -> Payload:
        """Stores and other sources send the person's hashes and nothing else."""
        user = self.matched(c)
        user["external_id"] = next(iter(user.get("external_id", ())), None)
        if online:
            width, height = c.device.get("screen_width"), c.device.get("screen_height")
            user |= {
                "uuid": c.browser_ids.get("rdt_uuid"),
                "ip_address": c.ip_address,
                "user_agent": c.user_agent,
                "screen_dimensions": {"width": width, "height": height} if width and height else None,
            }
        if c.action_source == "app" and c.advertising_id:
            if c.system == "ios":
                user["idfa"] = advertising_id.upper(c.advertising_id)
            elif c.system == "android":
                user["aaid"] = advertising_id.idfa(c.advertising_id)
        keys = ("email", "phone_number", "external_id", "uuid", "idfa", "aaid")
        device = all(user.get(key) for key in ("ip_address", "user_agent", "screen_dimensions"))
        if not (click or device or any(user.get(key) for key in keys)):
            raise Withhold(Reason.NO_IDENTIFIER, "nothing by which Reddit matches a person")
        user["data_processing_options"] = self.limited_data_use(c)
        return user

    def limited_data_use(self, c: Conversion) -> Payload | None:
        """Limited Data Use, with the country; also the nearest to denied personalisation."""
        if not c.opt_out_of_sale and c.consent_ad_personalization != "denied":
            return None
        nation, region_name = c.jurisdiction
        if not nation:
            if c.opt_out_of_sale:
                raise Withhold(Reason.OPTED_OUT, "Reddit's limited data use needs a country")
            return None
        state = re.fullmatch("(?:US-)?([A-Za-z]{2})", (region_name or "").strip()) if nation == "US" else None
        return {"modes": ["LDU"], "country": nation, "region": f"US-{state[1].upper()}" if state else None}

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        data: Payload = {"events": list(payloads)}
        if self.config.test_id:
            data["test_id"] = self.config.test_id
        path = f"/api/v3/pixels/{self.config.pixel_id}/conversion_events"
        return self.post(path, {"data": data}, User_Agent=self.config.user_agent)

    def probe(self) -> Request:
        url = self.url(f"/api/v3/pixels/{self.config.pixel_id}/last_fired_at")
        return Request("GET", url, {"User-Agent": self.config.user_agent})

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        error, data = body.get("error"), body.get("data")
        message = data.get("message") if isinstance(data, dict) else None
        if response.status == 200 and "error" not in body and isinstance(message, str):
            done = _DONE.match(message)
            if done and int(done[1]):
                warning = "" if int(done[1]) == count else f"{count} events were sent: {message}"
                return (only_tested if self.config.test_id else accepted)(count, message=warning)
        known: dict[str, Any] = described(error if isinstance(error, dict) else {}, response.status)
        if response.status == 400 and known["message"]:
            return Verdict(Kind.REFUSED, **known)  # names no event
        return by_status(response, **known) or unreadable(response)


def described(error: Payload, status: int) -> dict[str, str]:
    """Code and words of an error; the list of invalid events, where there is one, explains but names none."""
    code = error.get("code")
    words = [error.get("message"), *(event.get("error_message") for event in dicts(error.get("invalid_events")))]
    return {
        "code": str(code) if code and isinstance(code, int | str) else f"http_{status}",
        "message": "; ".join(word for word in words if isinstance(word, str) and word),
    }
