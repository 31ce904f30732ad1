"""Axon by AppLovin: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

KEY = "11111111-2222-4333-8444-555555555555"
CONFIG = {"event_key": KEY, "conversion_api_key": "AXON-KEY"}
NAME_AT = "json.events[0].name"
TAKEN_NAMES = (
    "page_view", "view_item", "search", "add_to_cart", "begin_checkout", "add_payment_info", "purchase", "generate_lead",
    "sign_up", "subscribe", "app_open",
)  # fmt: skip
OTHER_NAMES = (
    "view_item_list", "add_to_wishlist", "qualify_lead", "close_convert_lead", "start_trial", "contact", "schedule",
    "submit_application", "find_location", "customize_product", "donate", "download", "app_install", "custom", "refund",
)  # fmt: skip
NAMES: dict[str, str | Reason] = {
    **{name: name for name in TAKEN_NAMES}, **dict.fromkeys(OTHER_NAMES, Reason.UNSUPPORTED_EVENT),
}  # fmt: skip
MINIMAL = Reason.MISSING_FIELD
CLEAR = ("cust-42", "anon-9f2c")

E = "json.events[0]"
U, D = f"{E}.user_data", f"{E}.data"
SEEN: dict[str, Any] = {**NOBODY, "ip_address": "203.0.113.7", "user_agent": "UA"}
APP: dict[str, Any] = {"action_source": "app", "device": {"os": "iOS", "advertising_id": "AEBE-1", "vendor_id": "V-1"}}
NO_MONEY: dict[str, Any] = {"value": None, "currency": None}
ITEM = {
    "item_id": "SKU-1",
    "item_name": "Shoe",
    "item_brand": "Acme",
    "item_category": "Shoes",
    "price": 50,
    "quantity": 2,
}


def page(url: str, **changes: Any) -> dict[str, Any]:
    return event(click_ids={}, source_url=url, **changes)


CASES = [
    Case("everything", event(tax="11.25"), {
        "method": "POST", "url": "https://b.applovin.com/v1/event", "params": {"pixel_id": KEY},
        "headers": {"Content-Type": "application/json", "Authorization": "AXON-KEY"},
        "json": {"events": [{
            "name": "purchase", "event_time": 1790863200000, "event_source_url": "https://shop.example.com/thanks",
            "dedupe_id": "evt-1",
            "user_data": {
                "email": DIGEST, "phone": sha("14155552671"), "user_id": "cust-42", "client_id": "anon-9f2c",
                "country_code": "US", "esi": "web", "client_ip_address": "203.0.113.7", "client_user_agent": "Mozilla/5.0",
                "aleid": "click-aleid", "alart": "click-alart"},
            "data": {"currency": "USD", "value": 149.97, "items": [ITEM], "transaction_id": "ORD-1", "tax": 11.25, "shipping": 0},
        }]}}),
    Case("milliseconds, cut", event(event_time="2026-10-01T13:59:59.9996Z"), {f"{E}.event_time": 1790863199999}),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{D}.value": 12000, f"{D}.currency": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{D}.value": 12.345}),
    Case("a value of nothing is a value", event(value=0), {f"{D}.value": 0}),
    # what each event carries
    Case("a page view has no data", event("page_view"), {D: None}),
    Case("an app that is opened neither", event("app_open"), {D: None, f"{U}.esi": "app"}),
    Case("a product", event("view_item"), {D: {"currency": "USD", "value": 149.97, "items": [ITEM]}}),
    Case("a cart without a value", event("add_to_cart", **NO_MONEY), {D: {"items": [ITEM]}}),
    Case("a checkout", event("begin_checkout"), {D: {"currency": "USD", "value": 149.97, "items": [ITEM]}}),
    Case("a payment", event("add_payment_info", properties={"payment_type": "credit_card"}),
         {D: {"payment_type": "credit_card"}}),
    Case("of an unknown kind", event("add_payment_info", properties={"payment_type": 5}), {D: {}}),
    Case("a lead", event("generate_lead"), {D: {"currency": "USD", "value": 149.97}}),
    Case("a search", event("search", search_term="shoe"), {D: {"search_term": "shoe", "results": [ITEM]}}),
    Case("without results", event("search", search_term="shoe", contents=[]), {D: {"search_term": "shoe"}}),
    Case("a sign-up", event("sign_up", properties={"method": "Google"}), {D: {"method": "Google"}}),
    Case("a subscription", event("subscribe", **NO_MONEY), {D: {}}),
    Case("items", event(contents=[{"id": 7, "variant": "blue"}, {"name": "no id"}, {"id": "b", "quantity": 0, "price": "9.50"}]),
         {f"{D}.items": [{"item_id": "7", "item_variant_id": "blue", "quantity": 1}, {"item_id": "b", "quantity": 0,
              "price": 9.5}]}),
    *(
        Case(f"{name} needs {', '.join(lacks)}", event(name, **lacks), Reason.MISSING_FIELD)
        for name, lacks in (
            ("purchase", {"transaction_id": None}), ("purchase", {"transaction_id": ""}), ("purchase", NO_MONEY),
            ("purchase", {"contents": []}), ("purchase", {"contents": [{"name": "no id"}]}), ("begin_checkout", NO_MONEY),
            ("begin_checkout", {"contents": []}), ("add_to_cart", {"contents": []}), ("view_item", {"contents": []}),
            ("generate_lead", NO_MONEY),
        )
    ),
    # the person
    *(
        Case(f"every event needs {column}: {value!r}", event("page_view", **{column: value}), Reason.MISSING_FIELD)
        for column in ("source_url", "ip_address", "user_agent") for value in (None, "")
    ),
    Case("an address of the network", event(ip_address="nowhere"), Reason.MISSING_FIELD),
    Case("IPv6", event(ip_address="2001:db8::1"), {f"{U}.client_ip_address": "2001:db8::1"}),
    *(Case(f"no full address: {url}", page(url), Reason.INVALID_VALUE) for url in ("shop.example.com/a", "/thanks", "https://")),
    Case("the first valid e-mail and phone, without a rule for Gmail",
         event(emails=["nobody", "  Jürgen.Müller+News@GoogleMail.com "], phones=["0", "030 901820"], country="DE"),
         {f"{U}.email": sha("jürgen.müller+news@googlemail.com"), f"{U}.phone": sha("4930901820"), f"{U}.country_code": "DE"}),
    Case("already hashed", event(emails=[DIGEST.upper()], user_id=DIGEST), {f"{U}.email": DIGEST, f"{U}.user_id": GONE}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]), {f"{U}.email": GONE, f"{U}.phone": GONE}),
    Case("own ids keep their case", event(user_id=" CUST 42 ", anonymous_id="AnoN"), {f"{U}.user_id": "CUST 42",
         f"{U}.client_id": "AnoN"}),
    Case("an own id of six characters", event(user_id="123456"), {f"{U}.user_id": "123456"}),
    Case("a shorter one is left out", event(user_id="12345"), {f"{U}.user_id": GONE}),
    Case("a postal code of the United States", event(postal_code=" 94105-1234"), {f"{U}.zip": "94105"}),
    Case("and of elsewhere", event(postal_code="EC1A 1bb ", country="GB"), {f"{U}.zip": "EC1A 1bb"}),
    *(
        Case(f"system {name}", event(device={"os": name}), {f"{U}.os": kind})
        for name, kind in (("iOS", "ios"), ("iPadOS", "ios"), ("Android", "android"), ("Windows", "desktop_os"), ("macOS",
             "desktop_os"),
                           ("Linux", "desktop_os"), ("Chrome OS", "desktop_os"), ("tvOS", GONE), ("", GONE))
    ),
    Case("a session", event(browser_ids={"ga_session_id": "1790863000"}), {f"{U}.sid": "1790863000"}),
    Case("an app", event(**APP), {f"{U}.esi": "app", f"{U}.ifa": "AEBE-1", f"{U}.idfv": "V-1"}),
    Case("device ids are of apps", event(device=APP["device"]), {f"{U}.esi": "web", f"{U}.ifa": GONE, f"{U}.idfv": GONE}),
    # Axon's own ids
    Case("the click before the cookie", event(browser_ids={"axeid": "C", "_axart": "A", "axwrt": "W"}),
         {f"{U}.aleid": "click-aleid", f"{U}.alart": "click-alart", f"{U}.axwrt": "W"}),
    Case("the cookies", event(click_ids={}, browser_ids={"_axeid": "C", "_axart": "A", "_axwrt": "W"}),
         {f"{U}.aleid": "C", f"{U}.alart": "A", f"{U}.axwrt": "W"}),
    Case("the page", page("https://shop.example.com/?a=1&aleid=A%2Db#x"), {f"{U}.aleid": "A-b"}),
    Case("a page without one", page("https://shop.example.com/?xaleid=A&b=aleid=C"), {f"{U}.aleid": GONE}),
    *(Case(f"{field} is enough", event(**{**SEEN, **changes}), {f"{U}.{field}": value}) for field, changes, value in (
        ("aleid", {"click_ids": {"aleid": click("A")}}, "A"), ("alart", {"click_ids": {"alart": click("A")}}, "A"),
        ("axwrt", {"browser_ids": {"axwrt": "W"}}, "W"), ("client_id", {"anonymous_id": "a"}, "a"),
        ("user_id", {"user_id": "123456"}, "123456"), ("email", {"emails": ["jane.doe@example.com"]}, DIGEST),
        ("phone", {"phones": ["+14155552671"]}, sha("14155552671")),
    )),
    Case("a short own id is not", event(**{**SEEN, "user_id": "12345"}), Reason.NO_IDENTIFIER),
    Case("nobody who was seen", event(**SEEN), Reason.NO_IDENTIFIER),
    # privacy
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "purchase"}),
    Case("opted out", event(opt_out_of_sale=True), Reason.OPTED_OUT),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """200: all taken, and nothing is documented of the body (a page, or an error, is none of Axon's). 400 (and 413, 422):
    nothing taken."""
    if response.status != 200:
        return Said(refused=response.status in (400, 413, 422))
    page = response.body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    return NOTHING if page or object_of(response.body).keys() & {"error", "errors"} else Said(every(count))


def successes(count: int) -> list[Response]:
    return [answer(200), answer(200, {}), answer(200, b"OK", content_type="text/plain")]


BOTH = [State.ACCEPTED] * 2
LOST: dict[str, Any] = {"kind": Kind.TRANSIENT, "maybe_stored": True}
ANSWERS = [
    *(Answer(f"success {body!r}", answer(200, body), Kind.SETTLED, outcomes=BOTH) for body in (b"", {}, {"status": "ok"}, b"OK")),
    Answer("a page in a 200", answer(200, HTML), **LOST),
    Answer("an error in a 200", answer(200, {"error": "x"}), **LOST),
    Answer("at least one event is invalid", answer(400, {"message": "invalid event"}), Kind.REFUSED, code="http_400",
           words="invalid event"),
    *(Answer(f"{status}", answer(status), Kind.REFUSED, code=f"http_{status}") for status in (400, 413, 422)),
    Answer("a wrong key", answer(401, {"message": "Unauthorized"}), Kind.AUTH, code="http_401", words="Unauthorized"),
    Answer("403", answer(403), Kind.AUTH, code="http_403"),
    Answer("a wrong address", answer(404), Kind.CONFIGURATION, code="http_404"),
    *(Answer(f"{status}", answer(status), Kind.RATE_LIMITED, code=f"http_{status}") for status in (408, 429)),
    Answer("with a wait", answer(429, retry_after="60"), Kind.RATE_LIMITED, wait=minutes(1)),
    *(Answer(f"{status}", answer(status, HTML), code=f"http_{status}", **LOST) for status in (500, 502, 503)),
    *(Answer(f"{status}", answer(status), **LOST) for status in (201, 202, 204, 302, 418)),
]  # fmt: skip
AT_SANDBOX = [
    Struck("one invalid event is found by halving", [{"kind": "reject_event", "match": '"order-00007"'}], {State.REJECTED: 1},
         "http_400"),
    Struck("all are invalid", [{"kind": "reject_event"}], {State.REJECTED: 12}, "http_400"),
    Struck("an expired key", [{"kind": "expired_token"}], {State.RETRY: 12}, "http_401", failed=True),
    Struck("the event key of another account", account={"event_key": KEY.replace("1", "9")}, want={State.RETRY: 12},
           code="http_401", failed=True),
]  # fmt: skip
