"""LINE Yahoo Conversion API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

CONFIG: dict[str, Any] = {"tag_id": "TAG1234567", "tag_access_token": "ly-tag-access-token"}
NAME_AT = "json.data[0].event.event_type"
TESTING = {"test_mode": True}
NAMES: dict[str, str | Reason] = {
    **dict.fromkeys(EVENT_NAMES, Reason.UNSUPPORTED_EVENT),
    "page_view": "page_view", "view_item": "view_product", "view_item_list": "view_listing", "search": "search",
    "add_to_wishlist": "add_wishlist", "add_to_cart": "add_cart", "begin_checkout": "check_out",
    "add_payment_info": "payment_info", "purchase": "purchase", "generate_lead": "generate_lead", "sign_up": "sign_up",
    "schedule": "reservation", "custom": Reason.NOT_CONFIGURED,
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER

E = "json.data[0]"
V, U, D = f"{E}.event", f"{E}.user", f"{E}.custom"
MAPPED = {
    "event_names": {"subscribe": "purchase", "Demo Booked": "reservation", "purchase": "login", "refund": "purchase"}
}
SNIPPETS = {"event_snippet_ids": {"purchase": "snip-1", "page_view": "snip-2", "Demo Booked": "snip-3"}}


def alone(**changes: Any) -> dict[str, Any]:
    return event(**{**NOBODY, **changes})


def device(**members: Any) -> dict[str, Any]:
    return event(device={"advertising_id": "aB-1", **members})


CASES = [
    Case("the envelope", event(), {
        "url": "https://conversion-api.yahooapis.jp/v1/", "headers.X-TagAccessToken": "ly-tag-access-token",
        "headers.Content-Type": "application/json", "json.tag_id": "TAG1234567", "json.channel_id": GONE,
        f"{V}.action_source": "web", f"{V}.test_flag": GONE, f"{V}.event_snippet_id": GONE}),
    # names
    Case("a type that the account chose", event("subscribe"), {NAME_AT: "purchase"}, MAPPED),
    Case("of an own event", event("custom"), {NAME_AT: "reservation"}, MAPPED),
    Case("of an own event without one", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED, MAPPED),
    Case("instead of the usual one", event(), {NAME_AT: "login"}, MAPPED),
    Case("a refund that has one", event("refund"), Reason.UNSUPPORTED_EVENT, MAPPED),
    *(Case(f"from {source}", event(action_source=source), Reason.UNSUPPORTED_EVENT)
      for source in ("app", "physical_store", "phone_call", "chat", "email", "system_generated", "other")),
    Case("a snippet", event(), {f"{V}.event_snippet_id": "snip-1"}, SNIPPETS),
    Case("a snippet of an own event", event("custom"), {f"{V}.event_snippet_id": "snip-3"}, {**MAPPED, **SNIPPETS}),
    Case("no snippet for it", event("sign_up"), {f"{V}.event_snippet_id": GONE}, SNIPPETS),
    Case("a page view has none, and no items", event("page_view"), {f"{V}.event_snippet_id": GONE, f"{D}.items": GONE,
         f"{D}.value": 149.97}, SNIPPETS),
    # identity
    Case("the order of a purchase", event(), {f"{V}.transaction_id": "ORD-1"}),
    Case("else the event", event(transaction_id=""), {f"{V}.transaction_id": "evt-1"}),
    Case("an order is not that of a lead", event("generate_lead"), {f"{V}.transaction_id": "evt-1"}),
    Case("every character that may stand there", event(transaction_id="!\"#$%&'()*+,-./09:;=?@AZ_az~"),
         {f"{V}.transaction_id": "!\"#$%&'()*+,-./09:;=?@AZ_az~"}),
    *(Case(f"one that may not: {bad}", event(transaction_id=f"A{bad}"), {f"{V}.transaction_id": GONE})
      for bad in (" ", "é", "<", ">", "[", "\\", "]", "^", "`", "{", "|", "}")),
    Case("64 of them", event(transaction_id="x" * 64), {f"{V}.transaction_id": "x" * 64}),
    Case("and no more", event(transaction_id="x" * 65), {f"{V}.transaction_id": GONE}),
    Case("a fraction of a second is cut", event(event_time="2026-10-01T13:59:59.999Z"), {f"{V}.event_time": 1790863199}),
    # money
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{D}.value": 12000, f"{D}.currency": "JPY"}),
    Case("no other currency than two", event(value="12.345", currency="KWD"),
         {f"{D}.value": GONE, f"{D}.currency": GONE, f"{D}.items": [{"item_id": "SKU-1", "quantity": 2}]}),
    Case("nor in an event of nothing else", event(value=5, currency="EUR", contents=[]), {D: GONE}),
    Case("a value of nothing is a value", event(value=0), {f"{D}.value": 0}),
    Case("no value", event(value=None, currency=None), {f"{D}.value": GONE, f"{D}.currency": GONE, f"{D}.items[0].price": GONE}),
    Case("items", event(contents=[{"id": 7, "quantity": 2, "price": "9.5", "category": "Shoes"}, {"name": "no id", "price": 1}]),
         {f"{D}.items": [{"item_id": "7", "price": 9.5, "quantity": 2}]}),
    Case("the first ten", event(contents=[{"id": str(number)} for number in range(12)]),
         {f"{D}.items": [{"item_id": str(number)} for number in range(10)]}),
    # the person
    Case("the first valid e-mail and phone", event(emails=["nobody", " Jürgen.M+x@Gmail.com", "a@x.com"],
         phones=["0", "090-1234-5678", "+4930901820"], country="JP"),
         {f"{U}.hashed_email": sha("jürgen.m+x@gmail.com"), f"{U}.hashed_phone_number": sha("+819012345678")}),
    Case("LINE Yahoo's own check value", event(emails=["example@example.com"]),
         {f"{U}.hashed_email": "31c5543c1734d25c7206f5fd591525d0295bec6fe84ff82f946a34fe970a1e66"}),
    Case("already hashed", event(emails=[DIGEST.upper()]), {f"{U}.hashed_email": DIGEST}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]),
         {f"{U}.hashed_email": GONE, f"{U}.hashed_phone_number": GONE}, {}),
    Case("the cookies as they are", event(browser_ids={"ly_su": "1.A", "ly_c": "2.B", "ly_r": "C", "line_uid": "U1"}),
         {f"{U}.ly_su": "1.A", f"{U}.ly_c": "2.B", f"{U}.ly_r": "C", f"{U}.line_uid": GONE}),
    *(Case(f"a cookie of another form: {cookie!r}", event(browser_ids={"ly_su": cookie, "ly_c": cookie}),
           {f"{U}.ly_su": GONE, f"{U}.ly_c": "1790755200.click-_ly_c"}) for cookie in ("A", "1.", ".A", "1.A B", "x.1")),
    Case("a click with a blank", event(click_ids={"_ly_c": click("a b")}), {f"{U}.ly_c": GONE}),
    Case("a text that is no address", event(ip_address="unknown"), {f"{E}.web.ip": GONE}),
    Case("a click gets its time", event(), {f"{U}.ly_c": "1790755200.click-_ly_c"}),
    Case("the cookie has its own", event(browser_ids={"ly_c": "2.B"}), {f"{U}.ly_c": "2.B"}),
    Case("a click of no time", event(click_ids={"_ly_c": click("x", None)}), {f"{U}.ly_c": GONE}),
    Case("a click before time began", event(click_ids={"_ly_c": click("x", "0001-01-01T00:00:00+14:00")}), {f"{U}.ly_c": GONE}),
    Case("a click of Yandex", event(click_ids={"yclid": click("x")}), {f"{U}.ly_c": GONE}),
    Case("a LINE user", event(browser_ids={"line_uid": "U"}), {f"{U}.line_uid": "U", "json.channel_id": 12}, {"channel_id": 12}),
    Case("a channel without a user", event(), {"json.channel_id": GONE}, {"channel_id": 123}),
    Case("an iPhone", device(os="iOS"), {f"{U}.ifa": "AB-1"}),
    Case("an Android phone", device(os="Android"), {f"{U}.ifa": "ab-1"}),
    Case("another device", device(os="Windows"), {f"{U}.ifa": GONE}),
    Case("tracking limited", device(os="iOS", advertising_id="0000-00"), {f"{U}.ifa": GONE}),
    Case("nobody", alone(), Reason.NO_IDENTIFIER),
    Case("an address and a browser are nobody", alone(ip_address="203.0.113.7", user_agent="UA"), Reason.NO_IDENTIFIER),
    Case("a customer of the shop is nobody", alone(user_id="u", anonymous_id="a"), Reason.NO_IDENTIFIER),
    Case("a LINE user without a channel is nobody", alone(browser_ids={"line_uid": "U1"}), Reason.NO_IDENTIFIER),
    Case("a cookie alone", alone(browser_ids={"ly_r": "C"}), {U: {"ly_r": "C"}}),
    Case("a click alone", alone(click_ids={"_ly_c": click("x")}), {U: {"ly_c": "1790755200.x"}}),
    # the rest
    Case("a referrer", event(referrer_url="https://x.example/"), {f"{E}.web": {
        "url": "https://shop.example.com/thanks", "referrer_url": "https://x.example/", "user_agent": "Mozilla/5.0",
        "ip": "203.0.113.7"}}),
    Case("no page", event(source_url="", ip_address="", user_agent=""), {f"{E}.web": GONE}),
    Case("a test", event(), {f"{V}.test_flag": True}, {"test_mode": True}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "purchase"}),
    Case("opted out", event(opt_out_of_sale=True), Reason.OPTED_OUT),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """202 covers the request and says nothing more; 400 and 413 refuse it."""
    if response.status == 202:
        return Said(every(count))
    return Said(refused=True) if response.status in (400, 413) else NOTHING


def successes(count: int) -> list[Response]:
    return [answer(202), answer(202, {})]


def refusal(status: int, **headers: str) -> Response:
    return answer(status, {"Error": {"Message": "words"}}, **headers)


LOST: dict[str, Any] = {"kind": Kind.TRANSIENT, "maybe_stored": True}
ANSWERS = [
    Answer("success", answer(202), Kind.SETTLED, outcomes=[State.ACCEPTED] * 2),
    Answer("a test does not count", answer(202), Kind.SETTLED, outcomes=[(State.WITHHELD, "test_mode")] * 2,
           config={"test_mode": True}),
    *(Answer(f"another success: {status}", answer(status, {}), **LOST) for status in (200, 201, 204, 302)),
    Answer("HTML", answer(200, HTML), **LOST),
    Answer("an invalid parameter", refusal(400), Kind.REFUSED, code="http_400", words="words"),
    Answer("in no words", answer(400, HTML), Kind.REFUSED, code="http_400", words="LINE Yahoo answered HTTP 400"),
    Answer("words of another type", answer(400, {"Error": {"Message": 5}}), Kind.REFUSED, words="LINE Yahoo answered HTTP 400"),
    *(Answer(f"the token: {status}", refusal(status), Kind.AUTH, code=f"http_{status}", words="words") for status in (401, 403)),
    *(Answer(f"our mistake: {status}", refusal(status), Kind.CONFIGURATION, code=f"http_{status}") for status in (404, 405, 415)),
    Answer("too large", refusal(413), Kind.REFUSED, code="http_413"),
    Answer("too many requests", refusal(429), Kind.RATE_LIMITED, words="words"),
    Answer("too many requests, with a wait", refusal(429, retry_after="60"), Kind.RATE_LIMITED, wait=minutes(1)),
    Answer("an internal error", refusal(500), code="http_500", words="words", **LOST),
    Answer("maintenance", refusal(503), code="http_503", **LOST),
    Answer("maintenance of a minute", refusal(503, retry_after="60"), wait=minutes(1), **LOST),
    Answer("a gateway's page", answer(502, HTML), **LOST),
]  # fmt: skip

AT_SANDBOX = [
    Struck("one event refused: found by halving", [{"kind": "reject_event", "match": '"transaction_id":"7"'}],
           {State.REJECTED: 1}, "http_400"),
    Struck("another tag", want={State.RETRY: 12}, code="http_403", failed=True, account={"tag_id": "TAG7654321"}),
    Struck("a test does not count", want={State.WITHHELD: 12}, code="test_mode", account={"test_mode": "true"}),
    Struck("too many requests", [{"kind": "rate_limit"}], {State.RETRY: 12}, "http_429", failed=True),
    Struck("maintenance", [{"kind": "server_error", "status": 503}], {State.RETRY: 12}, "http_503", failed=True),
    Struck("an internal error", [{"kind": "server_error", "status": 500}], {State.RETRY: 12}, "http_500", failed=True),
]  # fmt: skip
