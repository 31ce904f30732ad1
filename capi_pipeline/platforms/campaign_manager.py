"""Campaign Manager 360 conversions (`campaign_manager`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Amount, Conversion
from capi_pipeline.conversions.identifiers import anonymous_id, email, phone, user_id
from capi_pipeline.platforms.answers import by_status, dicts, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits
from capi_pipeline.platforms.google import (
    ADDRESS,
    GoogleConfig,
    GooglePlatform,
    age_at,
    blocked,
    by_row,
    by_rpc_status,
    reasons,
    told,
    user_identifiers,
)
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, State, Verdict, Withhold, need, rejected
from capi_pipeline.platforms.times import age_of, days, hours, milliseconds, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

INSERT, UPDATE = "batchinsert", "batchupdate"
KINDS = {INSERT: "dfareporting#conversionsBatchInsertRequest", UPDATE: "dfareporting#conversionsBatchUpdateRequest"}
OLDEST_CLICK = 60 * 86_400_000  # milliseconds
MATCH_IDS = {"anonymous_id": anonymous_id.clear, "user_id": user_id.clear}
# Reasons of a 403 that a person must put right; the others speak of quota or of the token.
ACCOUNT = {"accessNotConfigured", "insufficientPermissions", "forbidden"}
KNOWN_AFTER = hours(6)  # by then Campaign Manager knows a click or a tag's conversion, or never will


class CampaignManager(GooglePlatform):
    """Campaign Manager 360 API v5: offline conversions of Floodlight activities, refunds, and enhancements of conversions
    of the Floodlight tag. Scope of the consent: ddmconversions.
    https://developers.google.com/doubleclick-advertisers/guides/conversions_overview"""

    name = "campaign_manager"
    title = "Campaign Manager 360"
    documentation = "https://developers.google.com/doubleclick-advertisers/guides/conversions_overview"
    host = "https://dfareporting.googleapis.com"
    # About one request a second for each Cloud project.
    limits = Limits(events=1000, oldest=days(28), newest=minutes(0), concurrency=2, per_second=1)
    deduplication = Deduplication(
        keys=("floodlightActivityId", "floodlightConfigurationId", "identifier", "timestampMicros", "ordinal"),
        window=days(28),
        exact=True,
    )
    limited_data = True  # of new conversions only
    restates = True
    click_ids = ("gclid", "dclid")
    identifiers: ClassVar = {  # e-mails and phones of enhancements only
        "hashedEmail": email.google,
        "hashedPhoneNumber": phone.e164,
        "matchId": tuple(MATCH_IDS.values()),
    }
    single_identifiers: ClassVar = ADDRESS  # of enhancements only

    class Config(GoogleConfig):
        api_version: str = Field("v5", description="Version of the API.", pattern=r"^v\d+$")
        profile_id: str = Field(
            description="Campaign Manager user profile id (not the account's), digits.",
            pattern=r"^\d+$",
            examples=["7654321"],
        )
        floodlight_configuration_id: str = Field(
            description="Floodlight configuration, digits.", pattern=r"^\d+$", examples=["8901234"]
        )
        floodlight_activities: dict[str, Annotated[str, Field(pattern=r"^\d+$")]] = Field(
            description="Canonical or custom name -> id of the activity.", examples=[{"purchase": "11111"}]
        )
        currency: str = Field(
            description="Currency of the Floodlight parent advertiser; events in another one are withheld.",
            pattern="^[A-Z]{3}$",
            examples=["USD"],
        )
        match_id_from: str | None = Field(
            None,
            description="The column that equals the tag's `match_id`: `anonymous_id` or `user_id`.",
            pattern="^(anonymous_id|user_id)$",
            examples=["anonymous_id"],
        )
        mode: str = Field(
            "insert",
            description="`insert`, or `enhancements` of what the Floodlight tag recorded.",
            pattern="^(insert|enhancements)$",
        )
        oauth_refresh_token: SecretStr = Field(description="Refresh token of the profile's user; scope ddmconversions.")
        merchant_id: str | None = Field(
            None, description="Merchant Center id; switches cart data on.", pattern=r"^\d+$", examples=["123456789"]
        )
        merchant_feed_label: str | None = Field(None, description="Feed label of the products.", examples=["US"])
        merchant_feed_language: str | None = Field(None, description="Feed language of the products.", examples=["en"])

    @property
    def enhances(self) -> bool:
        return bool(self.config.mode == "enhancements")

    def screen_age(self, conversion: Conversion, now: datetime) -> None:
        super().screen_age(conversion, now)
        if self.enhances and age_of(conversion.event_time, now) > hours(24):
            raise Withhold(Reason.TOO_OLD, "an enhancement follows within 24 hours")

    def group(self, c: Conversion) -> str:
        return UPDATE if self.enhances or c.event_name == "refund" else INSERT

    def encode(self, c: Conversion) -> Payload:
        if c.opt_out_of_sale and self.group(c) == UPDATE:
            raise Withhold(Reason.OPTED_OUT, "batchupdate takes no limitAdTracking")
        if self.enhances:
            return self.enhancement(c)
        if c.event_name == "refund":
            return self.refund(c)
        return self.conversion(c, c.name, c.event_time, c.transaction_id or c.event_id, self.identifier(c)) | {
            "quantity": "1",  # conversions, not items
            "value": c.value or 0,
            "adUserDataConsent": (c.consent_ad_user_data or "").upper(),
            "nonPersonalizedAd": True
            if c.opt_out_of_sale
            else {"denied": True, "granted": False}.get(c.consent_ad_personalization or ""),
            "limitAdTracking": True if c.opt_out_of_sale else None,
            "cartData": self.cart(c),
        }

    def conversion(self, c: Conversion, name: str, time: int, ordinal: str, identifier: Payload) -> Payload:
        """What makes a conversion this one: a repetition or an update must say the same."""
        activity = self.configured("floodlight_activities", name)
        if c.currency not in (None, self.config.currency):
            raise Withhold(Reason.INVALID_VALUE, "another currency than the Floodlight parent advertiser's")
        return {
            "kind": "dfareporting#conversion",
            "floodlightActivityId": activity,
            "floodlightConfigurationId": self.config.floodlight_configuration_id,
            "ordinal": ordinal,
            "timestampMicros": str(time),
            **identifier,
        }

    def identifier(self, c: Conversion) -> Payload:
        """Exactly one: a click of the last 60 days, a device that may be tracked, the match id."""
        converted = c.original_event_time or c.event_time
        for parameter in self.click_ids:
            clicked = c.clicked_at(parameter)
            if (value := c.click_id(parameter)) and not (clicked and milliseconds(converted) - clicked > OLDEST_CLICK):
                return {parameter: value}
        if c.may_track and c.advertising_id:
            return {"mobileDeviceId": c.advertising_id}
        if match_id := self.match_id(c):
            return {"matchId": match_id}
        raise Withhold(Reason.NO_IDENTIFIER, "no gclid, dclid, device id or match id")

    def match_id(self, c: Conversion) -> str | None:
        column = self.config.match_id_from
        return c.first(MATCH_IDS[column]) if column else None

    def cart(self, c: Conversion) -> Payload:
        if not (self.config.merchant_id and c.items and c.event_name == "purchase"):
            return {}
        return {
            "merchantId": self.config.merchant_id,
            "merchantFeedLabel": self.config.merchant_feed_label,
            "merchantFeedLanguage": self.config.merchant_feed_language,
            "items": [
                {"itemId": item["id"], "quantity": item["quantity"] or 1, "unitPrice": item["price"]}
                for item in c.items
            ],
        }

    def refund(self, c: Conversion) -> Payload:
        """The original with its new total; of a whole refund nothing is left. Other fields may not be in an update."""
        left: Amount = need(c.remaining_value, "remaining_value (the new total)")
        time = need(c.original_event_time, "original_event_time")
        need(c.currency, "currency")
        if left < 0:
            raise Withhold(Reason.INVALID_VALUE, "remaining_value is negative")
        ordinal = c.transaction_id or c.original_event_id or ""
        row = self.conversion(c, c.original_event_name, time, ordinal, self.identifier(c))
        return row | {"quantity": "1" if left else "0", "value": left}

    def enhancement(self, c: Conversion) -> Payload:
        """Of the conversion that the Floodlight tag recorded with this match id, ordinal and time (to the microsecond)."""
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "a refund is not an enhancement")
        if c.action_source != "website":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "only website events have a tag's conversion to enhance")
        ordinal = need(c.transaction_id, "transaction_id")
        identifiers, match_id = user_identifiers(self.matched(c), c, address=True), self.match_id(c)
        if not (match_id and identifiers):
            raise Withhold(Reason.NO_IDENTIFIER, "no match id, or no e-mail, phone or complete address")
        row = self.conversion(c, c.name, c.event_time, ordinal, {"matchId": match_id})
        return row | {"quantity": "1", "value": c.value or 0, "userIdentifiers": identifiers}

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        path = f"/dfareporting/{self.config.api_version}/userprofiles/{self.config.profile_id}/conversions/{group}"
        return self.post(path, {"kind": KINDS[group], "conversions": list(payloads)})

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        if isinstance(error := body.get("error"), dict):
            return self.read_error(error, response) or unreadable(response)
        if response.status != 200 or "error" in body:
            return by_status(response) or unreadable(response)
        return self.read_rows(body, response, count) or unreadable(response)

    def read_rows(self, body: Payload, response: Response, count: int) -> Verdict | None:
        """`status[i]` answers `conversions[i]`: with errors, or with the conversion alone; None for anything else."""
        rows, failures = body.get("status"), body.get("hasFailures", False)
        if dicts(rows) != rows or len(rows) != count or not isinstance(failures, bool):
            return None
        codes = [codes_of(row) for row in rows]
        if None in codes or (failures and not any(codes)):
            return None
        sent = response.sent if len(response.sent) == count else [{}] * count
        outcomes = [outcome(found or {}, response, payload) for found, payload in zip(codes, sent, strict=True)]
        account = [i for i, it in enumerate(outcomes) if (it.state, it.code) == (State.RETRY, "PERMISSION_DENIED")]
        return by_row(outcomes, account)

    def read_error(self, error: Payload, response: Response) -> Verdict | None:
        known = told(error, response)
        if response.status == 403 and ACCOUNT & set(reasons(error)):
            return Verdict(Kind.CONFIGURATION, **known)
        if response.status == 400 and type(error.get("code")) is int and error["code"] == 400:
            return Verdict(Kind.REFUSED, **known)  # an unknown field or a wrong type somewhere; nothing is stored
        return by_rpc_status(error, response, known)


def codes_of(row: Payload) -> dict[str, str] | None:
    """A row's error codes and their words; none for a row that was taken; None for what is not documented."""
    errors = row.get("errors", [])
    if dicts(errors) != errors or not all(isinstance(error.get("code"), str) and error["code"] for error in errors):
        return None
    if not errors and not (isinstance(row.get("conversion"), dict) and row["conversion"]):
        return None
    return {error["code"]: str(error.get("message") or "") for error in errors}


def outcome(codes: dict[str, str], response: Response, sent: Payload) -> Outcome:
    """What becomes of a row with these errors: a final one counts first."""
    if not codes:
        return Outcome(State.ACCEPTED)
    if (code := "INVALID_ARGUMENT") in codes:
        return rejected(code, codes[code])
    if (code := "PERMISSION_DENIED") in codes:
        return blocked(code, codes[code])
    if (code := "NOT_FOUND") in codes:
        age = age_at(response, int(sent["timestampMicros"])) if sent else None
        if age is not None and age > KNOWN_AFTER:
            return rejected(code, codes[code])
        return Outcome(State.RETRY, code, codes[code], hours(1))
    code, words = next(iter(codes.items()))
    return Outcome(State.RETRY, code, words)
