"""What every platform of the sandbox is made of: a call, a reply, endpoints, and the answers to injected faults."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, ClassVar, Literal

import orjson

from capi_pipeline.sandbox.settings import Settings
from capi_pipeline.sandbox.store import Event, Store

HTML_ERROR = (
    "<!DOCTYPE html><html><head><title>Error</title></head>"
    "<body><h1>Something went wrong</h1><p>We are working on getting this fixed.</p></body></html>"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: `content` is bytes as they are, text, or anything else as JSON."""

    content: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    def body(self) -> bytes:
        if isinstance(self.content, bytes):
            return self.content
        return self.content.encode() if isinstance(self.content, str) else orjson.dumps(self.content)


class Refused(Exception):
    """The request is answered with `reply` and nothing of it is stored; `rejected` events were found bad."""

    def __init__(self, reply: Reply, rejected: int = 0) -> None:
        super().__init__(reply.status)
        self.reply = reply
        self.rejected = rejected


class Token(Enum):
    """State of the access token that a request carried."""

    GOOD = auto()
    MISSING = auto()
    WRONG = auto()
    EXPIRED = auto()
    REVOKED = auto()


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A fault that changes what a platform finds in a request: which events, and with which parameters."""

    match: bytes
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def hits(self, event: object) -> bool:
        return not self.match or self.match in orjson.dumps(event)


@dataclass(slots=True)
class Call:
    """One request as a platform sees it. `events` and `rejected` are filled in for the request log."""

    platform: str
    path: Mapping[str, str]
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    now: datetime
    store: Store
    settings: Settings
    refusals: Sequence[Spoiled] = ()
    verdicts: Sequence[Spoiled] = ()
    token_fault: Literal["expired", "revoked"] | None = None
    expired_up_to: int = 0
    events: int = 0
    rejected: int = 0

    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object; None when it is anything else."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        return value if isinstance(value, dict) else None

    def bearer(self) -> str:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def static_token(self, presented: str, valid: str) -> Token:
        """State of a token that never changes."""
        if not presented:
            return Token.MISSING
        if presented != valid:
            return Token.WRONG
        return {None: Token.GOOD, "expired": Token.EXPIRED, "revoked": Token.REVOKED}[self.token_fault]

    def refusal(self, event: object, default: Any) -> Any:
        """Code with which an injected fault refuses this event (`default` where it names none); None for a good one."""
        for refusal in self.refusals:
            if refusal.hits(event):
                return refusal.parameters["code"] or default
        return None

    def record(self, events: Sequence[Event], request_id: str = "") -> list[str]:
        return self.store.record(self.platform, events, self.now, request_id)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path below the platform's slug. Faults strike `delivery` endpoints unless they name a path."""

    method: str
    path: str
    answer: Callable[[Call], Reply]
    kind: Literal["delivery", "token", "status"] = "delivery"


class Platform(ABC):
    """One platform, read from its documentation. A platform is one module of `sandbox.platforms` with
    one subclass; it keeps no state of its own, only what it writes to the store."""

    slug: ClassVar[str]
    title: ClassVar[str]
    documentation: ClassVar[str]
    environment: ClassVar[Mapping[str, str]] = {}  # variables of the demo's document, with the secrets that work here

    @abstractmethod
    def endpoints(self) -> Sequence[Endpoint]: ...

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        """The platform's own way to say that too many calls came. Parameters may hold `status` and `code`."""
        return Reply({"message": "Too many requests"}, parameters.get("status") or 429)

    def server_error(self, status: int) -> Reply:
        """The platform's own way to say that it failed; many answer with a page of their proxy."""
        return Reply(HTML_ERROR, status, media_type="text/html")


def payload_digest(event: object) -> str:
    """Identity of an event that carries none."""
    return "payload:" + hashlib.sha256(orjson.dumps(event, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
