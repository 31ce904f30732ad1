"""Microsoft Advertising Conversions API for UET (`microsoft_uet`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import anonymous_id, email, phone, user_id
from capi_pipeline.platforms.answers import by_status, dicts, trace, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, State, Verdict, Withhold, accepted, need, rejected
from capi_pipeline.platforms.times import days, hours, seconds
from capi_pipeline.platforms.wire import Payload, Request, Response

PAGE_TYPES = {
    "page_view": "other",
    "view_item": "product",
    "view_item_list": "category",
    "search": "searchresults",
    "add_to_cart": "cart",
    "begin_checkout": "cart",
    "purchase": "purchase",
}
ADVERTISING_IDS = {"ios": "idfa", "android": "gaid"}
# What matches a person; IP address and user agent do not count.
MATCHES = frozenset(["anonymousId", "externalId", "em", "ph", "msclkid", "idfa", "gaid"])


class MicrosoftUet(Platform):
    """Microsoft Advertising Conversions API v1 (guide of 2026-08-04), the server's twin of the UET tag.
    https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration"""

    name = "microsoft_uet"
    title = "Microsoft UET"
    documentation = "https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration"
    host = "https://capi.uet.microsoft.com"
    # No size is published; below 1 MB with room for the envelope.
    limits = Limits(events=1000, oldest=days(7), bytes=990_000)
    # The window is not published: within a day a repetition is safe, later a person decides.
    deduplication = Deduplication(keys=("eventName", "eventId"), window=hours(24))
    token_key = "api_token"
    click_ids = ("msclkid",)
    browser_ids = ("uet_vid",)
    # Free text, to be equal to the goal's event action and to what the UET tag sends.
    event_names: ClassVar = {name: name for name in EVENT_NAMES if name not in ("refund", "custom")}
    single_identifiers: ClassVar = {
        "em": email.microsoft,
        "ph": phone.e164,
        "externalId": user_id.trimmed,
        "anonymousId": anonymous_id.clear,
    }

    class Config(PlatformConfig):
        tag_id: str = Field(description="UET tag id, digits.", pattern=r"^\d+$", examples=["97012345"])
        api_token: SecretStr = Field(
            description="Token of the UET tag (Use Conversions API).", examples=["uet-capi-token"]
        )
        data_provider: str | None = Field(
            None, description="Name of the sender, if you send for others.", examples=["acme_cdp"]
        )
        event_names: dict[str, str] = Field(
            {},
            description="Canonical (or custom) name -> event action of the goal, where it is another.",
            examples=[{"purchase": "purchase"}],
        )

    def encode(self, c: Conversion) -> Payload:
        name = self.event_name(c)
        page_view = c.event_name == "page_view"
        return {
            "eventType": "pageLoad" if page_view else "custom",
            "eventId": c.event_id,
            "eventName": self.config.event_names.get(c.name) or name,
            "eventTime": seconds(c.event_time),
            "eventSourceUrl": need(c.source_url, "a page view needs source_url") if page_view else c.source_url,
            "referrerUrl": c.referrer_url,
            "adStorageConsent": "G" if c.consent_ad_storage == "granted" else None,
            "userData": self.user_data(c),
            "customData": self.custom_data(c),
        }

    def user_data(self, c: Conversion) -> Payload:
        data = self.matched(c)
        if visitor := c.browser_ids.get("uet_vid"):
            data["anonymousId"] = visitor
        data["msclkid"] = (c.click_id("msclkid") or "").removeprefix("_uet")
        if c.system in ADVERTISING_IDS:
            data[ADVERTISING_IDS[c.system]] = c.advertising_id
        if not any(data.get(field) for field in MATCHES):
            raise Withhold(Reason.NO_IDENTIFIER, "no msclkid, e-mail, phone, customer, visitor or advertising id")
        return data | {"clientIpAddress": str(c.ip) if c.ip else None, "clientUserAgent": c.user_agent}

    def custom_data(self, c: Conversion) -> Payload:
        return {
            "value": c.value,  # never without its currency: it would be read in the account's
            "currency": c.currency,
            "transactionId": c.transaction_id,
            "searchTerm": c.search_term,
            "items": [{key: item[key] for key in ("id", "name", "quantity", "price")} for item in c.items],
            "itemIds": [item["id"] for item in c.items],
            "pageType": PAGE_TYPES.get(c.event_name),
            "ecommTotalValue": c.value if c.items else None,
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        body: Payload = {"data": list(payloads), "continueOnValidationError": True}  # else one bad event refuses all
        if self.config.data_provider:
            body["dataProvider"] = self.config.data_provider
        return self.post(f"/v1/{self.config.tag_id}/events", body)

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        error = body.get("error")
        problems = Problems.of(error, count) if isinstance(error, dict) else None
        if response.status == 200 and (problems or "error" not in body):
            return read_success(body, problems or Problems({}, ""), count) or unreadable(response)
        if response.status == 413:
            return Verdict(Kind.REFUSED, code="http_413", message="Microsoft finds the request too large")
        if not isinstance(error, dict) or not isinstance(error.get("code"), str):
            return by_status(response) or unreadable(response)
        known: dict[str, Any] = {
            "code": error["code"],
            "message": str(error.get("message") or ""),
            "trace_id": trace(body.get("traceId")),
        }
        if response.status == 400:
            if error["code"] == "ValidationError" and problems and problems.refused:
                # With continueOnValidationError it means that no event was valid; only the first ten are explained.
                other = rejected(error["code"], known["message"])
                outcomes = [problems.refused.get(index, other) for index in range(count)]
                return Verdict(Kind.SETTLED, outcomes, trace_id=known["trace_id"])
            return Verdict(Kind.REFUSED, **known)
        return by_status(response, **known) or unreadable(response)


@dataclass(frozen=True)
class Problems:
    """The details of an answer: which events were refused, and the words on fields that Microsoft dropped (warnings)."""

    refused: Mapping[int, Outcome]
    warnings: str

    @classmethod
    def of(cls, error: Payload, count: int) -> Problems | None:
        """None if there are no details, or one of them is about none of the `count` events sent."""
        details = dicts(error.get("details"))
        if not details or details != error["details"]:
            return None
        refused: dict[int, Outcome] = {}
        warnings = []
        for detail in details:
            index, warning = detail.get("index"), detail.get("isWarning")
            if type(index) is not int or not 0 <= index < count or not isinstance(warning, bool):
                return None
            code = str(detail.get("errorCode") or "ValidationError")
            words = f"{detail.get('propertyName')}: {detail.get('errorMessage')}"
            if warning:
                warnings.append(f"{code} {words}")
            else:
                refused.setdefault(index, rejected(code, words))
        return cls(refused, "; ".join(warnings))


def read_success(body: Payload, problems: Problems, count: int) -> Verdict | None:
    """A 200: refused are the events that the details name, the others are taken, if the numbers say so. Only ten problems
    are listed: where more events are missing, those that may be meant go again in smaller requests, which the event id
    makes safe. None if the numbers contradict each other."""
    received, refused, trace_id = body.get("eventsReceived"), problems.refused, trace(body.get("traceId"))
    if type(received) is not int or not 0 <= received <= count:
        return None
    if received == count and not refused:
        return accepted(count, trace_id, problems.warnings)
    if received + len(refused) > count and received != count:
        return None
    rest, unclear = Outcome(State.ACCEPTED, message=problems.warnings), received + len(refused) < count
    if unclear:
        missing = f"{received} of {count} events received; which are missing, Microsoft does not say"
        rest = Outcome(State.RETRY, "narrow", missing) if count > 1 else rejected("not_received", missing)
    outcomes = [refused.get(index, rest) for index in range(count)]
    return Verdict(Kind.SETTLED, outcomes, maybe_stored=unclear and count > 1, trace_id=trace_id)
