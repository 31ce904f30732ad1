"""Reddit Conversions API v3: https://ads-api.reddit.com/docs/v3"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import NEVER, Event

CONVERSION_TOKEN: Final = "sandbox-reddit-token"
PIXEL_ID: Final = "a2_example"
FOREIGN_PIXEL_ID: Final = "a2_foreign"  # exists, and the token has no right to it

MAXIMUM: Final = 1000
OLDEST: Final = timedelta(hours=168)
NEWEST: Final = timedelta(minutes=5)
WINDOW: Final = timedelta(days=7)

TRACKING_TYPES: Final = rules.words(
    "PAGE_VISIT VIEW_CONTENT SEARCH ADD_TO_CART ADD_TO_WISHLIST PURCHASE LEAD SIGN_UP CUSTOM"
)
WITH_VALUE: Final = TRACKING_TYPES - {"PAGE_VISIT", "VIEW_CONTENT", "SEARCH"}
WITH_COUNT: Final = WITH_VALUE - {"LEAD", "SIGN_UP"}
SOURCES: Final = ("WEBSITE", "APP", "PHYSICAL_STORE", "OTHER")
PERSON: Final = ("email", "phone_number", "external_id")  # all that stores and other sources may send
TEXTS: Final = (*PERSON, "idfa", "aaid", "ip_address", "user_agent", "uuid")
LIBRARIES: Final = ("python-requests", "python-urllib", "httpx", "aiohttp", "curl", "go-http-client", "okhttp", "axios")


def error(status: int, message: str, reason: str = "") -> Reply:
    return Reply({"error": {"code": status, **({"reason": reason} if reason else {}), "message": message}}, status)


class Reddit(Platform):
    """Ads API v3: one invalid event rejects the whole request; a copy within 7 days is dropped; library names as User-Agent
    are throttled."""

    slug = "reddit"
    title = "Reddit Conversions API"
    documentation = "https://ads-api.reddit.com/docs/v3"
    environment: ClassVar = {"REDDIT_CONVERSION_TOKEN": CONVERSION_TOKEN}

    def endpoints(self) -> Sequence[Endpoint]:
        return [
            Endpoint("POST", "/api/v3/pixels/{pixel_id}/conversion_events", self.send),
            Endpoint("GET", "/api/v3/pixels/{pixel_id}/last_fired_at", self.last_fired_at, kind="status"),
        ]

    def last_fired_at(self, call: Call) -> Reply:
        authorise(call)
        return Reply({"data": []})

    def send(self, call: Call) -> Reply:
        agent = call.headers.get("user-agent", "").lower()
        if not agent or agent.startswith(LIBRARIES):
            raise Refused(error(429, "Too many requests"))
        authorise(call)
        data = (call.json() or {}).get("data")
        data = data if isinstance(data, dict) else {}
        events = data.get("events")
        if not isinstance(events, list) or not 1 <= len(events) <= MAXIMUM:
            raise Refused(error(400, "Bad Request"))
        call.events = len(events)
        now = call.now.timestamp()
        problems = [
            problem(event, now) or ("invalid" if call.refusal(event, 400) is not None else "") for event in events
        ]
        if bad := list(filter(None, problems)):
            words = f"There were {len(bad)} invalid conversion events. None were processed."
            raise Refused(error(400, words, "; ".join(sorted(set(bad)))), rejected=len(bad))
        call.record([accepted(event, "test_id" in data) for event in events])
        return Reply({"data": {"message": f"Successfully processed {len(events)} conversion events."}})

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return error(parameters.get("status") or 429, "Too many requests")

    def server_error(self, status: int) -> Reply:
        return error(status, "Service unavailable. None were processed.")


def authorise(call: Call) -> None:
    state = call.static_token(call.bearer(), CONVERSION_TOKEN)
    if state is not Token.GOOD:
        words = "No bearer token provided" if state is Token.MISSING else "UNAUTHORIZED"
        raise Refused(error(401, words))
    if call.path["pixel_id"] == FOREIGN_PIXEL_ID:
        raise Refused(error(403, "not authorized for this pixel"))
    if call.path["pixel_id"] != PIXEL_ID:
        raise Refused(error(404, "Not Found"))


def accepted(event: dict[str, Any], test: bool) -> Event:
    """Deduplication: conversion id, tracking type and custom name, for 7 days."""
    kind, metadata = event["type"], event.get("metadata") or {}
    name = kind.get("custom_event_name") or kind["tracking_type"]
    conversion = metadata.get("conversion_id")
    identity = f"{kind['tracking_type']}\x1f{name}\x1f{conversion or payload_digest(event)}"
    return Event(
        account=PIXEL_ID, identity=identity, name=name, id=conversion, payload=event, window=WINDOW if conversion else NEVER,
        outcome="test" if test else None, value=metadata.get("value"), currency=metadata.get("currency"),
    )  # fmt: skip


def problem(event: object, now: float) -> str:
    """The first thing that is not as documented; empty for a good event."""
    if not isinstance(event, dict):
        return "an event is an object"
    at, source, kind = event.get("event_at"), event.get("action_source"), event.get("type")
    metadata, user = event.get("metadata", {}), event.get("user")
    if not rules.is_integer(at):
        return "event_at is an integer: unix milliseconds"
    if now - at / 1000 > OLDEST.total_seconds():
        return "event_at timestamp must be less than 168h0m0s old"
    if at / 1000 - now > NEWEST.total_seconds():
        return "event_at timestamp lies in the future"
    if source not in SOURCES:
        return "action_source is not valid"
    if not isinstance(kind, dict) or not isinstance(metadata, dict) or not isinstance(user, dict):
        return "type, metadata and user are objects"
    tracking, own = kind.get("tracking_type"), kind.get("custom_event_name")
    if not isinstance(tracking, str) or tracking not in TRACKING_TYPES or (tracking == "CUSTOM") != rules.is_text(own):
        return "type is not valid"
    if rules.is_text(own) and len(own) > 64:
        return "custom_event_name has at most 64 characters"
    for field in ("event_source_url", "click_id"):
        if field in event and not rules.is_text(event[field]):
            return f"{field} is a text"
    if "event_source_url" in event and source != "WEBSITE":
        return "event_source_url is for WEBSITE"
    if set(event) - {"event_at", "action_source", "event_source_url", "click_id", "type", "metadata", "user"}:
        return "unknown field"
    return metadata_problem(metadata, tracking) or user_problem(user, event, source)


def metadata_problem(metadata: Mapping[str, Any], tracking: str) -> str:
    if "conversion_id" in metadata and not rules.is_text(metadata["conversion_id"]):
        return "conversion_id is a text"
    if ("value" in metadata) != ("currency" in metadata) or ("value" in metadata and tracking not in WITH_VALUE):
        return "value and currency come together, with types that take them"
    if "value" in metadata and not (rules.is_number(metadata["value"]) and rules.is_currency(metadata["currency"])):
        return "value is a number and currency an ISO 4217 code"
    if "item_count" in metadata and not (rules.is_integer(metadata["item_count"]) and tracking in WITH_COUNT):
        return "item_count is an integer, with types that take it"
    products = metadata.get("products", [])
    if not isinstance(products, list) or not all(isinstance(product, dict) for product in products):
        return "products is a list of objects"
    for product in products:
        if not all(isinstance(product.get(field, ""), str) for field in ("id", "name", "category")):
            return "id, name and category are texts"
        if not rules.is_integer(product.get("quantity", 1)) or not rules.is_number(product.get("item_price", 0)):
            return "quantity is an integer and item_price a number"
    return ""


def user_problem(user: Mapping[str, Any], event: Mapping[str, Any], source: str) -> str:
    """Identifiers may be plain or hashed; what must be plain must not be hashed."""
    for field in TEXTS:
        if field in user and (not rules.is_text(user[field]) or user[field] == rules.SHA256_OF_NOTHING):
            return f"{field} is a text that is not empty"
    if "email" in user and "@" not in user["email"] and not rules.is_digest(user["email"]):
        return "email is an address or its SHA-256"
    if "uuid" in user and rules.looks_hashed(user["uuid"]):
        return "uuid is not hashed"
    screen = user.get("screen_dimensions", {"width": 1, "height": 1})
    if not isinstance(screen, dict) or not all(rules.is_integer(screen.get(side)) for side in ("width", "height")):
        return "screen_dimensions has width and height"
    options = user.get("data_processing_options")
    if options is not None and not is_limited(options):
        return "data_processing_options has modes LDU, a country, and maybe a region"
    if source in ("PHYSICAL_STORE", "OTHER") and (
        set(user) - {*PERSON, "data_processing_options"} or "click_id" in event
    ):
        return "a store or another source has a hashed person only"
    whole = all(field in user for field in ("ip_address", "user_agent", "screen_dimensions"))
    if not (whole or "click_id" in event or set(user) & {*PERSON, "uuid", "idfa", "aaid"}):
        return "no match key"
    return ""


def is_limited(options: object) -> bool:
    if (
        not isinstance(options, dict)
        or options.get("modes") != ["LDU"]
        or set(options) - {"modes", "country", "region"}
    ):
        return False
    country, region = options.get("country"), options.get("region", "CA")
    return (
        isinstance(country, str)
        and re.fullmatch("[A-Z]{2}", country) is not None
        and isinstance(region, str)
        and re.fullmatch("([A-Z]{2}-)?[A-Z0-9]{1,3}", region) is not None
    )
