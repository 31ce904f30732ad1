"""Reddit Conversions API v3: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

import re
from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, NOW, Answer, Case, Struck, answer, click, event, sha

CONFIG = {"pixel_id": "a2_example", "conversion_token": "REDDIT-TOKEN", "user_agent": "capi-pipeline/1.0"}
E = "json.data.events[0]"
U, M = f"{E}.user", f"{E}.metadata"
NAME_AT = f"{E}.type"
TESTING = {"test_id": "t2_1"}
OWN = (
    "view_item_list", "begin_checkout", "add_payment_info", "qualify_lead", "close_convert_lead", "start_trial", "subscribe",
    "contact", "schedule", "submit_application", "find_location", "customize_product", "donate", "download", "app_install",
    "app_open",
)  # fmt: skip
STANDARD = {
    "page_view": "PAGE_VISIT", "view_item": "VIEW_CONTENT", "search": "SEARCH", "add_to_wishlist": "ADD_TO_WISHLIST",
    "add_to_cart": "ADD_TO_CART", "purchase": "PURCHASE", "generate_lead": "LEAD", "sign_up": "SIGN_UP",
}  # fmt: skip
NAMES: dict[str, dict[str, str] | Reason] = {
    **{canonical: {"tracking_type": wire} for canonical, wire in STANDARD.items()},
    **{canonical: {"tracking_type": "CUSTOM", "custom_event_name": canonical} for canonical in OWN},
    "custom": {"tracking_type": "CUSTOM", "custom_event_name": "Demo Booked"},
    "refund": Reason.UNSUPPORTED_EVENT,
}
MINIMAL = Reason.NO_IDENTIFIER

PHONE = {
    "os": "iOS",
    "advertising_id": "aebe52e7-03EE-455A-b3c4-e57283966239",
    "screen_width": 390,
    "screen_height": 844,
}
SCREEN = {"screen_width": 390, "screen_height": 844}


def only(**known: Any) -> dict[str, Any]:
    return event("contact", **{**NOBODY, **known})


def app(device: Any = PHONE, **changes: Any) -> dict[str, Any]:
    return event("app_open", action_source="app", device=device, **changes)


def opted_out(**changes: Any) -> dict[str, Any]:
    return event(opt_out_of_sale=True, **changes)


def ldu(country: str, **more: str) -> dict[str, Any]:
    return {f"{U}.data_processing_options": {"modes": ["LDU"], "country": country, **more}}


CASES = [
    Case("where it goes", event(), {"method": "POST",
         "url": "https://ads-api.reddit.com/api/v3/pixels/a2_example/conversion_events", "params": {},
         "headers": {"Content-Type": "application/json", "User-Agent": "capi-pipeline/1.0",
                     "Authorization": "Bearer REDDIT-TOKEN"}}),
    Case("a name of our own", event(), {"headers.User-Agent": "acme-shop/2"}, {"user_agent": "acme-shop/2"}),
    Case("13 digits, cut", event(event_time="2026-10-01T13:59:59.999900Z"), {f"{E}.event_at": 1790863199999}),
    Case("a clock that is 5 minutes ahead", event(event_time=NOW + minutes(5)), {f"{E}.event_at": 1790870700000}),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{M}.value": 12000, f"{M}.currency": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{M}.value": 12.345, f"{M}.currency": "KWD"}),
    Case("a value of nothing is a value", event(value=0), {f"{M}.value": 0}),
    # names and what goes with them
    Case("64 characters", event("custom", custom_event_name="Ä" * 70), {f"{E}.type.custom_event_name": "Ä" * 64}),
    *(
        Case(f"{name} has {'a' if wanted else 'no'} value", event(name, value=5), {f"{M}.value": 5 if wanted else GONE,
             f"{M}.currency": "USD" if wanted else GONE})
        for name, wanted in (("page_view", False), ("view_item", False), ("search", False), ("add_to_wishlist", True),
                             ("generate_lead", True), ("sign_up", True), ("contact", True), ("custom", True))
    ),
    *(
        Case(f"{name} has {'a' if wanted else 'no'} count", event(name), {f"{M}.item_count": 2 if wanted else GONE})
        for name, wanted in (("page_view", False), ("view_item", False), ("generate_lead", False), ("sign_up", False),
                             ("purchase", True), ("add_to_cart", True), ("add_to_wishlist", True), ("contact", True))
    ),
    Case("items", event("view_item", contents=[{"id": 7, "quantity": 2, "price": "9.5", "brand": "B"}, {"name": "no id"}]),
         {f"{M}.products": [{"id": "7", "quantity": 2, "item_price": 9.5}], f"{M}.conversion_id": "evt-1"}),
    Case("no items", event(contents=[]), {f"{M}.products": GONE, f"{M}.item_count": GONE}),
    Case("what Reddit has no field for", event("search", search_term="shoe", tax=1, coupon="C", referrer_url="https://x.example"),
         {f"{M}.search_term": GONE, f"{M}.coupon": GONE, f"{E}.referrer_url": GONE}),
    # sources
    Case("a website", event(), {f"{E}.action_source": "WEBSITE", f"{E}.event_source_url": "https://shop.example.com/thanks",
         f"{E}.click_id": "click-rdt_cid", f"{U}.click_id": GONE}),
    Case("an app", app(), {f"{E}.action_source": "APP", f"{E}.event_source_url": GONE, f"{E}.click_id": "click-rdt_cid",
         f"{U}.idfa": sha("AEBE52E7-03EE-455A-B3C4-E57283966239"), f"{U}.aaid": GONE,
         f"{U}.screen_dimensions": {"width": 390, "height": 844}}),
    Case("an app on Android", app({"os": "Android", "advertising_id": "AB-1c"}), {f"{U}.aaid": sha("ab-1c"), f"{U}.idfa": GONE}),
    Case("an app on another system", app({"os": "Tizen", "advertising_id": "AB-1c"}), {f"{U}.aaid": GONE, f"{U}.idfa": GONE}),
    Case("tracking limited", app({**PHONE, "advertising_id": "00000000-0000-0000-0000-000000000000"}), {f"{U}.idfa": GONE}),
    Case("no device ids on the web", event(device=PHONE), {f"{U}.idfa": GONE, f"{U}.screen_dimensions.width": 390}),
    *(
        Case(f"{source}: a person and nothing else",
             event(action_source=source, browser_ids={"rdt_uuid": "1.u"}, device=PHONE),
             {f"{E}.action_source": wire, f"{E}.click_id": GONE, f"{E}.event_source_url": GONE,
              U: {"email": sha("janedoe@example.com"), "phone_number": sha("+14155552671"), "external_id": sha("cust-42")}})
        for source, wire in (("physical_store", "PHYSICAL_STORE"), ("phone_call", "OTHER"), ("chat", "OTHER"),
                             ("email", "OTHER"), ("system_generated", "OTHER"), ("other", "OTHER"))
    ),
    # the person
    Case("the best e-mail and phone", event(emails=["nobody", " Al.ice$+Apple@Example.Com", "b@x.com"],
         phones=["0", "(415) 555-2671"]), {f"{U}.email": sha("alice@example.com"), f"{U}.phone_number": sha("+14155552671")}),
    Case("already hashed", event(emails=[DIGEST.upper()], user_id=DIGEST), {f"{U}.email": DIGEST, f"{U}.external_id": DIGEST}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]), {f"{U}.email": GONE, f"{U}.phone_number": GONE}),
    Case("own ids keep their case", event(user_id=" CUST 42 "), {f"{U}.external_id": sha("CUST 42")}),
    Case("a browser's own id where there is no other", event(user_id=None), {f"{U}.external_id": sha("anon-9f2c")}),
    Case("the cookie as it is", event(browser_ids={"rdt_uuid": "1790000000000.3f2b9a52-AbC"}),
         {f"{U}.uuid": "1790000000000.3f2b9a52-AbC", f"{U}.ip_address": "203.0.113.7", f"{U}.user_agent": "Mozilla/5.0"}),
    Case("half a screen is none", event(device={"screen_width": 390}), {f"{U}.screen_dimensions": GONE}),
    *(
        Case(f"{title} is enough", only(**known), {NAME_AT: NAMES["contact"]})
        for title, known in {
            "a click": {"click_ids": {"rdt_cid": click("c")}}, "a cookie": {"browser_ids": {"rdt_uuid": "1.u"}},
            "an e-mail": {"emails": ["a@x.com"]}, "a phone": {"phones": ["+14155552671"]}, "an own id": {"user_id": "u"},
            "a device": {"action_source": "app", "device": PHONE},
            "a screen with address and browser": {"ip_address": "203.0.113.7", "user_agent": "UA", "device": SCREEN},
        }.items()
    ),
    Case("an address and a browser are not", only(ip_address="203.0.113.7", user_agent="UA"), Reason.NO_IDENTIFIER),
    Case("a click is nothing in a store", only(action_source="physical_store", click_ids={"rdt_cid": click("c")}),
         Reason.NO_IDENTIFIER),
    Case("a name is not", only(first_name="Jane", last_name="Doe", city="Berlin"), Reason.NO_IDENTIFIER),
    # privacy
    Case("nobody opted out", event(), {f"{U}.data_processing_options": GONE}),
    Case("opted out in California", opted_out(region="CA"), ldu("US", region="US-CA")),
    Case("by where the choice was made", opted_out(country="DE", privacy_country="US", privacy_region="ri"),
         ldu("US", region="US-RI")),
    Case("ISO 3166-2", opted_out(region="US-NY"), ldu("US", region="US-NY")),
    Case("a region that is no code", opted_out(region="California"), ldu("US")),
    Case("another country", opted_out(country="DE", region="HE"), ldu("DE")),
    Case("opted out in a store", opted_out(region="CA", action_source="physical_store"), ldu("US", region="US-CA")),
    Case("no country", opted_out(country=None), Reason.OPTED_OUT),
    Case("no personalisation", event(consent_ad_personalization="denied", country="DE"), ldu("DE")),
    Case("no personalisation and no country", event(consent_ad_personalization="denied", country=None),
         {f"{U}.data_processing_options": GONE}),
    Case("a test", event(), {"json.data.test_id": "t2_test"}, {"test_id": "t2_test"}),
    Case("no test", event(), {"json.data.test_id": GONE, "json.data.partner": GONE}),
]  # fmt: skip


def done(number: Any, **more: Any) -> Response:
    return answer(200, {"data": {"message": f"Successfully processed {number} conversion events."}, **more})


def error(status: int, message: Any = "words", **more: Any) -> Response:
    return answer(status, {"error": {"code": status, "message": message, **more}})


def says(response: Response, count: int) -> Said:
    """200 `{"data": {"message": "Successfully processed N conversion events."}}` with some N; a 400 with the error's words
    stored nothing, and names no event."""
    body = object_of(response.body)
    error, data = body.get("error"), body.get("data")
    if response.status == 400:
        error = error if isinstance(error, dict) else {}
        listed = error["invalid_events"] if isinstance(error.get("invalid_events"), list) else []
        words = [error.get("message"), *(one.get("error_message") for one in listed if isinstance(one, dict))]
        return Said(refused=any(isinstance(word, str) and word for word in words))
    message = data.get("message") if isinstance(data, dict) else None
    found = (
        re.match(r"Successfully processed ([0-9]{1,9}) conversion event", message) if isinstance(message, str) else None
    )
    return Said(every(count)) if response.status == 200 and "error" not in body and found and int(found[1]) else NOTHING


def successes(count: int) -> list[Response]:
    return [done(count), answer(200, {"data": {"message": f"Successfully processed {count} conversion event."}})]


BOTH = [State.ACCEPTED] * 2
INVALID = "There were 1 invalid conversion events. None were processed."
ANSWERS = [
    Answer("success", done(2), Kind.SETTLED, outcomes=BOTH),
    Answer("another number is said", done(1), Kind.SETTLED, outcomes=BOTH, words="processed 1 conversion"),
    Answer("none", done(0), Kind.TRANSIENT, maybe_stored=True),
    Answer("a test does not count", done(2), Kind.SETTLED, outcomes=[(State.WITHHELD, "test_mode")] * 2,
           config={"test_id": "t2_test"}),
    Answer("success and an error", done(2, error={"code": 400, "message": "words"}), Kind.TRANSIENT, maybe_stored=True),
    *(
        Answer(f"success of {body}", answer(200, body), Kind.TRANSIENT, maybe_stored=True)
        for body in ({}, {"data": None}, {"data": {}}, {"data": {"message": "ok"}}, {"data": {"message": 2}},
                     {"data": {"message": "Successfully processed many conversion events."}},
                     {"message": "Successfully processed 2 conversion events."})
    ),
    Answer("an invalid event", error(400, INVALID), Kind.REFUSED, code="400", words="None were processed"),
    Answer("with its words", error(400, INVALID, invalid_events=[{"error_message": "event_at is too old"}]), Kind.REFUSED,
           words="event_at is too old"),
    Answer("a bad request", error(400, "Bad Request"), Kind.REFUSED, words="Bad Request"),
    Answer("400 without words", answer(400, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("no token", error(401, "No bearer token provided"), Kind.AUTH, words="No bearer token"),
    Answer("no right to the pixel", error(403, reason="PERMISSION_DENIED"), Kind.AUTH, code="403"),
    Answer("no such pixel", error(404), Kind.CONFIGURATION, code="404"),
    Answer("no such path", answer(404), Kind.CONFIGURATION, code="http_404"),
    Answer("a gateway's 404", answer(404, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("too many", error(429), Kind.RATE_LIMITED, code="429"),
    Answer("with its wait", answer(429, retry_after="30"), Kind.RATE_LIMITED, wait=minutes(0.5)),
    *(Answer(f"{status}", error(status), Kind.TRANSIENT, maybe_stored=True) for status in (500, 502, 503, 504)),
    Answer("a gateway's page", answer(502, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("no code", answer(400, {"error": {"message": "words"}}), Kind.REFUSED, code="http_400"),
    Answer("a code of text", error(400, code="BAD_REQUEST"), Kind.REFUSED, code="BAD_REQUEST"),
]  # fmt: skip

AT_SANDBOX = [
    Struck("one bad event", [{"kind": "reject_event", "match": "order-00007"}], {State.REJECTED: 1}, "400"),
    Struck("three bad events", [{"kind": "reject_event", "match": f"order-0000{n}"} for n in (1, 5, 9)],
           {State.REJECTED: 3}, "400"),
    Struck("another pixel", want={State.RETRY: 12}, code="404", failed=True, account={"pixel_id": "a2_other"}),
    Struck("a pixel of others", want={State.RETRY: 12}, code="403", failed=True, account={"pixel_id": "a2_foreign"}),
    Struck("an expired token", [{"kind": "expired_token"}], {State.RETRY: 12}, "401", True),
    Struck("a library's name", want={State.RETRY: 12}, code="429", failed=True, account={"user_agent": "python-requests/2.32"}),
    Struck("a test", want={State.WITHHELD: 12}, code="test_mode", account={"test_id": "t2_sandbox"}),
    Struck("throttled once", [{"kind": "rate_limit", "times": 1}]),
]  # fmt: skip
