"""OpenAI Ads Conversions API: https://developers.openai.com/ads/conversions-api"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token
from capi_pipeline.sandbox.store import FOREVER, Event

API_KEY: Final = "sandbox-openai-ads-key"
PIXEL_ID: Final = "px_0123456789abcdef"
FOREIGN_PIXEL_ID: Final = "px_foreign"  # exists, and the key is another account's

MAXIMUM: Final = 1000
OLDEST: Final = timedelta(days=7)
NEWEST: Final = timedelta(minutes=10)

# /ads/supported-events: what `data.type` goes with each type
TYPES: Final = {
    **dict.fromkeys(("page_viewed", "contents_viewed", "items_added", "checkout_started", "order_created"), "contents"),
    **dict.fromkeys(("lead_created", "registration_completed", "appointment_scheduled", "app_installed", "app_opened"),
                    "customer_action"),
    **dict.fromkeys(("trial_started", "subscription_created"), "plan_enrollment"),
    "custom": "custom",
}  # fmt: skip
OWN_NAME: Final = re.compile("[A-Za-z0-9]([A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
SOURCES: Final = rules.words("web mobile_app physical_store phone_call email offline other")
HASHED: Final = (
    "emails_sha256",
    "phone_numbers_sha256",
    "external_ids_sha256",
    "first_names_sha256",
    "last_names_sha256",
)
CLEAR: Final = {
    "countries": re.compile("[A-Z]{2}"), "cities": re.compile(".{1,128}"), "regions": re.compile(".{1,128}"),
    "postal_codes": re.compile("[A-Za-z0-9 -]{1,32}"),
}  # fmt: skip
TEXTS: Final = ("ip_address", "user_agent", "obref", "android_advertising_id")
UUID: Final = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def error(status: int, message: str) -> Reply:
    return Reply({"error": {"message": message}}, status)


class OpenAIAds(Platform):
    """v1: one bad event fails the whole request; of copies the first one is kept."""

    slug = "openai_ads"
    title = "OpenAI Ads Conversions API"
    documentation = "https://developers.openai.com/ads/conversions-api"
    environment: ClassVar = {"OPENAI_ADS_API_KEY": API_KEY}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/v1/events", self.send)]

    def send(self, call: Call) -> Reply:
        authorise(call)
        body = call.json() or {}
        events = body.get("events")
        if not isinstance(events, list) or not 1 <= len(events) <= MAXIMUM:
            raise Refused(error(400, f"events must hold 1 to {MAXIMUM} events"))
        if not isinstance(body.get("validate_only", False), bool):
            raise Refused(error(400, "validate_only must be a boolean"))
        call.events = len(events)
        now = call.now.timestamp()
        for index, event in enumerate(events):
            status, words = call.refusal(event, 400), problem(event, now)
            if words or status is not None:
                raise Refused(error(status or 400, f"events[{index}]: {words or 'invalid'}"), rejected=1)
        if not body.get("validate_only"):
            call.record([accepted(event) for event in events])
        return Reply({"accepted_events": len(events)})

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return error(parameters.get("status") or 429, "Too many requests")

    def server_error(self, status: int) -> Reply:
        return error(status, "The server had an error while processing your request")


def authorise(call: Call) -> None:
    if call.static_token(call.bearer(), API_KEY) is not Token.GOOD:
        raise Refused(error(401, "Incorrect API key provided"))
    if call.query.get("pid") == FOREIGN_PIXEL_ID:
        raise Refused(error(403, "This key belongs to another account"))
    if call.query.get("pid") != PIXEL_ID:
        raise Refused(error(404, "Unknown pixel"))


def accepted(event: dict[str, Any]) -> Event:
    """Deduplication: pixel, type and id, for as long as nobody says."""
    data = event["data"]
    return Event(
        account=PIXEL_ID, identity=f"{event['type']}\x1f{event['id']}", name=event.get("custom_event_name", event["type"]),
        id=event["id"], payload=event, window=FOREVER, value=data.get("amount"), currency=data.get("currency"),
    )  # fmt: skip


def problem(event: object, now: float) -> str:
    """The first thing that is not as documented; empty for a good event."""
    if not isinstance(event, dict):
        return "must be an object"
    kind, at, source, own = (event.get(key) for key in ("type", "timestamp_ms", "action_source", "custom_event_name"))
    if not rules.is_text(event.get("id")):
        return "id is required"
    if not isinstance(kind, str) or kind not in TYPES:
        return "type is not supported"
    named = isinstance(own, str) and OWN_NAME.fullmatch(own) is not None and own not in TYPES
    if (kind == "custom") != named or (own is not None and not named):
        return "custom_event_name goes with type custom only, as 1-64 letters, digits, _ and -"
    if not rules.is_integer(at):
        return "timestamp_ms must be an integer"
    if not -NEWEST.total_seconds() <= now - at / 1000 <= OLDEST.total_seconds():
        return "timestamp_ms must be within the last 7 days"
    if "action_source" in event and (not isinstance(source, str) or source not in SOURCES):
        return "action_source is not supported"
    if kind in ("app_installed", "app_opened") and source != "mobile_app":
        return f"{kind} needs action_source mobile_app"
    url = event.get("source_url")
    if (source == "web" or url is not None) and not (isinstance(url, str) and re.match(r"https?://[^/?#\s]", url)):
        return "source_url must be a URL"
    if not isinstance(event.get("opt_out", False), bool) or not isinstance(event.get("oppref", ""), str):
        return "opt_out must be a boolean and oppref a string"
    user, data = event.get("user", {}), event.get("data")
    if not isinstance(user, dict) or not isinstance(data, dict) or data.get("type") != TYPES[kind]:
        return f"user must be an object, and data an object of type {TYPES[kind]}"
    return user_problem(user) or data_problem(data)


def user_problem(user: Mapping[str, Any]) -> str:
    for field in HASHED:
        if field in user and not (isinstance(user[field], list) and all(map(rules.is_digest, user[field]))):
            return f"user.{field} must be an array of SHA-256 digests"
    for field, form in CLEAR.items():
        values = user.get(field, [])
        if not isinstance(values, list) or not all(isinstance(one, str) and form.fullmatch(one) for one in values):
            return f"user.{field} must be an array of plain values"
        if any(map(rules.looks_hashed, values)):
            return f"user.{field} must not be hashed"
    for field in TEXTS:
        if field in user and not rules.is_text(user[field]):
            return f"user.{field} must be a string"
    if "ip_address" in user and not rules.is_ip_address(user["ip_address"]):
        return "user.ip_address must be an IP address"
    if "android_advertising_id" in user and not UUID.fullmatch(user["android_advertising_id"]):
        return "user.android_advertising_id must be a UUID"
    return ""


def data_problem(data: Mapping[str, Any]) -> str:
    if words := money_problem(data):
        return f"data.{words}"
    if "contents" in data and data["type"] == "customer_action":
        return "data.contents does not go with customer_action"
    if "plan_id" in data and (not rules.is_text(data["plan_id"]) or data["type"] not in ("plan_enrollment", "custom")):
        return "data.plan_id goes with plan_enrollment and custom, as a string"
    contents = data.get("contents", [])
    if not isinstance(contents, list) or not all(isinstance(item, dict) for item in contents):
        return "data.contents must be an array of objects"
    for item in contents:
        if not isinstance(item.get("id", ""), str) or not isinstance(item.get("name", ""), str):
            return "data.contents: id and name must be strings"
        if not rules.is_integer(item.get("quantity", 1)):
            return "data.contents: quantity must be an integer"
        if words := money_problem(item):
            return f"data.contents: {words}"
    return ""


def money_problem(holder: Mapping[str, Any]) -> str:
    if ("amount" in holder) != ("currency" in holder):
        return "amount and currency come together"
    if "amount" in holder and not (rules.is_integer(holder["amount"]) and rules.is_currency(holder["currency"])):
        return "amount must be an integer in minor units, currency an ISO 4217 code"
    return ""
