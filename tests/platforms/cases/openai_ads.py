"""OpenAI Ads Conversions API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, NOW, Answer, Case, Struck, answer, click, event, sha

CONFIG = {"pixel_id": "px_0123456789abcdef", "api_key": "openai-capi-key"}
E = "json.events[0]"
U, D = f"{E}.user", f"{E}.data"
NAME_AT = f"{E}.type"
TESTING = {"validate_only": True}
OWN = (
    "search", "add_to_wishlist", "add_payment_info", "qualify_lead", "close_convert_lead", "contact", "submit_application",
    "find_location", "customize_product", "donate", "download",
)  # fmt: skip
NAMES: dict[str, str | Reason] = {
    "page_view": "page_viewed", "view_item": "contents_viewed", "view_item_list": "contents_viewed",
    "add_to_cart": "items_added", "begin_checkout": "checkout_started", "purchase": "order_created",
    "generate_lead": "lead_created", "sign_up": "registration_completed", "schedule": "appointment_scheduled",
    "app_install": Reason.INVALID_VALUE, "app_open": Reason.INVALID_VALUE,  # of a website
    "start_trial": "trial_started", "subscribe": "subscription_created", "refund": Reason.UNSUPPORTED_EVENT,
    **dict.fromkeys((*OWN, "custom"), "custom"),
}  # fmt: skip
MINIMAL = Reason.MISSING_FIELD

APP: dict[str, Any] = {"action_source": "app", "source_url": None}
UUID = "cdda802e-fb9c-47ad-9866-0794d394c912"


def custom(name: str) -> dict[str, Any]:
    return event("custom", custom_event_name=name)


def only(**known: Any) -> dict[str, Any]:
    return event("generate_lead", action_source="phone_call", **{**NOBODY, **known})


CASES = [
    Case("where it goes", event(), {"method": "POST", "url": "https://bzr.openai.com/v1/events",
         "params": {"pid": "px_0123456789abcdef"}, "headers.Authorization": "Bearer openai-capi-key", f"{E}.id": "evt-1"}),
    Case("13 digits, cut", event(event_time="2026-10-01T13:59:59.999900Z"), {f"{E}.timestamp_ms": 1790863199999}),
    Case("a clock that is 10 minutes ahead", event(event_time=NOW + minutes(10)), {f"{E}.timestamp_ms": 1790871000000}),
    *(
        Case(f"{value} {currency}", event(value=value, currency=currency), {f"{D}.amount": amount, f"{D}.currency": currency})
        for value, currency, amount in (
            ("149.97", "USD", 14997), (12000, "JPY", 12000), ("12.345", "KWD", 12345), ("0.1000", "EUR", 10), (0, "EUR", 0),
            ("1.005", "EUR", 101), ("99999999999999", "USD", 9999999999999900),
        )
    ),
    Case("no value", event(value=None, currency=None),
         {f"{D}.amount": GONE, f"{D}.currency": GONE, f"{D}.contents": [{"id": "SKU-1", "name": "Shoe", "quantity": 2}]}),
    # names
    *(
        Case(f"{canonical} goes by its own name", event(canonical),
             {f"{E}.custom_event_name": canonical, f"{D}.type": "custom"})
        for canonical in OWN
    ),
    *(
        Case(f"own name {name!r}", custom(name), {f"{E}.custom_event_name": wire})
        for name, wire in (("Demo Booked", "demo_booked"), (" __Bücher & more--! ", "b_cher_more"), ("A-b_C", "a-b_c"),
                           ("x" * 70, "x" * 64), ("x" * 63 + " y", "x" * 63), ("2nd demo", "2nd_demo"))
    ),
    Case("an own name of nothing legal", custom("演示"), Reason.INVALID_VALUE),
    Case("an own name that is a standard one", custom("Order created"), Reason.INVALID_VALUE),
    Case("a configured name", event("donate"), {f"{E}.custom_event_name": "Gift-1"}, {"custom_events": {"donate": "Gift-1"}}),
    Case("of an own event", custom("演示"), {f"{E}.custom_event_name": "demo"}, {"custom_events": {"演示": "demo"}}),
    Case("a standard event has no own name", event(), {f"{E}.custom_event_name": GONE, f"{D}.type": "contents"}),
    *(
        Case(f"data of {canonical}", event(canonical), {f"{D}.type": kind, f"{D}.contents": GONE, f"{D}.amount": 14997})
        for canonical, kind in (("generate_lead", "customer_action"), ("sign_up", "customer_action"),
                                ("schedule", "customer_action"))
    ),
    Case("a plan", event("subscribe", properties={"plan_id": "gold"}), {f"{D}.type": "plan_enrollment", f"{D}.plan_id": "gold"}),
    Case("a plan of a custom event", event("donate", properties={"plan_id": "gold"}), {f"{D}.plan_id": "gold"}),
    Case("a plan that is no text", event("subscribe", properties={"plan_id": 5}), {f"{D}.plan_id": GONE}),
    Case("an order has no plan", event(properties={"plan_id": "gold"}), {f"{D}.plan_id": GONE}),
    Case("an app", event("app_install", **APP), {f"{E}.type": "app_installed", f"{E}.action_source": "mobile_app",
         f"{D}.type": "customer_action", f"{E}.source_url": GONE}),
    # sources
    *(
        Case(f"{source} is {wire}", event(action_source=source), {f"{E}.action_source": wire, f"{E}.source_url": GONE})
        for source, wire in (("app", "mobile_app"), ("physical_store", "physical_store"), ("phone_call", "phone_call"),
                             ("email", "email"), ("system_generated", "offline"), ("chat", "other"), ("other", "other"))
    ),
    *(
        Case(f"page {url}", event(source_url=url), {f"{E}.source_url": wire} if wire else Reason.INVALID_VALUE)
        for url, wire in (
            ("https://shop.example.com/a/b?mail=x#top", "https://shop.example.com/a/b"), ("http://shop.example.com", "http://shop.example.com"),
            ("https://u:p@shop.example.com:8443/ä?q", "https://shop.example.com:8443/ä"), ("/thanks", ""), ("shop", ""),
            ("ftp://x.example/", ""), ("https://[::1", ""), ("https://", ""),
        )
    ),
    Case("a website event has a page", event(source_url=None), Reason.MISSING_FIELD),
    Case("an empty page is none", event(source_url=""), Reason.MISSING_FIELD),
    # the person
    Case("every e-mail and phone, best first, invalid ones dropped",
         event(emails=[" B.b+1@x.com", "nobody", "a@x.com"], phones=["0", "(415) 555-2671", "+49 30 901820"]),
         {f"{U}.emails_sha256": [sha("b.b+1@x.com"), sha("a@x.com")],
          f"{U}.phone_numbers_sha256": [sha("14155552671"), sha("4930901820")]}),
    Case("already hashed", event(emails=[DIGEST.upper()], city=DIGEST), {f"{U}.emails_sha256": [DIGEST], f"{U}.cities": GONE}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]),
         {f"{U}.emails_sha256": GONE, f"{U}.phone_numbers_sha256": GONE}),
    Case("unicode and the rest of the person",
         event(first_name=" Mary  Ann", last_name="O'Brien-Ñ", city=" Bad Homburg v. d. Höhe", region="Hessen", country="DE",
               postal_code=" EC1A 1BB", user_id=" Cust 42 ", gender="male", date_of_birth="1988-02-09"),
         {f"{U}.first_names_sha256": [sha("maryann")], f"{U}.last_names_sha256": [sha("obrienñ")],
          f"{U}.cities": ["bad homburg v. d. höhe"], f"{U}.regions": ["hessen"], f"{U}.countries": ["DE"],
          f"{U}.postal_codes": ["EC1A 1BB"], f"{U}.external_ids_sha256": [sha("Cust 42")]}),
    Case("no browser's own id", event(user_id=None), {f"{U}.external_ids_sha256": GONE}),
    Case("a postal code with other characters", event(postal_code="12/34"), {f"{U}.postal_codes": GONE}),
    Case("a city that is too long", event(city="x" * 129), {f"{U}.cities": GONE}),
    Case("address, browser and references as they are",
         event(click_ids={"oppref": click("oPp-_9")}, browser_ids={"__oppref": "cookie", "__obref": "oB"}),
         {f"{E}.oppref": "oPp-_9", f"{U}.obref": "oB", f"{U}.ip_address": "203.0.113.7", f"{U}.user_agent": "Mozilla/5.0"}),
    Case("the cookie of the click", event(click_ids={}, browser_ids={"__oppref": "cookie"}), {f"{E}.oppref": "cookie"}),
    Case("an Android device", event("app_open", **APP, device={"os": "Android", "advertising_id": UUID}),
         {f"{U}.android_advertising_id": UUID}),
    Case("no UUID", event("app_open", **APP, device={"os": "Android", "advertising_id": "AB-1"}),
         {f"{U}.android_advertising_id": GONE}),
    Case("an iPhone", event("app_open", **APP, device={"os": "iOS", "advertising_id": UUID}),
         {f"{U}.android_advertising_id": GONE}),
    Case("tracking limited", event("app_open", **APP, device={"os": "Android",
         "advertising_id": "00000000-0000-0000-0000-000000000000"}), {f"{U}.android_advertising_id": GONE}),
    Case("nobody", only(), Reason.NO_IDENTIFIER),
    Case("a click alone", only(click_ids={"oppref": click("c")}), {f"{E}.oppref": "c", U: GONE}),
    Case("an address alone", only(ip_address="203.0.113.7"), {f"{U}.ip_address": "203.0.113.7"}),
    Case("a browser's own id is not sent", only(anonymous_id="a"), Reason.NO_IDENTIFIER),
    # contents
    Case("items", event(contents=[{"id": 7, "quantity": 2, "price": "9.5", "brand": "B"}, {"name": "no id"}, {"id": "B"}]),
         {f"{D}.contents": [{"id": "7", "quantity": 2, "amount": 950, "currency": "USD"}, {"id": "B"}]}),
    # privacy
    Case("nobody opted out", event(), {f"{E}.opt_out": False}),
    Case("opted out of sale", event(opt_out_of_sale=True), {f"{E}.opt_out": True}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {f"{E}.opt_out": True}),
    Case("opted out in a store", event(opt_out_of_sale=True, action_source="physical_store"), {f"{E}.opt_out": True}),
    Case("a test", event(), {"json.validate_only": True}, {"validate_only": True}),
    Case("no test", event(), {"json.validate_only": GONE}),
]  # fmt: skip


def done(number: Any, status: int = 200, **more: Any) -> Response:
    return answer(status, {"accepted_events": number, **more})


def error(status: int, message: Any = "words") -> Response:
    return answer(status, {"error": {"message": message}})


def says(response: Response, count: int) -> Said:
    """2xx with a JSON object that names no error: all of them, and `accepted_events` is their number if it is there. 400,
    413 and 422 store nothing and name no event; a page is not the API's."""
    body, page = object_of(response.body), response.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"
    if response.status in (400, 413, 422):
        return Said(refused=response.status == 413 or not page)
    number = body.get("accepted_events", count)
    good = 200 <= response.status <= 299 and body and "error" not in body and whole(number) and number == count
    return Said(every(count)) if good else NOTHING


def successes(count: int) -> list[Response]:
    return [done(count), done(count, 202), answer(200, {"request_id": "req-1"})]


BOTH = [State.ACCEPTED] * 2
ANSWERS = [
    Answer("success", done(2), Kind.SETTLED, outcomes=BOTH),
    Answer("taken for later", done(2, 202), Kind.SETTLED, outcomes=BOTH),
    Answer("no number", answer(200, {"request_id": "req-1"}), Kind.SETTLED, outcomes=BOTH),
    Answer("a test does not count", done(2), Kind.SETTLED, outcomes=[(State.WITHHELD, "test_mode")] * 2,
           config={"validate_only": True}),
    *(
        Answer(f"accepted_events {number!r}", done(number), Kind.TRANSIENT, maybe_stored=True)
        for number in (1, 3, "2", 2.0, None, True)
    ),
    Answer("success and an error", done(2, error={"message": "words"}), Kind.TRANSIENT, maybe_stored=True),
    Answer("an empty answer", answer(202), Kind.TRANSIENT, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    *(Answer(f"{status}", error(status), Kind.REFUSED, code=f"http_{status}", words="words") for status in (400, 413, 422)),
    Answer("a refusal without words", answer(422), Kind.REFUSED, code="http_422"),
    Answer("a proxy's 400", answer(400, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("a proxy's 413", answer(413, HTML), Kind.REFUSED),
    *(Answer(f"{status}", error(status), Kind.AUTH, code=f"http_{status}", words="words") for status in (401, 403)),
    Answer("404", error(404, {"a": 1}), Kind.CONFIGURATION, code="http_404"),
    *(Answer(f"{status}", error(status), Kind.TRANSIENT, maybe_stored=True) for status in (408, 425, 500, 502, 503, 504)),
    Answer("a gateway's page", answer(502, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("too many", error(429), Kind.RATE_LIMITED, wait=timedelta(seconds=10), words="words"),
    Answer("with its wait", answer(429, retry_after="30"), Kind.RATE_LIMITED, wait=minutes(0.5)),
    Answer("302", answer(302, location="/x"), Kind.TRANSIENT, maybe_stored=True),
]  # fmt: skip

AT_SANDBOX = [
    Struck("one bad event", [{"kind": "reject_event", "match": "order-00007"}], {State.REJECTED: 1}, "http_400"),
    Struck("three bad events", [{"kind": "reject_event", "match": f"order-0000{n}", "code": 422} for n in (1, 5, 9)],
           {State.REJECTED: 3}, "http_422"),
    Struck("another pixel", want={State.RETRY: 12}, code="http_404", failed=True, account={"pixel_id": "px_other"}),
    Struck("a pixel of others", want={State.RETRY: 12}, code="http_403", failed=True, account={"pixel_id": "px_foreign"}),
    Struck("a revoked key", [{"kind": "revoked_token"}], {State.RETRY: 12}, "http_401", True),
    Struck("a test", want={State.WITHHELD: 12}, code="test_mode", account={"validate_only": True}),
    Struck("throttled once", [{"kind": "rate_limit", "times": 1, "retry_after": 1}]),
]  # fmt: skip
