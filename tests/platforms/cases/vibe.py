"""Vibe.co server-to-server conversions: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every
from tests.platforms.support import GONE, HTML, NOBODY, Answer, Case, Struck, answer, event

CONFIG = {"pixel_id": "AbC123"}
NAME_AT = "json.a"
NAMES: dict[str, str | Reason] = {
    "page_view": "page_view", "purchase": "purchase", "generate_lead": "lead", "contact": "lead", "schedule": "lead",
    "submit_application": "lead", "sign_up": "signup", "start_trial": "signup", "app_install": "install",
    **dict.fromkeys(
        ("view_item", "view_item_list", "search", "add_to_wishlist", "add_to_cart", "begin_checkout", "add_payment_info",
         "qualify_lead", "close_convert_lead", "subscribe", "find_location", "customize_product", "donate", "download",
         "app_open", "custom", "refund"), Reason.UNSUPPORTED_EVENT,
    ),
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER


def at_home(ip: str | None, **changes: Any) -> dict[str, Any]:
    return event(**{**NOBODY, "ip_address": ip, **changes})


CASES = [
    Case("everything", event(browser_ids={"ga_client_id": "1166987786.1684617844"}), {
        "method": "POST", "url": "https://t.vibe.co/s2s-conversion/events", "headers.Accept": "application/json", "json": {
            "aid": "AbC123", "a": "purchase", "eid": "evt-1", "ts": 1790863200000, "ip": "203.0.113.7", "ua": "Mozilla/5.0",
            "url": "https://shop.example.com/thanks", "gid": "1166987786.1684617844",
            "ed": '{"price_usd":149.97,"purchase_id":"ORD-1"}'}}),
    Case("13 digits, cut to milliseconds", event(event_time="2026-10-01T13:59:59.999999Z"), {"json.ts": 1790863199999}),
    # ed: a text that holds JSON
    *(
        Case(f"{currency} is no dollar", event(value=value, currency=currency), {"json.ed": '{"purchase_id":"ORD-1"}'})
        for value, currency in ((12000, "JPY"), ("12.345", "KWD"), (10, "EUR"), (10, "CAD"))
    ),
    Case("a value of nothing is a value", event(value=0), {"json.ed": '{"price_usd":0,"purchase_id":"ORD-1"}'}),
    Case("whole dollars", event(value=100, transaction_id=None), {"json.ed": '{"price_usd":100}'}),
    Case("an order of no value", event(value=None, currency=None), {"json.ed": '{"purchase_id":"ORD-1"}'}),
    Case("an order with quotes and umlauts", event(value=None, currency=None, transaction_id='Ä"1'),
         {"json.ed": '{"purchase_id":"Ä\\"1"}'}),
    Case("nothing to say", event("contact", value=None, currency=None, transaction_id=None), {"json.ed": GONE}),
    Case("a negative value", event(value=-1), Reason.INVALID_VALUE),
    # the household
    Case("an address alone", at_home(" 203.0.113.7 ", source_url=None, transaction_id=None, value=None, currency=None),
         {"json": {"aid": "AbC123", "a": "purchase", "eid": "evt-1", "ts": 1790863200000, "ip": "203.0.113.7"}}),
    Case("IPv4 written as IPv6", at_home("::ffff:203.0.113.7"), {"json.ip": "203.0.113.7"}),
    *(
        Case(f"no IPv4: {ip!r}", at_home(ip), Reason.NO_IDENTIFIER)
        for ip in (None, "", "2001:db8::ff00:42:8329", "203.0.113", "203.0.113.256", "0x7f.1", "localhost")
    ),
    Case("an e-mail does not stand in for it", event(ip_address=None), Reason.NO_IDENTIFIER),
    Case("with the default written out", event(ip_address=None), Reason.NO_IDENTIFIER, {"send_email": False}),
    Case("no e-mail leaves", event(), {"json.em": GONE}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "purchase"}),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """Any 2xx, whatever its body, unless that is a page; 400 and 422 refuse the event."""
    page = response.body.removeprefix(b"\xef\xbb\xbf").strip()[:1] == b"<"
    if 200 <= response.status <= 299 and not page:
        return Said(every(count))
    return Said(refused=True) if response.status in (400, 422) else NOTHING


def successes(count: int) -> list[Response]:
    return [answer(200), answer(200, b"OK"), answer(200, {"status": 1}), answer(204)]


ANSWERS = [
    *(Answer(f"{status}", answer(status, b"OK"), Kind.SETTLED, 1, [State.ACCEPTED]) for status in (200, 202, 204)),
    Answer("a page in a 200", answer(200, HTML), Kind.TRANSIENT, 1, maybe_stored=True),
    *(Answer(f"{status}", answer(status), Kind.REFUSED, 1, code=f"http_{status}") for status in (400, 422)),
    Answer("words of a refusal", answer(400, {"error": "ip must be IPv4"}), Kind.REFUSED, 1, words="ip must be IPv4"),
    *(Answer(f"{status}", answer(status), Kind.CONFIGURATION, 1, code=f"http_{status}") for status in (401, 403, 404)),
    *(Answer(f"{status}", answer(status), Kind.RATE_LIMITED, 1, code=f"http_{status}") for status in (408, 429)),
    Answer("429 with its wait", answer(429, retry_after="60"), Kind.RATE_LIMITED, 1, wait=minutes(1)),
    *(Answer(f"{s}", answer(s, HTML), Kind.TRANSIENT, 1, code=f"http_{s}", maybe_stored=True) for s in (500, 502, 503, 504)),
    *(Answer(f"{status}", answer(status), Kind.TRANSIENT, 1, maybe_stored=True) for status in (0, 100, 302, 418, 600)),
]  # fmt: skip

AT_SANDBOX = [
    *(
        Struck(f"{code} refuses one event", [{"kind": "reject_event", "code": code, "match": '"order-00003"'}],
               {State.REJECTED: 1}, code=f"http_{code}")
        for code in (400, 422)
    ),
    Struck("another pixel", [], {State.RETRY: 12}, code="http_404", failed=True, account={"pixel_id": "Other"}),
    Struck("a page in a 200 is asked again", [{"kind": "html", "times": 1}]),
]  # fmt: skip
