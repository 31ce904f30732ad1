"""X Ads Conversion API (`x`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, model_validator

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import email, phone
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status, dicts, retry_after, trace, unreadable
from capi_pipeline.platforms.auth import OAuth1
from capi_pipeline.platforms.base import USUALLY, Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, Verdict, Withhold, accepted, rejected
from capi_pipeline.platforms.times import LONGEST_WAIT, days, hours, iso
from capi_pipeline.platforms.wire import Payload, Request, Response

OFF_THE_WEB = {"app", "physical_store"}
NOT_HERE = {"refund", "app_install", "app_open"}
OAUTH1_KEYS = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
EventId = Annotated[str, Field(pattern="^(tw-[0-9a-z]+-)?[0-9a-z]+$")]
# A refusal that no change of an event would cure: the account's `events` names an event that the pixel does not have.
NOT_THE_EVENT = re.compile("not a single event tag|event id was not found|does not belong to provided account", re.I)
RESETS = ("x-account-rate-limit-reset", "x-rate-limit-reset")
PRINTABLE = "".join(map(chr, range(33, 127)))


class X(Platform):
    """X Ads API 12, web conversions: one endpoint per pixel, all conversions of a request or none.
    https://docs.x.com/x-ads-api/measurement/web-conversions"""

    name = "x"
    title = "X"
    documentation = "https://docs.x.com/x-ads-api/measurement/web-conversions"
    host = "https://ads-api.x.com"
    # 60,000 events in 15 minutes: ten full requests at once, then so many that it is never more. The age is that of the
    # longest attribution; X documents none.
    limits = Limits(events=500, oldest=days(90), atomic=True, per_second=0.12)
    deduplication = Deduplication(keys=("event_id", "conversion_id"), window=hours(48))
    click_ids = ("twclid",)
    single_identifiers: ClassVar = {"hashed_email": email.trimmed, "hashed_phone_number": phone.e164}

    class Config(PlatformConfig):
        pixel_id: str = Field(description="Event source (pixel) id.", pattern="^[0-9a-z]+$", examples=["o8z6j"])
        auth: str = Field(
            "oauth1",
            description="`oauth1` (keys of a developer app with Ads API access) or `pixel_token`.",
            pattern="^(oauth1|pixel_token)$",
            examples=["oauth1"],
        )
        consumer_key: SecretStr | None = Field(
            None,
            description="oauth1: API key of the developer app.",
            examples=["X-CONSUMER-KEY"],
            json_schema_extra=USUALLY,
        )
        consumer_secret: SecretStr | None = Field(
            None, description="oauth1: its secret.", examples=["X-CONSUMER-SECRET"], json_schema_extra=USUALLY
        )
        access_token: SecretStr | None = Field(
            None,
            description="oauth1: access token of a user who is ad manager or administrator of the ads account.",
            examples=["X-ACCESS-TOKEN"],
            json_schema_extra=USUALLY,
        )
        access_token_secret: SecretStr | None = Field(
            None,
            description="oauth1: the secret of that access token.",
            examples=["X-ACCESS-TOKEN-SECRET"],
            json_schema_extra=USUALLY,
        )
        pixel_token: SecretStr | None = Field(
            None, description="pixel_token: access token generated in Events Manager.", examples=["X-PIXEL-TOKEN"]
        )
        events: dict[str, EventId] = Field(
            description="Canonical (or custom) name -> id of an event in Events Manager. Not listed = not sent.",
            examples=[{"purchase": "o87ne", "add_to_cart": "o87nf"}],
        )

        @model_validator(mode="after")
        def _can_sign_in(self) -> Self:
            missing = [
                key for key in (OAUTH1_KEYS if self.auth == "oauth1" else ("pixel_token",)) if not getattr(self, key)
            ]
            if missing:
                raise ValueError(f"auth `{self.auth}` needs {', '.join(missing)}")
            return self

    def encode(self, c: Conversion) -> Payload:
        if c.event_name in NOT_HERE:
            raise Withhold(Reason.UNSUPPORTED_EVENT, f"X takes no `{c.event_name}`")
        if c.action_source in OFF_THE_WEB:
            raise Withhold(Reason.UNSUPPORTED_EVENT, f"X takes website conversions, none of `{c.action_source}`")
        return {
            "conversion_time": iso(c.event_time, 3),
            "event_id": self.configured("events", c.name),  # which kind of event it is; the key of one is conversion_id
            "conversion_id": c.event_id,
            "identifiers": self.person(c),
            "value": None if c.value is None else amounts.text(c.value, least=2),
            "price_currency": c.currency,
            "number_items": max(c.quantity, 0) or None,
            "contents": [
                {
                    "content_id": item["id"],
                    "content_name": item["name"],
                    "content_type": item["category"],
                    "content_price": None if item["price"] is None else amounts.text(item["price"], least=2),
                    "num_items": item["quantity"],
                }
                for item in c.items
            ],
            "search_string": c.search_term,
            "event_source_url": quote(c.source_url or "", safe=PRINTABLE),
        }

    def person(self, c: Conversion) -> list[Payload]:
        """One object per identifier. Address and browser go together in one, and never alone; only one of them rides
        along with the first identifier."""
        click = c.click_id("twclid")
        found: list[Payload] = [{"twclid": click}] if click else []
        found += [{field: value} for field, value in self.matched(c).items()]
        if not found:
            raise Withhold(Reason.NO_IDENTIFIER, "no twclid, e-mail or phone")
        network = {"ip_address": c.ipv4, "user_agent": (c.user_agent or "").strip() or None}
        if all(network.values()):
            return [*found, network]
        return [found[0] | network, *found[1:]]

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        return self.post(f"/12/measurement/conversions/{self.config.pixel_id}", {"conversions": list(payloads)})

    def token(self) -> str:
        token = self.config.pixel_token if self.config.auth == "pixel_token" else None
        return str(token.get_secret_value()) if token else ""

    def authorize(self, request: Request, token: str) -> Request:
        if token:
            return request.with_headers(**{"X-Pixel-Token": token})
        return replace(request, oauth1=OAuth1(*(getattr(self.config, key).get_secret_value() for key in OAUTH1_KEYS)))

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        errors = body.get("errors")
        if response.status == 200 and errors is None:
            return self.read_success(body.get("data"), response, count)
        found = dicts(errors)
        known: dict[str, Any] = {
            "code": " ".join(dict.fromkeys(str(error.get("code")) for error in found)) or f"http_{response.status}",
            "message": "; ".join(str(error.get("message") or "") for error in found),
        }
        if response.status == 429:
            return Verdict(Kind.RATE_LIMITED, wait=reset(response) or retry_after(response), **known)
        if response.status == 423:
            return Verdict(Kind.TRANSIENT, maybe_stored=True, **known)
        if response.status == 400 and NOT_THE_EVENT.search(known["message"]):
            return Verdict(Kind.CONFIGURATION, **known)
        if response.status == 400 and found and found == errors:
            return Verdict(Kind.REFUSED, culprits=quoted(found, response.sent), **known)
        return by_status(response, **known) or unreadable(response)

    def read_success(self, data: Any, response: Response, count: int) -> Verdict:
        data = data if isinstance(data, dict) else {}
        processed, debug_id = data.get("conversions_processed"), data.get("debug_id", "")
        if type(processed) is not int or not 0 < processed <= count or not isinstance(debug_id, str):
            return unreadable(response)
        warning = "" if processed == count else f"X says that it processed {processed} of {count} conversions"
        return accepted(count, trace(debug_id), warning)


def quoted(errors: list[Payload], sent: Sequence[Payload]) -> dict[int, Outcome]:
    """The conversions that hold a value which an error quotes, for no index names them: `hashed_email (abc) is not a valid
    SHA-256 hash`. Empty if none does."""
    culprits: dict[int, Outcome] = {}
    for error in errors:
        parameter, words = str(error.get("parameter")), str(error.get("message"))
        for index, conversion in enumerate(sent):
            holders = [conversion, *conversion.get("identifiers", []), *conversion.get("contents", [])]
            if any(parameter in holder and f"({holder[parameter]})" in words for holder in holders):
                culprits.setdefault(index, rejected(error.get("code"), words))
    return culprits


def reset(response: Response) -> timedelta | None:
    """How long until the later of the limits named starts anew, counted from the answer's own Date."""
    given = [response.headers.get(name, "") for name in RESETS]
    times = [int(text) for text in given if re.fullmatch("[0-9]{1,12}", text)]
    try:
        now = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
        return min(max(timedelta(seconds=max(times) - now), timedelta(0)), LONGEST_WAIT)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
