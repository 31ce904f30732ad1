"""Quora Conversion API: https://www.quora.com/ads/conversion_api_doc"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import NEVER, Event

API_TOKEN = "sandbox-quora-token"
ACCOUNT_ID = 527745581653587

WINDOW: Final = timedelta(hours=48)
AGE: Final = timedelta(days=90)
MAXIMUM: Final = 1000
HIGHEST_VALUE: Final = 214_748.36
NAMES: Final = rules.words(
    "Generic AppInstall Purchase GenerateLead CompleteRegistration AddPaymentInfo AddToCart AddToWishlist InitiateCheckout "
    "Search ViewContent"
)
EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
TEXTS: Final = {
    "user": ("phone_number", "name", "date_of_birth", "country", "region", "city", "postal_code", "company_name", "job_title"),
    "device": ("user_agent", "language", "referer", "mobile_device_id"),
    "conversion": ("event_id", "click_id"),
}  # fmt: skip

Problem = tuple[str, str]  # code and message


def error(status: int, message: str) -> Reply:
    """No shape of an error of the whole request is documented."""
    return Reply({"message": message}, status)


class Quora(Platform):
    """Each event has its own result. A time that is missing, or older than 90 days, silently becomes the server's own, and
    so does one that is not in microseconds."""

    slug = "quora"
    title = "Quora Conversion API"
    documentation = "https://www.quora.com/ads/conversion_api_doc"
    environment: ClassVar = {"QUORA_API_TOKEN": API_TOKEN}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/ads/v0/conversions", self.convert)]

    def convert(self, call: Call) -> Reply:
        if call.static_token(call.bearer(), API_TOKEN) is not Token.GOOD:
            raise Refused(error(401, "Invalid API token"))
        body = call.json() or {}
        data = body.get("data")
        if not rules.is_integer(body.get("account_id")) or body["account_id"] != ACCOUNT_ID:
            raise Refused(error(400, "Invalid account_id"))
        if (
            not isinstance(data, list)
            or not 0 < len(data) <= MAXIMUM
            or not all(isinstance(item, dict) for item in data)
        ):
            raise Refused(error(400, f"data must hold 1 to {MAXIMUM} events"))
        call.events = len(data)
        results, good = [], []
        for index, item in enumerate(data):
            problem, code = first_problem(item), call.refusal(item, "VALUE_OUT_OF_RANGE")
            if problem is None and isinstance(code, int):  # an error of the whole request
                raise Refused(error(code, "Malformed request"), 1)
            if problem is None and code is not None:
                problem = str(code), "The event was refused"
            result: dict[str, Any] = {"index": index, "status": "OK" if problem is None else "ERROR"}
            if problem is None:
                good.append(accepted(item, call.now))
            else:
                result |= {"error_code": problem[0], "error_message": problem[1]}
            if body.get("debug") is True:
                result["warnings"] = warnings(item["conversion"]) if problem is None else []
            results.append(result)
        call.record(good)
        call.rejected = len(data) - len(good)
        return Reply({"events_received": len(data), "events_errored": call.rejected, "events": results})

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return error(parameters.get("status") or 429, "Rate limit of 1000 events per minute exceeded")

    def server_error(self, status: int) -> Reply:
        return error(status, "Internal server error")


def accepted(item: dict[str, Any], now: datetime) -> Event:
    conversion = item["conversion"]
    name, event_id, at = conversion["event_name"], conversion.get("event_id"), conversion.get("timestamp", 0)
    oldest = (now - AGE).timestamp() * 1_000_000
    stored = at if at >= oldest else int(now.timestamp() * 1_000_000)
    return Event(
        account=str(ACCOUNT_ID), identity=f"{name}\x1f{event_id or payload_digest(item)}", name=name, id=event_id,
        payload={**item, "conversion": {**conversion, "timestamp": stored}}, window=WINDOW if event_id else NEVER,
        value=conversion.get("value"),
    )  # fmt: skip


def first_problem(item: Mapping[str, Any]) -> Problem | None:
    """The first thing for which an event is not taken. Only the e-mail and the address of a person are looked at."""
    parts = {name: item.get(name, {}) for name in TEXTS}
    if not all(isinstance(part, dict) for part in parts.values()):
        return "INVALID_EVENT", "user, device and conversion must be objects"
    user, conversion = parts["user"], parts["conversion"]
    name = conversion.get("event_name")
    if not isinstance(name, str) or name not in NAMES:
        return "INVALID_EVENT_NAME", "event_name is not one of the documented names"
    if not rules.is_integer(conversion.get("timestamp", 0)):
        return "INVALID_TIMESTAMP", "timestamp must be an integer of microseconds"
    value = conversion.get("value", 0)
    if not rules.is_number(value):
        return "INVALID_VALUE", "value must be a number"
    if not 0 <= value <= HIGHEST_VALUE:
        return "VALUE_OUT_OF_RANGE", f"value must lie between 0 and {HIGHEST_VALUE}"
    mail = user.get("email")
    if "email" in user and not (rules.is_digest(mail) or (isinstance(mail, str) and EMAIL.fullmatch(mail))):
        return "INVALID_EMAIL", "email must be an address or its SHA-256 hash"
    if "ip" in user and not (isinstance(user["ip"], str) and rules.is_ip_address(user["ip"])):
        return "INVALID_IP", "ip must be an IPv4 or IPv6 address"
    for part, fields in TEXTS.items():
        for field in fields:
            if field in parts[part] and not rules.is_text(parts[part][field]):
                return "INVALID_FIELD", f"{part}.{field} must be a string"
    return None


def warnings(conversion: Mapping[str, Any]) -> list[str]:
    missing = {"click_id": "CLICK_ID_MISSING", "event_id": "EVENT_ID_MISSING"}
    return [warning for field, warning in missing.items() if not conversion.get(field)]
