"""Spotify Conversions API: https://adshelp.spotify.com/s/article/Spotify-Conversions-API-US"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token
from capi_pipeline.sandbox.store import Event

ACCESS_TOKEN = "sandbox-spotify-token"
CONNECTION_ID = "3f2b9a52-2d1b-4f5e-9d1c-0a1b2c3d4e5f"

WINDOW: Final = timedelta(hours=48)
NAMES: Final = rules.words(
    "VIEW PRODUCT LEAD ADD_TO_CART CHECK_OUT PURCHASE SIGN_UP ALIAS CUSTOM_EVENT_1 CUSTOM_EVENT_2 CUSTOM_EVENT_3 "
    "CUSTOM_EVENT_4 CUSTOM_EVENT_5"
)
SOURCES: Final = rules.words("WEB APP OFFLINE")
IDENTIFIERS: Final = rules.words("ip_address device_id hashed_emails hashed_phone_number")
TAXONOMY: Final = frozenset(["Apparel & Accessories", "Electronics", "Home & Garden"])  # of Google's, the first levels
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z", re.ASCII)


def error(status: int, message: str) -> Reply:
    """No shape of an error is documented; the trace id is."""
    return Reply({"message": message, "sp_trace_id": secrets.token_hex(16)}, status)


class Spotify(Platform):
    """One bad event refuses the request. The event id alone tells a copy, of whichever name; the window is not published."""

    slug = "spotify"
    title = "Spotify Conversions API"
    documentation = "https://adshelp.spotify.com/s/article/Spotify-Conversions-API-US"
    environment: ClassVar = {"SPOTIFY_ACCESS_TOKEN": ACCESS_TOKEN}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/capi-direct/events/", self.convert)]

    def convert(self, call: Call) -> Reply:
        if call.static_token(call.bearer(), ACCESS_TOKEN) is not Token.GOOD:
            raise Refused(error(401, "Unauthorized"))
        body = call.json() or {}
        envelope = body.get("conversion_events")
        if not isinstance(envelope, dict):
            raise Refused(error(400, "conversion_events is required"))
        if envelope.get("capi_connection_id") != CONNECTION_ID:
            raise Refused(error(403, "The token does not belong to this connection"))
        events = envelope.get("events")
        if not isinstance(events, list) or not events:
            raise Refused(error(400, "events is required"))
        call.events = len(events)
        for event in events:
            problem = first_problem(event, call.now)
            if problem is not None:
                raise Refused(error(400, problem), 1)
            code = call.refusal(event, 400)
            if code is not None:
                raise Refused(error(code, "Invalid event"), 1)
        call.record([accepted(event) for event in events])
        return Reply({"message": "SUCCESS"})

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return error(parameters.get("status") or 429, "API rate limit exceeded")

    def server_error(self, status: int) -> Reply:
        return error(status, "Internal server error")


def accepted(event: dict[str, Any]) -> Event:
    details = event.get("event_details") or {}
    return Event(
        account=CONNECTION_ID, identity=event["event_id"], name=event["event_name"], id=event["event_id"], payload=event,
        window=WINDOW, value=details.get("amount"), currency=details.get("currency"),
    )  # fmt: skip


def first_problem(event: object, now: datetime) -> str | None:
    """The first field that is not as documented; None for a good event."""
    if not isinstance(event, dict):
        return "every event must be an object"
    if not rules.is_text(event.get("event_id")):
        return "event_id is required"
    name, source = event.get("event_name"), event.get("action_source", "WEB")
    if not isinstance(name, str) or name not in NAMES:
        return "event_name is not one of the documented names"
    written = event.get("event_time")
    at = rules.parse_rfc3339(written) if isinstance(written, str) and TIME.fullmatch(written) else None
    if at is None or at > now:
        return "event_time must be a time in the past, ISO 8601 in UTC"
    if not isinstance(source, str) or source not in SOURCES:
        return "action_source must be WEB, APP or OFFLINE"
    url = event.get("event_source_url", "https://")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return "event_source_url must start with http:// or https://"
    if not isinstance(event.get("opt_out_targeting", True), bool):
        return "opt_out_targeting must be a boolean"
    return user_problem(event.get("user_data")) or details_problem(name, event.get("event_details", {}))


def user_problem(user: object) -> str | None:
    if not isinstance(user, dict) or not user:
        return "user_data needs at least one identifier"
    for field in user.keys() - IDENTIFIERS:
        return f"user_data.{field} is not a documented field"
    emails = user.get("hashed_emails", [])
    if (
        not isinstance(emails, list)
        or ("hashed_emails" in user and not emails)
        or not all(map(rules.is_digest, emails))
    ):
        return "user_data.hashed_emails must be a list of SHA-256 hashes"
    if "hashed_phone_number" in user and not rules.is_digest(user["hashed_phone_number"]):
        return "user_data.hashed_phone_number must be a SHA-256 hash"
    for field in ("ip_address", "device_id"):
        if field in user and (not rules.is_text(user[field]) or rules.looks_hashed(user[field])):
            return f"user_data.{field} must be a string as it is"
    return None


def details_problem(name: str, details: object) -> str | None:
    if not isinstance(details, dict):
        return "event_details must be an object"
    amount, currency = details.get("amount"), details.get("currency")
    if (amount is None) != (currency is None) or (name == "PURCHASE" and amount is None):
        return "event_details needs amount and currency"
    if amount is not None and not (rules.is_number(amount) and rules.is_currency(currency)):
        return "event_details.amount must be a number, event_details.currency an ISO 4217 code"
    if "content_name" in details and not isinstance(details["content_name"], str):
        return "event_details.content_name must be a string"
    category = details.get("content_category", "Electronics")
    if not isinstance(category, str) or category not in TAXONOMY:
        return "event_details.content_category must be a value of the Google Product Taxonomy"
    return None
