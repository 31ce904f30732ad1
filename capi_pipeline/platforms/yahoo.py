"""LINE Yahoo (LY Ads, Yahoo! JAPAN) Conversion API (`yahoo`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import email, phone
from capi_pipeline.platforms.answers import by_status, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted, only_tested
from capi_pipeline.platforms.times import days, seconds
from capi_pipeline.platforms.wire import Payload, Request, Response

CURRENCIES = ("JPY", "USD")
MOST_ITEMS = 10
EVENT_TYPES = (
    "page_view|view_product|view_listing|search|add_wishlist|add_cart|view_cart|check_out|payment_info|purchase|"
    "generate_lead|sign_up|reservation|login"
)
TRANSACTION_ID = re.compile(r"[!-;=?@A-Z_a-z~]{1,64}")
TIMED = re.compile(r"[0-9]+\.\S+")
OURS = {404, 405, 415}  # path, method, content type: no event is to blame


class Yahoo(Platform):
    """LY Ads Conversion API v1 of LINE Yahoo, for the Japanese market: web events of a Tracking Tag.
    https://ads-developers.yahoo.co.jp/en/conversion-api/"""

    name = "yahoo"
    title = "LINE Yahoo"
    documentation = "https://ads-developers.yahoo.co.jp/en/conversion-api/"
    host = "https://conversion-api.yahooapis.jp"
    limits = Limits(events=1000, oldest=days(90), atomic=True, per_second=500)
    deduplication = Deduplication(keys=("transaction_id",), window=days(7))  # of the ad account; not by event type
    token_key = "tag_access_token"
    test_mode = "test_mode"
    click_ids = ("_ly_c",)
    browser_ids = ("ly_su", "ly_c", "ly_r", "line_uid")
    event_names: ClassVar = {
        "page_view": "page_view",
        "view_item": "view_product",
        "view_item_list": "view_listing",
        "search": "search",
        "add_to_wishlist": "add_wishlist",
        "add_to_cart": "add_cart",
        "begin_checkout": "check_out",
        "add_payment_info": "payment_info",
        "purchase": "purchase",
        "generate_lead": "generate_lead",
        "sign_up": "sign_up",
        "schedule": "reservation",
    }
    single_identifiers: ClassVar = {"hashed_email": email.trimmed, "hashed_phone_number": phone.e164}

    class Config(PlatformConfig):
        tag_id: str = Field(description="Id of the Tracking Tag (Tools, Tracking tag).", examples=["TAG1234567"])
        tag_access_token: SecretStr = Field(
            description="Access token of that tag, shown once.", examples=["ly-tag-access-token"]
        )
        event_snippet_ids: dict[str, str] = Field(
            {},
            description="Canonical (or custom) name -> event snippet id, where the conversion setting filters on it.",
            examples=[{"purchase": "snip-9001"}],
        )
        channel_id: int | None = Field(
            None, description="LINE channel id, a number; only with `line_uid`.", examples=[1234567890], gt=0
        )
        event_names: dict[str, Annotated[str, Field(pattern=f"^({EVENT_TYPES})$")]] = Field(
            {},
            description="Canonical (or custom) name -> event type of LINE Yahoo, where it is another.",
            examples=[{"subscribe": "purchase"}],
        )
        test_mode: bool = Field(
            False, description="Shows events in Event history; they are not counted.", examples=[False]
        )

    def authorize(self, request: Request, token: str) -> Request:
        return request.with_headers(**{"X-TagAccessToken": token})

    def encode(self, c: Conversion) -> Payload:
        event_type = self.event_type(c)
        if c.action_source != "website":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "LINE Yahoo takes web events only")
        page_view = event_type == "page_view"
        return {
            "event": {
                "event_type": event_type,
                "event_time": seconds(c.event_time),
                "action_source": "web",
                "event_snippet_id": None if page_view else self.config.event_snippet_ids.get(c.name),
                "transaction_id": transaction_id(c),
                "test_flag": self.config.test_mode or None,
            },
            "user": self.user(c),
            "web": {
                "url": c.source_url,
                "referrer_url": c.referrer_url,
                "user_agent": c.user_agent,
                "ip": str(c.ip) if c.ip else None,
            },
            "custom": custom(c, with_items=not page_view),
        }

    def event_type(self, c: Conversion) -> str:
        """The account's own choice, else the usual one. Raises Withhold."""
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "LINE Yahoo takes no refunds")
        chosen: str | None = self.config.event_names.get(c.name)
        if not chosen and c.event_name == "custom":
            raise Withhold(Reason.NOT_CONFIGURED, f"event_names has no entry for `{c.name}`")
        return chosen or self.event_name(c)

    def user(self, c: Conversion) -> Payload:
        user = self.matched(c)
        user["ly_su"] = timed(c.browser_ids.get("ly_su"))
        user["ly_c"] = timed(c.browser_ids.get("ly_c")) or timed(clicked(c))
        user["ly_r"] = c.browser_ids.get("ly_r")
        if known := c.advertising_id:
            user["ifa"] = {"ios": known.upper(), "android": known.lower()}.get(c.system)
        if self.config.channel_id:
            user["line_uid"] = c.browser_ids.get("line_uid")
        if not any(user.values()):
            raise Withhold(Reason.NO_IDENTIFIER, "no e-mail, phone, LINE Yahoo cookie or click, advertising or LINE id")
        return user

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        body: Payload = {"tag_id": self.config.tag_id, "data": list(payloads)}
        if any("line_uid" in payload["user"] for payload in payloads):
            body["channel_id"] = self.config.channel_id
        return self.post("/v1/", body)

    def read(self, response: Response, count: int) -> Verdict:
        """Success is 202; it says nothing of single events, and a refusal does not name them."""
        if response.status == 202:
            return only_tested(count, message="shown in Event history") if self.config.test_mode else accepted(count)
        error = response.json().get("Error")
        words = error.get("Message") if isinstance(error, dict) else None
        known: dict[str, Any] = {
            "code": f"http_{response.status}",
            "message": words if isinstance(words, str) else f"LINE Yahoo answered HTTP {response.status}",
        }
        if response.status in (400, 413):
            return Verdict(Kind.REFUSED, **known)
        if response.status in OURS:
            return Verdict(Kind.CONFIGURATION, **known)
        return by_status(response, **known) or unreadable(response)


def transaction_id(c: Conversion) -> str | None:
    """The order of a purchase, else the event: by it LINE Yahoo knows a repetition. It takes no other characters."""
    found = (c.transaction_id if c.event_name == "purchase" else None) or c.event_id
    return found if TRANSACTION_ID.fullmatch(found) else None


def timed(cookie: str | None) -> str | None:
    """A cookie of the form `<timestamp>.<id>`; one of another could refuse the whole request."""
    return cookie if cookie and TIMED.fullmatch(cookie) else None


def clicked(c: Conversion) -> str | None:
    """The click id of the landing page as the cookie would hold it: with the time of the click before it."""
    value, when = c.click_id("_ly_c"), c.clicked_at("_ly_c")
    return f"{when // 1000}.{value}" if value and when and when > 0 else None


def custom(c: Conversion, with_items: bool) -> Payload:
    """Money only in the two currencies that LINE Yahoo knows; the event goes without it otherwise."""
    known = c.currency in CURRENCIES
    items = [
        {"item_id": item["id"], "price": item["price"] if known else None, "quantity": item["quantity"]}
        for item in c.items[:MOST_ITEMS]
    ]
    return {
        "value": c.value if known else None,
        "currency": c.currency if known else None,
        "items": items if with_items else None,
    }
