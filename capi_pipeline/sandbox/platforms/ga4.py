"""GA4 Measurement Protocol: https://developers.google.com/analytics/devguides/collection/protocol/ga4"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, payload_digest
from capi_pipeline.sandbox.store import FOREVER, NEVER, Event

MEASUREMENT_ID: Final = "G-ABC1234567"
API_SECRET: Final = "sandbox-ga4-secret"
LARGEST: Final = 130_000
AGE: Final = timedelta(hours=72)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}", re.ASCII)
PREFIXES: Final = ("_", "firebase_", "ga_", "google_", "gtag.", "app_store_", "video_")
RESERVED: Final = rules.words(
    "session_start first_visit first_open user_engagement error in_app_purchase app_remove app_update ad_click "
    "ad_exposure ad_impression ad_query ad_reward click scroll file_download form_start form_submit view_search_results"
)
LONGEST: Final = {"page_location": 1000, "page_referrer": 420}
TOP: Final = rules.words(
    "client_id user_id timestamp_micros user_properties user_data consent user_location ip_override device user_agent "
    "events validation_behavior"
)
NUMBERS: Final = rules.words("value tax shipping engagement_time_msec price")
DEVICE: Final = rules.words(
    "category language screen_resolution operating_system operating_system_version model brand browser browser_version"
)

Message = tuple[str, str, str]  # field path, description, code


class Ga4(Platform):
    """Whatever is received is answered with 204, right or wrong: a wrong secret, stream or event is swallowed (recorded,
    not counted). Purchases with one transaction id of one client count once; anything else sent twice counts twice.
    """

    slug = "ga4"
    title = "Google Analytics 4"
    documentation = "https://developers.google.com/analytics/devguides/collection/protocol/ga4"
    environment: ClassVar = {"GA4_API_SECRET": API_SECRET}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/mp/collect", self.collect), Endpoint("POST", "/debug/mp/collect", self.check)]

    def collect(self, call: Call) -> Reply:
        body = self._body(call)
        messages = list(problems(body, call.now))
        given = (call.query.get("measurement_id"), call.query.get("api_secret"))
        outcome = "malformed" if messages else None if given == (MEASUREMENT_ID, API_SECRET) else "unknown_stream"
        call.record([stored(body, event, outcome) for event in events_of(body)])
        return Reply(b"", 204)

    def check(self, call: Call) -> Reply:
        """The debug server: it looks at the body alone, and keeps nothing."""
        body = self._body(call)
        found = [{"fieldPath": path, "description": text, "validationCode": code}
                 for path, text, code in problems(body, call.now)]  # fmt: skip
        return Reply({"validationMessages": found})

    def _body(self, call: Call) -> dict[str, Any]:
        if len(call.body) >= LARGEST:
            raise Refused(Reply(b"", 413), rejected=1)
        body = call.json() or {}
        call.events = len(events_of(body))
        code = call.refusal(body, 400)
        if code is not None:
            raise Refused(Reply(b"", int(code)), rejected=call.events)
        return body

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return Reply(b"", parameters.get("status") or 429)


def events_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    events = body.get("events")
    return [event for event in events if isinstance(event, dict)] if isinstance(events, list) else []


def stored(body: Mapping[str, Any], event: Mapping[str, Any], outcome: str | None) -> Event:
    name, params = str(event.get("name")), event.get("params")
    params = params if isinstance(params, dict) else {}
    order, value, currency = params.get("transaction_id"), params.get("value"), params.get("currency")
    once = name == "purchase" and order
    return Event(
        account=MEASUREMENT_ID,
        identity=f"{body.get('client_id')}\x1f{order}" if once else payload_digest({**body, "events": [event]}),
        name=name,
        payload=body,
        id=str(order) if order else None,
        window=FOREVER if once else NEVER,
        outcome=outcome,
        value=value if rules.is_number(value) else None,
        currency=currency if isinstance(currency, str) else None,
    )


def problems(body: Mapping[str, Any], now: datetime) -> Iterator[Message]:
    """Everything in a request that is not as documented."""
    for key in sorted(body.keys() - TOP):
        yield key, "Unknown field.", "VALUE_INVALID"
    if not rules.is_text(body.get("client_id")):
        yield "client_id", "It is required.", "VALUE_REQUIRED"
    user = body.get("user_id", "u")
    if not rules.is_text(user) or len(user) > 256 or "@" in user:
        yield "user_id", "At most 256 characters, and no personal data.", "VALUE_OUT_OF_BOUNDS"
    at = body.get("timestamp_micros", now.timestamp() * 1e6)
    if not rules.is_number(at) or not 0 <= now.timestamp() - at / 1e6 <= AGE.total_seconds():
        yield "timestamp_micros", "Microseconds of the last 72 hours.", "VALUE_OUT_OF_BOUNDS"
    choices = as_object(body, "consent")
    if choices.keys() - {"ad_user_data", "ad_personalization"} or any(
        c not in ("GRANTED", "DENIED") for c in choices.values()
    ):
        yield "consent", "GRANTED or DENIED.", "VALUE_INVALID"
    if "user_agent" in body and not rules.is_text(body["user_agent"]):
        yield "user_agent", "Not a text.", "VALUE_INVALID"
    if "ip_override" in body and not rules.is_ip_address(str(body["ip_override"])):
        yield "ip_override", "Not an IP address.", "VALUE_INVALID"
    device = as_object(body, "device")
    if not device.keys() <= DEVICE or not all(map(rules.is_text, device.values())):
        yield "device", "Unknown field or not a text.", "VALUE_INVALID"
    yield from user_data_problems(as_object(body, "user_data"))
    events = body.get("events")
    if not isinstance(events, list) or not events:
        yield "events", "At least one event is required.", "VALUE_REQUIRED"
    elif len(events) > 25:
        yield "events", "At most 25 events.", "EXCEEDED_MAX_ENTITIES"
    else:
        for index, event in enumerate(events):
            yield from event_problems(f"events[{index}]", event if isinstance(event, dict) else {})


def as_object(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key, {})
    return value if isinstance(value, dict) else {"": value}  # which no field is called


def user_data_problems(data: Mapping[str, Any]) -> Iterator[Message]:
    for key in sorted(data.keys() - {"sha256_email_address", "sha256_phone_number", "address"}):
        yield f"user_data.{key}", "Unknown field.", "VALUE_INVALID"
    for key in ("sha256_email_address", "sha256_phone_number"):
        values = rules.as_list(data.get(key, []))
        if len(values) > 3:
            yield f"user_data.{key}", "At most 3.", "EXCEEDED_MAX_ENTITIES"
        if not all(map(rules.is_digest, values)):
            yield f"user_data.{key}", "SHA-256 in lower-case hex.", "VALUE_INVALID"
    addresses = rules.as_list(data.get("address", []))
    if len(addresses) > 2:
        yield "user_data.address", "At most 2.", "EXCEEDED_MAX_ENTITIES"
    for address in addresses:
        address = address if isinstance(address, dict) else {}
        names = [address.get("sha256_first_name"), address.get("sha256_last_name")]
        street = address.get("sha256_street")
        clear = [address.get(key) for key in ("city", "region", "postal_code", "country")]
        good = all(map(rules.is_digest, names)) and (street is None or rules.is_digest(street))
        if not good or any(map(rules.looks_hashed, clear)) or not all(v is None or rules.is_text(v) for v in clear):
            yield "user_data.address", "Both names hashed, places in the clear.", "VALUE_INVALID"


def event_problems(path: str, event: Mapping[str, Any]) -> Iterator[Message]:
    name, params = event.get("name"), event.get("params", {})
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        yield f"{path}.name", "Letters, digits and underscores, a letter first, at most 40.", "NAME_INVALID"
        return
    if name in RESERVED or name.startswith(PREFIXES):
        yield f"{path}.name", "The name is reserved.", "NAME_RESERVED"
    if not isinstance(params, dict):
        yield f"{path}.params", "Not an object.", "VALUE_INVALID"
        return
    if len(params) > 25:
        yield f"{path}.params", "At most 25 parameters.", "EXCEEDED_MAX_ENTITIES"
    if name in ("purchase", "refund") and not params.get("transaction_id"):
        yield f"{path}.params.transaction_id", "It is required.", "VALUE_REQUIRED"
    if ("value" in params) != ("currency" in params):
        yield f"{path}.params.currency", "value and currency come together.", "VALUE_REQUIRED"
    if "currency" in params and not rules.is_currency(params["currency"]):
        yield f"{path}.params.currency", "Not a currency.", "VALUE_INVALID"
    for key, value in params.items():
        if key != "items":
            yield from param_problems(f"{path}.params.{key}", key, value)
    items = params.get("items", [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        yield f"{path}.params.items", "Not a list of objects.", "VALUE_INVALID"
        return
    if len(items) > 200:
        yield f"{path}.params.items", "At most 200 items.", "EXCEEDED_MAX_ENTITIES"
    for index, item in enumerate(items):
        if not (item.get("item_id") or item.get("item_name")):
            yield f"{path}.params.items[{index}]", "item_id or item_name is required.", "VALUE_REQUIRED"
        for key, value in item.items():
            yield from param_problems(f"{path}.params.items[{index}].{key}", key, value)


def param_problems(path: str, key: str, value: object) -> Iterator[Message]:
    if NAME.fullmatch(key) is None:
        yield path, "Not a parameter's name.", "NAME_INVALID"
    elif key.startswith(PREFIXES) or key == "gclid":
        yield path, "The name is reserved.", "NAME_RESERVED"
    elif key == "quantity":
        if not rules.is_integer(value):
            yield path, "Not an integer.", "VALUE_INVALID"
    elif key in NUMBERS:
        if not rules.is_number(value):
            yield path, "Not a number.", "VALUE_INVALID"
    elif not (rules.is_text(value) or (rules.is_number(value) and key == "session_id")):
        yield path, "Not a text.", "VALUE_INVALID"
    elif isinstance(value, str) and len(value) > LONGEST.get(key, 100):
        yield path, "The text is too long.", "VALUE_OUT_OF_BOUNDS"
