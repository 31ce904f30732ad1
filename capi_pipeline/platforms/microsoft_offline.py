"""Microsoft Advertising offline conversions (`microsoft_offline`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Amount, Conversion, number
from capi_pipeline.conversions.identifiers import email, phone
from capi_pipeline.platforms.answers import by_status, dicts, trace, unreadable
from capi_pipeline.platforms.auth import Grant, OAuth
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, State, Verdict, Withhold, rejected
from capi_pipeline.platforms.times import days, hours, iso, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

CONVERSIONS, ADJUSTMENTS = "OfflineConversions", "OfflineConversionAdjustments"
HIGHEST_VALUE = 999_999_999_999
# What passes by itself: an internal error, too many calls, apply failed, the goal does not accept yet.
LATER = {0: minutes(0), 117: minutes(1), 5612: minutes(5), 5615: hours(2)}
AUTH = {105, 106, 109, 1029}
CONFIGURATION = 5613  # the feature is not switched on for the account
FAULTS = ("Errors", "OperationErrors", "BatchErrors")
REFUSED = {201, *range(5600, 5700)}  # the list or a row of it is wrong


class MicrosoftOffline(Platform):
    """Campaign Management service v13, REST: ApplyOfflineConversions and ApplyOfflineConversionAdjustments.
    https://learn.microsoft.com/en-us/advertising/campaign-management-service/applyofflineconversions"""

    name = "microsoft_offline"
    title = "Microsoft Advertising"
    documentation = "https://learn.microsoft.com/en-us/advertising/campaign-management-service/applyofflineconversions"
    host = "https://campaign.api.bingads.microsoft.com"
    sandbox_host = "https://campaign.api.sandbox.bingads.microsoft.com"
    limits = Limits(events=1000, oldest=days(90), newest=minutes(0))
    # The first row wins for good; the key holds no event id, so time and hashes must be the same to the letter.
    deduplication = Deduplication(
        keys=("MicrosoftClickId", "ConversionName", "ConversionTime", "HashedEmailAddress", "HashedPhoneNumber"),
        window=days(90),
        exact=True,
    )
    restates = True
    click_ids = ("msclkid",)
    oauth = OAuth(
        "https://login.microsoftonline.com",
        "/common/oauth2/v2.0/token",
        scope="https://ads.microsoft.com/msads.manage offline_access",
        rotates=True,
        placeholder="ms-access-token",
    )
    single_identifiers: ClassVar = {"HashedEmailAddress": email.microsoft, "HashedPhoneNumber": phone.e164}

    class Config(PlatformConfig):
        client_id: str = Field(
            description="Application (client) id at the Microsoft identity platform.",
            examples=["11111111-2222-3333-4444-555555555555"],
        )
        client_secret: SecretStr | None = Field(None, description="Its secret; none for a public client.")
        refresh_token: SecretStr = Field(description="The first refresh token; later ones are kept, encrypted.")
        developer_token: SecretStr = Field(description="Developer token of the Microsoft Advertising account.")
        customer_id: str = Field(description="Customer id, digits.", pattern=r"^\d+$", examples=["1234567"])
        customer_account_id: str = Field(description="Account id, digits.", pattern=r"^\d+$", examples=["7654321"])
        conversion_names: dict[str, str] = Field(
            description="Canonical or custom name -> name of an offline goal.",
            examples=[{"purchase": "Offline Purchase"}],
        )
        enhanced_conversions: bool = Field(False, description="The goals take rows without a click id (hashes).")
        environment: str = Field(
            "production", description="`production` or `sandbox`.", pattern="^(production|sandbox)$"
        )

    def grant(self) -> Grant:
        secret = self.config.client_secret
        refresh_token = self.config.refresh_token.get_secret_value()
        return Grant(self.config.client_id, secret.get_secret_value() if secret else None, refresh_token)

    def group(self, c: Conversion) -> str:
        return ADJUSTMENTS if c.event_name == "refund" else CONVERSIONS

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            return self.adjustment(c)
        return self.identity(c, c.name, c.event_time) | {
            "ConversionValue": None if c.value is None else amount(c.value),
            "ConversionCurrencyCode": c.currency,
        }

    def adjustment(self, c: Conversion) -> Payload:
        """A refund restates the conversion to what is left of it, or retracts it. The identity is the original's."""
        if c.remaining_value is None or c.original_event_time is None or not c.currency:
            raise Withhold(
                Reason.MISSING_FIELD, "a refund needs remaining_value (the new total), currency and original_event_time"
            )
        left = amount(c.remaining_value)
        row = self.identity(c, c.original_event_name, c.original_event_time) | {"AdjustmentTime": iso(c.event_time, 3)}
        if left == 0:
            return row | {"AdjustmentType": "Retract"}
        return row | {"AdjustmentType": "Restate", "AdjustmentValue": left, "AdjustmentCurrencyCode": c.currency}

    def identity(self, c: Conversion, name: str, time: int) -> Payload:
        goal = self.configured("conversion_names", name)
        click = (c.click_id("msclkid") or "").removeprefix("_uet") or None
        if not self.config.enhanced_conversions:
            if not click:
                raise Withhold(Reason.NO_CLICK_ID, "no msclkid, and enhanced_conversions is off")
            return {"MicrosoftClickId": click, "ConversionName": goal, "ConversionTime": iso(time, 3)}
        hashes = self.matched(c)
        if not (click or hashes):
            raise Withhold(Reason.NO_IDENTIFIER, "no msclkid, e-mail or phone")
        return {"MicrosoftClickId": click, "ConversionName": goal, "ConversionTime": iso(time, 3), **hashes}

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        config = self.config
        headers = {
            "DeveloperToken": config.developer_token.get_secret_value(),
            "CustomerId": config.customer_id,
            "CustomerAccountId": config.customer_account_id,
            "Content-Type": "application/json",
        }
        host = self.sandbox_host if config.environment == "sandbox" else self.host
        url = self.url(f"/CampaignManagement/v13/{group}/Apply", host)
        return Request("POST", url, headers, json={group: list(payloads)})

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        errors = body.get("PartialErrors")
        if response.status == 200 and dicts(errors) == errors and not body.keys() & FAULTS:
            return self.read_rows(errors, response, count)
        fault = self.read_fault(body, response, count) if errors is None else None  # a fault stores nothing: never both
        return fault or by_status(response) or unreadable(response)

    def read_rows(self, errors: list[Payload], response: Response, count: int) -> Verdict:
        """Rows that no error names are applied, so an error that names none of ours leaves all of them open."""
        outcomes = [Outcome(State.ACCEPTED)] * count
        trace_id = trace(response.headers.get("trackingid"))
        if not all(type(error.get("Code")) is int and position(error, count) is not None for error in errors):
            return unreadable(response)
        for error in errors:
            index, (code, label, words) = error["Index"], described(error)
            if code in AUTH or code == CONFIGURATION:  # the account's fault; the other rows may be applied
                return Verdict(Kind.CONFIGURATION, maybe_stored=True, code=label, message=words, trace_id=trace_id)
            if outcomes[index].state is not State.REJECTED:  # a row may have several errors: the final one counts
                again = Outcome(State.RETRY, label, words, LATER.get(code) or None)
                outcomes[index] = again if code in LATER else rejected(label, words)
        return Verdict(Kind.SETTLED, outcomes, trace_id=trace_id)

    def read_fault(self, body: Payload, response: Response, count: int) -> Verdict | None:
        """A fault, which stores nothing: decided by its codes, not by the HTTP status. A code that is not documented is
        nobody's fault among the events, so a person looks at it."""
        faults = [f for key in FAULTS for f in dicts(body.get(key))]
        if not faults:
            return None
        codes = {described(f)[0] for f in faults}
        known: dict[str, Any] = {
            "code": " ".join(described(f)[1] for f in faults),
            "message": "; ".join(described(f)[2] for f in faults),
            "trace_id": trace(body.get("TrackingId")),
        }
        if 117 in codes or response.status == 429:
            return Verdict(Kind.RATE_LIMITED, wait=minutes(1), **known)
        if codes & AUTH:
            return Verdict(Kind.AUTH, **known)
        if CONFIGURATION in codes:
            return Verdict(Kind.CONFIGURATION, **known)
        if passing := codes & LATER.keys():
            wait = max(LATER[code] for code in passing) or None
            return Verdict(Kind.TRANSIENT, wait=wait, maybe_stored=True, **known)
        if codes <= REFUSED:
            named = [f for f in faults if f.get("Index") is not None]
            ours = all(position(f, count) is not None for f in named)
            culprits = {f["Index"]: rejected(*described(f)[1:]) for f in named if ours}
            return Verdict(Kind.REFUSED, culprits=culprits, **known)
        return by_status(response, **known) or Verdict(Kind.CONFIGURATION, **known)


def position(error: Payload, count: int) -> int | None:
    """The row that an error names; None if that is none of the `count` rows sent."""
    index = error.get("Index")
    return index if type(index) is int and 0 <= index < count else None


def described(error: Payload) -> tuple[int, str, str]:
    """An error's number (-1 if it has none), its name and its words."""
    code = error.get("Code")
    number = code if type(code) is int else -1
    return number, str(error.get("ErrorCode") or number), str(error.get("Message") or "")


def amount(value: Amount) -> Amount:
    """0 to 999999999999, at most three decimals. Raises Withhold."""
    rounded = number(round(value, 3))
    if not 0 <= rounded <= HIGHEST_VALUE:
        raise Withhold(Reason.INVALID_VALUE, f"Microsoft takes values from 0 to {HIGHEST_VALUE}")
    return rounded
