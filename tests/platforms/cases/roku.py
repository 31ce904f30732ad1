"""Roku: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

import json
from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of, objects, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, event, sha

CONFIG = {"event_group_id": "EG4f2c91d07a", "api_key": "ROKU-KEY"}
NAME_AT = "json.events[0].event_name"
TESTING = {"validate_only": True}
NAMES: dict[str, str | Reason] = {
    "page_view": "PAGE_VIEW", "view_item": "VIEW_CONTENT", "view_item_list": "VIEW_CONTENT", "search": "SEARCH",
    "add_to_wishlist": "ADD_TO_WISHLIST", "add_to_cart": "ADD_TO_CART", "begin_checkout": "INITIATE_CHECKOUT",
    "add_payment_info": "ADD_PAYMENT_INFO", "purchase": "PURCHASE", "generate_lead": "LEAD", "sign_up": "SIGN_UP",
    "start_trial": "START_TRIAL", "subscribe": "SUBSCRIBE", "contact": "CONTACT", "schedule": "SCHEDULE",
    "find_location": "FIND_LOCATION", "customize_product": "CUSTOMIZE_PRODUCT", "donate": "DONATE", "download": "DOWNLOAD",
    "submit_application": "SUBMIT_APPLICATION", "app_install": "APP_INSTALL",
    **dict.fromkeys(("qualify_lead", "close_convert_lead", "app_open", "custom", "refund"), Reason.UNSUPPORTED_EVENT),
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER

E = "json.events[0]"
U, D = f"{E}.user_data", f"{E}.custom_data"
OWN = {
    "event_names": {
        "qualify_lead": "LEAD",
        "Demo Booked": "SCHEDULE",
        "sign_up": "COMPLETE_REGISTRATION",
        "refund": "PURCHASE",
    }
}
WEAK: dict[str, Any] = {**NOBODY, "user_agent": "UA", "user_id": "u", "first_name": "Jane", "browser_ids": {"aFC": "c"}}
SAME = ("website", "physical_store", "phone_call", "chat", "email", "other")

CASES = [
    Case("everything", event(), {
        "method": "POST", "url": "https://events.ads.rokuapi.net/v1/events", "json.event_group_id": "EG4f2c91d07a",
        "headers": {"Content-Type": "application/json", "Accept": "application/json", "Authorization": "Bearer ROKU-KEY"},
        E: {
            "event_name": "PURCHASE", "event_type": "conversion", "event_time": 1790863200, "event_id": "evt-1",
            "event_source": "website", "event_source_url": "https://shop.example.com/thanks", "opt_out": "false",
            "user_data": {"is_hashed": True, "em": DIGEST, "ph": sha("+14155552671"), "external_id": sha("cust-42"),
                          "country": "US", "client_ip_address": "203.0.113.7", "client_user_agent": "Mozilla/5.0"},
            "custom_data": {"value": 149.97, "currency": "USD", "order_id": "ORD-1", "content_ids": ["SKU-1"],
                            "content_type": "product", "num_items": 2},
        }}),
    *(Case(f"{source} has the same name", event(action_source=source), {f"{E}.event_source": source}) for source in SAME),
    Case("an app", event(action_source="app"), {f"{E}.event_source": "mobile_app"}),
    Case("a CRM", event(action_source="system_generated"), {f"{E}.event_source": "system-generated"}),
    Case("a fraction of a second is cut", event(event_time="2026-10-01T13:59:59.999Z"), {f"{E}.event_time": 1790863199}),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{D}.value": 12000, f"{D}.currency": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{D}.value": 12.345}),
    Case("a value of nothing is a value", event(value=0), {f"{D}.value": 0}),
    Case("no value", event(value=None, currency=None), {f"{D}.value": GONE, f"{D}.currency": GONE}),
    # names
    Case("a name for what has none", event("qualify_lead"), {NAME_AT: "LEAD"}, OWN),
    Case("a custom event has one only by the account", event("custom"), {NAME_AT: "SCHEDULE"}, OWN),
    Case("another custom event", event("custom", custom_event_name="Other"), Reason.UNSUPPORTED_EVENT, OWN),
    Case("another name than the usual one", event("sign_up"), {NAME_AT: "COMPLETE_REGISTRATION"}, OWN),
    Case("a refund is no event", event("refund"), Reason.UNSUPPORTED_EVENT, OWN),
    # the person
    Case("the part behind a plus goes, dots stay", event(emails=["nobody", "  Jürgen.M+News@GoogleMail.com ", "a@x.com"]),
         {f"{U}.em": sha("jürgen.m@googlemail.com")}),
    Case("the first valid phone", event(phones=["0", "(415) 555-2671"]), {f"{U}.ph": sha("+14155552671")}),
    Case("already hashed", event(emails=[DIGEST.upper()], phones=[DIGEST], city=DIGEST),
         {f"{U}.em": DIGEST, f"{U}.ph": DIGEST, f"{U}.ct": GONE}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]), {f"{U}.em": GONE, f"{U}.ph": GONE}),
    Case("the rest of the person",
         event(first_name=" Jürgen ", last_name="O'BRIEN-Ñ", gender="male", date_of_birth="1988-02-09", user_id=" CUST 42 ",
               city=" Bad Homburg v. d. Höhe", region="Hessen ", postal_code=" 61348 ", country="DE"),
         {f"{U}.fn": sha("jürgen"), f"{U}.ln": sha("o'brien-ñ"), f"{U}.ge": sha("male"), f"{U}.db": sha("1988-02-09"),
          f"{U}.external_id": sha("CUST 42"), f"{U}.ct": "Bad Homburg v. d. Höhe", f"{U}.st": "Hessen", f"{U}.zp": "61348",
          f"{U}.country": "DE"}),
    Case("empty texts are nothing", event(city="", region=" ", user_id="", referrer_url=""),
         {f"{U}.ct": GONE, f"{U}.st": GONE, f"{U}.external_id": GONE, f"{E}.referrer_url": GONE}),
    Case("the pixel's cookie", event(browser_ids={"aFC": "c-1"}), {f"{U}.aFC": "c-1"}),
    Case("a Roku device", event(**NOBODY, device={"os": "Roku OS", "advertising_id": "R-1"}), {f"{U}.aRI": "R-1"}),
    Case("another device", event(**NOBODY, device={"os": "tvOS", "advertising_id": "R-1"}), Reason.NO_IDENTIFIER),
    Case("which has to be one", event(**{**NOBODY, "ip_address": "nowhere"}), Reason.NO_IDENTIFIER),
    Case("an address is enough", event(**{**NOBODY, "ip_address": "2001:db8::1"}), {f"{U}.client_ip_address": "2001:db8::1"}),
    Case("a phone is enough", event(**{**NOBODY, "phones": ["+14155552671"]}), {f"{U}.ph": sha("+14155552671")}),
    Case("names, own ids and cookies are not", event(**WEAK), Reason.NO_IDENTIFIER),
    Case("nobody", event(**NOBODY), Reason.NO_IDENTIFIER),
    # custom data
    Case("a first purchase", event(customer_type="new"), {f"{D}.purchase_type": "first_time_purchase"}),
    Case("a repeated one", event(customer_type="returning"), {f"{D}.purchase_type": "repeat_purchase"}),
    Case("which is of purchases only", event("subscribe", customer_type="new"), {f"{D}.purchase_type": GONE}),
    Case("a search", event("search", search_term="shoe"), {f"{D}.search_string": "shoe"}),
    Case("items", event(contents=[{"id": 7, "quantity": 2}, {"name": "no id"}, {"id": "b"}]),
         {f"{D}.content_ids": ["7", "b"], f"{D}.num_items": 3}),
    Case("nothing to say", event("contact", value=None, currency=None, transaction_id=None, contents=[]), {D: GONE}),
    # privacy and tests
    Case("opted out", event(opt_out_of_sale=True), {f"{E}.opt_out": "true"}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {f"{E}.opt_out": "false"}),
    Case("a test", event(), {"url": "https://events.ads.rokuapi.net/v1/test_events"}, {"validate_only": True}),
]  # fmt: skip


def said(status: int = 200, received: Any = 2, failed: Any = None, **more: Any) -> Response:
    """As if two events had been sent, `a` and `b`."""
    body = {
        "code": status,
        "events_received": received,
        **({} if failed is None else {"failed_events": failed}),
        **more,
    }
    return Response(status, {}, json.dumps(body).encode(), [{"event_id": "a"}, {"event_id": "b"}])


def says(response: Response, count: int) -> Said:
    """200 `{"code": 200, "events_received": n}`; with `failed_events` (210) all but those, which are known by their id or,
    where all of them failed, by their number. 400 and 413 refuse the request."""
    body, status = object_of(response.body), response.status
    if status in (400, 413):
        return Said(refused=True)
    failed, received, code = body.get("failed_events") or [], body.get("events_received"), body.get("code")
    if status not in (200, 210) or not objects(failed) or not whole(received) or (whole(code) and code != status):
        return NOTHING
    ids = [some.get("event_id") for some in response.sent]
    told = [(some["event"] if isinstance(some.get("event"), dict) else some).get("event_id") for some in failed]
    if all(isinstance(id_, str) and ids.count(id_) == 1 for id_ in told) and len(set(told)) == len(told):
        blamed = frozenset(ids.index(id_) for id_ in told)
    elif len(failed) == count:
        blamed = every(count)
    else:
        return NOTHING
    if received not in (count, count - len(failed)) or (status == 210 and not blamed):
        return NOTHING
    return Said(taken=every(count) - blamed, blamed=blamed)


def successes(count: int) -> list[Response]:
    return [
        answer(200, {"code": 200, "events_received": count}),
        answer(200, {"code": 200, "events_received": count, "failed_events": []}),
    ]


BOTH, BAD = [State.ACCEPTED] * 2, (State.REJECTED, "failed_event")
LOST: dict[str, Any] = {"kind": Kind.TRANSIENT, "maybe_stored": True}
ANSWERS = [
    Answer("success", said(), Kind.SETTLED, outcomes=BOTH),
    Answer("nothing failed", said(failed=[]), Kind.SETTLED, outcomes=BOTH),
    Answer("one failed, by its id", said(210, failed=[{"event_id": "b", "error": "no time"}]), Kind.SETTLED,
           outcomes=[State.ACCEPTED, BAD]),
    Answer("by its event", said(210, 1, [{"event": {"event_id": "a"}, "error": "no time"}]), Kind.SETTLED,
           outcomes=[BAD, State.ACCEPTED], words="no time"),
    Answer("both failed, and nobody says which is which", said(210, 0, [{"error": "x"}, {"error": "y"}]), Kind.SETTLED,
           outcomes=[BAD, BAD], words="x"),
    Answer("one failed in a 200", said(200, failed=[{"event_id": "a", "error": "x"}]), Kind.SETTLED, outcomes=[BAD,
         State.ACCEPTED]),
    Answer("one failed, and nobody says which", said(210, failed=[{"error": "x"}]), **LOST),
    Answer("one that was not sent", said(210, failed=[{"event_id": "c"}]), **LOST),
    Answer("one twice", said(210, failed=[{"event_id": "a"}] * 3), **LOST),
    Answer("210 without a word", said(210), **LOST),
    Answer("a list of something else", said(210, failed=["a"]), **LOST),
    Answer("another code in the body", said(code=400), **LOST),
    *(Answer(f"a number that is none: {n!r}", said(received=n), **LOST) for n in ("2", None, 2.0, True, 1, 3)),
    Answer("a test does not count", said(), Kind.SETTLED, outcomes=[(State.WITHHELD, "test_mode")] * 2,
         config={"validate_only": True}),
    Answer("a test tells of bad events", said(210, failed=[{"event_id": "b", "error": "x"}]), Kind.SETTLED,
           outcomes=[(State.WITHHELD, "test_mode"), BAD], config={"validate_only": True}),
    Answer("HTML", answer(200, HTML), **LOST),
    Answer("nothing", answer(200), **LOST),
    Answer("400", answer(400, {"code": 400, "error": "events[0].event_time"}), Kind.REFUSED, code="http_400", words="event_time"),
    Answer("413", answer(413, HTML), Kind.REFUSED, code="http_413"),
    Answer("a wrong key", answer(401, {"error": "Unauthorized"}), Kind.AUTH, code="http_401", words="Unauthorized"),
    Answer("a key of another account", answer(403), Kind.AUTH, code="http_403"),
    *(Answer(f"{status}", answer(status), Kind.CONFIGURATION, code=f"http_{status}") for status in (404, 405)),
    Answer("too many requests", answer(429), Kind.RATE_LIMITED, wait=minutes(1 / 6)),
    Answer("with a wait", answer(429, retry_after="60"), Kind.RATE_LIMITED, wait=minutes(1)),
    *(Answer(f"{status}", answer(status, HTML), Kind.TRANSIENT, maybe_stored=True, code=f"http_{status}") for status in (500,
         503)),
    Answer("a redirect", answer(302), **LOST),
]  # fmt: skip
AT_SANDBOX = [
    Struck("one event is refused, the others are taken", [{"kind": "reject_event", "match": '"order-00007"'}],
           {State.REJECTED: 1}, "failed_event"),
    Struck("all are refused", [{"kind": "reject_event"}], {State.REJECTED: 12}, "failed_event"),
    Struck("another event group", account={"event_group_id": "EG0"}, want={State.RETRY: 12}, code="http_403", failed=True),
    Struck("an expired key", [{"kind": "expired_token"}], {State.RETRY: 12}, "http_401", failed=True),
    Struck("a test", account={"validate_only": "true"}, want={State.WITHHELD: 12}, code="test_mode"),
]  # fmt: skip
