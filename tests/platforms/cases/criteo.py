"""Criteo: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

import hashlib
from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, event, sha

CONFIG = {
    "partner_id": "12345",
    "caller_id": "70",
    "event_names": {"sign_up": "login", "Demo Booked": "demo"},
    "max_event_age_minutes": 1440,
}
NAME_AT = "json.events[0].event"
UNNAMED = (
    "add_to_wishlist", "generate_lead", "qualify_lead", "close_convert_lead", "start_trial", "subscribe", "contact", "schedule",
    "submit_application", "find_location", "customize_product", "donate", "download", "app_install", "app_open",
)  # fmt: skip
NAMES: dict[str, str | Reason] = {
    "page_view": "viewPage", "view_item": "viewItem", "view_item_list": "viewList", "search": "viewList",
    "add_to_cart": "addToCart", "begin_checkout": "beginCheckout", "add_payment_info": "addPaymentInfo",
    "purchase": "trackTransaction", "sign_up": "login", "custom": "demo", "refund": Reason.UNSUPPORTED_EVENT,
    **dict.fromkeys(UNNAMED, Reason.NOT_CONFIGURED),
}  # fmt: skip
MINIMAL = Reason.MISSING_FIELD
CLEAR = ("anon-9f2c",)

E, P = "json.events[0]", "json.id"
TABLET = "Mozilla/5.0 (Linux; Android 15; SM-X910) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"
PHONE = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36"
AGENTS = {
    TABLET: "t", PHONE: "m", "Mozilla/5.0 (iPad; CPU OS 18_5)": "t", "Opera Tablet": "t", "Mozilla/5.0 (iPod touch)": "m",
    "Mozilla/5.0 (iPhone; Mobile/15E148)": "m", "Opera Mobi": "m", "Mozilla/5.0 (Windows NT 10.0)": "d", "": "d",
}  # fmt: skip
MANY = [{"id": f"S{number}", "price": number, "quantity": 1} for number in range(5)]
MAPPED: dict[str, Any] = {**NOBODY, "browser_ids": {"crto_mapped_user_id": "GUM-1"}}


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def hashes(address: str) -> dict[str, str]:
    return {"md5": md5(address), "sha256": sha(address), "sha256_md5": sha(md5(address))}


CASES = [
    Case("everything", event(browser_ids={"crto_mapped_user_id": "GUM-1", "criteo_page_view_id": "PV-1"},
         referrer_url="https://x.example/"), {
        "method": "POST", "url": "https://widget.criteo.com/m/event", "params": {"version": "s2s_v0"},
        "headers": {"Content-Type": "application/json"},
        "json": {
            "account": "12345", "version": "s2s_v1.0.0", "site_type": "d", "ip": "203.0.113.7", "useragent": "Mozilla/5.0",
            "full_url": "https://shop.example.com/thanks", "previous_url": "https://x.example/",
            "retailer_visitor_id": "anon-9f2c",
            "id": {"mapping_key": "70", "mapped_user_id": "GUM-1", "email": hashes("jane.doe@example.com")},
            "events": [{"event": "trackTransaction", "timestamp": "2026-10-01T14:00:00Z", "id": "ORD-1", "currency": "USD",
                        "item": [{"id": "SKU-1", "price": 50, "quantity": 2}], "deduplication_page_view_id": "PV-1"}],
        }}),
    Case("seconds in UTC, cut", event(event_time="2026-10-01T14:00:00.999+02:00"), {f"{E}.timestamp": "2026-10-01T12:00:00Z"}),
    Case("no caller id", event(), {f"{P}.mapping_key": GONE}, {"caller_id": None}),
    # names
    *(
        Case(f"the home page {page}", event("page_view", source_url=page), {NAME_AT: "viewHome", f"{E}.item": GONE})
        for page in ("https://shop.example.com", "https://shop.example.com/", "https://shop.example.com/?a=/b",
             "//shop.example/#c")
    ),
    *(
        Case(f"another page {page!r}", event("page_view", source_url=page), {NAME_AT: "viewPage"})
        for page in ("https://shop.example.com/a", "https://shop.example.com//", "http://[::1/x", "shop", "", None)
    ),
    Case("an own name wins", event(), {NAME_AT: "sale", f"{E}.item": GONE, f"{E}.id": GONE},
         {"event_names": {"purchase": "sale"}}),
    Case("an own name with Criteo's rules", event("start_trial", transaction_id=None), Reason.MISSING_FIELD,
         {"event_names": {"start_trial": "trackTransaction"}}),
    Case("a custom event without a name", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("a refund that has one", event("refund"), Reason.UNSUPPORTED_EVENT, {"event_names": {"refund": "r"}}),
    *(
        Case(f"{source} goes elsewhere", event(action_source=source), Reason.UNSUPPORTED_EVENT)
        for source in ("app", "physical_store", "phone_call", "chat", "email", "system_generated", "other")
    ),
    # products
    Case("one product", event("view_item"), {f"{E}.item": "SKU-1", f"{E}.currency": GONE}),
    Case("up to three", event("view_item_list", contents=MANY), {f"{E}.item": ["S0", "S1", "S2"]}),
    Case("a search", event("search", search_term="shoe"), {f"{E}.keywords": "shoe", f"{E}.item": ["SKU-1"]}),
    Case("no search", event("view_item_list", search_term="shoe"), {f"{E}.keywords": GONE}),
    *(
        Case(f"lines of {name}", event(name, contents=[{"id": 7, "price": "9.5"}, {"name": "no id"}], value=12000,
             currency="JPY"),
             {f"{E}.item": [{"id": "7", "price": 9.5, "quantity": 1}], f"{E}.currency": "JPY"})
        for name in ("add_to_cart", "begin_checkout", "purchase")
    ),
    Case("a price of nothing is a price", event(contents=[{"id": "a", "price": 0}]), {f"{E}.item[0].price": 0}),
    Case("a price of three decimals", event(contents=[{"id": "a", "price": "12.345"}], currency="KWD"),
         {f"{E}.item[0].price": 12.345}),
    Case("no price", event(contents=[{"id": "a"}]), Reason.MISSING_FIELD),
    *(
        Case(f"{name} needs products", event(name, contents=[]), Reason.MISSING_FIELD)
        for name in ("view_item", "view_item_list", "search", "add_to_cart", "begin_checkout", "purchase")
    ),
    Case("payment needs none", event("add_payment_info", contents=[]), {NAME_AT: "addPaymentInfo"}),
    *(Case(f"a sale needs its order: {order!r}", event(transaction_id=order), Reason.MISSING_FIELD) for order in (None, "")),
    Case("no other event has one", event("add_to_cart"), {f"{E}.id": GONE}),
    # the person
    *(Case(f"site type of {agent[:40]!r}", event(user_agent=agent), {"json.site_type": kind}) for agent, kind in AGENTS.items()),
    Case("the first valid address, without a rule for Gmail",
         event(emails=["nobody", "  Jürgen.Müller+News@GoogleMail.com ", "a@x.com"]),
         {f"{P}.email": hashes("jürgen.müller+news@googlemail.com")}),
    Case("already hashed", event(emails=[DIGEST.upper()]), {f"{P}.email": {"sha256": DIGEST}}),
    Case("hashes of two addresses are not mixed", event(emails=[DIGEST, "a@x.com"]), {f"{P}.email": {"sha256": DIGEST}}),
    Case("the same address twice", event(emails=["jane.doe@example.com", DIGEST]),
         {f"{P}.email": hashes("jane.doe@example.com")}),
    Case("the digest of nothing", event(emails=[sha("")]), Reason.NO_IDENTIFIER),
    Case("Criteo's id is enough", event(**MAPPED), {P: {"mapping_key": "70", "mapped_user_id": "GUM-1"}}),
    Case("an address of the network and a visitor are not", event(**{**NOBODY, "ip_address": "203.0.113.7", "anonymous_id": "a"}),
         Reason.NO_IDENTIFIER),
    Case("a phone and a customer id are no use", event(**{**NOBODY, "phones": ["+14155552671"], "user_id": "u"}),
         Reason.NO_IDENTIFIER),
    Case("a hashed visitor is none", event(anonymous_id=DIGEST), {"json.retailer_visitor_id": GONE}),
    Case("IPv6", event(ip_address="2001:db8::1"), {"json.ip": "2001:db8::1"}),
    # privacy and age
    Case("who opted out at Criteo", event(browser_ids={"crto_is_user_optout": "true"}), Reason.OPTED_OUT),
    Case("who did not", event(browser_ids={"crto_is_user_optout": "false"}), {NAME_AT: "trackTransaction"}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "trackTransaction"}),
    Case("an hour by default", event(event_time="2026-10-01T15:00:00Z"), {NAME_AT: "trackTransaction"},
         {"max_event_age_minutes": 60}),
    Case("a minute too old", event(), Reason.TOO_OLD, {"max_event_age_minutes": 119}),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """200 `{"errors": [], "warnings": []}`, either of them missing; errors are about the event, unless they name the account.
    400, 404 and 413 blame the event."""
    body, status = object_of(response.body), response.status
    if status in (400, 404, 413):
        return Said(refused=True)
    lists = [body.get("errors") or [], body.get("warnings") or []]
    fine = all(isinstance(listed, list) and all(isinstance(text, str) for text in listed) for listed in lists)
    if status != 200 or not fine or (not body and response.body.strip() != b"{}"):
        return NOTHING
    if not lists[0]:
        return Said(every(count)) if "error" not in body else NOTHING
    named = any(word in "; ".join(lists[0]).lower() for word in ("account", "partner"))
    return NOTHING if named else Said(blamed=every(count))


def successes(count: int) -> list[Response]:
    return [answer(200, {"errors": [], "warnings": []}), answer(200, {}), answer(200, {"warnings": ["Slow"]})]


TAKEN = [State.ACCEPTED]
LOST: dict[str, Any] = {"kind": Kind.TRANSIENT, "count": 1, "maybe_stored": True}
ANSWERS = [
    *(
        Answer(f"success {body}", answer(200, body), Kind.SETTLED, 1, TAKEN)
        for body in ({"errors": [], "warnings": []}, {}, {"errors": None}, {"warnings": []})
    ),
    Answer("a warning is no error", answer(200, {"errors": [], "warnings": ["Slow", "Old"]}), Kind.SETTLED, 1, TAKEN,
         words="Slow; Old"),
    Answer("refused in a 200", answer(200, {"errors": ["UserIdentifierMissing"], "warnings": []}), Kind.SETTLED, 1,
           [(State.REJECTED, "UserIdentifierMissing")]),
    Answer("with words", answer(200, {"errors": ["InvalidItem: no price", "x"]}), Kind.SETTLED, 1, [(State.REJECTED,
         "InvalidItem")],
           words="InvalidItem: no price; x"),
    Answer("an unknown account", answer(200, {"errors": ["Account 12345 not found"]}), Kind.CONFIGURATION, 1, code="Account"),
    Answer("errors of another type", answer(200, {"errors": "none"}), **LOST),
    Answer("an error that is none", answer(200, {"errors": [5]}), **LOST),
    Answer("another word for it", answer(200, {"error": "x"}), **LOST),
    Answer("a list", answer(200, b"[]"), **LOST),
    Answer("HTML", answer(200, HTML), **LOST),
    Answer("nothing", answer(200), **LOST),
    Answer("204", answer(204), **LOST),
    *(Answer(f"{s}", answer(s), Kind.REFUSED, 1, code=f"http_{s}") for s in (400, 404, 413)),
    *(Answer(f"{s}", answer(s), Kind.CONFIGURATION, 1, code=f"http_{s}") for s in (307, 308, 401, 403, 405)),
    Answer("too many requests", answer(429, retry_after="60"), Kind.RATE_LIMITED, 1, wait=minutes(1)),
    *(Answer(f"{s}", answer(s, HTML), code=f"http_{s}", **LOST) for s in (418, 500, 503)),
    Answer("a redirect that would lose the event", answer(302), **LOST),
]  # fmt: skip
REGION = "/criteo/eu/m/event?version=s2s_v0"
COUNTED_AGAIN = {"event_name": "add_to_cart"}

AT_SANDBOX = [
    Struck("the region of the account", [{"kind": "redirect", "status": 307, "location": REGION, "path": "/criteo/m/event"}]),
    Struck("a host that is not documented", [{"kind": "redirect", "status": 307, "location": "http://localhost:9/m/event"}],
           {State.RETRY: 12}, "http_307", failed=True),
    Struck("one event is refused", [{"kind": "reject_event", "match": '"id":"7"'}], {State.REJECTED: 1}, "UserIdentifierMissing"),
    Struck("all are refused, by another code", [{"kind": "reject_event", "code": "InvalidItem"}], {State.REJECTED: 12},
         "InvalidItem"),
    Struck("an unknown account", account={"partner_id": "9"}, want={State.RETRY: 12}, code="AccountNotFound", failed=True),
    Struck("events that are too old", account={"max_event_age_minutes": "5"}, want={State.WITHHELD: 12}, code="too_old"),
]  # fmt: skip
