"""The Trade Desk Real-Time Conversion Events API:
https://partner.thetradedesk.com/v3/portal/data/doc/DataConversionEventsApi"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply
from capi_pipeline.sandbox.store import FOREVER, NEVER, Event

ADVERTISER, MERCHANT, TRACKER, PIXEL = "abc1234", "mer999", "trk5678", "up12345"
MAXIMUM: Final = 100
EVENTS: Final = rules.words(
    "sitevisit viewitem searchcategory searchitem wishlistitem addtocart startcheckout purchase messagebusiness "
    "direction login viewcart lead signup payment"
)
IDS: Final = rules.words("TDID UID2 EUID IDL IDFA AAID NAID DAID")
TEXTS: Final = rules.words("adv merchant_id tracker_id upixel_id event_name referrer_url order_id imp adid adid_type")
DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9])?", re.ASCII)  # a period, no exponent, no trailing zeros
STATE = re.compile(r"US-[A-Z]{2}", re.ASCII)

Problem = tuple[str, str]


class TheTradeDesk(Platform):
    """No credentials and no event time; only by an order id is an event known again. One bad event refuses the request,
    and a tag or an event name that the account has not defined answers 402."""

    slug = "the_trade_desk"
    title = "The Trade Desk"
    documentation = "https://partner.thetradedesk.com/v3/portal/data/doc/DataConversionEventsApi"

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/track/realtimeconversion", self.convert)]

    def convert(self, call: Call) -> Reply:
        events = (call.json() or {}).get("data")
        if not isinstance(events, list) or not events or not all(isinstance(event, dict) for event in events):
            raise Refused(answer(400, "The request is not valid"))
        call.events = len(events)
        if len(events) > MAXIMUM:
            raise Refused(answer(413, "The request is too large"))
        problems = {index: found for index, event in enumerate(events) if (found := problem(call, event))}
        if problems:
            entries = [
                {
                    "EventIndex": index,
                    "EventErrors": [{"Error": code, "ErrorMessage": words}],
                    "EventWarnings": [],
                    "Successful": False,
                }
                for index, (code, words) in problems.items()
            ]
            raise Refused(answer(400, None, entries), rejected=len(problems))
        if not all(map(defined, events)):
            raise Refused(answer(402, "The tag or the event is not defined"))
        call.record([accepted(event) for event in events])
        return answer(200, None)


def answer(status: int, message: str | None, entries: Sequence[object] = ()) -> Reply:
    return Reply({"Message": message, "EventResponses": list(entries)}, status)


def defined(event: Mapping[str, Any]) -> bool:
    known = (event.get("adv", ADVERTISER), event.get("merchant_id", MERCHANT)) == (ADVERTISER, MERCHANT)
    if "upixel_id" in event:
        return known and event["upixel_id"] == PIXEL
    return known and event["tracker_id"] == TRACKER and event["event_name"] in EVENTS


def accepted(event: Mapping[str, Any]) -> Event:
    """Without an order id nothing tells an event from its copy."""
    name, order = event.get("event_name", "page"), event.get("order_id")
    return Event(
        account=event.get("adv") or event["merchant_id"], identity=f"{name}\x1f{order or secrets.token_hex(8)}", name=name,
        id=order, payload=event, window=FOREVER if order else NEVER, value=float(event["value"]) if "value" in event else None,
        currency=event.get("currency"),
    )  # fmt: skip


def problem(call: Call, event: Mapping[str, Any]) -> Problem | None:
    """The first rule that an event breaks."""
    code = call.refusal(event, "InvalidPrivacySetting")
    if code is not None:
        return str(code), "The event is not valid"
    for field in TEXTS:
        if field in event and not rules.is_text(event[field]):
            return "InvalidField", f"{field} is not a text"
    return account_problem(event) or identity_problem(event) or money_problem(event) or privacy_problem(event)


def account_problem(event: Mapping[str, Any]) -> Problem | None:
    if ("adv" in event) == ("merchant_id" in event):
        return "InvalidAdvertiser", "One of adv and merchant_id is required"
    if ("tracker_id" in event) == ("upixel_id" in event):
        return "InvalidTracker", "One of tracker_id and upixel_id is required"
    if "tracker_id" in event and "event_name" not in event:
        return "InvalidEventName", "event_name is required"
    if "upixel_id" in event and "referrer_url" not in event:
        return "InvalidReferrer", "referrer_url is required"
    return None


def identity_problem(event: Mapping[str, Any]) -> Problem | None:
    if ("adid" in event) != ("adid_type" in event) or event.get("adid_type", "TDID") not in IDS:
        return "InvalidAdId", "adid goes with an adid_type"
    if rules.looks_hashed(event.get("adid")):
        return "InvalidAdId", "adid is not a hash"
    if "client_ip" in event and not (rules.is_text(event["client_ip"]) and rules.is_ip_address(event["client_ip"])):
        return "InvalidClientIp", "client_ip is not an address"
    if not event.keys() & {"adid", "imp", "client_ip"}:
        return "InvalidAdId", "An identifier is required"
    return None


def money_problem(event: Mapping[str, Any]) -> Problem | None:
    if "value" in event and not is_decimal(event["value"]):
        return "InvalidValue", "value is not a decimal text"
    if "currency" in event and not rules.is_currency(event["currency"]):
        return "InvalidCurrency", "currency is not an ISO 4217 code"
    if event.get("event_name") == "purchase" and "currency" not in event:
        return "InvalidCurrency", "currency is required"
    items = event.get("items", [])
    if not isinstance(items, list):
        return "InvalidItems", "items is not a list"
    for item in items:
        if not isinstance(item, dict) or not rules.is_text(item.get("item_code")):
            return "InvalidItems", "item_code is required"
        if not all(rules.is_text(value) for value in item.values()) or not is_decimal(item.get("price", "0")):
            return "InvalidItems", "every field of an item is a text"
    return None


def privacy_problem(event: Mapping[str, Any]) -> Problem | None:
    option = event.get("data_processing_option")
    if option is not None and not (
        isinstance(option, dict)
        and option.get("policies") == ["LDU"]
        and isinstance(option.get("region"), str)
        and STATE.fullmatch(option["region"])
    ):
        return "InvalidDataProcessingOption", "The only policy is LDU, in a state such as US-CA"
    settings = event.get("privacy_settings", [])
    if not isinstance(settings, list):
        return "InvalidPrivacySetting", "privacy_settings is not a list"
    for entry in settings:
        if not (
            isinstance(entry, dict)
            and entry.get("privacy_type") in ("GDPR", "GPP", "CCPA")
            and entry.get("is_applicable") in (0, 1, "0", "1")
            and rules.is_text(entry.get("consent_string"))
        ):
            return "InvalidPrivacySetting", "privacy_type, is_applicable and consent_string are required"
    return None


def is_decimal(value: object) -> bool:
    return isinstance(value, str) and DECIMAL.fullmatch(value) is not None
