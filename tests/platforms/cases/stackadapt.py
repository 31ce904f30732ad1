"""StackAdapt server-side pixel: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

import json
from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import Said, every
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event

CONFIG = {"pixel_id": "sqQHa3Ob1hFi__2EcYYVZg1", "server_flag": "segment_ss"}
NAME_AT = "params.args"


def args(action: str, **changes: Any) -> str:
    """The arguments of the usual event."""
    usual = {
        "action": action, "user_id": "cust-42", "revenue": 149.97, "order_id": "ORD-1",
        "products": [{"product_id": "SKU-1", "product_name": "Shoe", "product_category": "Shoes", "product_price": 50,
                      "product_quantity": 2}],
    }  # fmt: skip
    kept = {key: value for key, value in {**usual, **changes}.items() if value is not GONE}
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)


NAMES: dict[str, str | Reason] = {
    **{name: args(name) for name in EVENT_NAMES}, "custom": args("Demo Booked"), "refund": Reason.UNSUPPORTED_EVENT,
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER
CLEAR = ("cust-42",)

P, H = "params", "headers"
CONVERSION = {"conversion_ids": {"purchase": "9Kx2", "Demo Booked": "7Ab1"}}
COOKIES = {"sa-userid": "sa-v1-0123456789ab.1790000000000", "sa-postbackid": "cookie-1"}
IN_DOUBT = "unknown_without_deduplication"


def known(**changes: Any) -> dict[str, Any]:
    return event(**{**NOBODY, "ip_address": "203.0.113.7", "user_agent": "Mozilla/5.0", **changes})


CASES = [
    Case("everything", event(referrer_url="https://x.example/", browser_ids=COOKIES), {
        "method": "GET", "url": "https://tags.srv.stackadapt.com/saq_pxl",
        H: {"User-Agent": "Mozilla/5.0", "X-Forwarded-For": "203.0.113.7"}, P: {
            "segment_ss": "1", "uid": "sqQHa3Ob1hFi__2EcYYVZg1", "event_type": "track",
            "url": "https://shop.example.com/thanks", "ref": "https://x.example/", "ip_fwd": "203.0.113.7",
            "ua_fwd": "Mozilla/5.0", "user_id": "sa-v1-0123456789ab.1790000000000", "args": args("purchase")}}),
    Case("a page view is a page", event("page_view"), {f"{P}.event_type": "page"}),
    Case("Google's tag manager", event(), {f"{P}.gtm_ss": "1", f"{P}.segment_ss": GONE}, {"server_flag": "gtm_ss"}),
    Case("an own event, as it is", event("custom", custom_event_name="Démo & more"), {NAME_AT: args("Démo & more")}),
    # the conversion endpoint
    Case("a conversion by its id", event(), {"url": "https://tags.srv.stackadapt.com/conv", f"{P}.cid": "9Kx2", f"{P}.uid": GONE,
         f"{P}.postback_id": "click-sapid"}, CONVERSION),
    Case("an own one", event("custom"), {f"{P}.cid": "7Ab1"}, CONVERSION),
    Case("another event", event("generate_lead"), {"url": "https://tags.srv.stackadapt.com/saq_pxl", f"{P}.cid": GONE,
         f"{P}.postback_id": GONE}, CONVERSION),
    Case("the click's cookie", event(click_ids={}, browser_ids=COOKIES), {f"{P}.postback_id": "cookie-1"}, CONVERSION),
    Case("no click", event(click_ids={"gclid": click("g")}), {f"{P}.cid": "9Kx2", f"{P}.postback_id": GONE}, CONVERSION),
    Case("a refund that has an id", event("refund"), Reason.UNSUPPORTED_EVENT, {"conversion_ids": {"refund": "1"}}),
    # arguments
    *(
        Case(f"{value} {currency}, the currency has no place", event(value=value, currency=currency),
             {NAME_AT: args("purchase", revenue=number)})
        for value, currency, number in ((12000, "JPY", 12000), ("12.345", "KWD", 12.345), (0, "EUR", 0))
    ),
    Case("a negative value", event(value=-1), Reason.INVALID_VALUE),
    Case("items", event(contents=[{"id": 7, "quantity": 2, "price": "9.5"}, {"name": "no id"}]),
         {NAME_AT: args("purchase", products=[{"product_id": "7", "product_price": 9.5, "product_quantity": 2}])}),
    Case("nothing but a name", known(value=None, currency=None, transaction_id=None, contents=[]),
         {NAME_AT: '{"action":"purchase"}'}),
    # the person
    Case("a customer's id as it is", event(user_id=" CUST 42 "), {NAME_AT: args("purchase", user_id="CUST 42")}),
    *(
        Case(f"no id of a customer: {id_:.16}", event(user_id=id_), {NAME_AT: args("purchase", user_id=GONE)})
        for id_ in (DIGEST, "jane@example.com")
    ),
    Case("the customer's id is no cookie", event(), {f"{P}.user_id": GONE}),
    Case("IPv6", event(ip_address="2001:db8::1"), {f"{P}.ip_fwd": "2001:db8::1", f"{H}.X-Forwarded-For": "2001:db8::1"}),
    *(
        Case(f"no address: {ip!r}", event(ip_address=ip), Reason.NO_IDENTIFIER)
        for ip in (None, "", "localhost", "203.0.113.256", "fe80::1%\r\nX: 1")
    ),
    *(Case(f"no browser: {agent!r}", event(user_agent=agent), Reason.NO_IDENTIFIER) for agent in (None, "", " ", "\r\n")),
    Case("a browser that no header can hold", event(user_agent=" Mözilla/5.0\r\nX: 1 李 "),
         {f"{H}.User-Agent": "Mzilla/5.0X: 1", f"{P}.ua_fwd": " Mözilla/5.0\r\nX: 1 李 "}),
    Case("of other letters alone", event(user_agent="李"), Reason.NO_IDENTIFIER),
    Case("a click is not enough", event(ip_address=None, user_agent=None), Reason.NO_IDENTIFIER, CONVERSION),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: args("purchase")}),
    # the time, which does not travel
    Case("a day later it would count on another day", event(event_time="2026-09-30T15:59:59Z"), Reason.TOO_OLD),
    Case("older than the account takes", event(), Reason.TOO_OLD, {"max_age_hours": 1}),
    Case("an account that takes more", event(event_time="2026-09-29T16:00:00Z"), {NAME_AT: args("purchase")},
         {"max_age_hours": 48}),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """2xx, with an image, a script or nothing: received. 3xx, 400 and 404 are the event's end, and so is an address that
    is too long (414)."""
    page = response.body.removeprefix(b"\xef\xbb\xbf").strip()[:1] == b"<"
    if 200 <= response.status <= 299 and not page:
        return Said(every(count))
    return Said(refused=300 <= response.status <= 399 or response.status in (400, 404, 414))


def successes(count: int) -> list[Response]:
    return [answer(200, b"GIF89a", content_type="image/gif"), answer(200, b"(function(){})()"), answer(204)]


ANSWERS = [
    *(Answer(f"{status}", answer(status, b"GIF89a"), Kind.SETTLED, 1, [State.ACCEPTED]) for status in (200, 202, 204)),
    Answer("a page in a 200", answer(200, HTML), Kind.TRANSIENT, 1, maybe_stored=True),
    *(Answer(f"{s}", answer(s), Kind.REFUSED, 1, code=f"http_{s}") for s in (301, 302, 307, 308, 400, 404, 414)),
    *(Answer(f"{status}", answer(status), Kind.AUTH, 1, code=f"http_{status}") for status in (401, 403)),
    Answer("429", answer(429), Kind.RATE_LIMITED, 1, code="http_429", wait=minutes(1)),
    *(
        Answer(f"429 with its wait of {wait} s", answer(429, retry_after=wait), Kind.RATE_LIMITED, 1, wait=minutes(count))
        for wait, count in (("120", 2), ("0", 0))
    ),
    *(Answer(f"{s}", answer(s, HTML), Kind.TRANSIENT, 1, code=f"http_{s}", maybe_stored=True) for s in (500, 502, 503, 504)),
    *(Answer(f"{status}", answer(status), Kind.TRANSIENT, 1, maybe_stored=True) for status in (0, 100, 418, 600)),
]  # fmt: skip

AT_SANDBOX = [
    *(
        Struck(f"{code} refuses one event", [{"kind": "reject_event", "code": code, "match": '"customer-3"'}],
               {State.REJECTED: 1}, code=f"http_{code}")
        for code in (400, 404)
    ),
    Struck("a redirect is not followed", [{"kind": "redirect", "times": 1}], {State.REJECTED: 1}, code="http_302"),
    Struck("blocked", [{"kind": "rate_limit", "status": 403}], {State.RETRY: 12}, code="http_403", failed=True),
    Struck("another pixel is answered like a good one", account={"pixel_id": "other"}),
    Struck("a page in a 200 is held", [{"kind": "html", "times": 1}], {State.HELD: 1}, code=IN_DOUBT),
    Struck("a gateway's page is held", [{"kind": "server_error", "status": 502, "html": True, "times": 1}], {State.HELD: 1},
           code=IN_DOUBT),
]  # fmt: skip
