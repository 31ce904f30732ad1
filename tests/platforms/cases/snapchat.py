"""Snapchat Conversions API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NO_EVENT, NOTHING, Said, every, object_of, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, NOW, Answer, Case, Struck, answer, click, event, sha

PIXEL, APP_ID = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0", "1b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"
CONFIG = {
    "pixel_id": PIXEL,
    "snap_app_id": APP_ID,
    "access_token": "SNAP-TOKEN",
    "custom_event_map": {"Demo Booked": "CUSTOM_EVENT_1", "donate": "CUSTOM_EVENT_5"},
}
TOKEN_IN = ("params",)
NAME_AT = "json.data[0].event_name"
TESTING = {"test_event_code": "T1"}
NAMES: dict[str, str | Reason] = {
    "page_view": "PAGE_VIEW", "view_item": "VIEW_CONTENT", "view_item_list": "LIST_VIEW", "search": "SEARCH",
    "add_to_wishlist": "ADD_TO_WISHLIST", "add_to_cart": "ADD_CART", "begin_checkout": "START_CHECKOUT",
    "add_payment_info": "ADD_BILLING", "purchase": "PURCHASE", "refund": Reason.UNSUPPORTED_EVENT,
    "generate_lead": "SIGN_UP", "sign_up": "SIGN_UP", "start_trial": "START_TRIAL", "subscribe": "SUBSCRIBE",
    "schedule": "RESERVE", "app_install": "APP_INSTALL", "app_open": "APP_OPEN", "donate": "CUSTOM_EVENT_5",
    "custom": "CUSTOM_EVENT_1",
    **dict.fromkeys(("qualify_lead", "close_convert_lead", "contact", "submit_application", "find_location",
                     "customize_product", "download"), Reason.NOT_CONFIGURED),
}  # fmt: skip
MINIMAL = Reason.MISSING_FIELD

E = "json.data[0]"
U, D, A = f"{E}.user_data", f"{E}.custom_data", f"{E}.app_data"
PHONE = {"os": "iOS", "os_version": "18.5", "app_id": "123456", "vendor_id": "V-1", "att_status": "authorized",
         "advertising_id": "AEBE52E7-03EE-455A-B3C4-E57283966239"}  # fmt: skip
ANDROID = {"os": "Android", "os_version": "15", "app_id": "com.acme", "advertising_id": "AB-1"}


def app(device: Any = PHONE, **changes: Any) -> dict[str, Any]:
    return event("app_open", action_source="app", source_url=None, device=device, **changes)


def store(**changes: Any) -> dict[str, Any]:
    return event(action_source="physical_store", source_url=None, **changes)


def only(**known: Any) -> dict[str, Any]:
    return event("contact", **{**NOBODY, **known})


MAP = {"custom_event_map": {"contact": "CUSTOM_EVENT_2"}}
CASES = [
    Case("where it goes", event(), {"method": "POST", "url": f"https://tr.snapchat.com/v3/{PIXEL}/events",
         "params": {"access_token": "SNAP-TOKEN"}, f"{E}.event_id": "evt-1", "headers.Authorization": GONE}),
    Case("a fraction of a second is cut", event(event_time="2026-10-01T13:59:59.999Z"), {f"{E}.event_time": 1790863199}),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{D}.value": 12000, f"{D}.currency": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{D}.value": 12.345, f"{D}.currency": "KWD"}),
    Case("a value of nothing is a value", event(value=0), {f"{D}.value": 0}),
    Case("a purchase has a value", event(value=None, currency=None), Reason.MISSING_FIELD),
    Case("in a currency that Snapchat knows", event(currency="XPF"), Reason.INVALID_VALUE),
    Case("another event leaves an unknown currency out", event("add_to_cart", currency="XPF"),
         {f"{D}.value": GONE, f"{D}.currency": GONE, NAME_AT: "ADD_CART"}),
    Case("leks are a currency", event(currency="ALL"), {f"{D}.currency": "ALL"}),
    # names
    Case("an own event without a slot", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("a standard event may have a slot", event("generate_lead"), {NAME_AT: "CUSTOM_EVENT_3"},
         {"custom_event_map": {"generate_lead": "CUSTOM_EVENT_3"}}),
    Case("a refund never", event("refund"), Reason.UNSUPPORTED_EVENT, {"custom_event_map": {"refund": "CUSTOM_EVENT_3"}}),
    # sources
    Case("web", event(), {f"{E}.action_source": "WEB", f"{E}.event_source_url": "https://shop.example.com/thanks", A: GONE}),
    Case("a web event has a page", event(source_url=None), Reason.MISSING_FIELD),
    Case("an empty page is none", event(source_url=""), Reason.MISSING_FIELD),
    *(
        Case(f"{source} is offline", event(action_source=source),
             {f"{E}.action_source": "OFFLINE", f"{E}.event_source_url": GONE, A: GONE})
        for source in ("physical_store", "phone_call", "chat", "email", "system_generated", "other")
    ),
    Case("a store has 28 days", store(event_time=NOW - timedelta(days=28)), {f"{E}.action_source": "OFFLINE"}),
    Case("an app on iOS", app(), {"url": f"https://tr.snapchat.com/v3/{APP_ID}/events", f"{E}.action_source": "MOBILE_APP",
         f"{A}.app_id": "123456", f"{A}.advertiser_tracking_enabled": 1,
         f"{A}.extinfo": ["i2", "", "", "", "18.5", "", "", "", "", "", "", "", "", "", "", ""],
         f"{U}.madid": "aebe52e7-03ee-455a-b3c4-e57283966239", f"{U}.idfv": "V-1"}),
    Case("an app on Android", app(ANDROID), {f"{A}.extinfo[0]": "a2", f"{A}.extinfo[4]": "15", f"{U}.madid": "ab-1",
         f"{A}.advertiser_tracking_enabled": 1, f"{U}.idfv": GONE}),
    Case("tracking refused", app({**PHONE, "att_status": "denied"}), {f"{A}.advertiser_tracking_enabled": 0}),
    Case("personalisation refused in an app", app(consent_ad_personalization="denied"),
         {f"{A}.advertiser_tracking_enabled": 0, f"{E}.data_processing_options": GONE}),
    Case("tracking limited", app({**ANDROID, "advertising_id": "00000000-0000-0000-0000-000000000000"}),
         {f"{A}.advertiser_tracking_enabled": 0, f"{U}.madid": GONE}),
    Case("a page in an app", {**app(), "source_url": "https://shop.example.com/"},
         {f"{E}.event_source_url": "https://shop.example.com/"}),
    Case("an app needs a system", app({}), Reason.MISSING_FIELD),
    Case("of these two", app({"os": "Windows"}), Reason.INVALID_VALUE),
    Case("no pixel", event(), Reason.NOT_CONFIGURED, {"pixel_id": None}),
    Case("no pixel for a store", store(), Reason.NOT_CONFIGURED, {"pixel_id": None}),
    Case("no app", app(), Reason.NOT_CONFIGURED, {"snap_app_id": None}),
    # the person
    Case(
        "every e-mail and phone, best first, invalid ones dropped",
        event(emails=[" B.b+1@x.com", "nobody", "a@x.com"], phones=["0", "(415) 555-2671", "+44 844 412 4653"]),
        {f"{U}.em": [sha("b.b+1@x.com"), sha("a@x.com")], f"{U}.ph": [sha("14155552671"), sha("448444124653")]},
    ),
    Case("already hashed", event(emails=[DIGEST.upper()], city=DIGEST), {f"{U}.em": [DIGEST], f"{U}.ct": [DIGEST]}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]), {f"{U}.em": GONE, f"{U}.ph": GONE}),
    Case("unicode and the rest of the person",
         event(first_name=" Raphaël 2", last_name="O'Brien", gender="male", city="Bad Homburg v. d. Höhe", region="Hessen",
               country="DE", postal_code="61 348-1", user_id=" Cust 42 ", date_of_birth="1988-02-09"),
         {f"{U}.fn": [sha("raphaël")], f"{U}.ln": [sha("obrien")], f"{U}.ge": [sha("m")], f"{U}.ct": [sha("badhomburgvdhöhe")],
          f"{U}.st": [sha("hessen")], f"{U}.zp": [sha("613481")], f"{U}.country": [sha("de")], f"{U}.db": GONE,
          f"{U}.external_id": [sha("cust 42"), sha("anon-9f2c")]}),
    Case("a code of the United Kingdom is whole", event(postal_code="M1 1AE", country="GB"), {f"{U}.zp": [sha("m11ae")]}),
    Case("an American one has five digits", event(postal_code="94105-1234"), {f"{U}.zp": [sha("94105")]}),
    Case("the click id and the cookie as they are", event(click_ids={"ScCid": click("Ab-_9")}, browser_ids={"scid": "C-aB"}),
         {f"{U}.sc_click_id": "Ab-_9", f"{U}.sc_cookie1": "C-aB", f"{U}.client_ip_address": "203.0.113.7",
          f"{U}.client_user_agent": "Mozilla/5.0"}),
    Case("an e-mail is enough", only(emails=["a@x.com"]), {f"{U}.em": [sha("a@x.com")]}, MAP),
    Case("so is a phone", only(phones=["+14155552671"]), {f"{U}.ph": [sha("14155552671")]}, MAP),
    Case("so are an address and a browser", only(ip_address="2001:db8::1", user_agent="UA"),
         {f"{U}.client_ip_address": "2001:db8::1"}, MAP),
    Case("an address alone is not", only(ip_address="203.0.113.7"), Reason.NO_IDENTIFIER, MAP),
    Case("a click alone is not", only(click_ids={"ScCid": click("c")}, browser_ids={"scid": "c"}), Reason.NO_IDENTIFIER, MAP),
    Case("own ids are not", only(user_id="u", last_name="Doe"), Reason.NO_IDENTIFIER, MAP),
    Case("a device is enough in an app", app(ANDROID, **NOBODY), {f"{U}.madid": "ab-1"}),
    Case("and nothing on the web", only(device=ANDROID), Reason.NO_IDENTIFIER, MAP),
    # contents
    Case("items", event(contents=[{"id": 7, "quantity": 2, "price": "9.50"}, {"name": "no id"}, {"id": "B", "brand": "Acme"}]),
         {f"{D}.contents": [{"id": "7", "quantity": "2", "item_price": "9.5"}, {"id": "B", "brand": "Acme"}],
          f"{D}.content_ids": ["7", "B"], f"{D}.num_items": 3, f"{D}.order_id": "ORD-1"}),
    Case("no items", event(contents=[]), {f"{D}.contents": GONE, f"{D}.num_items": GONE, f"{D}.content_type": GONE}),
    Case("a search", event("search", search_term="shoe"), {f"{D}.search_string": "shoe"}),
    Case("nothing to say", event("page_view", value=None, currency=None, transaction_id=None, contents=[]), {D: GONE}),
    # privacy
    Case("nobody opted out", event(), {f"{E}.data_processing_options": GONE}),
    Case("opted out on the web", event(opt_out_of_sale=True), {f"{E}.data_processing_options": ["LMU"]}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {f"{E}.data_processing_options": ["LMU"]}),
    Case("opted out in an app", app(opt_out_of_sale=True), Reason.OPTED_OUT),
    Case("opted out in a store", store(opt_out_of_sale=True), Reason.OPTED_OUT),
    Case("no personalisation in a store", store(consent_ad_personalization="denied"), Reason.CONSENT_DENIED),
    Case("a test", event(), {f"{E}.test_event_code": "TEST1"}, {"test_event_code": "TEST1"}),
]  # fmt: skip


def invalid(*logs: Any, status: int = 400, **more: Any) -> Response:
    body = {"status": "INVALID", "reason": "At least one of the events is invalid.", "event_logs": list(logs)}
    return answer(status, {**body, **more})


def log(position: Any, *codes: Any, status: str = "INVALID", words: str = "words") -> dict[str, Any]:
    return {
        "event": position,
        "status": status,
        "errors": {"codes": list(codes), "error_msgs": [words]},
        "warnings": [],
    }


def says(response: Response, count: int) -> Said:
    """200 `{"status": "VALID", "reason": "..."}` without an event that is marked INVALID; `INVALID` in a 200 or 400 refuses
    the request because of the events that `event_logs` marks, counted from 1; 413: too large."""
    if response.status == 413:
        return Said(refused=True)
    body = object_of(response.body)
    reason, logs = body.get("reason", ""), body.get("event_logs", [])
    if response.status not in (200, 400) or not isinstance(reason, str) or "unauthorized resources" in reason.lower():
        return NOTHING
    entries = [entry for entry in logs if isinstance(entry, dict)] if isinstance(logs, list) else []
    marked = [entry.get("event") for entry in entries if entry.get("status") == "INVALID"]
    if body.get("status") == "VALID" and response.status == 200 and isinstance(logs, list | None) and not marked:
        return Said(every(count))
    if body.get("status") != "INVALID":
        return NOTHING
    ours = all(whole(position) and 1 <= position <= count for position in marked)
    return Said(blamed=frozenset(position - 1 for position in marked) if ours else NO_EVENT, refused=True)


VALID = {"status": "VALID", "reason": "Events have been processed successfully."}


def successes(count: int) -> list[Response]:
    warned = {"event": 1, "status": "VALID", "errors": {"codes": [], "error_msgs": []}, "warnings": ["no phone"]}
    return [answer(200, VALID), answer(200, {**VALID, "event_logs": [warned]})]


BOTH = [State.ACCEPTED] * 2
TESTED = [(State.WITHHELD, "test_mode")] * 2
ANSWERS = [
    Answer("success", answer(200, VALID), Kind.SETTLED, outcomes=BOTH),
    Answer("with a warning", successes(2)[1], Kind.SETTLED, outcomes=BOTH, words="no phone"),
    Answer("a test may not count", answer(200, VALID), Kind.SETTLED, outcomes=TESTED, config={"test_event_code": "TEST1"}),
    Answer("one of two", invalid(log(2, 3, "E7")), Kind.REFUSED, culprits={1: "3/E7"}),
    Answer("in a 200", invalid(log(1, 3), log(2, 4), status=200), Kind.REFUSED, culprits={0: "3", 1: "4"}),
    Answer("a warning is no fault", invalid(log(1, 3), log(2, status="VALID")), Kind.REFUSED, culprits={0: "3"}),
    Answer("no code", invalid({"event": 1, "status": "INVALID"}), Kind.REFUSED, culprits={0: "INVALID"}),
    Answer("no logs", answer(400, {"status": "INVALID", "reason": "words"}), Kind.REFUSED, code="INVALID", words="words"),
    *(
        Answer(f"of an event that was not sent: {position!r}", invalid(log(1, 3), log(position, 3)), Kind.REFUSED)
        for position in (0, 3, -1, "2", 2.0, None, True)
    ),
    Answer("valid, with an event that is not", answer(200, {**VALID, "event_logs": [log(1, 3)]}), Kind.TRANSIENT,
           maybe_stored=True),
    Answer("valid in a 400", answer(400, VALID), Kind.TRANSIENT, maybe_stored=True),
    *(
        Answer(f"success with {key} {value!r}", answer(200, {**VALID, key: value}), Kind.TRANSIENT, maybe_stored=True)
        for key, value in (("status", "valid"), ("status", 1), ("reason", 5), ("event_logs", "none"), ("event_logs", {}))
    ),
    *(
        Answer(f"a wrong token or asset, {status}", answer(status, {"status": "INVALID", "reason": "Unauthorized resources"}),
               Kind.AUTH, words="Unauthorized resources")
        for status in (200, 400, 401, 403)
    ),
    Answer("401 without words", answer(401), Kind.AUTH),
    Answer("403 without words", answer(403, HTML), Kind.AUTH),
    Answer("too large", answer(413, HTML), Kind.REFUSED, code="http_413"),
    Answer("too many", answer(429), Kind.RATE_LIMITED, code="http_429"),
    *(Answer(f"{status}", answer(status, HTML), Kind.TRANSIENT, maybe_stored=True) for status in (500, 502, 503, 504)),
    Answer("a refusal in a 500", invalid(log(1, 3), status=500), Kind.TRANSIENT, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("404", answer(404, HTML), Kind.TRANSIENT, maybe_stored=True),
]  # fmt: skip

AT_SANDBOX = [
    Struck("one bad event", [{"kind": "reject_event", "match": "order-00007", "code": "E17"}], {State.REJECTED: 1}, "E17"),
    Struck("three bad events", [{"kind": "reject_event", "match": f"order-0000{n}", "code": "E17"} for n in (1, 5, 9)],
           {State.REJECTED: 3}, "E17"),
    Struck("another pixel", want={State.RETRY: 12}, code="http_403", failed=True, account={"pixel_id": APP_ID}),
    Struck("an expired token", [{"kind": "expired_token"}], {State.RETRY: 12}, "http_401", True),
    Struck("a test", want={State.WITHHELD: 12}, code="test_mode", account={"test_event_code": "TEST1"}),
    Struck("throttled once", [{"kind": "rate_limit", "times": 1}]),
]  # fmt: skip
