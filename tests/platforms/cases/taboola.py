"""Taboola server-to-server conversions: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every
from tests.platforms.support import GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event

NAMED = {name: f"Event of {name}" for name in EVENT_NAMES if name not in ("refund", "custom")}
CONFIG = {"account_id": "1234567", "event_names": {**NAMED, "Demo Booked": "Démo & more"}}
NAME_AT = "json.actions[0].name"
NAMES: dict[str, str | Reason] = {**NAMED, "custom": "Démo & more", "refund": Reason.UNSUPPORTED_EVENT}
MINIMAL = Reason.NO_CLICK_ID

E = "json.actions[0]"
CURRENCIES = "AUD BRL CAD CNY EUR GBP HKD ILS INR JPY KRW MXN NZD RUB SGD THB TRY USD ZAR"


def clicked(at: str | None, **changes: Any) -> dict[str, Any]:
    return event(click_ids={"tblci": click("GiB_aB", at)}, **changes)


CASES = [
    Case("everything", event(), {
        "method": "POST", "url": "https://trc.taboola.com/1234567/log/3/bulk-s2s-action", "json": {"actions": [{
            "click-id": "click-tblci", "timestamp": 1790863200000, "name": "Event of purchase", "revenue": 149.97,
            "currency": "USD", "orderid": "ORD-1", "quantity": 2}]}}),
    Case("13 digits, cut to milliseconds", event(event_time="2026-10-01T13:59:59.999999Z"), {f"{E}.timestamp": 1790863199999}),
    Case("no configured name", event("donate"), Reason.NOT_CONFIGURED, {"event_names": {"purchase": "P"}}),
    Case("an own event without one", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("a refund that has one", event("refund"), Reason.UNSUPPORTED_EVENT, {"event_names": {"refund": "R"}}),
    # money
    *(
        Case(f"{currency} is taken", event(value="12.5", currency=currency), {f"{E}.revenue": 12.5, f"{E}.currency": currency})
        for currency in CURRENCIES.split()
    ),
    *(
        Case(f"an amount in {currency} would be booked as another", event(value="12.345", currency=currency),
             {f"{E}.revenue": GONE, f"{E}.currency": GONE, NAME_AT: "Event of purchase"})
        for currency in ("KWD", "CHF", "SEK")
    ),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{E}.revenue": 12000}),
    Case("a value of nothing is a value", event(value=0), {f"{E}.revenue": 0}),
    Case("no value", event(value=None, currency=None), {f"{E}.revenue": GONE, f"{E}.currency": GONE}),
    Case("a negative value", event(value=-1), Reason.INVALID_VALUE),
    # items
    Case("pieces", event(contents=[{"id": 7, "quantity": 2}, {"id": "b"}]), {f"{E}.quantity": 3}),
    Case("no items", event(contents=[]), {f"{E}.quantity": GONE}),
    Case("no order", event(transaction_id=None), {f"{E}.orderid": GONE}),
    # the click
    Case("as it is", clicked(None), {f"{E}.click-id": "GiB_aB"}),
    Case("the cookie", event(click_ids={}, browser_ids={"taboola_cid": "C"}), {f"{E}.click-id": "C"}),
    Case("the cookie comes second", event(browser_ids={"taboola_cid": "C"}), {f"{E}.click-id": "click-tblci"}),
    Case("none", event(click_ids={"gclid": click("g")}), Reason.NO_CLICK_ID),
    Case("a person is no click", event(**{**NOBODY, "emails": ["jane.doe@example.com"]}), Reason.NO_CLICK_ID),
    Case("an old click", clicked("2026-08-01T00:00:00Z"), {NAME_AT: "Event of purchase"}),
    Case("an old click of an account that withholds them", clicked("2026-08-01T00:00:00Z"), Reason.TOO_OLD,
         {"click_window_days": 30}),
    Case("a click within the window", clicked("2026-09-01T14:00:00Z"), {NAME_AT: "Event of purchase"}, {"click_window_days": 30}),
    Case("a click of an unknown time", clicked(None), {NAME_AT: "Event of purchase"}, {"click_window_days": 1}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "Event of purchase"}),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """204 (or 200) without a body: received, all of it. 400 and 413 refuse the request; nothing names an event."""
    if response.status in (200, 204) and not response.body.strip():
        return Said(every(count))
    return Said(refused=True) if response.status in (400, 413) else NOTHING


def successes(count: int) -> list[Response]:
    return [answer(204), answer(200)]


ANSWERS = [
    *(Answer(f"{status}", answer(status), Kind.SETTLED, outcomes=[State.ACCEPTED] * 2) for status in (200, 204)),
    *(
        Answer(f"a body in a {status}", answer(status, body), Kind.TRANSIENT, maybe_stored=True)
        for status, body in ((200, HTML), (200, {"error": "account"}), (204, HTML))
    ),
    *(Answer(f"{status}", answer(status), Kind.REFUSED, code=f"http_{status}") for status in (400, 413)),
    *(Answer(f"{status}", answer(status), Kind.CONFIGURATION, code=f"http_{status}") for status in (401, 403, 404)),
    *(Answer(f"{status}", answer(status), Kind.RATE_LIMITED, code=f"http_{status}") for status in (408, 429)),
    Answer("429 with its wait", answer(429, retry_after="60"), Kind.RATE_LIMITED, wait=minutes(1)),
    *(Answer(f"{s}", answer(s, HTML), Kind.TRANSIENT, code=f"http_{s}", maybe_stored=True) for s in (500, 502, 503, 504)),
    *(Answer(f"{status}", answer(status), Kind.TRANSIENT, maybe_stored=True) for status in (0, 100, 201, 302, 418, 600)),
]  # fmt: skip

AT_SANDBOX = [
    *(
        Struck(f"{code} refuses a request, and one event is to blame",
               [{"kind": "reject_event", "code": code, "match": '"orderid":"3"'}], {State.REJECTED: 1}, code=f"http_{code}")
        for code in (400, 413)
    ),
    Struck("another account", [], {State.RETRY: 12}, code="http_404", failed=True, account={"account_id": "7"}),
    Struck("a page in a 200 is asked again", [{"kind": "html", "times": 1}]),
    Struck("a gateway without words", [{"kind": "server_error", "status": 502, "html": True, "times": 1}]),
]  # fmt: skip
