"""What a platform is: data at the top (limits, deduplication, names, identifiers), then encode, request, read.

Everything here is pure: no network, no clock, no Dagster. The delivery sends what `request` returns and hands the answer
to `read`; it never needs to know which platform it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from capi_pipeline.conversions import consent
from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import Recipe
from capi_pipeline.platforms.auth import Grant, OAuth
from capi_pipeline.platforms.outcomes import Reason, Verdict, Withhold
from capi_pipeline.platforms.privacy import PRIVACY
from capi_pipeline.platforms.times import age_of, span
from capi_pipeline.platforms.wire import Payload, Request, Response


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
    """By which keys the platform drops a repeated event, and for how long. `window=None`: it does not. `only`: which events,
    in words, where it is not all (see `Platform.deduplication_of`). `exact`: the key is made of what the event says, so that
    only the very same payload is surely known again."""

    keys: tuple[str, ...] = ()
    window: timedelta | None = None
    only: str = ""
    exact: bool = False


NEVER = Deduplication()


@dataclass(frozen=True)
class Verdicts:
    """A platform that only queues: when to ask first, how the wait grows, its longest, and when to give up."""

    first: timedelta
    factor: float
    longest: timedelta
    give_up: timedelta


# Marks a key (`json_schema_extra`) that most accounts give although another may take its place.
USUALLY: dict[str, Any] = {"usually": True}


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
    limits: Limits  # of the class; an account may narrow its own
    deduplication: Deduplication  # likewise
    event_names: ClassVar[Mapping[str, str]] = {}
    identifiers: ClassVar[Mapping[str, Recipe | tuple[Recipe, ...]]] = {}  # payload field -> list of all values
    single_identifiers: ClassVar[Mapping[str, Recipe]] = {}  # payload field -> the best value
    click_ids: ClassVar[tuple[str, ...]] = ()  # keys of `click_ids` that it reads, best first
    browser_ids: ClassVar[tuple[str, ...]] = ()  # keys of `browser_ids` that it reads
    limited_data: ClassVar[bool] = False  # has a flag for people who opted out of sale
    restates: ClassVar[bool] = False  # takes refunds as new totals of a conversion that it already has
    differs: ClassVar[bool] = False  # takes them as differences of such a conversion: each of them counts
    test_mode: ClassVar[str] = ""  # the account key that switches it on
    token_key: ClassVar[str] = "access_token"  # the account key of a token that is configured
    oauth: OAuth | None = None  # where an account can do without it, None on that instance
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

    def deduplication_of(self, payload: Any) -> Deduplication:
        """How the platform knows a repetition of this very event; NEVER of one that would count twice."""
        return self.deduplication

    def group(self, conversion: Conversion) -> Hashable:
        """Events of one request share this (an event source, a conversion action, an operation)."""
        return None

    def authorize(self, request: Request, token: str) -> Request:
        """The request with credentials; `token` is the configured or freshly granted access token."""
        return request.with_headers(Authorization=f"Bearer {token}") if token else request

    def token(self) -> str:
        """The configured access token, or an empty text."""
        secret = getattr(self.config, self.token_key, None)
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
        self.screen_consent(conversion)
        self.screen_age(conversion, now)
        return compact(self.encode(conversion))

    @classmethod
    def screen_consent(cls, c: Conversion) -> None:
        """Raises Withhold. What holds for every platform was decided in the transform, by the same table of rules."""
        if c.withhold:
            raise Withhold(Reason(c.withhold))
        if reason := consent.refusal(consent.State.GRANTED, False, bool(c.opt_out_of_sale), cls.limited_data):
            raise Withhold(Reason(reason), f"{cls.title} has no limited-data flag")
        known = PRIVACY.get(cls.name)
        if known and consent.vendor_refused(c.tcf_string, c.gpp_string, c.gpp_sid, known.vendor):
            raise Withhold(Reason.VENDOR_DENIED, f"no consent to vendor {known.vendor} ({cls.title})")

    def screen_age(self, conversion: Conversion, now: datetime) -> None:
        """Raises Withhold. An adjustment carries two times: its own, and that of the conversion that it restates."""
        oldest = self.limits.oldest_for.get(conversion.action_source, self.limits.oldest)
        times = [conversion.event_time]
        if self.restates and conversion.event_name == "refund" and conversion.original_event_time is not None:
            times.append(conversion.original_event_time)
        for time in times:
            age = age_of(time, now)
            if time < 0 or (oldest is not None and age > oldest):
                taken = f"the last {span(oldest)}" if oldest else "1970 and later"
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

    def configured(self, key: str, name: str) -> str:
        """The account's own name or id for an event, out of its mapping `key`. Raises Withhold where there is none."""
        found: str | None = getattr(self.config, key).get(name)
        if not found:
            raise Withhold(Reason.NOT_CONFIGURED, f"{key} has no entry for `{name}`")
        return found

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

    def post(self, path: str, body: Any, **headers: str) -> Request:
        """A POST of JSON; header names with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Request("POST", self.url(path), {"Content-Type": "application/json", **named}, json=body)

    def url(self, path: str, host: str | None = None) -> str:
        """`path` on the platform's host, or under the configured `base_url`."""
        return (self.config.base_url or host or self.host).rstrip("/") + path

    @classmethod
    def takes_refunds(cls) -> bool:
        return cls.restates or cls.differs or "refund" in cls.event_names

    @classmethod
    def has_credentials(cls) -> bool:
        return any("SecretStr" in str(field.annotation) for field in cls.Config.model_fields.values())

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
