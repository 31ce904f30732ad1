"""What each platform's documentation says of an answer, written down a second time and without the connectors' code.

Nothing here is imported from a platform's module: these predicates are the oracle of the fuzz tests. A member that
decides (a code, a count, a trace) must be there with its documented type; one that only informs may be missing, but
not be of another type; members nobody documented are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from capi_pipeline.platforms.base import Response
from tests.platforms.support import answer

TRACE = re.compile(r"[!-?A-~]{1,200}")  # a word of ASCII that can be no e-mail address
NOBODY: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Said:
    """Of a request's events, by position: `taken` the platform has; `blamed` it refuses for good. `refused`: it stored
    nothing, because of some events. At most this may be read out of the answer."""

    taken: frozenset[int] = NOBODY
    blamed: frozenset[int] = NOBODY
    refused: bool = False


NOTHING = Said()


@dataclass(frozen=True)
class Documented:
    """`says`: of an answer to so many events. `successes`: documented answers that take all of so many events."""

    says: Callable[[Response, int], Said]
    successes: Callable[[int], list[Response]]


def every(count: int) -> frozenset[int]:
    return frozenset(range(count))


def object_of(body: bytes) -> dict[str, Any]:
    """A JSON object by RFC 8259: UTF-8 (a byte order mark may be ignored), no NaN; each name once. Else {}."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    def never(word: str) -> Any:
        raise AssertionError(word)

    try:
        text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        found = json.loads(text, object_pairs_hook=once, parse_constant=never)
    except (ValueError, AssertionError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def trace(value: Any) -> bool:
    return isinstance(value, str) and TRACE.fullmatch(value) is not None


def objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


# --- Meta -----------------------------------------------------------------------------------------------------------


def meta(response: Response, count: int) -> Said:
    """200 `{"events_received": n, "messages": [], "fbtrace_id": "..."}`; an error decides by its code: 100 is about the
    events, "reduce the amount of data" about the size; no field names an event reliably."""
    body = object_of(response.body)
    if "error" not in body:
        received = body.get("events_received")
        good = response.status == 200 and whole(received) and received == count
        good = good and trace(body.get("fbtrace_id")) and isinstance(body.get("messages", []), list)
        return Said(every(count)) if good else NOTHING
    error = body["error"]
    if not isinstance(error, dict) or not whole(error.get("code")):
        return NOTHING
    words = f"{error.get('message')} {error.get('error_user_msg')}".lower()
    return Said(refused=error["code"] == 100 or "reduce the amount of data" in words)


def meta_successes(count: int) -> list[Response]:
    plain = {"events_received": count, "messages": [], "fbtrace_id": "AbC_-9dEfGh"}
    return [answer(200, plain), answer(200, {**plain, "messages": ["Some words of warning"]})]


# --- TikTok ---------------------------------------------------------------------------------------------------------


def tiktok(response: Response, count: int) -> Said:
    """200 `{"code": 0, "message": "OK", "request_id": "...", "data": {}}`, and 20001 as a success with a warning; other
    codes of 40000 and more refuse the request, some with an index in their words."""
    body = object_of(response.body)
    code = body.get("code")
    if not whole(code):
        return NOTHING
    if code in (0, 20001):
        informs = isinstance(body.get("message", ""), str) and isinstance(body.get("data", {}), dict | None)
        good = response.status == 200 and trace(body.get("request_id")) and informs
        return Said(every(count)) if good else NOTHING
    if not 40000 <= code <= 49999 or code in (40001, 40100, 40104, 40105):
        return NOTHING
    named = [word for _, word in re.findall(r"(?i)\b(batch\.|data\[)(-?\d+)", str(body.get("message")))]
    there = {str(position) for position in range(count)}
    return Said(blamed=frozenset(map(int, named)) if set(named) <= there else NOBODY, refused=True)


def tiktok_successes(count: int) -> list[Response]:
    plain = {"code": 0, "message": "OK", "request_id": "2026100112000001ABCDEF", "data": {}}
    return [answer(200, plain), answer(200, {**plain, "code": 20001, "message": "partially successful"})]


# --- Google Data Manager --------------------------------------------------------------------------------------------


def google(response: Response, count: int) -> Said:
    """200 `{"requestId": "...", "fieldWarnings"?: [{...}]}` queues all; a 400 whose violations all name `events[i]`
    blames these."""
    body = object_of(response.body)
    if response.status == 200:
        good = "error" not in body and trace(body.get("requestId")) and objects(body.get("fieldWarnings", []))
        return Said(every(count)) if good else NOTHING
    error = body.get("error")
    if response.status != 400 or not isinstance(error, dict) or not whole(error.get("code")) or error["code"] != 400:
        return NOTHING
    blamed: set[int] = set()
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        violations = detail.get("fieldViolations") if isinstance(detail, dict) else None
        for violation in violations if isinstance(violations, list) else []:
            if not isinstance(violation, dict):
                continue
            found = re.match(r"events\[(\d{1,9})\]", str(violation.get("field")), re.A)
            if found is None or int(found[1]) >= count:
                return NOTHING  # the account's fault, or another request's
            blamed.add(int(found[1]))
    return Said(blamed=frozenset(blamed), refused=True)


def google_successes(count: int) -> list[Response]:
    warning = {"field": "events[0].cart_data", "reason": "WARNING_REASON_GENERIC", "description": "words"}
    return [
        answer(200, {"requestId": "126365e1-16d0-4c81"}),
        answer(200, {"requestId": "a", "fieldWarnings": [warning]}),
    ]


def reasons_by_event(errors: list[Any], count: int) -> dict[int, set[str]] | None:
    """The reasons that `recordIndices` give to events; None unless every error names as many as it counts."""
    found: dict[int, set[str]] = {}
    for error in errors:
        positions = error.get("recordIndices")
        if not isinstance(positions, list) or not all(whole(p) and 0 <= p < count for p in positions):
            return None
        if not positions or len(set(positions)) != int(error["recordCount"]):
            return None
        for position in positions:
            found.setdefault(position, set()).add(error["reason"])
    return found


def has_it(reason: str) -> bool:
    return "DUPLICATE_TRANSACTION_ID" in reason or "DUPLICATE_GCLID" in reason


def passes(reason: str) -> bool:
    return "TOO_RECENT_CLICK" in reason or "INTERNAL_ERROR" in reason


def google_status(response: Response, count: int) -> Said:
    """200 with one destination that has ended: SUCCESS takes all. Error counts refuse those they name; without names
    they speak of all (one event, or a FAILED whose one reason counts every event), or of nobody in particular."""
    statuses = object_of(response.body).get("requestStatusPerDestination")
    if response.status != 200 or not isinstance(statuses, list) or len(statuses) != 1 or not objects(statuses):
        return NOTHING
    status, information = statuses[0].get("requestStatus"), statuses[0].get("errorInfo", {})
    ingested = statuses[0].get("eventsIngestionStatus", {"recordCount": str(count)})
    if not isinstance(ingested, dict) or str(ingested.get("recordCount")) != str(count):
        return NOTHING  # other events than ours
    if status not in ("SUCCESS", "PARTIAL_SUCCESS", "FAILED") or not isinstance(information, dict):
        return NOTHING
    errors = information.get("errorCounts", [])
    if not objects(errors) or not all(well_formed(error, count) for error in errors):
        return NOTHING
    if not errors or status == "SUCCESS":  # a failure without its reason, or a success with one
        return Said(every(count)) if status == "SUCCESS" and not errors else NOTHING
    named = reasons_by_event(errors, count)
    if named is not None and status == "FAILED" and set(named) != every(count):
        return NOTHING  # all failed, and yet it does not say why some did
    if named is None:
        reasons = {error["reason"] for error in errors}
        total = sum(int(error["recordCount"]) for error in errors)
        harmless = all(has_it(reason) for reason in reasons) and (status == "PARTIAL_SUCCESS" or total >= count)
        final = count == 1 or (len(reasons) == 1 and total == count and status == "FAILED")
        return Said(every(count) if harmless else NOBODY, every(count) if final else NOBODY)
    taken = {e for e in range(count) if all(has_it(reason) for reason in named.get(e, ()))}
    final_ones = {e for e, reasons in named.items() if any(not has_it(r) and not passes(r) for r in reasons)}
    return Said(frozenset(taken), frozenset(final_ones))


def well_formed(error: dict[str, Any], count: int) -> bool:
    number = error.get("recordCount")
    digits = whole(number) or (isinstance(number, str) and re.fullmatch(r"[0-9]{1,18}", number) is not None)
    return bool(error.get("reason")) and isinstance(error["reason"], str) and digits and 0 < int(str(number)) <= count


def google_status_successes(count: int) -> list[Response]:
    plain = {"destination": {}, "requestStatus": "SUCCESS", "eventsIngestionStatus": {"recordCount": str(count)}}
    duplicate = {"recordCount": str(count), "reason": "PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID"}
    again = {**plain, "requestStatus": "FAILED", "errorInfo": {"errorCounts": [duplicate]}}
    return [answer(200, {"requestStatusPerDestination": [one]}) for one in (plain, again)]


# --- Microsoft ------------------------------------------------------------------------------------------------------

FAULTS = ("Errors", "OperationErrors", "BatchErrors")
NOT_THE_ROW = {0, 105, 106, 109, 117, 1029, 5612, 5613, 5615}  # passes by itself, or is about the account


def microsoft(response: Response, count: int) -> Said:
    """200 `{"PartialErrors": [{"Code": 5604, "Index": 3, ...}]}` takes every row that is not named; a fault stores
    nothing and may name rows."""
    body = object_of(response.body)
    rows = body.get("PartialErrors")
    if rows is not None and response.status == 200:
        if any(key in body for key in FAULTS) or not objects(rows):
            return NOTHING
        if not all(whole(row.get("Index")) and 0 <= row["Index"] < count and whole(row.get("Code")) for row in rows):
            return NOTHING
        named = {row["Index"] for row in rows}
        final = {row["Index"] for row in rows if row["Code"] not in NOT_THE_ROW}
        return Said(every(count) - named, frozenset(final))
    faults = [f for key in FAULTS if isinstance(body.get(key), list) for f in body[key] if isinstance(f, dict)]
    if not faults or not all(whole(f.get("Code")) and (f["Code"] == 201 or 5600 <= f["Code"] < 5700) for f in faults):
        return NOTHING
    positions = [f["Index"] for f in faults if f.get("Index") is not None]
    there = all(whole(position) and 0 <= position < count for position in positions)
    return Said(blamed=frozenset(positions) if there else NOBODY, refused=True)


def microsoft_successes(count: int) -> list[Response]:
    return [answer(200, {"PartialErrors": []}), answer(200, {"PartialErrors": []}, trackingid="f2b1c7de-0000")]


# --- Outbrain -------------------------------------------------------------------------------------------------------


def outbrain(response: Response, count: int) -> Said:
    """2xx, and 3xx (a redirect to the pixel image): accepted. 400 and 422 (and 414: an address too long) blame the event."""
    if 200 <= response.status <= 399:
        return Said(every(count))
    return Said(blamed=every(count)) if response.status in (400, 414, 422) else NOTHING


def outbrain_successes(count: int) -> list[Response]:
    return [
        answer(200, b"GIF89a", content_type="image/gif"),
        answer(204),
        answer(302, location="https://x.example/p.gif"),
    ]


# --- OAuth ----------------------------------------------------------------------------------------------------------


def granted(response: Response) -> bool:
    """RFC 6749, 5.1: 200 with an access token of visible ASCII; a new refresh token, if there is one, is such a text too."""
    body = object_of(response.body)

    def word(value: Any) -> bool:
        return isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None

    given = word(body.get("access_token")) and ("refresh_token" not in body or word(body["refresh_token"]))
    return response.status == 200 and "error" not in body and given


def grant(response: Response, count: int) -> Said:
    return Said(every(count)) if granted(response) else NOTHING


def grant_successes(count: int) -> list[Response]:
    plain = {"access_token": "ya29.a0AfB_byC", "expires_in": 3599, "token_type": "Bearer", "scope": "datamanager"}
    return [answer(200, plain), answer(200, {**plain, "expires_in": "3599", "refresh_token": "M.C5_BAY.0.U.-Cg"})]


READ = {
    "meta": Documented(meta, meta_successes),
    "tiktok": Documented(tiktok, tiktok_successes),
    "google_data_manager": Documented(google, google_successes),
    "microsoft_offline": Documented(microsoft, microsoft_successes),
    "outbrain": Documented(outbrain, outbrain_successes),
}
READ_STATUS = {"google_data_manager": Documented(google_status, google_status_successes)}
GRANT = Documented(grant, grant_successes)
