"""Google Ads API, click conversions and conversion adjustments (`google_ads`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import email, phone
from capi_pipeline.platforms.answers import by_status, dicts, trace, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits
from capi_pipeline.platforms.google import (
    ADDRESS,
    GoogleConfig,
    GooglePlatform,
    ad_click,
    age_at,
    blocked,
    by_row,
    by_rpc_status,
    retry_delay,
    told,
    user_identifiers,
)
from capi_pipeline.platforms.outcomes import (
    Kind,
    Outcome,
    Reason,
    State,
    Verdict,
    Withhold,
    need,
    only_tested,
    rejected,
)
from capi_pipeline.platforms.times import age_of, days, hours, iso, microseconds, minutes, span
from capi_pipeline.platforms.wire import Payload, Request, Response

CLICKS, ADJUSTMENTS = "uploadClickConversions", "uploadConversionAdjustments"
LISTS = {CLICKS: "conversions", ADJUSTMENTS: "conversionAdjustments"}
ROWS = {"conversions", "conversionAdjustments", "conversion_adjustments"}  # names of the list in an error's location
UPLOADS = {"conversionUploadError", "conversionAdjustmentUploadError"}  # errors about single rows
# Google has it already, from an earlier attempt or from another row of the request.
HAS_IT = re.compile(
    "ORDER_ID_ALREADY_IN_USE|CLICK_CONVERSION_ALREADY_EXISTS|DUPLICATE_[A-Z_]+|CONVERSION_ALREADY_ENHANCED|"
    "CONVERSION_ALREADY_RETRACTED|RESTATEMENT_ALREADY_EXISTS"
)
# What a person must put right: the account, an action, an agreement. The rows may be sent again afterwards.
ACCOUNT = re.compile(
    "NO_CONVERSION_ACTION_FOUND|INVALID_CONVERSION_ACTION_TYPE|CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS|"
    "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS|CUSTOMER_DATA_POLICY_PROHIBITS_[A-Z_]+|UNAUTHORIZED_CUSTOMER|"
    "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE|USER_PERMISSION_DENIED|CUSTOMER_NOT_ENABLED|"
    "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION|ACTION_NOT_PERMITTED"
)
# Clicks and actions younger than six hours, and conversions that Google does not know yet: for a day at most.
NOT_FOUND = "CONVERSION_NOT_FOUND"
EARLY = {"TOO_RECENT_EVENT", "TOO_RECENT_CONVERSION_ACTION", "TOO_RECENT_CONVERSION", NOT_FOUND}
PASSING = {"TRANSIENT_ERROR", "DEADLINE_EXCEEDED", "CONCURRENT_MODIFICATION"}
TOO_MANY = {"TOO_MANY_CONVERSIONS_IN_REQUEST", "TOO_MANY_ADJUSTMENTS_IN_REQUEST"}
LONGEST_ORDER_ID = 64


@dataclass(frozen=True)
class Failure:
    """One error of a GoogleAdsFailure: which enum, its value, Google's words, and the rows that it is about."""

    kind: str
    code: str
    words: str
    rows: Sequence[int]
    named: bool  # its location names a row; else it is about all of them

    @property
    def account(self) -> bool:
        return self.kind == "authenticationError" or bool(ACCOUNT.fullmatch(self.code))

    @property
    def passing(self) -> bool:
        return self.kind in ("internalError", "quotaError") or self.code in PASSING

    def outcome(self) -> Outcome:
        if self.kind in UPLOADS and HAS_IT.fullmatch(self.code):
            return Outcome(State.ACCEPTED, self.code, self.words)
        if self.account:
            return blocked(self.code, self.words)
        if self.passing or self.code in EARLY:
            return Outcome(State.RETRY, self.code, self.words, hours(6) if self.code in EARLY else None)
        return rejected(self.code, self.words)


class GoogleAds(GooglePlatform):
    """Google Ads API v26: conversions of clicks and leads, refunds, and enhancements of conversions of the Google tag.
    Only for accounts that uploaded before June 2026; others use the Data Manager API. Scope of the consent: adwords.
    https://developers.google.com/google-ads/api/docs/conversions/overview"""

    name = "google_ads"
    title = "Google Ads"
    documentation = "https://developers.google.com/google-ads/api/docs/conversions/overview"
    host = "https://googleads.googleapis.com"
    limits = Limits(events=2000, oldest=days(90), newest=minutes(0))
    deduplication = Deduplication(keys=("conversionAction", "orderId"), window=days(90))
    restates = True
    test_mode = "validate_only"
    click_ids = ("gclid", "gbraid", "wbraid")
    identifiers: ClassVar = {"hashedEmail": email.google, "hashedPhoneNumber": phone.e164}
    single_identifiers: ClassVar = ADDRESS  # of enhancements only

    class Config(GoogleConfig):
        api_version: str = Field(
            "v26", description="Version of the API; a major one lives about a year.", pattern=r"^v\d+$"
        )
        customer_id: str = Field(
            description="The account's conversion customer, digits only.", pattern=r"^\d+$", examples=["1234567890"]
        )
        login_customer_id: str | None = Field(
            None,
            description="Manager account through which access is had; only if so.",
            pattern=r"^\d+$",
            examples=["9998887777"],
        )
        oauth_refresh_token: SecretStr = Field(description="Refresh token of a user with access; scope adwords.")
        developer_token: SecretStr | None = Field(None, description="Legacy; since September 2026 Google ignores it.")
        mode: str = Field(
            "click_conversions",
            description="`click_conversions`, or `web_enhancements` of what the Google tag recorded.",
            pattern="^(click_conversions|web_enhancements)$",
        )
        conversion_actions: dict[str, Annotated[str, Field(pattern=r"^\d+$")]] = Field(
            description="Canonical or custom name -> numeric id of the action.",
            examples=[{"purchase": "111", "generate_lead": "222"}],
        )
        merchant_id: str | None = Field(
            None, description="Merchant Center id; switches cart data on.", pattern=r"^\d+$", examples=["123456789"]
        )
        merchant_feed_country: str | None = Field(None, description="Country of the feed.", examples=["US"])
        merchant_feed_language: str | None = Field(None, description="Language of the feed.", examples=["EN"])
        validate_only: bool = Field(False, description="Google checks the requests and stores nothing.")

    @property
    def enhances(self) -> bool:
        return bool(self.config.mode == "web_enhancements")

    def screen_age(self, conversion: Conversion, now: datetime) -> None:
        """Enhancements follow within a day, adjustments within 54; user data match clicks of 63 days, click ids of 90."""
        super().screen_age(conversion, now)
        time = conversion.event_time
        if self.enhances:
            most = hours(24)
        elif conversion.event_name == "refund":
            most, time = days(54), conversion.original_event_time or time
        else:
            most = days(90) if ad_click(conversion) else days(63)
        if age_of(time, now) > most:
            raise Withhold(Reason.TOO_OLD, f"Google takes this within {span(most)} of the conversion")

    def group(self, c: Conversion) -> str:
        return ADJUSTMENTS if self.enhances or c.event_name == "refund" else CLICKS

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            return self.adjustment(c)
        if self.enhances:
            return self.enhancement(c)
        action, click, identifiers = self.action(c.name), ad_click(c), self.people(c)
        if not (click or identifiers):
            raise Withhold(Reason.NO_IDENTIFIER, "no click id, e-mail or phone")
        return {
            **click,
            "conversionAction": action,
            "conversionDateTime": clock(c.event_time),
            "conversionValue": c.value,
            "currencyCode": c.currency,
            "orderId": order_id(c.transaction_id or c.event_id),
            "userIdentifiers": identifiers,
            # There is no field for personalisation here: `adPersonalization` is refused.
            "consent": {"adUserData": (c.consent_ad_user_data or "").upper()},
            "customerType": (c.customer_type or "").upper(),
            "cartData": {} if click.keys() & {"gbraid", "wbraid"} else self.cart(c),
        }

    def action(self, name: str) -> str:
        number = self.configured("conversion_actions", name)
        return f"customers/{self.config.customer_id}/conversionActions/{number}"

    def people(self, c: Conversion) -> list[Payload]:
        found = user_identifiers(self.matched(c), c, address=self.enhances)
        return [{"userIdentifierSource": "FIRST_PARTY", **identifier} for identifier in found]

    def cart(self, c: Conversion) -> Payload:
        if not (self.config.merchant_id and c.items and c.event_name == "purchase"):
            return {}
        return {
            "merchantId": self.config.merchant_id,
            "feedCountryCode": self.config.merchant_feed_country,
            "feedLanguageCode": self.config.merchant_feed_language,
            "items": [
                {"productId": item["id"], "quantity": item["quantity"] or 1, "unitPrice": item["price"]}
                for item in c.items
            ],
        }

    def enhancement(self, c: Conversion) -> Payload:
        """Of the conversion that the Google tag recorded with the same order id."""
        if c.action_source != "website":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "only website events have a tag's conversion to enhance")
        action, order, identifiers = self.action(c.name), need(c.transaction_id, "transaction_id"), self.people(c)
        if not identifiers:
            raise Withhold(Reason.NO_IDENTIFIER, "no e-mail, phone or complete address")
        return {
            "conversionAction": action,
            "adjustmentType": "ENHANCEMENT",
            "orderId": order_id(order),
            "gclidDateTimePair": {"conversionDateTime": clock(c.event_time)},
            "userIdentifiers": identifiers,
            "userAgent": c.user_agent,
        }

    def adjustment(self, c: Conversion) -> Payload:
        """A refund restates its conversion to what is left, or retracts it for good where nothing is."""
        if self.enhances:
            raise Withhold(Reason.UNSUPPORTED_EVENT, "a refund is not an enhancement")
        action, left = self.action(c.original_event_name), need(c.remaining_value, "remaining_value (the new total)")
        if left < 0:
            raise Withhold(Reason.INVALID_VALUE, "remaining_value is negative")
        if c.event_time <= need(c.original_event_time, "original_event_time"):
            raise Withhold(Reason.INVALID_VALUE, "an adjustment is later than its conversion")
        row = {
            "conversionAction": action,
            "adjustmentDateTime": clock(c.event_time),
            "orderId": order_id(c.transaction_id or c.original_event_id or ""),
        }
        if left == 0:
            return row | {"adjustmentType": "RETRACTION"}
        total = {"adjustedValue": left, "currencyCode": need(c.currency, "currency")}
        return row | {"adjustmentType": "RESTATEMENT", "restatementValue": total}

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        config, headers = self.config, {}
        if config.login_customer_id:
            headers["login_customer_id"] = config.login_customer_id
        if config.developer_token:
            headers["developer_token"] = config.developer_token.get_secret_value()
        body: Payload = {LISTS[group]: list(payloads), "partialFailure": True}
        if config.validate_only:
            body["validateOnly"] = True
        return self.post(f"/{config.api_version}/customers/{config.customer_id}:{group}", body, **headers)

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        if isinstance(error := body.get("error"), dict):
            return self.read_error(error, response, count) or unreadable(response)
        if response.status != 200 or "error" in body:
            return by_status(response) or unreadable(response)
        return self.read_rows(body, response, count) or unreadable(response)

    def read_rows(self, body: Payload, response: Response, count: int) -> Verdict | None:
        """A failed row has an error and an empty result, any other names its action; None for whatever else."""
        partial, results = body.get("partialFailureError"), body.get("results", [])
        failures = failures_of(partial, count) if isinstance(partial, dict) else []
        if not failures and partial is not None:
            return None
        failed = by_position(failures or ())
        nothing = self.config.validate_only or (not results and len(failed) == count)
        fits = isinstance(results, list) and (
            nothing or [taken(result) for result in results] == [row not in failed for row in range(count)]
        )
        if not fits or not isinstance(body.get("jobId", ""), str | int):
            return None
        outcomes = [worst(failed[row]) if row in failed else Outcome(State.ACCEPTED) for row in range(count)]
        for row, outcome in enumerate(outcomes):
            if outcome.code == NOT_FOUND and len(response.sent) == count and overdue(response, response.sent[row]):
                outcomes[row] = rejected(outcome.code, outcome.message)
        if self.config.validate_only:
            (tested,) = only_tested(1, message="checked; Google stored nothing").outcomes
            outcomes = [tested if outcome.state is State.ACCEPTED else outcome for outcome in outcomes]
        account = [row for row, found in failed.items() if outcomes[row].state is State.RETRY and any_account(found)]
        return by_row(outcomes, account, trace(response.headers.get("request-id")))

    def read_error(self, error: Payload, response: Response, count: int) -> Verdict | None:
        """A request that was refused as a whole, which stores nothing."""
        failures, known = failures_of(error, count) or [], told(error, response)
        known["trace_id"] = trace(response.headers.get("request-id")) or known["trace_id"]
        if failures:
            known["code"] = " ".join(dict.fromkeys(failure.code for failure in failures))
            known["message"] = "; ".join(dict.fromkeys(failure.words for failure in failures))
        kinds = {failure.kind for failure in failures}
        if "quotaError" in kinds and response.status < 500:
            return Verdict(Kind.RATE_LIMITED, wait=retry_delay(error), **known)
        if "authenticationError" in kinds:
            return Verdict(Kind.AUTH, **known)
        if any(failure.passing for failure in failures):
            return Verdict(Kind.TRANSIENT, maybe_stored=True, **known)
        if any_account(failures) and response.status < 500:
            return Verdict(Kind.CONFIGURATION, **known)
        if response.status != 400 or type(error.get("code")) is not int or error["code"] != 400:
            return by_rpc_status(error, response, known)
        if not failures or {failure.code for failure in failures} <= TOO_MANY:  # a type that is wrong somewhere
            return Verdict(Kind.REFUSED, **known)
        if not all(failure.named for failure in failures):
            return Verdict(Kind.CONFIGURATION, **known)
        outcomes = {row: worst(found) for row, found in by_position(failures).items()}
        culprits = {row: outcome for row, outcome in outcomes.items() if outcome.state is State.REJECTED}
        return Verdict(Kind.REFUSED, culprits=culprits, **known)


def failures_of(status: Payload, count: int) -> list[Failure] | None:
    """The errors in the details of a google.rpc.Status; None if one of them is not as documented, or about a row that was
    not sent."""
    found = []
    for detail in dicts(status.get("details")):
        errors = detail.get("errors", [])
        if dicts(errors) != errors:
            return None
        for error in errors:
            code, rows = error.get("errorCode"), rows_of(error, count)
            if not isinstance(code, dict) or len(code) != 1 or rows is None:
                return None
            ((kind, value),) = code.items()
            if not isinstance(value, str) or not value:
                return None
            found.append(Failure(kind, value, str(error.get("message") or ""), rows, isinstance(rows, list)))
    return found


def rows_of(error: Payload, count: int) -> Sequence[int] | None:
    """The row that an error names, or all rows if it names none; a missing index means 0 (it is a proto's default)."""
    location = error.get("location", {})
    path = location.get("fieldPathElements", []) if isinstance(location, dict) else None
    if dicts(path) != path:
        return None
    for element in path:
        if str(element.get("fieldName")) in ROWS:
            index = element.get("index", 0)
            return [index] if type(index) is int and 0 <= index < count else None
    return range(count)


def by_position(failures: Iterable[Failure]) -> dict[int, list[Failure]]:
    found: dict[int, list[Failure]] = {}
    for failure in failures:
        for row in failure.rows:
            found.setdefault(row, []).append(failure)
    return found


def taken(result: object) -> bool | None:
    """Whether a row was stored; None for what is no result."""
    if result == {}:
        return False
    return True if isinstance(result, dict) and isinstance(result.get("conversionAction"), str) else None


def worst(failures: Iterable[Failure]) -> Outcome:
    """What becomes of a row with these errors: a final one counts before one that passes, and that before a repetition."""
    order = [State.REJECTED, State.RETRY, State.ACCEPTED]
    return min((failure.outcome() for failure in failures), key=lambda outcome: order.index(outcome.state))


def overdue(response: Response, row: Payload) -> bool:
    """Whether an adjustment is a day old: by then Google knows the conversion, or never will."""
    time = row.get("adjustmentDateTime") or row.get("gclidDateTimePair", {}).get("conversionDateTime")
    age = age_at(response, microseconds(datetime.fromisoformat(time))) if time else None
    return age is not None and age > hours(24)


def any_account(failures: Iterable[Failure]) -> bool:
    return any(failure.account for failure in failures)


def order_id(text: str) -> str:
    """Raises Withhold: a part of an id would be another order's."""
    if len(text) > LONGEST_ORDER_ID:
        raise Withhold(Reason.INVALID_VALUE, f"orderId is longer than {LONGEST_ORDER_ID} characters")
    return text


def clock(time: int) -> str:
    """`2026-10-01 14:23:05+00:00`: Google takes no `T` and no `Z`."""
    return iso(time).replace("T", " ").replace("Z", "+00:00")
