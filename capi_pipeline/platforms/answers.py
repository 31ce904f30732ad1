"""What the answers of HTTP APIs have in common."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Verdict, accepted, rejected
from capi_pipeline.platforms.times import LONGEST_WAIT
from capi_pipeline.platforms.wire import Payload, Response


def unreadable(response: Response) -> Verdict:
    """An answer outside the documentation (HTML, empty, truncated, a 200 that does not say success): never accepted."""
    kind = response.headers.get("content-type", "no content type")
    return Verdict(
        Kind.TRANSIENT,
        maybe_stored=True,
        code=f"http_{response.status}",
        message=f"answer outside the documentation: HTTP {response.status}, {kind}, {len(response.body)} bytes",
    )


def by_status(
    response: Response, *, code: str = "", message: str = "", trace_id: str = "", wait: timedelta | None = None
) -> Verdict | None:
    """The reading that every HTTP API shares: 5xx transient, 429 rate limited (`wait`, where it names none), 401/403 auth,
    404 configuration (an account, a version or a feature that is not there; but a page is a gateway's); else None."""
    known: dict[str, Any] = {"code": code or f"http_{response.status}", "message": message, "trace_id": trace_id}
    if response.status == 429:
        asked = retry_after(response)
        return Verdict(Kind.RATE_LIMITED, wait=wait if asked is None else asked, **known)
    if response.status >= 500 or response.status == 408:
        return Verdict(Kind.TRANSIENT, wait=retry_after(response), maybe_stored=True, **known)
    if response.status in (401, 403):
        return Verdict(Kind.AUTH, **known)
    if response.status == 404 and not is_page(response):
        return Verdict(Kind.CONFIGURATION, **known)
    return None


def by_status_alone(response: Response, count: int, title: str, *, failures_are_clear: bool = False) -> Verdict:
    """The reading of an API whose body says nothing, so that a page in a 200 cannot be told from success. A redirect leads
    to a pixel image, and comes after the event counted. `failures_are_clear`: what a 5xx answers was not counted."""
    code, message = f"http_{response.status}", f"{title} answered HTTP {response.status}"
    if 200 <= response.status < 400:
        return accepted(count)
    if response.status in (408, 429):
        return Verdict(Kind.RATE_LIMITED, wait=retry_after(response), code=code, message=message)
    if 500 <= response.status < 600:
        maybe = not failures_are_clear
        return Verdict(Kind.TRANSIENT, wait=retry_after(response), maybe_stored=maybe, code=code, message=message)
    if response.status in (400, 414, 422):  # 414: this event's address is too long
        return Verdict(Kind.SETTLED, [rejected(code, message)] * count)
    if 400 < response.status < 500:  # path, method or blocking of our address: no event is to blame
        return Verdict(Kind.CONFIGURATION, code=code, message=message)
    return unreadable(response)


def by_table(response: Response, kinds: Mapping[int, Kind], title: str, *, wait: timedelta | None = None) -> Verdict:
    """The reading of an answer that is no success, of an API that says by its status what is wrong. `kinds`: the statuses
    of the platform's own table; 408 and 429 ask to wait (`wait`, where they do not say how long), and after a 5xx nobody
    knows whether the events are stored."""
    words = said(response)
    known: dict[str, Any] = {
        "code": f"http_{response.status}",
        "message": f"{title} answered HTTP {response.status}" + (f": {words}" if words else ""),
    }
    if response.status in (408, 429):
        asked = retry_after(response)
        return Verdict(Kind.RATE_LIMITED, wait=wait if asked is None else asked, **known)
    if 500 <= response.status < 600:
        return Verdict(Kind.TRANSIENT, wait=retry_after(response), maybe_stored=True, **known)
    kind = kinds.get(response.status)
    return Verdict(kind, **known) if kind else unreadable(response)


def is_page(response: Response) -> bool:
    """Whether the body is a page (of a proxy, a gateway, a login) where an API answers with an image, JSON or nothing."""
    return response.body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def said(response: Response) -> str:
    """What the JSON of an error says, where no shape is documented."""
    body = response.json()
    words = next((body[key] for key in ("message", "Message", "error", "detail") if body.get(key)), body.get("errors"))
    return words if isinstance(words, str) else json.dumps(words)[:400] if words else ""


def retry_after(response: Response) -> timedelta | None:
    """The Retry-After header, in seconds or as an HTTP date relative to the answer's own Date (RFC 9110, 10.2.3)."""
    text = response.headers.get("retry-after", "").strip()
    if re.fullmatch("[0-9]{1,18}", text):
        return timedelta(seconds=min(int(text), LONGEST_WAIT.total_seconds()))
    try:
        when = parsedate_to_datetime(text)
        now = parsedate_to_datetime(response.headers.get("date", ""))
        return min(max(when - now, timedelta(0)), LONGEST_WAIT)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def trace(value: object) -> str:
    """A platform's id of a request, for the ledger; empty unless it is one word of ASCII (without @: no e-mail address)."""
    return value if isinstance(value, str) and re.fullmatch("[!-?A-~]{1,200}", value) else ""


def dicts(value: Any) -> list[Payload]:
    """The objects of a JSON array; nothing of anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
