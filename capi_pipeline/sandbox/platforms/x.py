"""X Ads API 12, web conversions: https://docs.x.com/x-ads-api/measurement/web-conversions"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, quote, unquote

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import NEVER, Event

PIXEL_ID = "o8z6j"
CONSUMER_KEY, CONSUMER_SECRET = "sandbox-x-consumer-key", "sandbox-x-consumer&secret/="
ACCESS_TOKEN, ACCESS_TOKEN_SECRET = "12345-sandbox-x-token", "sandbox-x-token%secret+"
PIXEL_TOKEN = "sandbox-x-pixel-token"
EVENTS: Final = {"purchase": "o87ne", "add_to_cart": "o87nf", "generate_lead": "o87ng", "sign_up": "o87nh",
                 "begin_checkout": "o87nj", "add_payment_info": "o87nk", "qualify_lead": "o87nl",
                 "close_convert_lead": "o87nm"}  # fmt: skip
KNOWN: Final = {*EVENTS.values(), *(f"tw-{PIXEL_ID}-{event}" for event in EVENTS.values())}

WINDOW: Final = timedelta(hours=48)
MAXIMUM: Final = 500
SKEW: Final = 300  # seconds
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", re.ASCII)
AMOUNT = re.compile(r"-?\d{1,20}(\.\d{1,20})?", re.ASCII)
EVENT_ID = re.compile(r"(tw-[0-9a-z]+-)?[0-9a-z]+", re.ASCII)
NAMING: Final = ("twclid", "hashed_email", "hashed_phone_number")  # one of them has to be there
IDENTIFIERS: Final = {*NAMING, "ip_address", "user_agent"}
PAIR = re.compile(r'([a-z_]+)="([^"]*)"')
STATUS: Final = {"NOT_FOUND": 404, "ROUTE_NOT_FOUND": 404, "UNAUTHORIZED_ACCESS": 401,
                 "UNAUTHORIZED_CLIENT_APPLICATION": 403, "TOO_MANY_REQUESTS": 429}  # fmt: skip

Problem = tuple[str, str]  # the parameter, and what is wrong with it


def failure(status: int, code: str, *problems: Problem, **headers: str) -> Reply:
    """All errors of a request in one list, none with the position of its conversion."""
    errors = [{"code": code, "message": message, "parameter": parameter} for parameter, message in problems]
    return Reply({"errors": errors, "request": {"params": {}}}, status, headers)


class X(Platform):
    """One bad conversion refuses the request, and the errors say only its value. The event id says which event of Events
    Manager happened, the conversion id which one it was: both together are dropped when they come again within 48 h.

    `reject_event` quotes the conversion's id, unless its code is `UNQUOTED`.
    """

    slug = "x"
    title = "X Conversion API"
    documentation = "https://docs.x.com/x-ads-api/measurement/web-conversions"
    environment: ClassVar = {
        "X_CONSUMER_KEY": CONSUMER_KEY, "X_CONSUMER_SECRET": CONSUMER_SECRET,
        "X_ACCESS_TOKEN": ACCESS_TOKEN, "X_ACCESS_TOKEN_SECRET": ACCESS_TOKEN_SECRET,
    }  # fmt: skip

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/12/measurement/conversions/{pixel_id}", self.convert)]

    def convert(self, call: Call) -> Reply:
        authorise(call)
        if call.path["pixel_id"] != PIXEL_ID:
            raise Refused(failure(404, "NOT_FOUND", ("web_event_tag", f"Pixel {call.path['pixel_id']} was not found.")))
        body = call.json()
        conversions = body.get("conversions") if body else None
        if not isinstance(conversions, list) or not conversions:
            raise Refused(failure(400, "INVALID_PARAMETER", ("conversions", "conversions must be a list with entries")))
        call.events = len(conversions)
        if len(conversions) > MAXIMUM:
            raise Refused(failure(400, "INVALID_PARAMETER", ("conversions", f"Conversion count limit is {MAXIMUM}")))
        bad = [found for conversion in conversions if (found := list(problems(conversion)))]
        if bad:
            raise Refused(failure(400, "INVALID_PARAMETER", *(problem for found in bad for problem in found)), len(bad))
        for conversion in conversions:
            name = conversion["event_id"]
            if name not in KNOWN:
                words = f"event_id ({name}) does not belong to provided account"
                raise Refused(failure(404, "NOT_FOUND", ("event_id", words)), 1)
        for conversion in conversions:
            code = call.refusal(conversion, "INVALID_PARAMETER")
            if code is not None:
                value = "abc" if code == "UNQUOTED" else conversion.get("conversion_id")
                words = f"conversion_id ({value}) was refused"
                raise Refused(failure(STATUS.get(code, 400), code, ("conversion_id", words)), 1)
        call.record([accepted(conversion) for conversion in conversions])
        processed = {"conversions_processed": len(conversions), "debug_id": str(uuid.uuid4())}
        return Reply({"request": {"params": {"account_id": "18ce54d4x5t"}}, "data": processed})

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        again = int(time.time()) + 60 * (parameters.get("regain_minutes") or 0)
        limits = {"x-rate-limit-limit": "100000", "x-rate-limit-remaining": "0", "x-rate-limit-reset": str(again)}
        words = "You have exceeded the number of requests allowed."
        return failure(parameters.get("status") or 429, "TOO_MANY_REQUESTS", ("", words), **limits)

    def server_error(self, status: int) -> Reply:
        return failure(status, "OVER_CAPACITY" if status == 503 else "INTERNAL_ERROR", ("", "Try again later."))


# --- signing in -------------------------------------------------------------------------------------------------------


def authorise(call: Call) -> None:
    token = call.headers.get("x-pixel-token", "")
    state = call.static_token(token, PIXEL_TOKEN) if token else signature(call)
    if state is not Token.GOOD:
        raise Refused(failure(401, "UNAUTHORIZED_ACCESS", ("", "This request is not properly authenticated")))


def encoded(text: str) -> str:
    """RFC 3986: letters, digits and -._~ stay."""
    return quote(text, safe="")


def signature(call: Call) -> Token:
    """State of an OAuth 1.0a signature (RFC 5849, 3.4): of these keys, of now, and never seen before."""
    scheme, _, header = call.headers.get("authorization", "").partition(" ")
    given = {name: unquote(value) for name, value in PAIR.findall(header)} if scheme == "OAuth" else {}
    if not given:
        return Token.MISSING
    stamp, nonce = given.get("oauth_timestamp", ""), given.get("oauth_nonce", "")
    method, version = given.get("oauth_signature_method"), given.get("oauth_version", "1.0")
    keys = (given.get("oauth_consumer_key"), given.get("oauth_token"))
    if keys != (CONSUMER_KEY, ACCESS_TOKEN) or (method, version) != ("HMAC-SHA1", "1.0") or not nonce:
        return Token.WRONG
    if not re.fullmatch("[0-9]{1,11}", stamp) or abs(int(stamp) - call.now.timestamp()) > SKEW:
        return Token.WRONG
    signed = [(name, value) for name, value in given.items() if name != "oauth_signature"]
    query = parse_qsl("&".join(f"{encoded(k)}={encoded(v)}" for k, v in call.query.items()), keep_blank_values=True)
    pairs = sorted((encoded(name), encoded(value)) for name, value in [*signed, *query])
    address = f"http://{call.headers['host'].lower()}/x/12/measurement/conversions/{call.path['pixel_id']}"
    base = "&".join(("POST", encoded(address), encoded("&".join(f"{name}={value}" for name, value in pairs))))
    key = f"{encoded(CONSUMER_SECRET)}&{encoded(ACCESS_TOKEN_SECRET)}"
    want = b64encode(hmac.digest(key.encode(), base.encode(), hashlib.sha1)).decode()
    if not hmac.compare_digest(want, given.get("oauth_signature", "")):
        return Token.WRONG
    if call.store.token(call.platform, "nonce", f"{stamp} {nonce}"):
        return Token.WRONG
    call.store.add_token(call.platform, "nonce", f"{stamp} {nonce}", call.now, None)
    return call.static_token(ACCESS_TOKEN, ACCESS_TOKEN)


# --- conversions ------------------------------------------------------------------------------------------------------


def accepted(conversion: dict[str, Any]) -> Event:
    name, conversion_id = conversion["event_id"].removeprefix(f"tw-{PIXEL_ID}-"), conversion.get("conversion_id")
    value = conversion.get("value")
    return Event(
        account=PIXEL_ID, identity=f"{name}\x1f{conversion_id or payload_digest(conversion)}", name=name,
        id=conversion_id, payload=conversion, window=WINDOW if conversion_id else NEVER,
        value=None if value is None else float(value), currency=conversion.get("price_currency"),
    )  # fmt: skip


def problems(conversion: object) -> Iterator[Problem]:
    """Everything that is not as documented."""
    if not isinstance(conversion, dict):
        yield "conversions", "every conversion must be an object"
        return
    at = conversion.get("conversion_time")
    if not isinstance(at, str) or not TIME.fullmatch(at) or rules.parse_rfc3339(at) is None:
        yield "conversion_time", f"conversion_time ({at}) must be yyyy-MM-ddTHH:mm:ss.SSSZ"
    name = conversion.get("event_id")
    if not isinstance(name, str) or not EVENT_ID.fullmatch(name):
        yield "event_id", f"event_id ({name}) is not a single event tag (SET)"
    if "conversion_id" in conversion and not rules.is_text(conversion["conversion_id"]):
        yield "conversion_id", "conversion_id must be a string"
    yield from identifier_problems(conversion.get("identifiers"))
    if "value" in conversion and not is_amount(conversion["value"]):
        yield "value", f"value ({conversion['value']}) is not a double"
    if "price_currency" in conversion and not rules.is_currency(conversion["price_currency"]):
        yield "price_currency", f"price_currency ({conversion['price_currency']}) is not an ISO 4217 code"
    if "number_items" in conversion and not is_count(conversion["number_items"]):
        yield "number_items", "number_items must be an integer above 0"
    for field in ("search_string", "event_source_url", "description"):
        if field in conversion and not isinstance(conversion[field], str):
            yield field, f"{field} must be a string"
    if not isinstance(url := conversion.get("event_source_url", ""), str) or not (url.isascii() and " " not in url):
        yield "event_source_url", "event_source_url must be URL-encoded"
    contents = conversion.get("contents", [])
    if not isinstance(contents, list) or not all(isinstance(item, dict) for item in contents):
        yield "contents", "contents must be a list of objects"
        return
    for item in contents:
        yield from content_problems(item)


def identifier_problems(identifiers: object) -> Iterator[Problem]:
    if not isinstance(identifiers, list) or not all(isinstance(entry, dict) for entry in identifiers):
        yield "identifiers", "identifiers must be a list of objects"
        return
    given = [(key, value) for entry in identifiers for key, value in entry.items()]
    if not any(key in NAMING for key, _ in given):
        yield "identifiers", "At least one user identifier must be provided"
    for key, value in given:
        if key not in IDENTIFIERS:
            yield "identifiers", f"{key} is not an identifier"
        elif key.startswith("hashed_") and not rules.is_digest(value):
            yield key, f"{key} ({value}) is not a valid SHA-256 hash"
        elif not rules.is_text(value) or (not key.startswith("hashed_") and rules.looks_hashed(value)):
            yield key, f"{key} ({value}) must be a string as it is"
        elif key == "ip_address" and not (rules.is_ip_address(value) and ":" not in value):
            yield key, f"ip_address ({value}) is not a dotted IPv4 address"


def content_problems(item: Mapping[str, Any]) -> Iterator[Problem]:
    for field in ("content_id", "content_name", "content_type", "content_group_id"):
        if field in item and not rules.is_text(item[field]):
            yield field, f"{field} must be a string"
    if "content_price" in item and not is_amount(item["content_price"]):
        yield "content_price", f"content_price ({item['content_price']}) is not a double"
    if "num_items" in item and not rules.is_integer(item["num_items"]):
        yield "num_items", "num_items must be an integer"


def is_amount(value: object) -> bool:
    """A double, also as text."""
    return rules.is_number(value) or (isinstance(value, str) and AMOUNT.fullmatch(value) is not None)


def is_count(value: object) -> bool:
    return rules.is_integer(value) and value > 0
