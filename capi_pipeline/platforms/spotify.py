"""Spotify Conversions API (`spotify`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import email, phone
from capi_pipeline.platforms.answers import by_table, trace
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted, need
from capi_pipeline.platforms.times import days, hours, iso, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

KINDS = {400: Kind.REFUSED, 401: Kind.AUTH, 403: Kind.AUTH, 404: Kind.CONFIGURATION, 413: Kind.REFUSED}
Slot = Annotated[str, Field(pattern="^CUSTOM_EVENT_[1-5]$")]


class Spotify(Platform):
    """Spotify Ads Conversions API: web, app and offline events of one connection.
    https://adshelp.spotify.com/s/article/Spotify-Conversions-API-US"""

    name = "spotify"
    title = "Spotify"
    documentation = "https://adshelp.spotify.com/s/article/Spotify-Conversions-API-US"
    host = "https://capi.spotify.com"
    # Spotify publishes no limit: a modest batch, one request after the other, and the age of its longest attribution.
    limits = Limits(events=100, oldest=days(30), atomic=True, concurrency=1)
    deduplication = Deduplication(keys=("event_id",), window=hours(24))  # its window is not published either
    limited_data = True
    browser_ids = ("spdt",)
    event_names: ClassVar = {
        "page_view": "VIEW",
        "view_item": "PRODUCT",
        "generate_lead": "LEAD",
        "add_to_cart": "ADD_TO_CART",
        "begin_checkout": "CHECK_OUT",
        "purchase": "PURCHASE",
        "sign_up": "SIGN_UP",
    }
    identifiers: ClassVar = {"hashed_emails": email.trimmed}
    single_identifiers: ClassVar = {"hashed_phone_number": phone.e164}

    class Config(PlatformConfig):
        access_token: SecretStr = Field(
            description="Token of the Conversions API connection (Ads Manager, Events); it does not expire.",
            examples=["SP-CAPI-TOKEN"],
        )
        connection_id: str = Field(
            description="Id of that connection, a UUID.",
            pattern="^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
            examples=["3f2b9a52-2d1b-4f5e-9d1c-0a1b2c3d4e5f"],
        )
        custom_events: dict[str, Slot] = Field(
            {},
            description="Custom (or other canonical) name -> `CUSTOM_EVENT_1` to `CUSTOM_EVENT_5`. Not listed = not sent.",
            examples=[{"Demo Booked": "CUSTOM_EVENT_1"}],
        )
        max_age_days: float = Field(30, description="Withhold events older than this.", gt=0, le=365, examples=[30])
        withhold_on_opt_out: bool = Field(
            False, description="Withhold people who opted out of sale, instead of flagging them.", examples=[True]
        )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.limits = replace(self.limits, oldest=days(config.max_age_days))

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Spotify takes no refunds")
        if c.opt_out_of_sale and self.config.withhold_on_opt_out:
            raise Withhold(Reason.OPTED_OUT, "withhold_on_opt_out is on")
        name = self.event_names.get(c.event_name) or self.configured("custom_events", c.name)
        if name == "PURCHASE":
            need(c.value, "PURCHASE needs value and currency")
        page = c.source_url or ""
        return {
            "event_id": c.event_id,
            "event_name": name,
            "event_time": iso(c.event_time, 3),
            "event_source_url": page if page.startswith(("http://", "https://")) else None,
            "action_source": {"website": "WEB", "app": "APP"}.get(c.action_source, "OFFLINE"),
            # Attribution stays, retargeting ends.
            "opt_out_targeting": True if c.opt_out_of_sale or c.consent_ad_personalization == "denied" else None,
            "user_data": self.user_data(c),
            "event_details": {
                "amount": c.value,
                "currency": c.currency,
                "content_name": c.contents[0]["name"] if c.contents else None,
            },
        }

    def user_data(self, c: Conversion) -> Payload:
        device = {"app": c.advertising_id, "website": c.browser_ids.get("spdt")}.get(c.action_source)
        data = {"ip_address": c.ip_address, "device_id": device, **self.matched(c)}
        if not any(data.values()):
            raise Withhold(Reason.NO_IDENTIFIER, "no IP address, device id, e-mail or phone")
        return data

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        events = {"capi_connection_id": self.config.connection_id, "events": list(payloads)}
        return self.post("/capi-direct/events/", {"conversion_events": events})

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        trace_id = trace(body.get("sp_trace_id"))  # for Spotify's support
        if response.status == 200 and body.get("message") == "SUCCESS":
            return accepted(count, trace_id)
        return replace(by_table(response, KINDS, self.title, wait=minutes(0.5)), trace_id=trace_id)
