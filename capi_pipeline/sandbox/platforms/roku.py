"""Roku Conversions API: https://help.ads.roku.com/en/articles/8880744-conversions-api"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import NEVER, Event

API_KEY, EVENT_GROUP = "sandbox-roku-key", "EG4f2c91d07a"
WINDOW: Final = timedelta(minutes=10)
MAXIMUM: Final = 1000
LARGEST: Final = 1_000_000  # bytes
EVENTS: Final = rules.words(
    "PAGE_VIEW VIEW_CONTENT SEARCH ADD_TO_WISHLIST ADD_TO_CART INITIATE_CHECKOUT ADD_PAYMENT_INFO PURCHASE LEAD SIGN_UP "
    "COMPLETE_REGISTRATION START_TRIAL SUBSCRIBE CONTACT SCHEDULE FIND_LOCATION CUSTOMIZE_PRODUCT DONATE DOWNLOAD "
    "SUBMIT_APPLICATION APP_INSTALL SUBSCRIPTION_RENEWAL SUBSCRIPTION_CANCELLATION UNLOCK_ACHIEVEMENT ACHIEVE_LEVEL "
    "SESSION_START FIRST_VIDEO_VIEW AD_VIEW QSS"
)
SOURCES: Final = rules.words(
    "website mobile_app physical_store phone_call chat email other system-generated ctv_app roku"
)
HASHED: Final = rules.words("em ph fn ln ge db external_id")
CLEAR: Final = rules.words("ct st zp country client_ip_address client_user_agent aRI aGA AID aID aGI aDX aFC")
STRONG: Final = rules.words("em ph client_ip_address aRI aGA AID aID aGI aDX")


class Roku(Platform):
    """Events are judged one by one: bad ones are listed in a 210, the others are taken. A copy within ten minutes is
    dropped. The test endpoint stores nothing."""

    slug = "roku"
    title = "Roku"
    documentation = "https://help.ads.roku.com/en/articles/8880744-conversions-api"
    environment: ClassVar = {"ROKU_API_KEY": API_KEY}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/v1/events", self.send), Endpoint("POST", "/v1/test_events", self.test)]

    def send(self, call: Call) -> Reply:
        return self.take(call, counted=True)

    def test(self, call: Call) -> Reply:
        return self.take(call, counted=False)

    def take(self, call: Call, counted: bool) -> Reply:
        if call.static_token(call.bearer(), API_KEY) is not Token.GOOD:
            raise Refused(answer(401, "Unauthorized"))
        if len(call.body) > LARGEST:
            raise Refused(answer(413, "Payload too large"))
        body = call.json() or {}
        if body.get("event_group_id") != EVENT_GROUP:
            raise Refused(answer(403, "The key has no access to this event group"))
        events = body.get("events")
        if not isinstance(events, list) or not 0 < len(events) <= MAXIMUM:
            raise Refused(answer(400, f"events must be a list of 1 to {MAXIMUM}"))
        if not all(isinstance(event, dict) for event in events):
            raise Refused(answer(400, "events must hold objects"))
        call.events = len(events)
        failed = [{"event": event, "error": found} for event in events if (found := problem(call, event))]
        bad = [entry["event"] for entry in failed]
        if counted:
            call.record([accepted(event) for event in events if event not in bad])
        call.rejected = len(failed)
        known = {"events_received": len(events)}
        if failed:
            return Reply({"code": 210, **known, "failed_events": failed}, 210)
        return Reply({"code": 200, **known})


def answer(status: int, message: str) -> Reply:
    return Reply({"code": status, "error": message}, status)


def accepted(event: Mapping[str, Any]) -> Event:
    name, event_id = event["event_name"], event.get("event_id")
    data = event.get("custom_data", {})
    return Event(
        account=EVENT_GROUP, identity=f"{name}\x1f{event_id}" if event_id else payload_digest(event), name=name, id=event_id,
        payload=event, window=WINDOW if event_id else NEVER, value=data.get("value"), currency=data.get("currency"),
    )  # fmt: skip


def problem(call: Call, event: Mapping[str, Any]) -> str | None:
    """The first rule that an event breaks."""
    refused = call.refusal(event, "invalid value")
    if refused is not None:
        return str(refused)
    if not rules.is_one_of(event.get("event_name"), EVENTS):
        return "event_name is not supported"
    if event.get("event_type") != "conversion":
        return "event_type must be conversion"
    at = event.get("event_time")
    if not rules.is_integer(at) or not 0 < at <= call.now.timestamp() + 3600:
        return "event_time must be in seconds, at most an hour ahead"
    if not rules.is_one_of(event.get("event_source"), SOURCES):
        return "event_source is not supported"
    if event.get("opt_out", "false") not in ("true", "false"):
        return "opt_out must be the text true or false"
    for field in ("event_id", "event_source_url", "referrer_url"):
        if field in event and not rules.is_text(event[field]):
            return f"{field} must be a text"
    return user_problem(event.get("user_data")) or custom_problem(event.get("custom_data", {}))


def user_problem(user: object) -> str | None:
    if not isinstance(user, dict):
        return "user_data is required"
    if user.get("is_hashed") is not True:
        return "user_data.is_hashed must be true for hashed values"
    for field, value in user.items():
        if field in HASHED and not rules.is_digest(value):
            return f"user_data.{field} must be SHA-256 in lower-case hex"
        if field in CLEAR and (not rules.is_text(value) or rules.looks_hashed(value)):
            return f"user_data.{field} must be a text that is not hashed"
        if field not in HASHED | CLEAR | {"is_hashed"}:
            return f"user_data.{field} is not supported"
    if "client_ip_address" in user and not rules.is_ip_address(user["client_ip_address"]):
        return "user_data.client_ip_address is not an address"
    return None if STRONG & user.keys() else "user_data needs an e-mail, a phone, an address or a device"


def custom_problem(data: object) -> str | None:
    if not isinstance(data, dict):
        return "custom_data must be an object"
    if "value" in data and not (rules.is_number(data["value"]) and "currency" in data):
        return "custom_data.value must be a number with a currency"
    if "currency" in data and not rules.is_currency(data["currency"]):
        return "custom_data.currency must be an ISO 4217 code"
    if "num_items" in data and not rules.is_integer(data["num_items"]):
        return "custom_data.num_items must be an integer"
    ids = data.get("content_ids", [])
    if not isinstance(ids, list) or not all(map(rules.is_text, ids)):
        return "custom_data.content_ids must be a list of texts"
    if data.get("content_type", "product") not in ("product", "product_group"):
        return "custom_data.content_type must be product or product_group"
    if data.get("purchase_type", "repeat_purchase") not in ("first_time_purchase", "repeat_purchase"):
        return "custom_data.purchase_type is not supported"
    return None
