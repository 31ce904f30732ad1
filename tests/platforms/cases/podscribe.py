"""Podscribe server events: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, event, sha

CONFIG = {"advertiser": "acmeshoes", "user_id": "5f0c3f6e-2c77-4e0a-9d0b-1c2d3e4f5a6b"}
NAME_AT = "params.action"
NAMES: dict[str, str | Reason] = {
    **{name: name for name in EVENT_NAMES},  # as a custom action
    "page_view": "view", "view_item": "view", "view_item_list": "view", "sign_up": "signup", "generate_lead": "lead",
    "contact": "lead", "schedule": "lead", "submit_application": "lead", "purchase": "purchase", "app_install": "install",
    "custom": "Demo Booked", "refund": Reason.UNSUPPORTED_EVENT,
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER
CLEAR = ("anon-9f2c",)

P = "params"
LONG = "https://shop.example.com/?q=" + "ä" * 600  # each ä becomes six characters


def known(**changes: Any) -> dict[str, Any]:
    return event(**{**NOBODY, "ip_address": "203.0.113.7", **changes})


CASES = [
    Case("everything", event(referrer_url="https://x.example/", coupon="AUTUMN", customer_type="new"), {
        "method": "GET", "url": "https://verifi.podscribe.com/tag", "headers": {}, P: {
            "action": "purchase", "advertiser": "acmeshoes", "user_id": "5f0c3f6e-2c77-4e0a-9d0b-1c2d3e4f5a6b",
            "timestamp": "2026-10-01T14:00:00.000Z", "device_id": "anon-9f2c", "ip": "203.0.113.7",
            "user_agent": "Mozilla/5.0", "url": "https://shop.example.com/thanks", "referrer": "https://x.example/",
            "order_value": "149.97", "order_number": "ORD-1", "currency": "USD", "discount_code": "AUTUMN",
            "num_items_purchased": "2", "is_new_customer": "true", "hashed_email": DIGEST}}),
    Case("milliseconds, cut", event(event_time="2026-10-01T14:00:00.9999+02:00"), {f"{P}.timestamp": "2026-10-01T12:00:00.999Z"}),
    # names
    *(
        Case(f"a purchase by {source}", event(action_source=source), {NAME_AT: name})
        for source, name in (("physical_store", "offline_purchase"), ("phone_call", "offline_purchase"), ("app", "purchase"))
    ),
    Case("only a purchase is an offline one", event("generate_lead", action_source="phone_call"), {NAME_AT: "lead"}),
    Case("a name of the account", event("add_to_cart"), {NAME_AT: "cart"}, {"event_names": {"add_to_cart": "cart"}}),
    Case("a name of the account in a store", event(action_source="physical_store"), {NAME_AT: "sale"},
         {"event_names": {"purchase": "sale"}}),
    Case("an own event", event("custom", custom_event_name="Démo & more"), {NAME_AT: "Démo & more"}),
    Case("an own event by another name", event("custom"), {NAME_AT: "demo"}, {"event_names": {"Demo Booked": "demo"}}),
    Case("a refund that has a name", event("refund"), Reason.UNSUPPORTED_EVENT, {"event_names": {"refund": "refund"}}),
    # the account
    Case("no account user", event(), {f"{P}.user_id": GONE}, {"user_id": None}),
    # money
    *(
        Case(f"{value} {currency}", event(value=value, currency=currency), {f"{P}.order_value": text, f"{P}.currency": currency})
        for value, currency, text in (
            (12000, "JPY", "12000"), ("12.345", "KWD", "12.345"), ("149.9000", "USD", "149.9"), (0, "EUR", "0"),
        )
    ),
    Case("no value", event(value=None, currency=None), {f"{P}.order_value": GONE, f"{P}.currency": GONE}),
    Case("a negative value", event(value=-1), Reason.INVALID_VALUE),
    Case("pieces are of purchases", event("add_to_cart"), {f"{P}.num_items_purchased": GONE}),
    Case("a purchase of no items", event(contents=[]), {f"{P}.num_items_purchased": GONE}),
    # flags
    Case("a returning customer", event(customer_type="returning"), {f"{P}.is_new_customer": "false"}),
    Case("nobody knows", event(), {f"{P}.is_new_customer": GONE, f"{P}.is_subscription": GONE}),
    *(
        Case(f"subscription {value!r}", event(properties={"is_subscription": value}), {f"{P}.is_subscription": want})
        for value, want in ((True, "true"), (False, "false"), ("true", GONE), (1, GONE))
    ),
    # the person
    Case("IPv6", event(ip_address="2001:db8::ff00:42:8329"), {f"{P}.ip": "2001:db8::ff00:42:8329"}),
    *(
        Case(f"no address: {ip!r}", event(ip_address=ip), Reason.NO_IDENTIFIER)
        for ip in (None, "", "localhost", "203.0.113.256", DIGEST)
    ),
    Case("the first valid e-mail, by Gmail's rule", event(emails=["nobody", " Jane.Doe+News@GMail.com", "a@x.com"]),
         {f"{P}.hashed_email": sha("janedoe@gmail.com")}),
    Case("Gmail's other domain keeps both", event(emails=["Jane.Doe+News@GoogleMail.com"]),
         {f"{P}.hashed_email": sha("jane.doe+news@googlemail.com")}),
    Case("already hashed", event(emails=[DIGEST.upper()]), {f"{P}.hashed_email": DIGEST}),
    Case("the customer's id goes nowhere", event(anonymous_id=None), {f"{P}.device_id": GONE}, {"user_id": None}),
    Case("an address alone", known(source_url=None, transaction_id=None, value=None, currency=None, contents=[]),
         {P: {"action": "purchase", **CONFIG, "timestamp": "2026-10-01T14:00:00.000Z", "ip": "203.0.113.7"}}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "purchase"}),
    # the length of the address
    Case("what fits stays", event(source_url=LONG, referrer_url=LONG), {f"{P}.url": LONG, f"{P}.referrer": LONG}),
    Case("the referrer goes first", event(source_url=LONG, referrer_url=LONG * 2), {f"{P}.url": LONG, f"{P}.referrer": GONE}),
    Case("then the page", event(source_url=LONG * 3, referrer_url=LONG),
         {f"{P}.url": GONE, f"{P}.referrer": GONE, f"{P}.user_agent": "Mozilla/5.0"}),
    Case("a name that is too long", event("custom", custom_event_name="ä" * 1500), Reason.INVALID_VALUE),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """Any 2xx, whatever its body, unless that is a page; 400, 414 and 422 refuse the event."""
    page = response.body.removeprefix(b"\xef\xbb\xbf").strip()[:1] == b"<"
    if 200 <= response.status <= 299 and not page:
        return Said(every(count))
    return Said(refused=True) if response.status in (400, 414, 422) else NOTHING


def successes(count: int) -> list[Response]:
    return [answer(204), answer(200, b"GIF89a", content_type="image/gif"), answer(200)]


ANSWERS = [
    *(Answer(f"{status}", answer(status, b"GIF89a"), Kind.SETTLED, 1, [State.ACCEPTED]) for status in (200, 202, 204)),
    Answer("a page in a 200", answer(200, HTML), Kind.TRANSIENT, 1, maybe_stored=True),
    *(Answer(f"{status}", answer(status), Kind.REFUSED, 1, code=f"http_{status}") for status in (400, 414, 422)),
    *(Answer(f"{status}", answer(status), Kind.CONFIGURATION, 1, code=f"http_{status}") for status in (401, 403, 404)),
    *(Answer(f"{status}", answer(status), Kind.RATE_LIMITED, 1, code=f"http_{status}") for status in (408, 429)),
    Answer("429 with its wait", answer(429, retry_after="60"), Kind.RATE_LIMITED, 1, wait=minutes(1)),
    *(Answer(f"{s}", answer(s, HTML), Kind.TRANSIENT, 1, code=f"http_{s}", maybe_stored=True) for s in (500, 502, 503, 504)),
    *(Answer(f"{status}", answer(status), Kind.TRANSIENT, 1, maybe_stored=True) for status in (0, 100, 302, 418, 600)),
]  # fmt: skip

AT_SANDBOX = [
    *(
        Struck(f"{code} refuses one event", [{"kind": "reject_event", "code": code, "match": "browser-3"}],
               {State.REJECTED: 1}, code=f"http_{code}")
        for code in (400, 414, 422)
    ),
    Struck("another advertiser is answered like a good one", account={"advertiser": "other"}),
    Struck("a page in a 200 is held", [{"kind": "html", "times": 1}], {State.HELD: 1},
           code="unknown_without_deduplication"),
]  # fmt: skip
