"""Pinterest API for Conversions: https://developers.pinterest.com/docs/api/v5/events-create"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token
from capi_pipeline.sandbox.store import NEVER, Event

CONVERSION_TOKEN: Final = "pina_sandbox_token"
AD_ACCOUNT_ID: Final = "549755885175"
FOREIGN_AD_ACCOUNT_ID: Final = "549755885999"  # exists, and the token has no right to it

MAXIMUM: Final = 1000
TESTED: Final = 20  # events of a test request that are looked at
WINDOW: Final = timedelta(hours=48)
SCHEMA, UNLISTED = 4196, 422

EVENT_NAMES: Final = rules.words(
    "add_payment_info add_to_cart add_to_wishlist app_install app_open checkout contact custom customize_product "
    "find_location initiate_checkout lead page_visit schedule search signup start_trial submit_application subscribe "
    "view_category view_content watch_video"
)
OWN_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
SOURCES: Final = ("web", "app_ios", "app_android", "offline")
HASHED: Final = ("em", "ph", "ge", "db", "fn", "ln", "ct", "st", "zp", "country", "external_id", "hashed_maids")
OS_FAMILIES: Final = ("ios", "android", "macos", "windows", "linux", "bsd", "other")


def is_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def is_string(value: object) -> bool:
    return isinstance(value, str)


def is_flag(value: object) -> bool:
    return isinstance(value, bool)


def is_decimal(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value, re.ASCII) is not None


# The OpenAPI's schemas: every key that may be there, and of which type. Others are refused.
Schema = Mapping[str, Callable[[Any], bool]]
USER: Final[Schema] = {
    **dict.fromkeys(HASHED, is_texts),
    **dict.fromkeys(("client_ip_address", "client_user_agent", "click_id", "partner_id"), is_string),
}
CONTENT: Final[Schema] = {
    "id": is_string, "item_price": is_decimal, "quantity": rules.is_integer, "item_name": is_string,
    "item_category": is_string, "item_brand": is_string,
}  # fmt: skip
CUSTOM: Final[Schema] = {
    **dict.fromkeys(("order_id", "search_string", "opt_out_type"), is_string),
    **dict.fromkeys(("content_name", "content_category", "content_brand"), is_string),
    "currency": rules.is_currency, "value": is_decimal, "predicted_ltv": is_decimal, "content_ids": is_texts,
    "num_items": rules.is_integer,
    "contents": lambda items: isinstance(items, list) and all(fits(one, CONTENT) for one in items),
}  # fmt: skip
APP: Final[Schema] = dict.fromkeys(("app_id", "app_name", "app_package_name", "app_store", "app_version"), is_string)
DEVICE: Final[Schema] = {
    **dict.fromkeys(("os_version", "model", "brand", "locale"), is_string),
    "os_family": lambda value: value in OS_FAMILIES,
    **dict.fromkeys(("screen_width", "screen_height"), rules.is_integer),
}
EVENT: Final[Schema] = {
    **dict.fromkeys(("event_name", "event_id", "event_source_url", "partner_name"), is_string),
    "action_source": lambda value: value in SOURCES,
    "event_time": rules.is_integer,
    "user_data": lambda value: fits(value, USER),
    "custom_data": lambda value: fits(value, CUSTOM),
    "app_info": lambda value: fits(value, APP),
    "device_info": lambda value: fits(value, DEVICE),
    "opt_out": is_flag,
    "wifi": is_flag,
    "language": lambda value: isinstance(value, str) and re.fullmatch("[a-z]{2}", value) is not None,
}
REQUIRED: Final = ("event_name", "action_source", "event_time", "event_id", "user_data")


def fits(value: object, schema: Schema) -> bool:
    return isinstance(value, dict) and all(key in schema and schema[key](inner) for key, inner in value.items())


def error(status: int, code: int, message: str, details: object = None) -> Reply:
    body = {"code": code, "message": message} | ({} if details is None else {"details": details})
    return Reply(body, status, {"x-pinterest-rid": secrets.token_hex(8)})


class Pinterest(Platform):
    """events/create of API v5. A body that breaks the schema fails whole; a bad event fails alone, the others count.

    Web and app events are deduplicated for 48 h, offline events are not.
    """

    slug = "pinterest"
    title = "Pinterest API for Conversions"
    documentation = "https://developers.pinterest.com/docs/api/v5/events-create"
    environment: ClassVar = {"PINTEREST_CONVERSION_TOKEN": CONVERSION_TOKEN}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/v5/ad_accounts/{ad_account_id}/events", self.create)]

    def create(self, call: Call) -> Reply:
        authorise(call)
        body = call.json() or {}
        events = body.get("data")
        if set(body) != {"data"} or not isinstance(events, list) or not 1 <= len(events) <= MAXIMUM:
            raise Refused(error(400, SCHEMA, f"data is required: 1 to {MAXIMUM} events, and nothing else"))
        call.events = len(events)
        for index, event in enumerate(events):
            broken = schema_problem(event)
            if broken or call.refusal(event, None) == SCHEMA:
                raise Refused(error(400, SCHEMA, f"data[{index}]: {broken or 'invalid'}"), rejected=1)
        looked_at = events[:TESTED] if call.query.get("test") == "true" else events
        now = call.now.timestamp()
        refusals = [call.refusal(event, "Invalid parameter") for event in looked_at]
        problems = [str(refusal or problem(event, now) or "")
                    for event, refusal in zip(looked_at, refusals, strict=True)]  # fmt: skip
        if call.query.get("test") != "true":
            call.record([accepted(event) for event, words in zip(events, problems, strict=True) if not words])
        call.rejected = sum(map(bool, problems))
        result = {
            "num_events_received": len(events),
            "num_events_processed": len(looked_at) - call.rejected,
            "events": [{"status": "failed" if words else "processed", "error_message": words, "warning_message": ""}
                       for words in problems],
        }  # fmt: skip
        if not call.rejected:
            return Reply(result, headers={"x-pinterest-rid": secrets.token_hex(8)})
        return error(422, 4182, "Not all events were successfully processed.", {} if UNLISTED in refusals else result)

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return error(parameters.get("status") or 429, 8, "You have exceeded your rate limit. Try again later.")

    def server_error(self, status: int) -> Reply:
        return error(status, 4197 if status == 503 else 12, "Something went wrong on our end. Sorry about that.")


def authorise(call: Call) -> None:
    if call.static_token(call.bearer(), CONVERSION_TOKEN) is not Token.GOOD:
        raise Refused(error(401, 2, "Authentication failed."))
    if call.path["ad_account_id"] == FOREIGN_AD_ACCOUNT_ID:
        raise Refused(error(403, 29, "You are not permitted to access that resource."))
    if call.path["ad_account_id"] != AD_ACCOUNT_ID:
        raise Refused(error(404, 50, "Ad account not found."))


def accepted(event: dict[str, Any]) -> Event:
    """Deduplication: event name and id on the account, 48 h; not of offline events."""
    custom = event.get("custom_data") or {}
    return Event(
        account=AD_ACCOUNT_ID,
        identity=f"{event['event_name']}\x1f{event['event_id']}",
        name=event["event_name"],
        id=event["event_id"],
        payload=event,
        window=NEVER if event["action_source"] == "offline" else WINDOW,
        value=float(custom["value"]) if "value" in custom else None,
        currency=custom.get("currency"),
    )


def schema_problem(event: object) -> str:
    """The first key that breaks the schema; empty for a good event."""
    if not isinstance(event, dict):
        return "is not an object"
    for key in REQUIRED:
        if key not in event:
            return f"'{key}' is a required property"
    for key, value in event.items():
        if key not in EVENT:
            return f"Additional properties are not allowed ('{key}' was unexpected)"
        if not EVENT[key](value):
            return f"'{key}' does not match its schema: a wrong type, or additional properties are not allowed"
    return ""


def problem(event: Mapping[str, Any], now: float) -> str:
    """Why an event that keeps the schema fails; empty for a good one."""
    user = event["user_data"]
    if event["event_name"] not in EVENT_NAMES and OWN_NAME.fullmatch(event["event_name"]) is None:
        return "event_name is not valid"
    if not event["event_id"]:
        return "event_id is empty"
    if not 0 < event["event_time"] <= now:
        return "event_time is not unix time in seconds"
    for field in HASHED:
        if not all(map(rules.is_digest, user.get(field, []))):
            return f"{field} is not hashed with SHA-256"
    if "client_ip_address" in user and not rules.is_ip_address(user["client_ip_address"]):
        return "client_ip_address is not an address"
    if not ("em" in user or "hashed_maids" in user or ("client_ip_address" in user and "client_user_agent" in user)):
        return "em, hashed_maids, or client_ip_address with client_user_agent is needed"
    return ""
