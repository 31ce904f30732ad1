"""Spotify Conversions API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, NOW, Answer, Case, Struck, answer, click, event, sha

CONFIG = {
    "access_token": "SP-CAPI-TOKEN",
    "connection_id": "3f2b9a52-2d1b-4f5e-9d1c-0a1b2c3d4e5f",
    "custom_events": {"Demo Booked": "CUSTOM_EVENT_1"},
}
E = "json.conversion_events.events[0]"
NAME_AT = f"{E}.event_name"
OWN = {
    "page_view": "VIEW", "view_item": "PRODUCT", "generate_lead": "LEAD", "add_to_cart": "ADD_TO_CART",
    "begin_checkout": "CHECK_OUT", "purchase": "PURCHASE", "sign_up": "SIGN_UP",
}  # fmt: skip
NAMES: dict[str, str | Reason] = {
    **dict.fromkeys(EVENT_NAMES, Reason.NOT_CONFIGURED), **OWN, "custom": "CUSTOM_EVENT_1",
    "refund": Reason.UNSUPPORTED_EVENT,
}  # fmt: skip
MINIMAL = Reason.MISSING_FIELD
U, D = f"{E}.user_data", f"{E}.event_details"
APP: dict[str, Any] = {"action_source": "app", "source_url": None}
IDFA = "AEBE52E7-03EE-455A-B3C4-E57283966239"


def only(**known: Any) -> dict[str, Any]:
    return event(**{**NOBODY, "country": "US", **known})


CASES = [
    Case("everything", event(), {
        "method": "POST", "url": "https://capi.spotify.com/capi-direct/events/", "params": {},
        "headers": {"Authorization": "Bearer SP-CAPI-TOKEN", "Content-Type": "application/json"},
        "json": {"conversion_events": {"capi_connection_id": "3f2b9a52-2d1b-4f5e-9d1c-0a1b2c3d4e5f", "events": [{
            "event_id": "evt-1", "event_name": "PURCHASE", "event_time": "2026-10-01T14:00:00.000Z",
            "event_source_url": "https://shop.example.com/thanks", "action_source": "WEB",
            "user_data": {"ip_address": "203.0.113.7", "hashed_emails": [DIGEST], "hashed_phone_number": sha("+14155552671")},
            "event_details": {"amount": 149.97, "currency": "USD", "content_name": "Shoe"}}]}}}),
    *(Case(f"{name} in a slot", event(name), {NAME_AT: "CUSTOM_EVENT_5"}, {"custom_events": {name: "CUSTOM_EVENT_5"}})
      for name in EVENT_NAMES if name not in {*OWN, "refund", "custom"}),
    Case("a name of its own is not changed by a slot", event(), {NAME_AT: "PURCHASE"},
         {"custom_events": {"purchase": "CUSTOM_EVENT_5"}}),
    Case("a refund that has a slot", event("refund"), Reason.UNSUPPORTED_EVENT, {"custom_events": {"refund": "CUSTOM_EVENT_5"}}),
    Case("an own event without one", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("milliseconds are cut and always there", event(event_time="2026-10-01T15:59:59.9999+02:00"),
         {f"{E}.event_time": "2026-10-01T13:59:59.999Z"}),
    *(Case(f"{source} is {sent}", event(action_source=source), {f"{E}.action_source": sent})
      for source, sent in {"website": "WEB", "app": "APP", "physical_store": "OFFLINE", "phone_call": "OFFLINE",
                           "chat": "OFFLINE", "email": "OFFLINE", "system_generated": "OFFLINE", "other": "OFFLINE"}.items()),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{D}.amount": 12000, f"{D}.currency": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{D}.amount": 12.345}),
    Case("a value of nothing is a value", event(value=0), {f"{D}.amount": 0}),
    Case("a purchase has a value", event(value=None, currency=None), Reason.MISSING_FIELD),
    Case("a lead has none", event("generate_lead", value=None, currency=None, contents=[]), {D: GONE}),
    Case("an address that is none of the web", event(source_url="android-app://x"), {f"{E}.event_source_url": GONE}),
    Case("the name of the first item", event(contents=[{"id": "1", "name": "Schuh ä"}, {"id": "2", "name": "Sock"}]),
         {f"{D}.content_name": "Schuh ä", f"{D}.content_category": GONE}),
    Case("31 days old", event(event_time=NOW - timedelta(days=31)), Reason.TOO_OLD),
    Case("31 days old, where that is not too old", event(event_time=NOW - timedelta(days=31)), {NAME_AT: "PURCHASE"},
         {"max_age_days": 31}),
    # the person
    Case("every valid e-mail and the best phone",
         event(emails=[" B.b+1@Gmail.com", "nobody", "a@x.com"], phones=["0", "(415) 555-2671", "+49 30 901820"]),
         {f"{U}.hashed_emails": [sha("b.b+1@gmail.com"), sha("a@x.com")], f"{U}.hashed_phone_number": sha("+14155552671")}),
    Case("already hashed", event(emails=[DIGEST.upper(), sha("")]), {f"{U}.hashed_emails": [DIGEST]}),
    Case("IPv6 goes as it is", event(ip_address="2001:db8::1"), {f"{U}.ip_address": "2001:db8::1"}),
    Case("the cookie of the web", event(browser_ids={"spdt": "sp-1"}), {f"{U}.device_id": "sp-1"}),
    Case("the device of an app", event(**APP, device={"os": "iOS", "advertising_id": IDFA}, browser_ids={"spdt": "sp-1"}),
         {f"{U}.device_id": IDFA}),
    Case("not the device of a website", event(device={"os": "iOS", "advertising_id": IDFA}), {f"{U}.device_id": GONE}),
    Case("tracking limited", event(**APP, device={"advertising_id": "00000000-0000"}), {f"{U}.device_id": GONE}),
    Case("an address alone", only(ip_address="203.0.113.7"), {U: {"ip_address": "203.0.113.7"}}),
    Case("a device alone", only(browser_ids={"spdt": "sp-1"}), {U: {"device_id": "sp-1"}}),
    Case("an own id, a browser and a click are no identifiers",
         only(user_id="cust-42", user_agent="UA", click_ids={"spclid": click("c")}), Reason.NO_IDENTIFIER),
    # privacy
    Case("nobody opted out", event(consent_ad_personalization="granted"), {f"{E}.opt_out_targeting": GONE}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {f"{E}.opt_out_targeting": True}),
    Case("opted out of sale", event(opt_out_of_sale=True), {f"{E}.opt_out_targeting": True}),
    Case("opted out, where that withholds", event(opt_out_of_sale=True), Reason.OPTED_OUT, {"withhold_on_opt_out": True}),
]  # fmt: skip


def said(message: Any, status: int = 200, **more: Any) -> Response:
    return answer(status, {"message": message, **more})


def says(response: Response, count: int) -> Said:
    """200 `{"message": "SUCCESS"}` takes all; 400 and 413 refuse all, because of some that they do not name."""
    if response.status == 200:
        return Said(every(count)) if object_of(response.body).get("message") == "SUCCESS" else NOTHING
    return Said(refused=response.status in (400, 413))


def successes(count: int) -> list[Response]:
    return [said("SUCCESS"), said("SUCCESS", sp_trace_id="f2b1c7de0000")]


BOTH = [State.ACCEPTED] * 2
ANSWERS = [
    Answer("success", said("SUCCESS"), Kind.SETTLED, outcomes=BOTH),
    *(Answer(f"a message {m!r}", said(m), Kind.TRANSIENT, maybe_stored=True) for m in ("success", "OK", None, True, ["SUCCESS"])),
    Answer("a success in a 201", said("SUCCESS", 201), Kind.TRANSIENT, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("a bad event", said("content_category is not known", 400), Kind.REFUSED, code="http_400", words="content_category"),
    Answer("too much", answer(413), Kind.REFUSED, code="http_413"),
    *(Answer(f"{s}", said("Unauthorized", s), Kind.AUTH, code=f"http_{s}") for s in (401, 403)),
    Answer("a wrong path", answer(404), Kind.CONFIGURATION, code="http_404"),
    Answer("too many requests", said("slow down", 429), Kind.RATE_LIMITED, wait=minutes(0.5)),
    Answer("too many requests with a hint", answer(429, retry_after="120"), Kind.RATE_LIMITED, wait=minutes(2)),
    *(Answer(f"{s}", said("words", s), Kind.TRANSIENT, maybe_stored=True, code=f"http_{s}") for s in (500, 502, 503, 504)),
    Answer("a gateway's page", answer(503, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("a status of tomorrow", answer(409), Kind.TRANSIENT, maybe_stored=True),
]  # fmt: skip

AT_SANDBOX = [
    Struck("one bad event is found by halving", [{"kind": "reject_event", "match": "order-00007"}], {State.REJECTED: 1},
           "http_400"),
    Struck("a request that is too big is halved", [{"kind": "reject_event", "code": 413, "times": 3}]),
    Struck("a connection of another token", want={State.RETRY: 12}, code="http_403", failed=True,
           account={"connection_id": "00000000-2d1b-4f5e-9d1c-0a1b2c3d4e5f"}),
    Struck("an expired token", [{"kind": "expired_token"}], {State.RETRY: 12}, "http_401", failed=True),
    Struck("a wrong path", [{"kind": "reject_event", "code": 404}], {State.RETRY: 12}, "http_404", failed=True),
    Struck("the server fails once", [{"kind": "server_error", "status": 500, "times": 1}]),
]  # fmt: skip
