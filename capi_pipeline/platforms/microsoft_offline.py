"""Microsoft Advertising offline conversions (`microsoft_offline`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import email, phone
from capi_pipeline.platforms.base import (
    Deduplication,
    Grant,
    Kind,
    Limits,
    OAuth,
    Outcome,
    Payload,
    Platform,
    PlatformConfig,
    Reason,
    Request,
    Response,
    State,
    Verdict,
    Withhold,
    by_status,
    days,
    hours,
    iso,
    minutes,
    rejected,
    unreadable,
)

CONVERSIONS, ADJUSTMENTS = "OfflineConversions", "OfflineConversionAdjustments"
# Codes of single rows that may succeed later: (wait).
ROW_LATER = {5612: timedelta(minutes=5), 5615: hours(2)}  # apply failed; the goal does not accept yet
AUTH = {105, 106, 109, 1029}
CONFIGURATION = {5613}  # the feature is not switched on for the account


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
    )
    restates = True
    oauth = OAuth(
        "https://login.microsoftonline.com",
        "/common/oauth2/v2.0/token",
        scope="https://ads.microsoft.com/msads.manage offline_access",
        rotates=True,
        placeholder="ms-access-token",
    )
    identifiers: ClassVar = {"HashedEmailAddress": email.microsoft, "HashedPhoneNumber": phone.e164}

    class Config(PlatformConfig):
        client_id: str = Field(description="Application (client) id at the Microsoft identity platform.")
        client_secret: SecretStr | None = Field(None, description="Its secret; none for a public client.")
        refresh_token: SecretStr = Field(description="The first refresh token; later ones are kept, encrypted.")
        developer_token: SecretStr = Field(description="Developer token of the Microsoft Advertising account.")
        customer_id: str = Field(description="Customer id, digits.", pattern=r"^\d+$")
        customer_account_id: str = Field(description="Account id, digits.", pattern=r"^\d+$")
        conversion_names: dict[str, str] = Field(description="Canonical or custom name -> name of an offline goal.")
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
        if c.value is not None and c.value < 0:
            raise Withhold(Reason.INVALID_VALUE, "Microsoft takes no negative value")
        return self.identity(c, c.name, c.event_time) | {
            "ConversionValue": c.value,
            "ConversionCurrencyCode": c.currency,
        }

    def adjustment(self, c: Conversion) -> Payload:
        """A refund restates the conversion to what is left of it, or retracts it. The identity is the original's."""
        if c.remaining_value is None or c.original_event_time is None:
            raise Withhold(
                Reason.MISSING_FIELD, "a refund needs remaining_value, the new total, and original_event_time"
            )
        original = str(c.properties.get("original_event_name") or "purchase")
        row = self.identity(c, original, c.original_event_time) | {"AdjustmentTime": iso(c.event_time, 3)}
        if c.remaining_value == 0:
            return row | {"AdjustmentType": "Retract"}
        return row | {
            "AdjustmentType": "Restate",
            "AdjustmentValue": c.remaining_value,
            "AdjustmentCurrencyCode": c.currency,
        }

    def identity(self, c: Conversion, name: str, time: int) -> Payload:
        goal = self.config.conversion_names.get(name)
        if not goal:
            raise Withhold(Reason.NOT_CONFIGURED, f"conversion_names has no goal for `{name}`")
        click = (c.click_id("msclkid") or "").removeprefix("_uet") or None
        if not self.config.enhanced_conversions:
            if not click:
                raise Withhold(Reason.NO_CLICK_ID, "no msclkid, and enhanced_conversions is off")
            return {"MicrosoftClickId": click, "ConversionName": goal, "ConversionTime": iso(time, 3)}
        hashes = {field: values[0] for field, values in self.matched(c).items()}
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
        if response.status == 200 and isinstance(errors, list):
            return self.read_rows(errors, response, count)
        return self.read_fault(body, response) or by_status(response) or unreadable(response)

    def read_rows(self, errors: list[Any], response: Response, count: int) -> Verdict:
        """Rows that no error names are applied."""
        outcomes = [Outcome(State.ACCEPTED)] * count
        trace_id = response.headers.get("trackingid", "")
        for error in errors:
            if error is None:
                continue
            index = error.get("Index") if isinstance(error, dict) else None
            if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
                return unreadable(response)
            code, label = error.get("Code"), str(error.get("ErrorCode") or error.get("Code"))
            if code in CONFIGURATION:
                return Verdict(
                    Kind.CONFIGURATION, code=label, message=str(error.get("Message") or ""), trace_id=trace_id
                )
            wait = ROW_LATER.get(code) if isinstance(code, int) else None
            words = str(error.get("Message") or "")
            outcomes[index] = Outcome(State.RETRY, label, words, wait) if wait else rejected(label, words)
        if (
            all(isinstance(error, dict) and error.get("Code") in CONFIGURATION for error in errors)
            and len(errors) == count
        ):
            first = outcomes[0]
            return Verdict(Kind.CONFIGURATION, code=first.code, message=first.message, trace_id=trace_id)
        return Verdict(Kind.SETTLED, outcomes, trace_id=trace_id)

    def read_fault(self, body: Payload, response: Response) -> Verdict | None:
        """A fault: decided by its code, not by the HTTP status."""
        faults = [f for key in ("Errors", "OperationErrors", "BatchErrors") for f in _dicts(body.get(key))]
        if not faults:
            return None
        codes = {f.get("Code") for f in faults if isinstance(f.get("Code"), int)}
        known: dict[str, Any] = {
            "code": " ".join(str(f.get("ErrorCode") or f.get("Code")) for f in faults),
            "message": "; ".join(str(f.get("Message") or "") for f in faults),
            "trace_id": str(body.get("TrackingId") or ""),
        }
        if 117 in codes or response.status == 429:
            return Verdict(Kind.RATE_LIMITED, wait=minutes(1), **known)
        if codes & AUTH:
            return Verdict(Kind.AUTH, **known)
        if codes & CONFIGURATION:
            return Verdict(Kind.CONFIGURATION, **known)
        if 0 in codes or response.status >= 500:
            return Verdict(Kind.TRANSIENT, maybe_stored=True, **known)
        return by_status(response, **known) or Verdict(Kind.REFUSED, **known)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
