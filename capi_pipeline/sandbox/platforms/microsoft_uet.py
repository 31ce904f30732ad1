"""Microsoft Advertising Conversions API for UET, v1.

https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import FOREVER, NEVER, Event

TAG_ID: Final = "97012345"
API_TOKEN: Final = "sandbox-uet-token"

MAXIMUM: Final = 1000
AGE: Final = timedelta(days=7)
LISTED: Final = 10
PAGE_TYPES: Final = rules.words("cart category home other product purchase searchresults")
IDENTIFIERS: Final = ("anonymousId", "externalId", "em", "ph", "msclkid", "idfa", "gaid")
CLICK_ID = re.compile("[0-9a-fA-F]{32}")
URL = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field; a `warning` drops the field and keeps the event."""

    path: str
    code: str
    warning: bool = False


def error(status: int, code: str, message: str, details: Sequence[object] = ()) -> Reply:
    body: dict[str, Any] = {"code": code, "message": message}
    if details:
        body["details"] = details
    return Reply({"error": body, "traceId": secrets.token_hex(16)}, status)


class MicrosoftUet(Platform):
    """With `continueOnValidationError` bad events are left out and named, and only ten problems are listed; without it
    one bad event refuses the request. The same name and id again is a repeat."""

    slug = "microsoft_uet"
    title = "Microsoft Conversions API"
    documentation = "https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration"
    environment: ClassVar = {"MICROSOFT_UET_API_TOKEN": API_TOKEN}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/v1/{tag_id}/events", self.track)]

    def track(self, call: Call) -> Reply:
        known = call.static_token(call.bearer(), API_TOKEN) is Token.GOOD
        if not known or call.path["tag_id"] != TAG_ID:
            raise Refused(error(401, "Unauthorized", "The token does not belong to this tag."))
        body = call.json()
        if body is None:
            raise Refused(error(400, "InvalidRequest", "The body is not valid JSON."))
        events = body.get("data")
        if not isinstance(events, list) or not 1 <= len(events) <= MAXIMUM:
            raise Refused(error(400, "ValidationError", f"data: 1 to {MAXIMUM} events are required."))
        call.events = len(events)
        problems = [(index, problem) for index, event in enumerate(events) for problem in self.problems(call, event)]
        bad = {index for index, problem in problems if not problem.warning}
        details = [detail(index, problem) for index, problem in problems[:LISTED]]
        call.rejected = len(bad)
        if bad and (len(bad) == len(events) or body.get("continueOnValidationError") is not True):
            raise Refused(error(400, "ValidationError", "Validation failed.", details), rejected=len(bad))
        call.record([accepted(event) for index, event in enumerate(events) if index not in bad])
        answer: dict[str, Any] = {"eventsReceived": len(events) - len(bad)}
        if details:
            answer["error"] = {"code": "ValidationError", "message": "Validation failed.", "details": details}
            answer["traceId"] = secrets.token_hex(16)
        return Reply(answer)

    def problems(self, call: Call, event: object) -> list[Problem]:
        found = list(event_problems(event, call.now))
        code = call.refusal(event, "InvalidEventTime")
        return [*found, Problem("eventTime", str(code))] if code is not None else found

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return error(parameters.get("status") or 429, "TooManyRequests", "Too many requests.")

    def server_error(self, status: int) -> Reply:
        return error(status, "InternalServerError", "An unexpected error occurred.")


def detail(index: int, problem: Problem) -> dict[str, Any]:
    return {
        "index": index, "propertyName": f"data[{index}].{problem.path}", "attemptedValue": None,
        "errorMessage": f"'{problem.path}' is not valid.", "errorCode": problem.code, "isWarning": problem.warning,
    }  # fmt: skip


def accepted(event: Mapping[str, Any]) -> Event:
    name, event_id, custom = event.get("eventName") or "", event.get("eventId"), event.get("customData") or {}
    return Event(
        account=TAG_ID, identity=f"{name}\x1f{event_id or payload_digest(event)}", name=name, id=event_id, payload=event,
        window=FOREVER if event_id else NEVER, value=custom.get("value"), currency=custom.get("currency"),
    )  # fmt: skip


def event_problems(event: object, now: datetime) -> Iterator[Problem]:
    if not isinstance(event, dict):
        yield Problem("", "InvalidType")
        return
    if event.get("eventType") not in ("pageLoad", "custom"):
        yield Problem("eventType", "InvalidEnumValue")
    if event.get("eventType") == "custom" and not rules.is_text(event.get("eventName")):
        yield Problem("eventName", "Empty")
    if event.get("eventType") == "pageLoad" and not rules.is_text(event.get("eventSourceUrl")):
        yield Problem("eventSourceUrl", "Empty")
    if "eventId" in event and not rules.is_text(event["eventId"]):
        yield Problem("eventId", "Empty")
    at = event.get("eventTime")
    if not rules.is_integer(at) or not (now - AGE).timestamp() <= at <= now.timestamp():
        yield Problem("eventTime", "InvalidEventTime")
    for field in ("eventSourceUrl", "referrerUrl"):
        if field in event and not (rules.is_text(event[field]) and URL.fullmatch(event[field])):
            yield Problem(field, "InvalidUrl", warning=True)
    if event.get("adStorageConsent", "G") not in ("G", "D"):
        yield Problem("adStorageConsent", "InvalidEnumValue")
    user, custom = event.get("userData"), event.get("customData", {})
    if isinstance(user, dict):
        yield from user_problems(user)
    else:
        yield Problem("userData", "Empty")
    if (isinstance(custom, dict) and custom) or "customData" not in event:
        yield from custom_problems(custom)
    else:
        yield Problem("customData", "Empty")


def user_problems(user: Mapping[str, Any]) -> Iterator[Problem]:
    for field, value in user.items():
        if not rules.is_text(value):
            yield Problem(f"userData.{field}", "InvalidType")
    if not any(user.get(field) for field in IDENTIFIERS):
        yield Problem("userData", "Empty")
    for field in ("em", "ph"):
        if field in user and not rules.is_digest(user[field]):
            yield Problem(f"userData.{field}", "InvalidSha256", warning=True)
    if "msclkid" in user and not CLICK_ID.fullmatch(str(user["msclkid"])):
        yield Problem("userData.msclkid", "InvalidClickId", warning=True)
    if "clientIpAddress" in user and not rules.is_ip_address(str(user["clientIpAddress"])):
        yield Problem("userData.clientIpAddress", "InvalidIpAddress", warning=True)


def custom_problems(custom: Mapping[str, Any]) -> Iterator[Problem]:
    for field in ("value", "ecommTotalValue"):
        if field in custom and not rules.is_number(custom[field]):
            yield Problem(f"customData.{field}", "InvalidType")
    if "currency" in custom and not rules.is_currency(custom["currency"]):
        yield Problem("customData.currency", "InvalidEnumValue")
    if "pageType" in custom and not rules.is_one_of(custom["pageType"], PAGE_TYPES):
        yield Problem("customData.pageType", "InvalidEnumValue")
    ids, items = custom.get("itemIds", []), custom.get("items", [])
    if not isinstance(ids, list) or not all(map(rules.is_text, ids)):
        yield Problem("customData.itemIds", "InvalidType")
    if not isinstance(items, list) or not all(map(good_item, items)):
        yield Problem("customData.items", "InvalidType")


def good_item(item: object) -> bool:
    if not isinstance(item, dict) or not rules.is_text(item.get("id")):
        return False
    return rules.is_integer(item.get("quantity", 1)) and rules.is_number(item.get("price", 0))
