"""Vibe.co server-to-server conversions: https://help.vibe.co, and the action definition of Segment's destination."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import orjson

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply
from capi_pipeline.sandbox.store import Event

PIXEL_ID: Final = "AbC123"
ACTIONS: Final = rules.words("call install lead page_view purchase signup")
AGE: Final = timedelta(days=7)
WINDOW: Final = timedelta(hours=48)  # not published


class Vibe(Platform):
    """One event per request, no authentication. The first copy of an event id counts; success says nothing."""

    slug = "vibe"
    title = "Vibe.co conversions"
    documentation = "https://help.vibe.co"

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/s2s-conversion/events", self.track)]

    def track(self, call: Call) -> Reply:
        call.events = 1
        event = call.json() or {}
        problem = first_problem(event, call.now.timestamp())
        if problem is not None:
            raise Refused(Reply({"error": problem}, 400), rejected=1)
        if event["aid"] != PIXEL_ID:
            raise Refused(Reply({"error": "unknown pixel"}, 404))
        status = call.refusal(event, 400)
        if status is not None:
            raise Refused(Reply({"error": "not valid"}, int(status)), rejected=1)
        details = orjson.loads(event.get("ed", "{}"))
        value = details.get("price_usd")
        call.record(
            [
                Event(
                    account=PIXEL_ID,
                    identity=event["eid"],
                    name=event["a"],
                    id=event["eid"],
                    payload=event,
                    window=WINDOW,
                    value=value,
                    currency=None if value is None else "USD",
                )
            ]
        )
        return Reply(b"")


def first_problem(event: Mapping[str, Any], now: float) -> str | None:
    """What is not as documented; None for a good event."""
    at = event.get("ts")
    for field in ("aid", "eid"):
        if not rules.is_text(event.get(field)):
            return f"{field} is required"
    if not isinstance(event.get("a"), str) or event["a"] not in ACTIONS:
        return "a is not an action"
    if not rules.is_integer(at) or not now - AGE.total_seconds() <= at / 1000 <= now:
        return "ts is not within the last 7 days, in milliseconds"
    for field in ("ua", "url", "gid", "em"):
        if not isinstance(event.get(field, ""), str):
            return f"{field} is not a string"
    if not is_ipv4(event.get("ip")):
        return "ip is not an IPv4 address"
    return None if details_are_good(event.get("ed", "{}")) else "ed is not a string that holds a JSON object"


def is_ipv4(value: object) -> bool:
    try:
        return isinstance(value, str) and ipaddress.ip_address(value).version == 4
    except ValueError:
        return False


def details_are_good(text: object) -> bool:
    try:
        details = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return False
    return (
        isinstance(details, dict)
        and rules.is_amount(details.get("price_usd", 0))
        and isinstance(details.get("purchase_id", ""), str)
    )
