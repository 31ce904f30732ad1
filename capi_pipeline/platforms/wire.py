"""One HTTP request and one answer, as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from capi_pipeline.platforms.auth import OAuth1

Payload = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One HTTP request; at most one of `json`, `form`, `multipart`. `params` and `form` hold decoded text.

    `follow_redirects`: a GET anywhere; anything else only by 307 or 308, which keep method and body, and only on its own
    host or to one of `redirect_hosts`. Headers that may hold credentials stay behind when the host changes.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    multipart: Mapping[str, Any] | None = None
    follow_redirects: bool = False
    redirect_hosts: tuple[str, ...] = ()
    oauth1: OAuth1 | None = None  # sign it with these when it leaves

    def with_params(self, **params: str) -> Request:
        return replace(self, params={**self.params, **params})

    def with_headers(self, **headers: str) -> Request:
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True)
class Response:
    """One HTTP answer; header names are lower case. `sent`: the payloads of its request in order, for platforms that name
    an event by its own id."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent: Sequence[Any] = ()

    def json(self) -> dict[str, Any]:
        """The body's JSON object (RFC 8259); {} for anything else: HTML, a truncated body, a list, another encoding, a name
        that stands twice."""
        try:  # NaN and Infinity are no JSON, and no `int` either
            document = json.loads(self.body.decode("utf-8-sig"), object_pairs_hook=_unambiguous, parse_constant=int)
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}


def _unambiguous(pairs: list[tuple[str, Any]]) -> Payload:
    """A JSON object. Raises ValueError where two members have one name: nobody knows which of them counts."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members
