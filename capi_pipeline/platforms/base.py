"""What a platform is: data at the top (limits, deduplication, names, identifiers), then encode, request, read.

Everything here is pure: no network, no clock, no Dagster. The delivery sends what `request` returns and hands the answer
to `read`; it never needs to know which platform it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import Recipe

Payload = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_WAIT = timedelta(days=1)  # that a platform may ask for


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def days(count: float) -> timedelta:
    return timedelta(days=count)


# --- what we do not send, and why -----------------------------------------------------------------------------------


class Reason(StrEnum):
    """Why a conversion was not sent. The same words stand in the ledger, the metadata, the CLI and the docs."""

    CONSENT_DENIED = "consent_denied"  # ad storage or ad user data was refused
    CONSENT_UNKNOWN = "consent_unknown"  # nobody asked, in a country where silence means no
    OPTED_OUT = "opted_out"  # opt-out of sale, and the platform has no limited-data flag for this event
    NOT_SELECTED = "not_selected"  # the destination's document does not list this event
    FILTERED = "filtered"  # the destination's filter leaves it out
    UNSUPPORTED_EVENT = "unsupported_event"  # the platform has no such event
    NOT_CONFIGURED = "not_configured"  # the account has no conversion action, goal or event set for it
    TOO_OLD = "too_old"  # older than the platform accepts
    IN_FUTURE = "in_future"  # the event's time has not come yet (a wrong client clock)
    NO_IDENTIFIER = "no_identifier"  # nothing by which the platform could match the person
    NO_CLICK_ID = "no_click_id"  # the platform needs its click id
    MISSING_FIELD = "missing_field"  # the platform requires a field that the conversion lacks
    INVALID_VALUE = "invalid_value"  # a field holds what the platform refuses
    ORIGINAL_NOT_SENT = "original_not_sent"  # an adjustment of a conversion that this destination does not have
    SUPERSEDED = "superseded"  # a later adjustment of the same conversion already went out
    DUPLICATE = "duplicate"  # the same event name and id belongs to another hour
    TEST_MODE = "test_mode"  # the platform only checked or showed it; it still has to be sent for good


class Withhold(Exception):
    """This conversion is not for this platform: the reason, and a detail for a person (never an identifier)."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


# --- capabilities ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """`events` per request; `oldest`/`newest`: how far `event_time` may lie back/ahead (`oldest_for` by action source);
    `atomic`: one bad event refuses the whole request; `bytes` per body; `concurrency` requests in flight;
    `per_second` requests started."""

    events: int
    oldest: timedelta | None = None
    newest: timedelta = timedelta(0)
    atomic: bool = False
    bytes: int | None = None
    concurrency: int = 4
    per_second: float | None = None
    oldest_for: Mapping[str, timedelta] = field(default_factory=dict)


@dataclass(frozen=True)
class Deduplication:
    """By which keys the platform drops a repeated event, and for how long. `window=None`: it does not."""

    keys: tuple[str, ...] = ()
    window: timedelta | None = None


@dataclass(frozen=True)
class OAuth:
    """A refresh-token grant: where, the scope, whether each answer brings a new refresh token, and a stand-in that is
    shown where a rendered request has no access token yet."""

    host: str
    path: str
    scope: str | None = None
    rotates: bool = False
    placeholder: str = "ACCESS-TOKEN"


@dataclass(frozen=True)
class Grant:
    """The advertiser's part of a refresh-token grant."""

    client_id: str
    client_secret: str | None
    refresh_token: str


@dataclass(frozen=True)
class Verdicts:
    """A platform that only queues: when to ask first, how the wait grows, its longest, and when to give up."""

    first: timedelta
    factor: float
    longest: timedelta
    give_up: timedelta


# --- requests and answers -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """One HTTP request; at most one of `json`, `form`, `multipart`. `params` and `form` hold decoded text."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    multipart: Mapping[str, Any] | None = None
    follow_redirects: bool = False

    def with_headers(self, **headers: str) -> Request:
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True)
class Response:
    """One HTTP answer; header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

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


class Kind(StrEnum):
    """What the sender does next."""

    SETTLED = "settled"  # each event has its outcome
    TRANSIENT = "transient"  # again later, same event ids
    RATE_LIMITED = "rate_limited"  # slow the destination down, then again
    AUTH = "auth"  # refresh the token once, then stop: a person must act
    CONFIGURATION = "configuration"  # stop: an account, id or permission is wrong; the events are not to blame
    REFUSED = "refused"  # nothing stored, because of the events in `culprits` (or of unknown ones)
    WAITING = "waiting"  # a verdict that is not there yet


class State(StrEnum):
    """State of one event in the ledger."""

    SENDING = "sending"
    ACCEPTED = "accepted"
    PENDING = "pending"
    REJECTED = "rejected"
    WITHHELD = "withheld"
    RETRY = "retry"
    HELD = "held"


@dataclass(frozen=True)
class Outcome:
    """What became of one event: its state, the platform's code, and its words."""

    state: State
    code: str = ""
    message: str = ""
    wait: timedelta | None = None  # with RETRY: not before


@dataclass(frozen=True)
class Verdict:
    """The reading of one answer. `outcomes`: one per event, in order (SETTLED). `culprits`: index -> outcome (REFUSED;
    empty if the answer does not name them). `maybe_stored`: the platform may have the events although it did not say so."""

    kind: Kind
    outcomes: Sequence[Outcome] = ()
    culprits: Mapping[int, Outcome] = field(default_factory=dict)
    wait: timedelta | None = None
    maybe_stored: bool = False
    code: str = ""
    message: str = ""
    trace_id: str = ""


def accepted(count: int, trace_id: str = "", message: str = "") -> Verdict:
    outcome = Outcome(State.ACCEPTED, message=message)  # a warning of the platform stays with the events
    return Verdict(Kind.SETTLED, [outcome] * count, trace_id=trace_id, message=message)


def only_tested(count: int, trace_id: str = "", message: str = "") -> Verdict:
    """The answer of a test mode in which nothing counts: the events are still to be sent once the test is over."""
    outcome = Outcome(State.WITHHELD, Reason.TEST_MODE.value, message)
    return Verdict(Kind.SETTLED, [outcome] * count, trace_id=trace_id)


def rejected(code: object, message: str = "") -> Outcome:
    return Outcome(State.REJECTED, str(code), message)


def unreadable(response: Response) -> Verdict:
    """An answer outside the documentation (HTML, empty, truncated, a 200 that does not say success): never accepted."""
    kind = response.headers.get("content-type", "no content type")
    return Verdict(
        Kind.TRANSIENT,
        maybe_stored=True,
        code=f"http_{response.status}",
        message=f"answer outside the documentation: HTTP {response.status}, {kind}, {len(response.body)} bytes",
    )


def by_status(response: Response, *, code: str = "", message: str = "", trace_id: str = "") -> Verdict | None:
    """The reading that every HTTP API shares: 5xx transient, 429 rate limited, 401/403 auth; else None."""
    known: dict[str, Any] = {"code": code or f"http_{response.status}", "message": message, "trace_id": trace_id}
    if response.status == 429:
        return Verdict(Kind.RATE_LIMITED, wait=retry_after(response), **known)
    if response.status >= 500 or response.status == 408:
        return Verdict(Kind.TRANSIENT, wait=retry_after(response), maybe_stored=True, **known)
    if response.status in (401, 403):
        return Verdict(Kind.AUTH, **known)
    return None


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


# --- the platform ---------------------------------------------------------------------------------------------------


class PlatformConfig(BaseModel):
    """Keys of a destination's `account`. Secrets are SecretStr and come from the environment."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: str | None = Field(None, description="Send to this address instead (a sandbox or a proxy).")


class Platform:
    """Base of every platform. Subclasses set the class attributes and define encode, request and read."""

    name: ClassVar[str]
    title: ClassVar[str]
    documentation: ClassVar[str]
    host: ClassVar[str]
    limits: ClassVar[Limits]
    deduplication: ClassVar[Deduplication]
    event_names: ClassVar[Mapping[str, str]] = {}
    identifiers: ClassVar[Mapping[str, Recipe | tuple[Recipe, ...]]] = {}  # payload field -> list of all values
    single_identifiers: ClassVar[Mapping[str, Recipe]] = {}  # payload field -> the best value
    limited_data: ClassVar[bool] = False  # has a flag for people who opted out of sale
    restates: ClassVar[bool] = False  # takes refunds as new totals of a conversion that it already has
    oauth: ClassVar[OAuth | None] = None
    verdicts: ClassVar[Verdicts | None] = None

    class Config(PlatformConfig):
        pass

    def __init__(self, config: Any) -> None:
        self.config = config

    # what a platform defines

    def encode(self, conversion: Conversion) -> Payload:
        """One event's payload. Raises Withhold."""
        raise NotImplementedError

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        """The envelope around payloads of one group, without authorisation."""
        raise NotImplementedError

    def read(self, response: Response, count: int) -> Verdict:
        """What an answer says about the `count` events of its request, in their order."""
        raise NotImplementedError

    # what a platform may define

    def group(self, conversion: Conversion) -> Hashable:
        """Events of one request share this (an event source, a conversion action, an operation)."""
        return None

    def authorize(self, request: Request, token: str) -> Request:
        """The request with credentials; `token` is the configured or freshly granted access token."""
        return request.with_headers(Authorization=f"Bearer {token}") if token else request

    def token(self) -> str:
        """The configured access token, or an empty text."""
        secret = getattr(self.config, "access_token", None)
        return secret.get_secret_value() if secret else ""

    def grant(self) -> Grant:
        """The advertiser's part of the token request (with `oauth`)."""
        raise NotImplementedError

    def probe(self) -> Request | None:
        """The cheapest documented call that proves the token without sending an event; None if there is none."""
        return None

    def status_request(self, trace_id: str) -> Request:
        """How to ask for the verdict on an earlier request (with `verdicts`)."""
        raise NotImplementedError

    def read_status(self, response: Response, count: int) -> Verdict:
        """The verdict on an earlier request of `count` events; WAITING if it is not there yet."""
        raise NotImplementedError

    # what every platform shares

    def prepare(self, conversion: Conversion, now: datetime) -> Payload:
        """Screen and encode one conversion. Raises Withhold; empty members are left out."""
        if conversion.withhold:
            raise Withhold(Reason(conversion.withhold))
        if conversion.opt_out_of_sale and not self.limited_data:
            raise Withhold(Reason.OPTED_OUT, f"{self.title} has no limited-data flag")
        self.screen_age(conversion, now)
        return compact(self.encode(conversion))

    def screen_age(self, conversion: Conversion, now: datetime) -> None:
        """Raises Withhold. An adjustment carries two times: its own, and that of the conversion that it restates."""
        oldest = self.limits.oldest_for.get(conversion.action_source, self.limits.oldest)
        times = [conversion.event_time]
        if self.restates and conversion.event_name == "refund" and conversion.original_event_time is not None:
            times.append(conversion.original_event_time)
        for time in times:
            age = age_of(time, now)
            if time < 0 or (oldest is not None and age > oldest):
                taken = f"the last {oldest.total_seconds() / 86400:g} days" if oldest else "1970 and later"
                raise Withhold(Reason.TOO_OLD, f"{self.title} takes events of {taken}")
            if -age > self.limits.newest:
                raise Withhold(Reason.IN_FUTURE)

    def event_name(self, conversion: Conversion) -> str:
        """The platform's name of this event; the advertiser's own for `custom`. Raises Withhold."""
        if conversion.event_name == "custom":
            return conversion.name
        try:
            return self.event_names[conversion.event_name]
        except KeyError:
            raise Withhold(Reason.UNSUPPORTED_EVENT, f"{self.title} has no `{conversion.event_name}` event") from None

    def matched(self, conversion: Conversion) -> Payload:
        """`identifiers` and `single_identifiers` filled; fields without a value are left out."""
        found: Payload = {}
        known = conversion.identifiers
        for payload_field, recipes in self.identifiers.items():
            values = known.get(recipes.name) if isinstance(recipes, Recipe) else conversion.all(*recipes)
            if values:
                found[payload_field] = values
        for payload_field, recipe in self.single_identifiers.items():
            if best := conversion.first(recipe):
                found[payload_field] = best
        return found

    def url(self, path: str, host: str | None = None) -> str:
        """`path` on the platform's host, or under the configured `base_url`."""
        return (self.config.base_url or host or self.host).rstrip("/") + path

    @classmethod
    def recipes(cls) -> list[Recipe]:
        """Every recipe that this platform uses on stored columns."""
        flat = [r for value in cls.identifiers.values() for r in (value if isinstance(value, tuple) else (value,))]
        return list(dict.fromkeys([*flat, *cls.single_identifiers.values()]))


def compact(payload: Payload) -> Payload:
    """Without nulls, empty texts, empty lists and empty objects, at any depth (0 and False stay)."""
    out = {}
    for key, value in payload.items():
        if not value:
            if isinstance(value, int | float):
                out[key] = value
            continue
        kind = type(value)
        if kind is dict:
            value = compact(value)
        elif kind is list and type(value[0]) is dict:
            value = [item for item in map(compact, value) if item]
        if value or (kind is not dict and kind is not list):
            out[key] = value
    return out


def age_of(time: int, now: datetime) -> timedelta:
    """How long ago epoch microseconds were; negative if they lie ahead. Takes any 64-bit number."""
    return timedelta(microseconds=microseconds(now) - time)


def microseconds(moment: datetime) -> int:
    """Epoch microseconds."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def seconds(time: int) -> int:
    """Epoch seconds, floored, of epoch microseconds."""
    return time // 1_000_000


def iso(time: int, decimals: int = 0) -> str:
    """ISO 8601 in UTC with `Z`, cut (never rounded) to `decimals` digits of the second."""
    text = datetime.fromtimestamp(time // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{time % 1_000_000:06d}"[: decimals + 1] if decimals else ""
    return f"{text}{fraction}Z"
