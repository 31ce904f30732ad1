"""What the case files of the platforms are made of: an event, what becomes of it, an answer, and its reading."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import ModuleType
from typing import Any

from capi_pipeline import render
from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.conversion import conversions
from capi_pipeline.conversions.transform import transform
from capi_pipeline.platforms import platform as platform_class
from capi_pipeline.platforms.base import Platform
from capi_pipeline.platforms.outcomes import Kind, Reason, State, Verdict
from capi_pipeline.platforms.wire import Response
from capi_pipeline.rendering import to_batch

NOW = datetime(2026, 10, 1, 16, tzinfo=UTC)
CLICKED = "2026-09-30T08:00:00Z"
DIGEST = "86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"  # of jane.doe@example.com
CLICK_IDS = (
    "gclid", "gbraid", "wbraid", "dclid", "fbclid", "ttclid", "ScCid", "epik", "li_fat_id", "rdt_cid", "twclid", "msclkid",
    "qclid", "ndclid", "tblci", "obclid", "irclickid", "awc", "ranSiteID", "cjevent", "yclid", "aref", "amzn", "ttd_imp", "_ly_c",
    "oppref", "aleid", "alart", "rtid", "rclid", "sapid", "spclid",
)  # fmt: skip
GONE = object()  # the path must not be there


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def click(value: str, clicked_at: str | None = CLICKED) -> dict[str, Any]:
    return {"value": value, "clicked_at": clicked_at}


def event(name: str = "purchase", **changes: Any) -> dict[str, Any]:
    """A conversion of a person in the United States, with consent and every identifier; a whole refund for `refund`."""
    base: dict[str, Any] = {
        "event_id": "evt-1",
        "event_name": name,
        "event_time": NOW - timedelta(hours=2),
        "recorded_at": NOW - timedelta(hours=1),
        "action_source": "website",
        "source_url": "https://shop.example.com/thanks",
        "transaction_id": "ORD-1",
        "value": "149.97",
        "currency": "USD",
        "contents": [{"id": "SKU-1", "name": "Shoe", "category": "Shoes", "brand": "Acme", "quantity": 2, "price": 50}],
        "user_id": "cust-42",
        "anonymous_id": "anon-9f2c",
        "emails": ["jane.doe@example.com"],
        "phones": ["+14155552671"],
        "country": "US",
        "ip_address": "203.0.113.7",
        "user_agent": "Mozilla/5.0",
        "click_ids": {parameter: click(f"click-{parameter}") for parameter in CLICK_IDS},
        "consent_ad_storage": "granted",
        "consent_ad_user_data": "granted",
    }
    if name == "custom":
        base["custom_event_name"] = "Demo Booked"
    if name == "refund":
        base |= {"original_event_id": "evt-0", "original_event_time": NOW - timedelta(days=1), "remaining_value": "100"}
    return {**base, **changes}


NOBODY: dict[str, Any] = {  # the same event, and nothing known of the person
    "user_id": None, "anonymous_id": None, "emails": [], "phones": [], "country": None, "ip_address": None,
    "user_agent": None, "click_ids": {}, "browser_ids": {},
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One event, and either what its request holds (path -> value, GONE: not there) or why it is withheld."""

    title: str
    event: Mapping[str, Any]
    want: Mapping[str, Any] | Reason
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One documented answer to a request of `count` events, and its reading. `outcomes`: state, (state, code)
    or (state, code, wait) each. `words`: part of the message that stays with the events."""

    title: str
    response: Response
    kind: Kind
    count: int = 2
    outcomes: Sequence[State | tuple[State, str] | tuple[State, str, timedelta]] = ()
    culprits: Mapping[int, str] = field(default_factory=dict)
    code: str = ""
    words: str = ""
    wait: timedelta | None = None
    maybe_stored: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Struck:
    """What the real sender makes of 12 purchases at the sandbox of one platform: the faults there (bodies of
    `/_sandbox/faults`) or changes of the account, how many events are then in a state other than accepted, a code or reason
    that stands with them, and whether the run fails."""

    title: str
    faults: Sequence[Mapping[str, Any]] = ()
    want: Mapping[State, int] = field(default_factory=dict)
    code: str = ""
    failed: bool = False
    account: Mapping[str, Any] = field(default_factory=dict)


def answer(status: int, body: Any = b"", **headers: str) -> Response:
    """An HTTP answer; anything but bytes becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


HTML = b"<html><body>503 Service Unavailable</body></html>"


def cases(name: str) -> ModuleType:
    """The case file of a platform."""
    return import_module(f"tests.platforms.cases.{name}")


def made(name: str, config: Mapping[str, Any] | None = None) -> Platform:
    """The platform with its case file's account."""
    kind = platform_class(name)
    return kind(kind.Config.model_validate({**cases(name).CONFIG, **(config or {})}))


def usual(name: str) -> dict[str, Any]:
    """An event that the platform takes."""
    first = next(canonical for canonical, wire in cases(name).NAMES.items() if not isinstance(wire, Reason))
    return event("purchase" if not isinstance(cases(name).NAMES["purchase"], Reason) else first)


def prepared(name: str, given: Mapping[str, Any]) -> Any:
    """The payload of one event."""
    hashed = transform(to_batch([given]), platform_class(name).recipes(), ConsentPolicy())
    (conversion,) = conversions(hashed)
    return made(name).prepare(conversion, NOW)


def rendered(name: str, *events: Mapping[str, Any], config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return render(name, {**cases(name).CONFIG, **(config or {})}, events, NOW)


def sent(name: str, *events: Mapping[str, Any], config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The one request that these events make."""
    result = rendered(name, *events, config=config)
    assert result["withheld"] == []
    (request,) = result["requests"]
    return dict(request)


def withheld(name: str, given: Mapping[str, Any], config: Mapping[str, Any] | None = None) -> str | None:
    """The reason why an event is not sent; None if it is."""
    result = rendered(name, given, config=config)
    return result["withheld"][0]["reason"] if result["withheld"] else None


def at(document: Any, path: str) -> Any:
    """What stands at a path such as `json.data[0].event`; GONE if nothing does. A quoted part may hold dots."""
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        try:
            document = document[int(index)] if index else document[key]
        except (KeyError, IndexError):
            return GONE
    return document


def disagreements(verdict: Verdict, want: Answer) -> list[str]:
    """In which members a reading is not the documented one."""
    outcomes = [
        (o.state, o.code, o.wait)[: len(w)] if isinstance(w, tuple) else o.state
        for o, w in zip(verdict.outcomes, want.outcomes, strict=False)
    ]
    words = verdict.outcomes[0].message if verdict.outcomes else verdict.message
    pairs = {
        "kind": (verdict.kind, want.kind),
        "number of outcomes": (len(verdict.outcomes), len(want.outcomes)),
        "outcomes": (outcomes, list(want.outcomes)),
        "culprits": ({i: o.code for i, o in verdict.culprits.items()}, dict(want.culprits)),
        "code": (verdict.code, want.code or verdict.code),
        "words": (words, words if want.words in words else want.words),
        "wait": (verdict.wait, want.wait),
        "maybe_stored": (verdict.maybe_stored, want.maybe_stored),
    }
    return [f"{name}: got {got!r}, want {wanted!r}" for name, (got, wanted) in pairs.items() if got != wanted]
