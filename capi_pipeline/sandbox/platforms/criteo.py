"""Criteo Events API, server to server: https://guides.criteotilt.com/events-api/"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply
from capi_pipeline.sandbox.store import FOREVER, NEVER, Event

ACCOUNT: Final = "12345"
HOSTS: Final = ("eu", "us", "as")
MD5 = re.compile(r"[0-9a-f]{32}", re.ASCII)
TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
TEXTS: Final = rules.words("version useragent full_url previous_url retailer_visitor_id")
LINES: Final = ("addToCart", "beginCheckout", "trackTransaction")


class Criteo(Platform):
    """One event of one person a request. Everything is answered by 200; `errors` tell whether it was taken. A sale counts
    once by its id, and an event that the tag has sent too by the id of the page view; anything else counts each time."""

    slug = "criteo"
    title = "Criteo Events API"
    documentation = "https://guides.criteotilt.com/events-api/"

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/m/event", self.event), Endpoint("POST", "/{region}/m/event", self.event)]

    def event(self, call: Call) -> Reply:
        body = call.json()
        if call.path.get("region", "eu") not in HOSTS or call.query.get("version") != "s2s_v0":
            raise Refused(Reply(b"", 404, media_type="text/plain"))
        if body is None:
            raise Refused(Reply(b"", 400, media_type="text/plain"))
        call.events = 1
        found = problem(body)
        code = call.refusal(body, "UserIdentifierMissing")
        if found or code is not None:
            raise Refused(Reply({"errors": [found or str(code)], "warnings": []}), rejected=1)
        call.record([accepted(body)])
        missing = [f"{field} is recommended" for field in ("ip", "full_url", "useragent") if field not in body]
        return Reply({"errors": [], "warnings": missing})


def accepted(body: Mapping[str, Any]) -> Event:
    event = body["events"][0]
    name, view = event["event"], event.get("deduplication_page_view_id")
    key = event["id"] if name == "trackTransaction" else view
    lines = event["item"] if name in LINES else []
    return Event(
        account=body["account"], identity=f"{name}\x1f{key or secrets.token_hex(8)}", name=name, id=event.get("id"),
        payload=body, window=FOREVER if key else NEVER,
        value=sum(line["price"] * line["quantity"] for line in lines) if lines else None, currency=event.get("currency"),
    )  # fmt: skip


def problem(body: Mapping[str, Any]) -> str | None:
    """The first rule that a request breaks, as the word of the answer."""
    if body.get("account") != ACCOUNT:
        return "AccountNotFound"
    if body.get("site_type") not in ("d", "m", "t"):
        return "InvalidSiteType"
    for field in TEXTS:
        if field in body and not rules.is_text(body[field]):
            return f"InvalidField: {field}"
    if "ip" in body and not (rules.is_text(body["ip"]) and rules.is_ip_address(body["ip"])):
        return "InvalidIp"
    events = body.get("events")
    if not isinstance(events, list) or len(events) != 1 or not isinstance(events[0], dict):
        return "InvalidEvents"
    return identity_problem(body.get("id")) or event_problem(events[0])


def identity_problem(identity: object) -> str | None:
    if not isinstance(identity, dict):
        return "UserIdentifierMissing"
    for field in ("mapping_key", "mapped_user_id"):
        if field in identity and (not rules.is_text(identity[field]) or rules.looks_hashed(identity[field])):
            return f"InvalidIdentifier: {field}"
    hashes = identity.get("email", {})
    if not isinstance(hashes, dict) or not hashes.keys() <= {"md5", "sha256", "sha256_md5"}:
        return "InvalidIdentifier: email"
    for form, value in hashes.items():
        good = isinstance(value, str) and MD5.fullmatch(value) if form == "md5" else rules.is_digest(value)
        if not good:
            return f"InvalidIdentifier: email.{form}"
    return None if hashes or "mapped_user_id" in identity else "UserIdentifierMissing"


def event_problem(event: Mapping[str, Any]) -> str | None:
    name, item = event.get("event"), event.get("item")
    if not rules.is_text(name):
        return "InvalidEvent"
    if "timestamp" in event and not (isinstance(event["timestamp"], str) and TIMESTAMP.fullmatch(event["timestamp"])):
        return "InvalidTimestamp"
    if name == "trackTransaction" and not rules.is_text(event.get("id")):
        return "TransactionIdMissing"
    if "currency" in event and not rules.is_currency(event["currency"]):
        return "InvalidCurrency"
    if name == "viewItem" and not rules.is_text(item):
        return "InvalidItem"
    if name == "viewList" and not (isinstance(item, list) and 1 <= len(item) <= 3 and all(map(rules.is_text, item))):
        return "InvalidItem"
    if name in LINES and not (isinstance(item, list) and item and all(map(is_line, item))):
        return "InvalidItem"
    return None


def is_line(line: object) -> bool:
    return (
        isinstance(line, dict)
        and rules.is_text(line.get("id"))
        and rules.is_number(line.get("price"))
        and rules.is_integer(line.get("quantity"))
    )
