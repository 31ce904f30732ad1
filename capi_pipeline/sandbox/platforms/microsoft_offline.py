"""Microsoft Advertising offline conversions, Campaign Management v13 (REST).

https://learn.microsoft.com/en-us/advertising/campaign-management-service/applyofflineconversions
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import accounts, rules
from capi_pipeline.sandbox.oauth import TokenEndpoint
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token
from capi_pipeline.sandbox.store import FOREVER, Event

MAXIMUM: Final = 1000
AGE: Final = timedelta(days=90)
HIGHEST_VALUE: Final = 999_999_999_999
SCOPE: Final = "https://ads.microsoft.com/msads.manage"
CLICK_ID = re.compile(r"(?!_uet)[A-Za-z0-9_-]{1,64}", re.ASCII)

GOALS: Final = frozenset(
    [
        *accounts.MICROSOFT_CONVERSION_NAMES.values(),
        accounts.MICROSOFT_CLICK_ID_ONLY_GOAL,
        accounts.MICROSOFT_FIXED_GOAL,
    ]
)
# guides/operation-error-codes. The numbers of the two "not hashed" errors are not published.
ERRORS: Final = {
    5602: "OfflineConversionIsNull",
    5603: "OfflineConversionMicrosoftClickIdNullOrEmpty",
    5604: "OfflineConversionMicrosoftClickIdInvalid",
    5605: "OfflineConversionNameNullOrEmpty",
    5606: "OfflineConversionNameInvalid",
    5607: "OfflineConversionTimeInvalid",
    5608: "OfflineConversionTimeNullOrEmpty",
    5609: "OfflineConversionTimeOutOfWindow",
    5610: "OfflineConversionValueInvalid",
    5611: "OfflineConversionCurrencyCodeInvalid",
    5612: "OfflineConversionApplyFailed",
    5613: "OfflineConversionNotEnabledForCustomer",
    5614: "FutureConversionTimeCannotBeSet",
    5615: "OfflineConversionNotAcceptedForGoal",
    5616: "ConversionTimeEarlierThanClickTime",
    5618: "OfflineConversionInvalidAdjustmentType",
    5619: "OfflineConversionAdjustmentTimeNullOrEmpty",
    5620: "OfflineConversionAdjustmentTimeInvalid",
    5621: "OfflineConversionFutureAdjustmentTimeCannotBeSet",
    5622: "OfflineConversionAdjustmentTimeOutOfWindow",
    5623: "OfflineConversionAdjustmentTimeEarlierThanConversionTime",
    5624: "OfflineConversionAdjustmentValueNotExpected",
    5625: "OfflineConversionAdjustmentValueRequired",
    5626: "OfflineConversionAdjustmentCurrencyNotExpected",
    5627: "OfflineConversionRestateRetractNotSupported",
    5628: "ConversionEmailAddressIsNotHashed",
    5629: "ConversionPhoneNumberIsNotHashed",
}


def fault(code: int, name: str, message: str, status: int) -> Reply:
    """The whole request failed."""
    return Reply(
        {
            "TrackingId": str(uuid.uuid4()),
            "Type": "AdApiFaultDetail",
            "Errors": [{"Code": code, "ErrorCode": name, "Message": message, "Detail": None}],
        },
        status,
    )


def list_fault(code: int, name: str, message: str) -> Refused:
    """The list itself is wrong: no row was looked at."""
    problem = {"Code": code, "ErrorCode": name, "Message": message, "Details": None}
    body = {"TrackingId": str(uuid.uuid4()), "Type": "ApiFaultDetail", "BatchErrors": [], "OperationErrors": [problem]}
    return Refused(Reply(body, 400))


def partial_error(index: int, code: int) -> dict[str, Any]:
    name = ERRORS.get(code, "InternalError")
    return {
        "Code": code, "ErrorCode": name, "Message": f"{name}: see operation error code {code}.",
        "Index": index, "FieldPath": None, "Details": None, "Type": "BatchError", "ForwardCompatibilityMap": None,
    }  # fmt: skip


def token_error(error: str, description: str, status: int) -> Reply:
    number = {"invalid_grant": 70000, "invalid_client": 7000215}.get(error, 900144)
    return Reply(
        {
            "error": error, "error_description": f"AADSTS{number}: {description}", "error_codes": [number],
            "trace_id": str(uuid.uuid4()), "correlation_id": str(uuid.uuid4()),
        }, status,
    )  # fmt: skip


class MicrosoftOffline(Platform):
    """Bad rows come back in PartialErrors, the others are applied; a repeated row is ignored without a word.

    An adjustment whose original is not found is answered like any other and recorded with the reason that the
    platform's report would give, `AdjustmentOriginalNotFound`.
    """

    slug = "microsoft_offline"
    title = "Microsoft offline conversions"
    documentation = "https://learn.microsoft.com/en-us/advertising/campaign-management-service/applyofflineconversions"
    environment: ClassVar = {
        "MICROSOFT_CLIENT_ID": accounts.MICROSOFT_CLIENT_ID,
        "MICROSOFT_CLIENT_SECRET": accounts.MICROSOFT_CLIENT_SECRET,
        "MICROSOFT_REFRESH_TOKEN": accounts.MICROSOFT_REFRESH_TOKEN,
        "MICROSOFT_DEVELOPER_TOKEN": accounts.MICROSOFT_DEVELOPER_TOKEN,
    }

    def __init__(self) -> None:
        self.tokens = TokenEndpoint(
            accounts.MICROSOFT_CLIENT_ID, accounts.MICROSOFT_CLIENT_SECRET, accounts.MICROSOFT_REFRESH_TOKEN,
            seconds=3600, scope=SCOPE, rotates=True, error=token_error,
        )  # fmt: skip

    def endpoints(self) -> Sequence[Endpoint]:
        base = "/CampaignManagement/v13"
        return [
            Endpoint("POST", f"{base}/OfflineConversions/Apply", self.apply),
            Endpoint("POST", f"{base}/OfflineConversionAdjustments/Apply", self.adjust),
            Endpoint("POST", "/common/oauth2/v2.0/token", self.token, kind="token"),
        ]

    def token(self, call: Call) -> Reply:
        if SCOPE not in call.body.decode("utf-8", "replace").replace("%3A", ":").replace("%2F", "/"):
            raise Refused(token_error("invalid_scope", f"The scope {SCOPE} is required.", 400))
        return self.tokens.answer(call)

    def apply(self, call: Call) -> Reply:
        rows = self._rows(call, "OfflineConversions")
        errors, good = [], []
        for index, row in enumerate(rows):
            code = conversion_problem(row, call.now)
            if code is None:
                code = call.refusal(row, 5604)
            if code is None:
                good.append(accepted(row))
            else:
                errors.append(partial_error(index, code))
        call.rejected = len(errors)
        call.record(good)
        return Reply({"PartialErrors": errors})

    def adjust(self, call: Call) -> Reply:
        rows = self._rows(call, "OfflineConversionAdjustments")
        errors = []
        for index, row in enumerate(rows):
            code = adjustment_problem(row, call.now)
            if code is None:
                code = call.refusal(row, 5604)
            if code is None:
                self._adjust(call, row)
            else:
                errors.append(partial_error(index, code))
        call.rejected = len(errors)
        return Reply({"PartialErrors": errors})

    def _adjust(self, call: Call, row: Mapping[str, Any]) -> None:
        """Restate gives a new total, Retract removes; both find the original by its exact key."""
        original = call.store.counted(self.slug, accounts.MICROSOFT_CUSTOMER_ACCOUNT_ID, key(row))
        retract = row["AdjustmentType"] == "Retract"
        value, currency = row.get("AdjustmentValue"), row.get("AdjustmentCurrencyCode")
        if original is None:
            outcome = "AdjustmentOriginalNotFound"
        else:
            outcome = "retracted" if retract else "restated"
            call.store.change_value(original["id"], None if retract else value, currency, retracted=retract)
        identity = f"{key(row)}\x1f{row['AdjustmentType']}\x1f{row['AdjustmentTime']}"
        call.record(
            [
                Event(
                    accounts.MICROSOFT_CUSTOMER_ACCOUNT_ID, identity, row["ConversionName"], row, id=key(row),
                    outcome=outcome, value=value, currency=currency,
                )
            ]
        )  # fmt: skip

    def _rows(self, call: Call, name: str) -> list[Any]:
        self._authorise(call)
        body = call.json()
        if body is None:
            raise Refused(fault(201, "InvalidInput", "The request could not be read.", 400))
        rows = body.get(name)
        if not isinstance(rows, list) or not rows:
            raise list_fault(5600, "OfflineConversionsNullOrEmpty", "The list is null or empty.")
        call.events = len(rows)
        if len(rows) > MAXIMUM:
            raise list_fault(5601, "OfflineConversionBatchSizeExceedsLimit", f"At most {MAXIMUM} rows are accepted.")
        return rows

    def _authorise(self, call: Call) -> None:
        match self.tokens.check(call):
            case Token.EXPIRED:
                raise Refused(fault(109, "AuthenticationTokenExpired", "Authentication token expired.", 401))
            case Token.MISSING | Token.WRONG | Token.REVOKED:
                raise Refused(fault(105, "InvalidCredentials", "Authentication failed.", 401))
        if call.headers.get("developertoken") != accounts.MICROSOFT_DEVELOPER_TOKEN:
            raise Refused(fault(105, "InvalidCredentials", "The developer token is not valid.", 401))
        if not call.headers.get("customerid"):
            raise Refused(fault(1029, "CustomerIdMissing", "The CustomerId header is required.", 400))
        account = (call.headers["customerid"], call.headers.get("customeraccountid"))
        if account != (accounts.MICROSOFT_CUSTOMER_ID, accounts.MICROSOFT_CUSTOMER_ACCOUNT_ID):
            raise Refused(fault(106, "UserIsNotAuthorized", "The user is not authorized for this account.", 403))

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return fault(
            parameters.get("code") or 117, "CallRateExceeded", "The call rate was exceeded. Wait 60 seconds.",
            parameters.get("status") or 429,
        )  # fmt: skip

    def server_error(self, status: int) -> Reply:
        return fault(0, "InternalError", "An internal error has occurred.", status)


def key(row: Mapping[str, Any]) -> str:
    """What makes two rows the same conversion, with the time as it was written."""
    fields = ("MicrosoftClickId", "ConversionName", "ConversionTime", "HashedEmailAddress", "HashedPhoneNumber")
    return "\x1f".join(row.get(field) or "" for field in fields)


def accepted(row: Mapping[str, Any]) -> Event:
    return Event(
        account=accounts.MICROSOFT_CUSTOMER_ACCOUNT_ID, identity=key(row), name=row["ConversionName"], payload=row,
        id=key(row), window=FOREVER, value=row.get("ConversionValue"), currency=row.get("ConversionCurrencyCode"),
    )  # fmt: skip


def utc(value: object) -> datetime | None:
    """An ISO 8601 moment in UTC; other zones are not taken."""
    return rules.parse_rfc3339(value) if isinstance(value, str) and value.endswith(("Z", "z", "+00:00")) else None


def identity_problem(row: object, now: datetime) -> int | None:
    """Name, time and identifiers, which conversions and adjustments share."""
    if not isinstance(row, dict):
        return 5602
    name, click = row.get("ConversionName"), row.get("MicrosoftClickId")
    if not rules.is_text(name):
        return 5605
    if name not in GOALS:
        return 5606
    if row.get("ConversionTime") in (None, ""):
        return 5608
    at = utc(row["ConversionTime"])
    if at is None:
        return 5607
    if at > now:
        return 5614
    if now - at > AGE:
        return 5609
    if row.get("HashedEmailAddress") is not None and not rules.is_digest(row["HashedEmailAddress"]):
        return 5628
    if row.get("HashedPhoneNumber") is not None and not rules.is_digest(row["HashedPhoneNumber"]):
        return 5629
    if click is None or click == "":
        hashes = row.get("HashedEmailAddress") or row.get("HashedPhoneNumber")
        return 5603 if not hashes or name == accounts.MICROSOFT_CLICK_ID_ONLY_GOAL else None
    return None if isinstance(click, str) and CLICK_ID.fullmatch(click) else 5604


def value_problem(value: object, currency: object) -> int | None:
    if value is not None and not (rules.is_amount(value) and value <= HIGHEST_VALUE and rules.decimals(value) <= 3):
        return 5610
    return None if currency is None or rules.is_currency(currency) else 5611


def conversion_problem(row: Any, now: datetime) -> int | None:
    """Code of the first thing wrong with an OfflineConversion; None for a good one."""
    code = identity_problem(row, now)
    return code or value_problem(row.get("ConversionValue"), row.get("ConversionCurrencyCode"))


def adjustment_problem(row: Any, now: datetime) -> int | None:
    """Code of the first thing wrong with an OfflineConversionAdjustment; None for a good one."""
    code = identity_problem(row, now)
    if code is not None:
        return code
    if row["ConversionName"] == accounts.MICROSOFT_FIXED_GOAL:
        return 5627
    kind, value, currency = row.get("AdjustmentType"), row.get("AdjustmentValue"), row.get("AdjustmentCurrencyCode")
    if kind not in ("Restate", "Retract"):
        return 5618
    if row.get("AdjustmentTime") in (None, ""):
        return 5619
    at = utc(row["AdjustmentTime"])
    if at is None:
        return 5620
    if at > now:
        return 5621
    if now - at > AGE:
        return 5622
    if at < (utc(row["ConversionTime"]) or datetime.min.replace(tzinfo=UTC)):
        return 5623
    if kind == "Retract" and value is not None:
        return 5624
    if kind == "Restate" and value is None:
        return 5625
    if currency is not None and value is None:
        return 5626
    return value_problem(value, currency)
