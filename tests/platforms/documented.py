"""What each platform's documentation says of an answer, written down a second time and without the connectors' code.

Each platform's own predicates, `says` and `says_later`, stand in its case file; they import nothing from its module, for
they are the oracle of the fuzz tests. A member that decides (a code, a count, a trace) must be there with its documented
type; one that only informs may be missing, but not be of another type; members nobody documented are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from capi_pipeline.platforms.wire import Response
from tests.platforms.support import answer

TRACE = re.compile(r"[!-?A-~]{1,200}")  # a word of ASCII that can be no e-mail address
NO_EVENT: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Said:
    """Of a request's events, by position: `taken` the platform has; `blamed` it refuses for good. `refused`: it stored
    nothing, because of some events. At most this may be read out of the answer."""

    taken: frozenset[int] = NO_EVENT
    blamed: frozenset[int] = NO_EVENT
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


GRANT = Documented(grant, grant_successes)
