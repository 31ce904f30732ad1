"""Rokt Ads conversions through mParticle's Events API (`rokt`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import orjson
from pydantic import Field, SecretStr

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import email, first_name, gender, last_name, phone, postal_code, user_id
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status, dicts, unreadable
from capi_pipeline.platforms.auth import basic
from capi_pipeline.platforms.base import NEVER, Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, Verdict, Withhold, accepted, only_tested, rejected
from capi_pipeline.platforms.times import days, hours, milliseconds, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

IDENTITIES = ("other", "customerid")  # the other identifiers are attributes
INTEGRATION = "1277"  # Rokt's number at mParticle
LARGEST = 128 * 1024  # bytes of one event's batch object
DEVICE_FIELDS = {"ios": ("ios_advertising_id", "ios_idfv"), "android": ("android_advertising_id", "android_uuid")}
_PATH = re.compile(r"\[(\d{1,6})\]", re.ASCII)


class Rokt(Platform):
    """Rokt Ads "Event and Audience API": mParticle Events API v2, one batch object for each event.
    https://docs.rokt.com/developers/integration-guides/getting-started/advertisers/ads-events-api-integration"""

    name = "rokt"
    title = "Rokt Ads"
    documentation = (
        "https://docs.rokt.com/developers/integration-guides/getting-started/advertisers/ads-events-api-integration"
    )
    host = "https://s2s.us2.mparticle.com"
    # 256 KB a request; an account's default is about 270 batch objects a second; no age is published, the older API: a year.
    limits = Limits(events=100, oldest=days(365), newest=minutes(0), bytes=250_000, per_second=2.7)
    # Rokt's key for an order; nobody says for how long: within a day a repetition is safe, later a person decides.
    deduplication = Deduplication(
        keys=("confirmationref",), window=hours(24), only="purchases with a confirmationref", exact=True
    )
    test_mode = "environment"
    click_ids = ("rtid", "rclid")
    event_names: ClassVar = {
        **{name: name for name in EVENT_NAMES if name not in ("refund", "custom")},
        "generate_lead": "lead",
        "sign_up": "signup",
        "subscribe": "subscription",
    }
    single_identifiers: ClassVar = {
        "other": email.trimmed,
        "customerid": user_id.as_is,
        "firstnamesha256": first_name.trimmed,
        "lastnamesha256": last_name.trimmed,
        "mobilesha256": phone.e164,
        "billingzipsha256": postal_code.trimmed,
        "gender": gender.clear,
    }

    class Config(PlatformConfig):
        pod: Literal["us1", "us2", "eu1", "au1"] = Field(
            "us2", description="Where the account lives: `us1`, `us2`, `eu1` or `au1`.", examples=["us2"]
        )
        api_key: SecretStr = Field(description="Key from the Rokt account manager.")
        api_secret: SecretStr = Field(description="Its secret.")
        environment: Literal["production", "development"] = Field(
            "production",
            description="`development` keeps the events apart from production.",
            examples=["development"],
        )

    def token(self) -> str:
        return basic(self.config.api_key.get_secret_value(), self.config.api_secret.get_secret_value())

    def authorize(self, request: Request, token: str) -> Request:
        return request.with_headers(Authorization=token)

    def encode(self, c: Conversion) -> Payload:
        kind = self.event_name(c)
        attributes = self.matched(c)
        click = c.click_id(*self.click_ids)
        identities = {field: attributes.pop(field, None) for field in IDENTITIES} | {"other2": click}
        device = device_ids(c)
        if not any([*identities.values(), *device.values()]):
            raise Withhold(Reason.NO_IDENTIFIER, "no e-mail, customer id, Rokt click id or device id")
        payload: Payload = {
            "environment": self.config.environment,
            "user_identities": identities,
            "user_attributes": attributes,
            "device_info": {"http_header_user_agent": c.user_agent, **device},
            "ip": str(c.ip) if c.ip else None,
            "integration_attributes": {INTEGRATION: {"passbackconversiontrackingid": click}},
            "events": [{"event_type": "custom_event", "data": self.data(c, kind)}],
        }
        if len(orjson.dumps(payload)) > LARGEST:
            raise Withhold(Reason.INVALID_VALUE, "larger than the 128 KB that an event may have")
        return payload

    def data(self, c: Conversion, kind: str) -> Payload:
        return {
            "event_name": "conversion",
            "custom_event_type": "transaction",
            "source_message_id": c.event_id,
            "timestamp_unixtime_ms": milliseconds(c.event_time),
            "custom_attributes": {  # texts only
                "conversiontype": kind,
                "confirmationref": c.transaction_id,
                "amount": None if c.value is None else amounts.text(c.value),
                "currency": c.currency,
            },
        }

    def deduplication_of(self, payload: Any) -> Deduplication:
        attributes = payload["events"][0]["data"]["custom_attributes"]
        order = attributes["conversiontype"] == "purchase" and "confirmationref" in attributes
        return self.deduplication if order else NEVER

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        host = f"https://s2s.{self.config.pod}.mparticle.com"
        return Request(
            "POST", self.url("/v2/bulkevents", host), {"Content-Type": "application/json"}, json=list(payloads)
        )

    def read(self, response: Response, count: int) -> Verdict:
        """202 takes all but the events that an error names by its `Path`, as `[3]`."""
        body, status = response.json(), response.status
        errors = dicts(body.get("errors"))
        if status in (200, 202):
            return self.taken(response, errors, count) or unreadable(response)
        first = errors[0] if errors else {}
        known: dict[str, Any] = {"code": str(first.get("code") or f"http_{status}"), "message": words(errors)}
        if status in (400, 413):
            return Verdict(Kind.REFUSED, **known)
        if found := by_status(response, **known):
            return found
        return Verdict(Kind.CONFIGURATION, **known) if 400 < status < 500 else unreadable(response)

    def taken(self, response: Response, errors: list[Payload], count: int) -> Verdict | None:
        """None for anything but an empty body, `{}`, or `errors` of which each names an event that was sent."""
        body = response.json()
        if response.body.strip() not in (b"", b"{}") and (body.keys() != {"errors"} or body["errors"] != errors):
            return None
        good = (only_tested if self.config.environment == "development" else accepted)(1).outcomes[0]
        outcomes: list[Outcome] = [good] * count
        for error in errors:
            found = _PATH.match(str(error.get("Path") or error.get("path")))
            if not found or int(found[1]) >= count:
                return None
            outcomes[int(found[1])] = rejected(error.get("code") or "error", words([error]))
        return Verdict(Kind.SETTLED, outcomes)


def device_ids(c: Conversion) -> Payload:
    advertising, vendor = DEVICE_FIELDS.get(c.system, (None, None))
    if advertising is None or vendor is None:
        return {}
    return {advertising: c.advertising_id, vendor: c.device.get("vendor_id")}


def words(errors: list[Payload]) -> str:
    return "; ".join(str(error.get("message") or "") for error in errors)
