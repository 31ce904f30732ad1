"""Snapchat Conversions API v3: https://developers.snap.com/api/marketing-api/Conversions-API"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import NEVER, Event

ACCESS_TOKEN: Final = "sandbox-snapchat-token"
PIXEL_ID: Final = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"
SNAP_APP_ID: Final = "5a6b7c8d-9e0f-4a1b-8c2d-3e4f5a6b7c8d"

MAXIMUM: Final = 2000
AGE: Final = timedelta(days=7)
OFFLINE_AGE: Final = timedelta(days=28)
WINDOW: Final = timedelta(hours=48)
ORDER_WINDOW: Final = timedelta(days=30)

EVENT_NAMES: Final = rules.words(
    "PURCHASE SAVE START_CHECKOUT ADD_CART VIEW_CONTENT ADD_BILLING SIGN_UP SEARCH PAGE_VIEW SUBSCRIBE AD_CLICK AD_VIEW "
    "COMPLETE_TUTORIAL LEVEL_COMPLETE INVITE LOGIN SHARE RESERVE ACHIEVEMENT_UNLOCKED ADD_TO_WISHLIST SPENT_CREDITS RATE "
    "START_TRIAL LIST_VIEW APP_INSTALL APP_OPEN "
    "CUSTOM_EVENT_1 CUSTOM_EVENT_2 CUSTOM_EVENT_3 CUSTOM_EVENT_4 CUSTOM_EVENT_5"
)
CURRENCIES: Final = rules.words(
    "AED ALL AUD BGN BHD BRL CAD CHF CLP CNY COP CZK DKK DZD EGP EUR GBP GHS GIP HKD HRK HUF IDR ILS INR IQD ISK JOD JPY "
    "KES KRW KWD KZT LBP MAD MXN MYR NGN NOK NZD OMR PEN PHP PKR PLN QAR RON RUB SAR SEK SGD THB TRY TWD TZS UAH USD VND "
    "XOF ZAR"
)
HASHED: Final = ("em", "ph", "fn", "ln", "ge", "ct", "st", "zp", "country", "external_id")
CLEAR: Final = ("client_ip_address", "client_user_agent", "sc_click_id", "sc_cookie1", "madid", "idfv")

UNAUTHORIZED: Final = {"status": "INVALID", "reason": "Unauthorized resources"}
Problem = tuple[str, str]


class Snapchat(Platform):
    """v3: web and offline events go to the pixel, app events to the Snap app.

    Bad events are marked in `event_logs` (counted from 1) and nothing of their request is stored. A copy within 48 h is
    dropped; a purchase with an order id for 30 days.
    """

    slug = "snapchat"
    title = "Snapchat Conversions API"
    documentation = "https://developers.snap.com/api/marketing-api/Conversions-API"
    environment: ClassVar = {"SNAPCHAT_ACCESS_TOKEN": ACCESS_TOKEN}

    def endpoints(self) -> Sequence[Endpoint]:
        return [
            Endpoint("POST", "/v3/{asset_id}/events", self.send),
            Endpoint("POST", "/v3/{asset_id}/events/validate", self.validate, kind="status"),
            Endpoint("GET", "/v3/{asset_id}/events/validate/stats", self.stats, kind="status"),
        ]

    def stats(self, call: Call) -> Reply:
        authorise(call)
        return Reply({"status": "VALID", "reason": "", "data": []})

    def validate(self, call: Call) -> Reply:
        checked(call)
        return Reply({"status": "VALID", "reason": "Events have been processed successfully.", "test_event": True})

    def send(self, call: Call) -> Reply:
        events = checked(call)
        call.record([accepted(call.path["asset_id"], event) for event in events])
        return Reply({"status": "VALID", "reason": "Events have been processed successfully."})

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return Reply({"status": "INVALID", "reason": "Too many requests"}, parameters.get("status") or 429)


def authorise(call: Call) -> None:
    """The token stands in the query and opens the assets of its organisation only."""
    if call.static_token(call.query.get("access_token", ""), ACCESS_TOKEN) is not Token.GOOD:
        raise Refused(Reply(UNAUTHORIZED, 401))
    if call.path["asset_id"] not in (PIXEL_ID, SNAP_APP_ID):
        raise Refused(Reply(UNAUTHORIZED, 403))


def checked(call: Call) -> list[dict[str, Any]]:
    """The events of a request in which every one is good."""
    authorise(call)
    events = (call.json() or {}).get("data")
    if not isinstance(events, list) or not 1 <= len(events) <= MAXIMUM:
        raise Refused(Reply({"status": "INVALID", "reason": f"data must be a list of 1 to {MAXIMUM} events"}, 400))
    call.events = len(events)
    asset, now, logs = call.path["asset_id"], call.now.timestamp(), []
    for position, event in enumerate(events, 1):
        code = call.refusal(event, "INVALID_PARAMETER")
        problem = (str(code), "Invalid parameter") if code is not None else first_problem(event, asset, now)
        if problem is not None:
            errors = {"codes": [problem[0]], "error_msgs": [problem[1]]}
            logs.append({"event": position, "status": "INVALID", "errors": errors, "warnings": []})
    if logs:
        reason = "At least one of the events is invalid."
        raise Refused(Reply({"status": "INVALID", "reason": reason, "event_logs": logs}, 400), rejected=len(logs))
    return events


def accepted(asset: str, event: dict[str, Any]) -> Event:
    """Deduplication: event name, asset and event id; a purchase by its order id, which holds longer."""
    name, event_id, custom = event["event_name"], event.get("event_id"), event.get("custom_data") or {}
    order = custom.get("order_id")
    if name == "PURCHASE" and order:
        identity, window = f"{name}\x1forder\x1f{order}", ORDER_WINDOW
    elif event_id:
        identity, window = f"{name}\x1f{event_id}", WINDOW
    else:
        identity, window = f"{name}\x1f{payload_digest(event)}", NEVER
    return Event(
        account=asset, identity=identity, name=name, id=event_id, payload=event, window=window,
        outcome="test" if "test_event_code" in event else None, value=custom.get("value"), currency=custom.get("currency"),
    )  # fmt: skip


def first_problem(event: object, asset: str, now: float) -> Problem | None:
    """Code and words of the first thing that is not as documented; None for a good event."""
    if not isinstance(event, dict):
        return "EVENT", "an event is an object"
    name, source, at = event.get("event_name"), event.get("action_source"), event.get("event_time")
    if not isinstance(name, str) or name not in EVENT_NAMES:
        return "EVENT_NAME", "event_name is not one of the documented names"
    if source not in ("WEB", "MOBILE_APP", "OFFLINE"):
        return "ACTION_SOURCE", "action_source is WEB, MOBILE_APP or OFFLINE"
    if asset != (SNAP_APP_ID if source == "MOBILE_APP" else PIXEL_ID):
        return "ACTION_SOURCE", "app events go to a Snap app, all others to a pixel"
    if not rules.is_integer(at) or not 0 < at <= now:
        return "EVENT_TIME", "event_time is unix time in seconds, and has come"
    if now - at > (OFFLINE_AGE if source == "OFFLINE" else AGE).total_seconds():
        return "EVENT_TIME", "event_time is too long ago"
    for field in ("event_id", "event_source_url", "test_event_code"):
        if field in event and not rules.is_text(event[field]):
            return field.upper(), f"{field} is a text that is not empty"
    if source == "WEB" and "event_source_url" not in event:
        return "EVENT_SOURCE_URL", "a WEB event needs event_source_url"
    options = event.get("data_processing_options", [])
    if options not in ([], ["LMU"], ["DELETE"]) or (options and source != "WEB"):
        return "DATA_PROCESSING_OPTIONS", "data_processing_options is LMU or DELETE, for WEB"
    user, custom, device = event.get("user_data"), event.get("custom_data", {}), event.get("app_data", {})
    if not isinstance(user, dict) or not isinstance(custom, dict) or not isinstance(device, dict):
        return "EVENT", "user_data, custom_data and app_data are objects"
    return user_problem(user, source) or custom_problem(name, custom) or (
        app_problem(device) if source == "MOBILE_APP" else None
    )  # fmt: skip


def user_problem(user: Mapping[str, Any], source: str) -> Problem | None:
    for field in HASHED:
        values = user.get(field, ["0" * 64])
        if not isinstance(values, list) or not values or not all(map(rules.is_digest, values)):
            return "USER_DATA", f"{field} is a list of SHA-256 digests in lower-case hex"
    for field in CLEAR:
        if field in user and (not rules.is_text(user[field]) or rules.looks_hashed(user[field])):
            return "USER_DATA", f"{field} is a text that is not hashed"
    if "client_ip_address" in user and not rules.is_ip_address(user["client_ip_address"]):
        return "USER_DATA", "client_ip_address is not an address"
    pair = "client_ip_address" in user and "client_user_agent" in user
    if not (pair or "em" in user or "ph" in user or (source == "MOBILE_APP" and "madid" in user)):
        return "USER_DATA", "em, ph, madid, or client_ip_address with client_user_agent is needed"
    return None


def custom_problem(name: str, custom: Mapping[str, Any]) -> Problem | None:
    if ("value" in custom) != ("currency" in custom) or (name == "PURCHASE" and "value" not in custom):
        return "VALUE", "value and currency come together, and a PURCHASE has them"
    if "value" in custom and not rules.is_number(custom["value"]):
        return "VALUE", "value is a number"
    if "currency" in custom and (not isinstance(custom["currency"], str) or custom["currency"] not in CURRENCIES):
        return "CURRENCY", "currency is not one of the documented codes"
    for field in ("order_id", "search_string", "content_type"):
        if field in custom and not rules.is_text(custom[field]):
            return "CUSTOM_DATA", f"{field} is a text that is not empty"
    if "num_items" in custom and not isinstance(custom["num_items"], str) and not rules.is_integer(custom["num_items"]):
        return "CUSTOM_DATA", "num_items is an integer"
    ids, contents = custom.get("content_ids", []), custom.get("contents", [])
    if not isinstance(ids, list) or not all(map(rules.is_text, ids)):
        return "CONTENTS", "content_ids is a list of texts"
    if not isinstance(contents, list) or not all(isinstance(item, dict) for item in contents):
        return "CONTENTS", "contents is a list of objects"
    for item in contents:
        if not all(rules.is_text(value) for value in item.values()):
            return "CONTENTS", "id, quantity, item_price and brand are texts"
    return None


def app_problem(device: Mapping[str, Any]) -> Problem | None:
    info = device.get("extinfo")
    if device.get("advertiser_tracking_enabled") not in (0, 1):
        return "APP_DATA", "advertiser_tracking_enabled is 0 or 1"
    if not isinstance(info, list) or len(info) != 16 or not all(isinstance(part, str) for part in info):
        return "APP_DATA", "extinfo is a list of 16 texts"
    return None if info[0] in ("i2", "a2") else ("APP_DATA", "extinfo begins with i2 or a2")
