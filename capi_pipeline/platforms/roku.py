"""Roku Ads Manager Conversions API (`roku`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

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
    user_id,
)
from capi_pipeline.platforms.answers import by_table, dicts, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, Verdict, Withhold, accepted, only_tested, rejected
from capi_pipeline.platforms.times import days, minutes, seconds
from capi_pipeline.platforms.wire import Payload, Request, Response

NAMES = {
    "page_view": "PAGE_VIEW",
    "view_item": "VIEW_CONTENT",
    "view_item_list": "VIEW_CONTENT",
    "search": "SEARCH",
    "add_to_wishlist": "ADD_TO_WISHLIST",
    "add_to_cart": "ADD_TO_CART",
    "begin_checkout": "INITIATE_CHECKOUT",
    "add_payment_info": "ADD_PAYMENT_INFO",
    "purchase": "PURCHASE",
    "generate_lead": "LEAD",
    "sign_up": "SIGN_UP",
    "start_trial": "START_TRIAL",
    "subscribe": "SUBSCRIBE",
    "contact": "CONTACT",
    "schedule": "SCHEDULE",
    "submit_application": "SUBMIT_APPLICATION",
    "find_location": "FIND_LOCATION",
    "customize_product": "CUSTOMIZE_PRODUCT",
    "donate": "DONATE",
    "download": "DOWNLOAD",
    "app_install": "APP_INSTALL",
}
FURTHER = {
    "COMPLETE_REGISTRATION", "SUBSCRIPTION_RENEWAL", "SUBSCRIPTION_CANCELLATION", "UNLOCK_ACHIEVEMENT", "ACHIEVE_LEVEL",
    "SESSION_START", "FIRST_VIDEO_VIEW", "AD_VIEW", "QSS",
}  # fmt: skip
SOURCES = {"app": "mobile_app", "system_generated": "system-generated"}  # the others have the same name
PURCHASE_TYPES = {"new": "first_time_purchase", "returning": "repeat_purchase"}
STATUSES = {
    400: Kind.REFUSED,
    401: Kind.AUTH,
    403: Kind.AUTH,  # a key of another ad account
    404: Kind.CONFIGURATION,
    405: Kind.CONFIGURATION,
    413: Kind.REFUSED,
}
SHORTEST_WAIT = timedelta(seconds=10)
STRONG = ("em", "ph", "client_ip_address", "aRI")  # one of them matches a household


def _known(name: str) -> str:
    if name not in FURTHER | set(NAMES.values()):
        raise ValueError(f"Roku has no event `{name}`")
    return name


class Roku(Platform):
    """Roku Conversions API v1, for connected-TV campaigns: good events are taken, bad ones listed.
    https://help.ads.roku.com/en/articles/8880744-conversions-api"""

    name = "roku"
    title = "Roku"
    documentation = "https://help.ads.roku.com/en/articles/8880744-conversions-api"
    host = "https://events.ads.rokuapi.net"
    # No greatest age is published, integrators send 7 days; below 1 MB with room for the envelope.
    limits = Limits(events=1000, oldest=days(7), newest=minutes(0), bytes=990_000)
    deduplication = Deduplication(keys=("event_id",), window=minutes(10))
    token_key = "api_key"
    limited_data = True
    test_mode = "validate_only"
    browser_ids = ("aFC",)
    event_names = NAMES
    single_identifiers: ClassVar = {
        "em": email.untagged,
        "ph": phone.e164,
        "fn": first_name.lower,
        "ln": last_name.lower,
        "ge": gender.word,
        "db": birth_date.iso,
        "external_id": user_id.trimmed,
        "ct": city.as_is,
        "st": region.as_is,
        "zp": postal_code.as_is,
        "country": country.clear,
    }

    class Config(PlatformConfig):
        event_group_id: str = Field(
            description="Event group of the site, app or channel.", min_length=1, examples=["EG4f2c91d07a"]
        )
        api_key: SecretStr = Field(description="Key of the ad account that owns the event group.")
        event_names: dict[str, Annotated[str, AfterValidator(_known)]] = Field(
            {},
            description="Canonical or custom name -> another of Roku's names, for what has none of its own.",
            examples=[{"qualify_lead": "LEAD"}],
        )
        validate_only: bool = Field(False, description="Roku checks the events and stores nothing.", examples=[True])

    def encode(self, c: Conversion) -> Payload:
        return {
            "event_name": self.roku_name(c),
            "event_type": "conversion",
            "event_time": seconds(c.event_time),
            "event_id": c.event_id,
            "event_source": SOURCES.get(c.action_source, c.action_source),
            "event_source_url": c.source_url,
            "referrer_url": c.referrer_url,
            "opt_out": "true" if c.opt_out_of_sale else "false",
            "user_data": self.user_data(c),
            "custom_data": self.custom_data(c),
        }

    def roku_name(self, c: Conversion) -> str:
        own: str | None = self.config.event_names.get(c.name)
        if own and c.event_name != "refund":
            return own
        if c.event_name == "custom":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Roku has no custom events")
        return self.event_name(c)

    def user_data(self, c: Conversion) -> Payload:
        data = self.matched(c)
        data["client_ip_address"] = str(c.ip) if c.ip else None
        data["client_user_agent"] = c.user_agent
        data["aRI"] = c.advertising_id if c.system.startswith("roku") else None
        data["aFC"] = c.browser_ids.get("aFC")
        if not any(data.get(field) for field in STRONG):
            raise Withhold(Reason.NO_IDENTIFIER, "no e-mail, phone, IP address or Roku device")
        return {"is_hashed": True, **data}

    def custom_data(self, c: Conversion) -> Payload:
        data: Payload = {
            "value": c.value,
            "currency": c.currency,
            "order_id": c.transaction_id,
            "search_string": c.search_term,
        }
        if items := c.items:
            data["content_ids"] = [item["id"] for item in items]
            data["content_type"] = "product"
            data["num_items"] = c.quantity
        if c.event_name == "purchase":
            data["purchase_type"] = PURCHASE_TYPES.get(c.customer_type or "")
        return data

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        path = "/v1/test_events" if self.config.validate_only else "/v1/events"
        body = {"event_group_id": self.config.event_group_id, "events": list(payloads)}
        return self.post(path, body, Accept="application/json")

    def read(self, response: Response, count: int) -> Verdict:
        """200: all taken. 210: all but the `failed_events`. A repeat within ten minutes does no harm."""
        if response.status in (200, 210):
            return self.taken(response.json(), response, count) or unreadable(response)
        return by_table(response, STATUSES, self.title, wait=SHORTEST_WAIT)

    def taken(self, body: Payload, response: Response, count: int) -> Verdict | None:
        """None unless numbers and failed events agree with each other and with what was sent."""
        failed, received, code = body.get("failed_events") or [], body.get("events_received"), body.get("code")
        if dicts(failed) != failed or type(received) is not int or (type(code) is int and code != response.status):
            return None
        bad = places(failed, response.sent, count)
        partial = response.status == 210
        if bad is None or (partial and not bad) or received not in (count, count - len(bad)):
            return None
        good = (only_tested if self.config.validate_only else accepted)(1).outcomes[0]
        outcomes: list[Outcome] = [good] * count
        for index, entry in zip(bad, failed, strict=True):
            outcomes[index] = rejected("failed_event", words(entry))
        return Verdict(Kind.SETTLED, outcomes)


def places(failed: list[Payload], sent: Sequence[Payload], count: int) -> list[int] | None:
    """Which events failed, by their id, or by position where every one did; None if that cannot be told."""
    known: dict[Any, list[int]] = {}
    for index, payload in enumerate(sent):
        known.setdefault(payload["event_id"], []).append(index)
    found = [known.get(str(named(entry).get("event_id")), []) for entry in failed]
    places = [index[0] for index in found if len(index) == 1]
    if len(set(places)) == len(failed):
        return places
    return list(range(count)) if len(failed) == count else None


def named(entry: Payload) -> Payload:
    event = entry.get("event")
    return event if isinstance(event, dict) else entry


def words(entry: Payload) -> str:
    return str(entry.get("error") or entry.get("message") or "")
