"""TikTok Events API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

import re
from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NO_EVENT, NOTHING, Said, every, object_of, trace, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, answer, click, event, sha

CONFIG = {
    "access_token": "TT-TOKEN",
    "pixel_code": "C4EXAMPLEPIXEL00000",
    "app_id": "6600000000000000001",
    "offline_event_set_id": "7300000000000000001",
}
CRM = {"crm_event_set_id": "7300000000000000002", "crm_name": "Acme CRM"}
NAME_AT = "json.data[0].event"
TESTING = {"test_event_code": "TEST1"}
NAMES: dict[str, str | Reason] = {
    "page_view": "Pageview", "view_item": "ViewContent", "view_item_list": "ViewContent", "search": "Search",
    "add_to_wishlist": "AddToWishlist", "add_to_cart": "AddToCart", "begin_checkout": "InitiateCheckout",
    "add_payment_info": "AddPaymentInfo", "purchase": "Purchase", "refund": Reason.UNSUPPORTED_EVENT,
    "generate_lead": "Lead", "qualify_lead": "QualifiedLead", "close_convert_lead": "ConvertedLead",
    "sign_up": "CompleteRegistration", "start_trial": "StartTrial", "subscribe": "Subscribe", "contact": "Contact",
    "schedule": "Schedule", "submit_application": "SubmitApplication", "find_location": "FindLocation",
    "customize_product": "CustomizeProduct", "donate": "Donate", "download": "Download", "app_install": "AppInstall",
    "app_open": "AppOpen", "custom": "Demo_Booked",
}  # fmt: skip
APP_NAMES = {
    **{canonical: wire for canonical, wire in NAMES.items() if not isinstance(wire, Reason)},
    "page_view": "page_view", "begin_checkout": "Checkout", "generate_lead": "GenerateLead", "sign_up": "Registration",
    "app_install": "InstallApp", "app_open": "LaunchAPP",
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER

E = "json.data[0]"
U, P = f"{E}.user", f"{E}.properties"
APP: dict[str, Any] = {"action_source": "app", "source_url": None}
PHONE = {"os": "iOS", "app_id": "123456", "app_version": "2.0", "language": "en-US", "vendor_id": "V-1"}
IDFA = "AEBE52E7-03EE-455A-B3C4-E57283966239"


def custom(name: str) -> dict[str, Any]:
    return event("custom", custom_event_name=name)


def offline(**changes: Any) -> dict[str, Any]:
    return event(action_source="physical_store", **changes)


CASES = [
    *(
        Case(f"{canonical} in an app", event(canonical, **APP, device=PHONE), {NAME_AT: wire})
        for canonical, wire in APP_NAMES.items()
    ),
    Case("a fraction of a second is cut", event(event_time="2026-10-01T13:59:59.999Z"), {f"{E}.event_time": 1790863199}),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{P}.value": 12000, f"{P}.currency": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{P}.value": 12.345, f"{P}.currency": "KWD"}),
    Case("a value of nothing is a value", event(value=0), {f"{P}.value": 0}),
    Case("no negative value", event(value=-1), Reason.INVALID_VALUE),
    Case("no value", event(value=None, currency=None), {f"{P}.value": GONE, f"{P}.currency": GONE}),
    # custom names
    Case("other characters become one underscore", custom("  Demo -- Bücher & more! "), {NAME_AT: "Demo_--_B_cher_more"}),
    Case("fifty characters", custom("A" * 60), {NAME_AT: "A" * 50}),
    Case("a name starts with a letter", custom("2nd demo"), Reason.INVALID_VALUE),
    Case("a name of nothing legal", custom("演示"), Reason.INVALID_VALUE),
    Case("a reserved name", custom("CompletePayment"), Reason.INVALID_VALUE),
    Case("a name that becomes a reserved one", custom(" ViewForm!"), Reason.INVALID_VALUE),
    # sources
    Case("web", event(), {"json.event_source": "web", "json.event_source_id": "C4EXAMPLEPIXEL00000",
         f"{E}.page": {"url": "https://shop.example.com/thanks"}}),
    Case("a referrer", event(referrer_url="https://x.example/"), {f"{E}.page.referrer": "https://x.example/"}),
    Case("app", event(**APP, device=PHONE), {"json.event_source": "app", "json.event_source_id": "6600000000000000001",
         f"{E}.app": {"app_id": "123456", "app_version": "2.0"}, f"{E}.page": GONE}),
    *(
        Case(f"{source} is offline", event(action_source=source),
             {"json.event_source": "offline", "json.event_source_id": "7300000000000000001", f"{E}.page": GONE})
        for source in ("physical_store", "phone_call", "chat", "email", "other", "system_generated")
    ),
    Case("CRM with TikTok's lead id", event("qualify_lead", action_source="system_generated",
         click_ids={"tiktok_lead_id": click("L-1")}, emails=[], phones=[], user_id=None, anonymous_id=None),
         {"json.event_source": "crm", "json.event_source_id": "7300000000000000002",
          f"{E}.lead": {"lead_id": "L-1", "lead_event_source": "Acme CRM"}}, CRM),
    Case("CRM without it", event("qualify_lead", action_source="system_generated"), {"json.event_source": "offline"}, CRM),
    Case("a lead id without a CRM", event(action_source="system_generated", click_ids={"tiktok_lead_id": click("L-1")}),
         {"json.event_source": "offline", f"{E}.lead": GONE}),
    Case("no pixel", event(), Reason.NOT_CONFIGURED, {"pixel_code": None}),
    Case("no app", event(**APP, device=PHONE), Reason.NOT_CONFIGURED, {"app_id": None}),
    Case("no offline event set", offline(), Reason.NOT_CONFIGURED, {"offline_event_set_id": None}),
    Case("a web event has a page", event(source_url=None), Reason.MISSING_FIELD),
    Case("or the configured one", event(source_url=None), {f"{E}.page.url": "https://shop.example.com/"},
         {"default_page_url": "https://shop.example.com/"}),
    Case("an app event names its app", event(**APP), Reason.MISSING_FIELD),
    # the person
    Case(
        "every e-mail and phone, best first, invalid ones dropped",
        event(emails=[" B.b+1@Gmail.com", "nobody", "a@x.com"], phones=["0", "(415) 555-2671", "+49 30 901820"]),
        {f"{U}.email": [sha("b.b+1@gmail.com"), sha("a@x.com")], f"{U}.phone": [sha("+14155552671"), sha("+4930901820")]},
    ),
    Case("already hashed", event(emails=[DIGEST.upper()], first_name=DIGEST, city=DIGEST),
         {f"{U}.email": [DIGEST], f"{U}.first_name": DIGEST, f"{U}.city": GONE}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]), {f"{U}.email": GONE, f"{U}.phone": GONE}),
    Case("own ids keep their case", event(user_id=" CUST 42 ", anonymous_id="AnoN"),
         {f"{U}.external_id": [sha("CUST 42"), sha("AnoN")]}),
    Case("unicode and the rest of the person",
         event(first_name=" Mary  Ann", last_name="O'Brien-Ñ", city="Bad Homburg v. d. Höhe", region="Hessen", country="DE",
               postal_code="EC1A 1BB", device={"language": "de-DE"}),
         {f"{U}.first_name": sha("mary ann"), f"{U}.last_name": sha("obrienñ"), f"{U}.city": "badhomburgvdhöhe",
          f"{U}.state": "hessen", f"{U}.country": "de", f"{U}.zip_code": sha("ec1a1bb"), f"{U}.locale": "de-DE",
          f"{U}.ip": "203.0.113.7", f"{U}.user_agent": "Mozilla/5.0"}),
    Case("the click id and the cookie as they are", event(click_ids={"ttclid": click("E.C.P_-aB")}, browser_ids={"ttp": "T-aB"}),
         {f"{U}.ttclid": "E.C.P_-aB", f"{U}.ttp": "T-aB"}),
    Case("a click id that is too long is never cut", event(click_ids={"ttclid": click("a" * 1001)}), {f"{U}.ttclid": GONE}),
    Case("the longest click id", event(click_ids={"ttclid": click("a" * 1000)}), {f"{U}.ttclid": "a" * 1000}),
    Case("click id and cookie are of the web", offline(browser_ids={"ttp": "T"}), {f"{U}.ttclid": GONE, f"{U}.ttp": GONE}),
    Case("nobody on the web", event(**NOBODY), Reason.NO_IDENTIFIER),
    Case("an address of the network alone", event(**{**NOBODY, "ip_address": "203.0.113.7"}), Reason.NO_IDENTIFIER),
    Case("with a browser", event(**{**NOBODY, "ip_address": "203.0.113.7", "user_agent": "UA"}), {NAME_AT: "Purchase"}),
    Case("a click alone", event(**{**NOBODY, "click_ids": {"ttclid": click("c")}}), {f"{U}.ttclid": "c"}),
    Case("a cookie alone", event(**{**NOBODY, "browser_ids": {"ttp": "c"}}), {f"{U}.ttp": "c"}),
    Case("nobody in a store", offline(**{**NOBODY, "ip_address": "203.0.113.7", "user_agent": "UA"}), Reason.NO_IDENTIFIER),
    Case("an own id in a store", offline(**{**NOBODY, "user_id": "u"}), {f"{U}.external_id": [sha("u")]}),
    Case("nobody in an app", event(**{**NOBODY, **APP}, device=PHONE), Reason.NO_IDENTIFIER),
    # apps
    Case("an iPhone", event(**APP, device={**PHONE, "advertising_id": IDFA, "att_status": "authorized"}),
         {f"{U}.idfa": sha(IDFA.lower()), f"{U}.idfv": "V-1", f"{U}.att_status": "AUTHORIZED", f"{U}.gaid": GONE}),
    Case("an Android phone", event(**{**NOBODY, **APP}, device={"os": "Android", "app_id": "com.acme", "advertising_id": "aB-1"}),
         {f"{U}.gaid": sha("aB-1"), f"{U}.idfa": GONE, f"{U}.idfv": GONE, f"{U}.att_status": GONE}),
    Case("tracking limited", event(**APP, device={**PHONE, "advertising_id": "00000000-0000-0000-0000-000000000000"}),
         {f"{U}.idfa": GONE}),
    Case("a status that TikTok does not know", event(**APP, device={**PHONE, "att_status": "maybe"}), {f"{U}.att_status": GONE}),
    # properties
    Case("items", event(contents=[{"id": 7, "quantity": 2, "price": "9.5"}, {"name": "no id"}]),
         {f"{P}.contents": [{"content_id": "7", "quantity": 2, "price": 9.5}], f"{P}.content_type": "product",
          f"{P}.num_items": GONE, f"{P}.order_id": "ORD-1"}),
    Case("the number of items of a checkout", event("begin_checkout"), {f"{P}.num_items": 2}),
    Case("a search", event("search", search_term="shoe"), {f"{P}.search_string": "shoe", f"{P}.query": "shoe"}),
    Case("nothing to say", event("contact", value=None, currency=None, transaction_id=None, contents=[]), {P: GONE}),
    # privacy
    Case("opted out on the web", event(opt_out_of_sale=True), {f"{E}.limited_data_use": True}),
    Case("opted out in an app", event(**APP, device=PHONE, opt_out_of_sale=True), {f"{E}.limited_data_use": True}),
    Case("opted out in a store", offline(opt_out_of_sale=True), Reason.OPTED_OUT),
    Case("nobody opted out", event(), {f"{E}.limited_data_use": GONE}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "Purchase"}),
    Case("a test", event(), {"json.test_event_code": "TEST1"}, {"test_event_code": "TEST1"}),
]  # fmt: skip


def said(code: Any, status: int = 200, message: str = "words", **more: Any) -> Response:
    return answer(status, {"code": code, "message": message, "request_id": "Request", "data": {}, **more})


def says(response: Response, count: int) -> Said:
    """200 `{"code": 0, "message": "OK", "request_id": "...", "data": {}}`, and 20001 as a success with a warning; other
    codes of 40000 and more refuse the request, some with an index in their words."""
    body = object_of(response.body)
    code = body.get("code")
    if not whole(code):
        return NOTHING
    if code in (0, 20001):
        informs = isinstance(body.get("message", ""), str) and isinstance(body.get("data", {}), dict | None)
        good = response.status == 200 and trace(body.get("request_id")) and informs
        return Said(every(count)) if good else NOTHING
    if not 40000 <= code <= 49999 or code in (40001, 40100, 40104, 40105):
        return NOTHING
    named = [word for _, word in re.findall(r"(?i)\b(batch\.|data\[)(-?\d+)", str(body.get("message")))]
    there = {str(position) for position in range(count)}
    return Said(blamed=frozenset(map(int, named)) if set(named) <= there else NO_EVENT, refused=True)


def successes(count: int) -> list[Response]:
    plain = {"code": 0, "message": "OK", "request_id": "2026100112000001ABCDEF", "data": {}}
    return [answer(200, plain), answer(200, {**plain, "code": 20001, "message": "partially successful"})]


BOTH = [State.ACCEPTED] * 2
INDEXED = "Batch.1.properties.value: Not a valid number"
ANSWERS = [
    Answer("success", said(0, message="OK"), Kind.SETTLED, outcomes=BOTH),
    Answer("partial success is not sent again", said(20001), Kind.SETTLED, outcomes=BOTH, words="20001: words"),
    Answer("a test does not count", said(0), Kind.SETTLED, outcomes=[(State.WITHHELD, "test_mode")] * 2,
           config={"test_event_code": "TEST1"}),
    Answer("no request id", answer(200, {"code": 0, "message": "OK"}), Kind.TRANSIENT, maybe_stored=True),
    Answer("a request id of another type", said(0, request_id={"a": 1}), Kind.TRANSIENT, maybe_stored=True),
    Answer("success in a 500", said(0, 500), Kind.TRANSIENT, maybe_stored=True),
    Answer("a code of text", said("0"), Kind.TRANSIENT, maybe_stored=True),
    Answer("no permission", said(40001), Kind.AUTH, code="40001"),
    Answer("an empty token", said(40104, 401), Kind.AUTH, code="40104"),
    Answer("a revoked token", said(40105), Kind.AUTH, code="40105"),
    Answer("a bad parameter", said(40002), Kind.REFUSED, code="40002"),
    Answer("a bad parameter of one event", said(40002, message=INDEXED), Kind.REFUSED, culprits={1: "40002"}),
    *(
        Answer(f"of an event that was sent and one that was not: {index}", said(40002, message=f"{INDEXED}, Batch.{index}.x"),
               Kind.REFUSED)
        for index in (2, 7, -1, 99999999999)
    ),
    *(
        Answer(f"success with {key} {value!r}", said(0, **{key: value}), Kind.TRANSIENT, maybe_stored=True)
        for key, value in (("message", 5), ("data", "failed"), ("data", [1]), ("request_id", "a b"), ("request_id", "a@b.c"))
    ),
    Answer("of an event that is not there", said(40002, message="Batch.7.event_id: Not a valid string"), Kind.REFUSED),
    Answer("of two events", said(40002, 400, "data[0].event_time, data[1].event_time"), Kind.REFUSED,
           culprits={0: "40002", 1: "40002"}),
    Answer("another refusal", said(40900), Kind.REFUSED, code="40900"),
    Answer("too many requests in a 401", said(40100, 401), Kind.RATE_LIMITED, wait=minutes(5)),
    Answer("too many requests in a 200", said(40100), Kind.RATE_LIMITED, wait=minutes(5)),
    Answer("their server", said(50000), Kind.TRANSIENT, maybe_stored=True, code="50000"),
    Answer("their server, too", said(59999, 500), Kind.TRANSIENT, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("a gateway's page", answer(503, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("401 without words", answer(401), Kind.AUTH),
    Answer("a code of tomorrow", said(70000), Kind.TRANSIENT, maybe_stored=True),
]  # fmt: skip
