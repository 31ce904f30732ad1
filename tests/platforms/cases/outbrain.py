"""Outbrain server-to-server conversions: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every
from tests.platforms.support import GONE, HTML, NOBODY, Answer, Case, answer, click, event

NAMED = {name: f"Goal of {name}" for name in EVENT_NAMES if name not in ("refund", "custom")}
CONFIG = {"event_names": {**NAMED, "Demo Booked": "Démo & more"}}
NAME_AT = "params.name"
NAMES: dict[str, str | Reason] = {**NAMED, "custom": "Démo & more", "refund": Reason.UNSUPPORTED_EVENT}
MINIMAL = Reason.NO_CLICK_ID


def clicks(*names: str, **changes: Any) -> dict[str, Any]:
    return event(click_ids={name: click(f"{name}-AbC") for name in names}, **changes)


CASES = [
    Case("everything, decoded", event(), {"method": "GET", "url": "https://tr.outbrain.com/unifiedPixel", "params": {
        "ob_click_id": "click-obclid", "name": "Goal of purchase", "orderId": "ORD-1", "orderValue": "149.97",
        "currency": "USD", "timestamp": "2026-10-01T14:00:00Z"}}),
    Case("no configured name", event("donate"), Reason.NOT_CONFIGURED, {"event_names": {"purchase": "P"}}),
    Case("an own event without one", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("a refund that has one", event("refund"), Reason.UNSUPPORTED_EVENT, {"event_names": {"refund": "R"}}),
    *(
        Case(f"value {value}", event(value=value, currency=currency), {"params.orderValue": text, "params.currency": currency})
        for value, currency, text in (
            (12000, "JPY", "12000"), ("12.345", "KWD", "12.345"), ("149.9000", "USD", "149.9"), (0, "EUR", "0"),
            ("0.1000", "EUR", "0.1"), ("12345678.9", "EUR", "12345678.9"), (100, "EUR", "100"), ("0.00010", "EUR", "0.0001"),
        )
    ),
    Case("no value", event(value=None, currency=None), {"params.orderValue": GONE, "params.currency": GONE}),
    Case("no order", event(transaction_id=None), {"params.orderId": GONE}),
    Case("seconds in UTC, cut", event(event_time="2026-10-01T14:00:00.999+02:00"), {"params.timestamp": "2026-10-01T12:00:00Z"}),
    Case("the documented click ids in their order", clicks("dicbo", "obclid", "OutbrainClickId", "ob_click_id"),
         {"params.ob_click_id": "ob_click_id-AbC"}),
    Case("the second", clicks("dicbo", "obclid", "OutbrainClickId"), {"params.ob_click_id": "OutbrainClickId-AbC"}),
    Case("the third", clicks("dicbo", "obclid"), {"params.ob_click_id": "obclid-AbC"}),
    Case("the cookie", clicks("dicbo", browser_ids={"outbrain_cid": "c"}), {"params.ob_click_id": "c"}),
    Case("the last", clicks("dicbo", "gclid"), {"params.ob_click_id": "dicbo-AbC"}),
    Case("none", clicks("gclid", "fbclid"), Reason.NO_CLICK_ID),
    Case("a person is no click", event(**{**NOBODY, "emails": ["jane.doe@example.com"]}), Reason.NO_CLICK_ID),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "Goal of purchase"}),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """2xx, and 3xx (a redirect to the pixel image): accepted. 400 and 422 (and 414: an address too long) blame the event."""
    if 200 <= response.status <= 399:
        return Said(every(count))
    return Said(blamed=every(count)) if response.status in (400, 414, 422) else NOTHING


def is_clear_failure(response: Response) -> bool:
    """What a server error answers was not counted."""
    return 500 <= response.status <= 599


def successes(count: int) -> list[Response]:
    return [
        answer(200, b"GIF89a", content_type="image/gif"),
        answer(204),
        answer(302, location="https://x.example/p.gif"),
    ]


TAKEN, REJECTED = [State.ACCEPTED], State.REJECTED
ANSWERS = [
    *(Answer(f"{status}", answer(status, b"GIF89a"), Kind.SETTLED, 1, TAKEN) for status in (200, 202, 204, 301, 302)),
    *(Answer(f"{s}", answer(s), Kind.SETTLED, 1, [(REJECTED, f"http_{s}")]) for s in (400, 414, 422)),
    *(Answer(f"{s}", answer(s), Kind.CONFIGURATION, 1, code=f"http_{s}") for s in (401, 403, 404, 405, 410, 451)),
    *(Answer(f"{s}", answer(s), Kind.RATE_LIMITED, 1, code=f"http_{s}") for s in (408, 429)),
    Answer("429 with its wait", answer(429, retry_after="60"), Kind.RATE_LIMITED, 1, wait=minutes(1)),
    *(Answer(f"{s}", answer(s, HTML), Kind.TRANSIENT, 1, code=f"http_{s}") for s in (500, 502, 503, 504, 599)),
    *(Answer(f"{s}", answer(s), Kind.TRANSIENT, 1, maybe_stored=True) for s in (0, 100, 103, 199, 600, 999)),
]  # fmt: skip
