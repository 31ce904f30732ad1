"""TikTok Events API: https://business-api.tiktok.com/portal/docs?id=1771101303285761"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final, NoReturn

from capi_pipeline.sandbox import accounts, rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import NEVER, Event

WINDOW: Final = timedelta(hours=48)
MERGE: Final = timedelta(minutes=5)
MAXIMUM: Final = 1000

SOURCES: Final = {
    "web": accounts.TIKTOK_PIXEL_CODE,
    "app": accounts.TIKTOK_APP_ID,
    "offline": accounts.TIKTOK_OFFLINE_EVENT_SET_ID,
    "crm": accounts.TIKTOK_CRM_EVENT_SET_ID,
}
# Names that an advertiser may not give to a custom event (help page on custom events, 2026-02). Three of them are also
# standard names: of app events, and the older name of Purchase.
RESERVED: Final = rules.words(
    "AddBilling Browse Checkout ClickForm ClickInDownloadPage ClickToDownload Consult ConsultByPhone CompletePayment "
    "Registration StartCheckout ViewConsultationPage ViewDownloadPage ViewForm"
)
STANDARD_TOO: Final = {"web": {"CompletePayment"}, "offline": {"CompletePayment"}, "crm": {"CompletePayment"},
                       "app": {"CompletePayment", "Checkout", "Registration"}}  # fmt: skip
EVENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}", re.ASCII)

HASHED_LISTS: Final = ("email", "phone", "external_id")
HASHED: Final = ("first_name", "last_name", "zip_code", "idfa", "gaid")
CLEAR: Final = ("city", "state", "country", "ip", "user_agent", "ttclid", "ttp", "locale", "idfv", "att_status")
ATT_STATUS: Final = {"AUTHORIZED", "DENIED", "NOT_DETERMINED", "RESTRICTED", "NOT_APPLICABLE"}
DELIVERY: Final = ("in_store", "curbside", "home_delivery")


def answer(code: int, message: str, status: int = 200) -> Reply:
    """Errors, too, come with HTTP 200: `code` decides."""
    return Reply({"code": code, "message": message, "request_id": secrets.token_hex(16), "data": {}}, status)


class TikTok(Platform):
    """Business API v1.3, one endpoint for web, app, offline and CRM events.

    One malformed event refuses the request. A copy within 48 h is dropped, within 5 minutes it also adds the fields
    that the first one lacked. Unknown fields of `user` are ignored without a word. Events older than the 28 days of
    attribution are taken, since no limit is documented.
    """

    slug = "tiktok"
    title = "TikTok Events API"
    documentation = "https://business-api.tiktok.com/portal/docs?id=1771101303285761"
    environment: ClassVar = {
        "TIKTOK_ACCESS_TOKEN": accounts.TIKTOK_ACCESS_TOKEN,
    }

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/open_api/v1.3/event/track/", self.track)]

    def track(self, call: Call) -> Reply:
        authorise(call)
        body = call.json()
        if body is None:
            refuse("Request body: not valid JSON", events=0)
        events = body.get("data")
        source, source_id = body.get("event_source"), body.get("event_source_id")
        if not isinstance(source, str) or source not in SOURCES:
            refuse("event_source: Must be one of: web, app, offline, crm.", events=0)
        if not isinstance(source_id, str):
            refuse("event_source_id: Not a valid string", events=0)
        if source_id != SOURCES[source]:
            raise Refused(answer(40001, f"No permission to operate event source {source_id} as {source}."))
        if not isinstance(events, list) or not events:
            refuse("data: Missing data for required field.", events=0)
        call.events = len(events)
        if len(events) > MAXIMUM:
            refuse(f"data: Length must be between 1 and {MAXIMUM}.", events=0)
        for index, event in enumerate(events):
            problem = first_problem(source, event, call.now.timestamp())
            if problem is not None:
                refuse(f"Batch.{index}.{problem}")
            code = call.refusal(event, 40002)
            if code is not None:
                raise Refused(answer(code, f"Batch.{index}.properties: Invalid value"), rejected=1)
        test = body.get("test_event_code") is not None  # shown live, not counted
        call.record([accepted(source_id, event, test) for event in events])
        return answer(0, "OK")

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        """The rate page pairs code 40100 with HTTP 401; it has also been seen with 200."""
        return answer(parameters.get("code") or 40100, "Too many requests. Please retry later.",
                      parameters.get("status") or 401)  # fmt: skip

    def server_error(self, status: int) -> Reply:
        return answer(50000, "System error", status)


def authorise(call: Call) -> None:
    state = call.static_token(call.headers.get("access-token", ""), accounts.TIKTOK_ACCESS_TOKEN)
    if state is Token.MISSING:
        raise Refused(answer(40104, "Access token is empty, please put it in the header."))
    if state is not Token.GOOD:
        raise Refused(answer(40105, "Access token is incorrect or has been revoked."))


def refuse(message: str, events: int = 1) -> NoReturn:
    raise Refused(answer(40002, message), rejected=events)


def accepted(source_id: str, event: dict[str, Any], test: bool) -> Event:
    """Deduplication: source + event + event_id over 48 h; without an id, source + event + _ttp over 5 minutes."""
    name, event_id = event["event"], event.get("event_id")
    ttp = (event.get("user") or {}).get("ttp")
    properties = event.get("properties") or {}
    if event_id:
        identity, window, merge = f"{name}\x1f{event_id}", WINDOW, MERGE
    elif ttp:
        identity, window, merge = f"{name}\x1fttp\x1f{ttp}", MERGE, MERGE
    else:
        identity, window, merge = f"{name}\x1f{payload_digest(event)}", NEVER, NEVER
    return Event(
        account=source_id, identity=identity, name=name, id=event_id, payload=event, window=window, merge=merge,
        outcome="test" if test else None, value=properties.get("value"), currency=properties.get("currency"),
    )  # fmt: skip


def first_problem(source: str, event: object, now: float) -> str | None:
    """The first field of an event that is not as documented: `path: message`; None for a good event."""
    if not isinstance(event, dict):
        return "event: Invalid input type."
    name = event.get("event")
    if not rules.is_text(name):
        return "event: Missing data for required field."
    if EVENT_NAME.fullmatch(name) is None or (name in RESERVED and name not in STANDARD_TOO[source]):
        return "event: Not a valid event name"
    at = event.get("event_time")
    if not rules.is_integer(at):
        return "event_time: Not a valid integer"
    if at > now or at <= 0:
        return "event_time: Not a valid timestamp in seconds"
    if "event_id" in event and not rules.is_text(event["event_id"]):
        return "event_id: Not a valid string"
    for part in ("user", "page", "properties", "app", "lead"):
        if part in event and not isinstance(event[part], dict):
            return f"{part}: Invalid input type."
    if "limited_data_use" in event and not isinstance(event["limited_data_use"], bool):
        return "limited_data_use: Not a valid boolean"
    return (
        user_problem(event.get("user", {}))
        or properties_problem(event.get("properties", {}))
        or missing_for_source(source, event)
    )


def missing_for_source(source: str, event: Mapping[str, Any]) -> str | None:
    """What each kind of event source cannot do without."""
    user = event.get("user") or {}
    if source == "web":
        if not user:
            return "user: Missing data for required field."
        if not rules.is_text((event.get("page") or {}).get("url")):
            return "page.url: Missing data for required field."
        if not event["page"]["url"].startswith(("http://", "https://")):
            return "page.url: Not a valid URL."
    elif source == "offline" and not any(user.get(field) for field in HASHED_LISTS):
        return "user: At least one of email, phone and external_id is required."
    elif source == "app" and not rules.is_text((event.get("app") or {}).get("app_id")):
        return "app.app_id: Missing data for required field."
    elif source == "crm" and not rules.is_text((event.get("lead") or {}).get("lead_id")):
        return "lead.lead_id: Missing data for required field."
    return None


def user_problem(user: Mapping[str, Any]) -> str | None:
    for field in HASHED_LISTS:
        if field in user and not (
            (rules.is_digest(user[field]))
            or (isinstance(user[field], list) and user[field] and all(map(rules.is_digest, user[field])))
        ):
            return f"user.{field}: Must be SHA-256 in lower-case hex."
    for field in HASHED:
        if field in user and not rules.is_digest(user[field]):
            return f"user.{field}: Must be SHA-256 in lower-case hex."
    for field in CLEAR:
        if field in user and not rules.is_text(user[field]):
            return f"user.{field}: Not a valid string"
        if field in user and rules.looks_hashed(user[field]):
            return f"user.{field}: Must not be hashed."
    if "ip" in user and not rules.is_ip_address(user["ip"]):
        return "user.ip: Not a valid IP address."
    if len(user.get("ttclid", "")) > MAXIMUM:
        return "user.ttclid: Longer than maximum length 1000."
    if user.get("att_status", "AUTHORIZED") not in ATT_STATUS:
        return "user.att_status: Must be one of: " + ", ".join(sorted(ATT_STATUS))
    return None


def properties_problem(properties: Mapping[str, Any]) -> str | None:
    if "value" in properties and not rules.is_number(properties["value"]):
        return "properties.value: Not a valid number"
    if "currency" in properties and not rules.is_currency(properties["currency"]):
        return "properties.currency: Not a valid currency code"
    if "num_items" in properties and not rules.is_integer(properties["num_items"]):
        return "properties.num_items: Not a valid integer"
    for field in ("order_id", "query", "search_string", "description", "shop_id"):
        if field in properties and not isinstance(properties[field], str):
            return f"properties.{field}: Not a valid string"
    if properties.get("content_type", "product") not in ("product", "product_group"):
        return "properties.content_type: Must be one of: product, product_group."
    if "delivery_category" in properties and properties["delivery_category"] not in DELIVERY:
        return "properties.delivery_category: Must be one of: in_store, curbside, home_delivery."
    contents = properties.get("contents", [])
    if not isinstance(contents, list):
        return "properties.contents: Not a valid list"
    if contents and "content_type" not in properties:
        return "properties.content_type: Missing data for required field."
    for index, item in enumerate(contents):
        problem = content_problem(item)
        if problem is not None:
            return f"properties.contents.{index}.{problem}"
    return None


def content_problem(item: object) -> str | None:
    if not isinstance(item, dict):
        return "content: Invalid input type."
    for field in ("content_id", "content_name", "content_category", "brand"):
        if field in item and not isinstance(item[field], str):
            return f"{field}: Not a valid string"
    if "price" in item and not rules.is_number(item["price"]):
        return "price: Not a valid number"
    if "quantity" in item and not rules.is_integer(item["quantity"]):
        return "quantity: Not a valid integer"
    return None
