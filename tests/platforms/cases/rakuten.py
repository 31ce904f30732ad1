"""Rakuten Advertising's EP endpoint: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

import re
from typing import Any
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every
from tests.platforms.support import GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event

CONFIG: dict[str, Any] = {"mid": "12345"}
NAME_AT = "params.mid"  # orders have no name
NAMES: dict[str, str | Reason] = {
    **dict.fromkeys(EVENT_NAMES, Reason.UNSUPPORTED_EVENT), "purchase": "12345", "refund": Reason.INVALID_VALUE,
}  # fmt: skip
MINIMAL = Reason.NO_CLICK_ID
CLEAR = ("cust-42",)
P = "params"
SITE = "AbCdEfGhIjK-1a2b3c4d5e6f7g8h9i0jKL"
ITEM = {"id": "SKU-1", "name": "Shoe", "price": 9.5, "quantity": 2}
REFUND: dict[str, Any] = {"value": "19", "contents": [ITEM]}


def clicked(value: str | None, at: str | None = "2026-09-30T08:00:59Z") -> dict[str, Any]:
    return {"click_ids": {"ranSiteID": {"value": value, "clicked_at": at}}}


def lines(*changes: dict[str, Any], **columns: Any) -> dict[str, Any]:
    return event(contents=[{**ITEM, **change} for change in changes], **columns)


CASES = [
    Case("everything", event(**clicked(SITE), event_time="2026-10-01T14:00:59.9Z", coupon="AUTUMN"), {
        "method": "GET", "url": "https://track.linksynergy.com/ep", "headers.Authorization": GONE, "params": {
            "mid": "12345", "xml": "1", "source": "capi_pipeline", "ord": "ORD-1", "tr": SITE, "land": "20260930_0800",
            "date": "20261001_1400", "cur": "USD", "custid": "cust-42", "coupon": "AUTUMN", "skulist": "SKU-1", "qlist": "2",
            "amtlist": "10000", "namelist": "Shoe", "brandlist": "Acme", "catlist": "Shoes"}}),
    # the click and its landing
    Case("no click", event(click_ids={"gclid": click("g")}), Reason.NO_CLICK_ID),
    Case("a click without its landing", event(**clicked(SITE, None)), Reason.NO_CLICK_ID),
    Case("a landing without its click", event(**clicked(None)), Reason.NO_CLICK_ID),
    Case("a click alone", event(**{**NOBODY, **clicked(SITE)}), {f"{P}.tr": SITE, f"{P}.custid": GONE}),
    Case("a click that is too long is never cut", event(**clicked(SITE + "x")), Reason.INVALID_VALUE),
    Case("UTC", event(**clicked(SITE, "2026-09-30T08:00:00+02:00")), {f"{P}.land": "20260930_0600"}),
    *(
        Case(f"a landing that is not before the order: {at}", event(**clicked(SITE, at)), Reason.INVALID_VALUE)
        for at in ("2026-10-01T14:00:00Z", "2026-10-02T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
    ),
    Case("in the same minute", event(**clicked(SITE, "2026-10-01T14:00:01Z"), event_time="2026-10-01T14:00:59Z"),
         Reason.INVALID_VALUE),
    # the order
    *(Case(f"no order: {text!r}", event(transaction_id=text), Reason.MISSING_FIELD) for text in (None, "")),
    Case("no currency", event(value=None, currency=None), Reason.MISSING_FIELD),
    Case("no lines", event(contents=[]), Reason.MISSING_FIELD),
    *(
        Case(f"a line without its {key} ({value!r})", lines({}, {key: value}), Reason.MISSING_FIELD)
        for key, value in (("id", None), ("id", "|"), ("name", None), ("name", ""), ("price", None), ("quantity", None),
                           ("quantity", 1.5))
    ),
    *(
        Case(f"a line whose {key} is {value}", lines({}, {key: value}), Reason.INVALID_VALUE)
        for key, value in (("price", -1), ("quantity", 0), ("quantity", -1))
    ),
    *(
        Case(f"{quantity} x {price} {currency}", lines({"price": price, "quantity": quantity}, currency=currency),
             {f"{P}.amtlist": text, f"{P}.qlist": str(quantity), f"{P}.cur": currency})
        for quantity, price, currency, text in (
            (2, 24.99, "USD", "4998"), (1, 12000, "JPY", "1200000"), (1, 12.345, "KWD", "1235"), (3, 0.1, "EUR", "30"),
            (1, 0, "EUR", "0"), (3, 0.335, "EUR", "101"),
        )
    ),
    Case("pipes are removed", lines({"id": "S|1", "name": "A|B"}, {}, coupon="C|1", user_id="c|4"),
         {f"{P}.skulist": "S1|SKU-1", f"{P}.namelist": "AB|Shoe", f"{P}.coupon": "C1", f"{P}.custid": "c4"}),
    Case("places of what is missing stay", lines({"brand": "Acme"}, {}, {"category": "Shoes"}),
         {f"{P}.brandlist": "Acme||", f"{P}.catlist": "||Shoes"}),
    Case("a list of nothing is left out", lines({}, {}), {f"{P}.brandlist": GONE, f"{P}.catlist": GONE}),
    Case("unicode", lines({"name": "Größe 李"}), {f"{P}.namelist": "Größe 李"}),
    Case("an address that is too long", lines(*[{"name": "李" * 40}] * 25), Reason.INVALID_VALUE),
    Case("own ids keep their case", event(user_id=" Cust 42 "), {f"{P}.custid": "Cust 42"}),
    *(Case(f"no address and no hash: {text:.8}", event(user_id=text), {f"{P}.custid": GONE})
      for text in ("jane@example.com", "86e0b9e5" * 8)),
    # returns
    Case("a return", event("refund", **REFUND, event_time="2026-10-01T12:00:00Z"), {
        f"{P}.ord": "ORD-1", f"{P}.amtlist": "-1900", f"{P}.qlist": "2", f"{P}.date": "20261001_1200",
        f"{P}.tr": "click-ranSiteID", f"{P}.land": "20260930_0800"}),
    Case("of two lines", event("refund", value="28.5", contents=[ITEM, {**ITEM, "quantity": 1}]), {f"{P}.amtlist": "-1900|-950"}),
    *(Case(f"whose lines are not its value {value}", event("refund", value=value, contents=[ITEM]), Reason.INVALID_VALUE)
      for value in ("18.99", "19.01", -19)),
    Case("of nothing in particular", event("refund", value="19", contents=[]), Reason.MISSING_FIELD),
    Case("without a value", event("refund", value=None, currency=None, contents=[ITEM]), Reason.MISSING_FIELD),
    Case("without the order's click", event("refund", **REFUND, click_ids={}), Reason.NO_CLICK_ID),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "12345"}),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """200 `<response>… <good>3</good><bad>0</bad> …</response>` takes the order, unless it holds an `<error>`; a bad line
    or an error refuses it, but `Access denied` is about the account."""
    try:
        root = minidom.parseString(response.body.decode("utf-8-sig").encode()).documentElement
    except (ExpatError, ValueError, LookupError):
        return NOTHING
    if response.status != 200 or root is None:
        return NOTHING

    def texts(name: str) -> list[str]:
        found = [root] * (root.tagName == name) + list(root.getElementsByTagName(name))
        return [
            "".join(child.data for child in node.childNodes if child.nodeType == child.TEXT_NODE).strip()
            for node in found
        ]

    errors, good, bad = texts("error"), texts("good"), texts("bad")
    if errors:
        return (
            Said(blamed=every(count))
            if any(text and "access denied" not in text.lower() for text in errors)
            else NOTHING
        )
    if len(good) != 1 or len(bad) != 1 or not all(re.fullmatch("[0-9]{1,9}", text) for text in (*good, *bad)):
        return NOTHING
    if int(bad[0]):
        return Said(blamed=every(count))
    return Said(every(count)) if int(good[0]) and root.tagName == "response" else NOTHING


def summary(good: Any, bad: Any, more: str = "", status: int = 200) -> Response:
    counts = f"<summary><transactions><good>{good}</good><bad>{bad}</bad></transactions></summary>"
    body = f"<response><unique_id>u-1</unique_id>{more}{counts}</response>"
    return answer(status, body.encode(), content_type="text/xml")


def successes(count: int) -> list[Response]:
    plain = summary(3, 0)
    return [
        plain,
        summary(1, 0),
        Response(200, plain.headers, b'<?xml version="1.0" encoding="UTF-8"?>\n' + plain.body),
    ]


def error(words: str) -> Response:
    return answer(200, f"<response><error>{words}</error></response>".encode())


TAKEN, REJECTED = [State.ACCEPTED], State.REJECTED
ANSWERS = [
    Answer("three good lines", summary(3, 0), Kind.SETTLED, 1, TAKEN),
    Answer("one bad line", summary(2, 1), Kind.SETTLED, 1, [(REJECTED, "bad_lines")], words="1 of 3 lines"),
    Answer("nothing but bad lines", summary(0, 3), Kind.SETTLED, 1, [(REJECTED, "bad_lines")]),
    Answer("the lines that were sent", Response(200, {}, summary(2, 0).body, [{"skulist": "A|B"}]), Kind.SETTLED, 1, TAKEN),
    Answer("another number of lines", Response(200, {}, summary(1, 0).body, [{"skulist": "A|B"}]), Kind.TRANSIENT, 1,
           maybe_stored=True),
    Answer("no line at all", summary(0, 0), Kind.TRANSIENT, 1, maybe_stored=True),
    *(Answer(f"good is {text!r}", summary(text, 0), Kind.TRANSIENT, 1, maybe_stored=True)
      for text in ("", "-1", "1.0", "²", "x")),
    *(Answer(words, error(words), Kind.CONFIGURATION, 1, code="access_denied") for words in ("Access denied", "ACCESS DENIED ")),
    Answer("another error", error("Invalid date"), Kind.SETTLED, 1, [(REJECTED, "error")], words="Invalid date"),
    Answer("an error beside good lines", summary(3, 0, "<error>Invalid date</error>"), Kind.SETTLED, 1, [(REJECTED, "error")]),
    Answer("an error without words", summary(3, 0, "<error/>"), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("no XML", answer(200, b"OK"), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("nothing", answer(200), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("a page", answer(200, HTML), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("a truncated answer", answer(200, summary(3, 0).body[:-5]), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("an answer with entities", answer(200, b"<!DOCTYPE r [<!ENTITY e '3'>]>" + summary("&e;", 0).body), Kind.TRANSIENT, 1,
           maybe_stored=True),
    Answer("good lines in a 202", summary(3, 0, status=202), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("an unknown mid", answer(400, HTML), Kind.CONFIGURATION, 1, code="http_400"),
    Answer("too many requests", answer(429), Kind.RATE_LIMITED, 1, wait=minutes(1)),
    Answer("too many requests, with the wait", answer(429, retry_after="5"), Kind.RATE_LIMITED, 1, wait=minutes(1 / 12)),
    *(Answer(f"{s}", answer(s, HTML), Kind.TRANSIENT, 1, maybe_stored=True, code=f"http_{s}") for s in (500, 502, 503, 504)),
    *(Answer(f"{s}", answer(s), Kind.TRANSIENT, 1, maybe_stored=True) for s in (204, 302)),
    Answer("404", answer(404), Kind.CONFIGURATION, 1),
]  # fmt: skip

AT_SANDBOX = [
    Struck("a bad line", [{"kind": "reject_event", "match": "ranSiteID-7x"}], {State.REJECTED: 1}, "bad_lines"),
    Struck("another error", [{"kind": "reject_event", "match": "ranSiteID-7x", "code": "Invalid order"}], {State.REJECTED: 1},
           "error"),
    Struck("a merchant that may not call from a server", want={State.RETRY: 12}, code="access_denied", failed=True,
           account={"mid": "54321"}),
    Struck("an unknown merchant", want={State.RETRY: 12}, code="http_400", failed=True, account={"mid": "1"}),
    Struck("too many requests", [{"kind": "rate_limit"}], {State.RETRY: 12}, "http_429", failed=True),
    Struck("an answer that is a page", [{"kind": "html", "times": 1}], {State.HELD: 1}, "unknown_without_deduplication"),
]  # fmt: skip
