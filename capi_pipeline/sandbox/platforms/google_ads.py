"""Google Ads API v26, uploads of conversions: https://developers.google.com/google-ads/api/docs/conversions/overview"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import orjson

from capi_pipeline.sandbox import google, rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply
from capi_pipeline.sandbox.proto import Choice, Many, Scalar, Type, misfits
from capi_pipeline.sandbox.store import FOREVER, Event

CUSTOMER: Final = "1234567890"
MANAGER: Final = "9998887777"
NEWCOMER: Final = "5550001111"  # has never uploaded before June 2026
# Conversion actions by type: imports of clicks, and those of the Google tag.
UPLOAD_CLICKS: Final = frozenset({"111", "222", "333", "444", "555", "666", "777", "888", "999"})
WEBPAGE: Final = frozenset({"1111"})
MAXIMUM: Final = 2000
AGE, ADJUSTABLE, ENHANCEABLE = timedelta(days=90), timedelta(days=55), timedelta(hours=24)
LONGEST_ORDER_ID: Final = 64
MOST_IDENTIFIERS: Final = 5

S, N, B = Scalar.STRING, Scalar.DOUBLE, Scalar.BOOL
ADDRESS: Type = dict.fromkeys(
    rules.words("hashedFirstName hashedLastName hashedStreetAddress city state countryCode postalCode"), S
)
IDENTIFIER: Type = {
    "userIdentifierSource": Choice(frozenset({"FIRST_PARTY", "THIRD_PARTY"})), "hashedEmail": S, "hashedPhoneNumber": S,
    "mobileId": S, "thirdPartyUserId": S, "addressInfo": ADDRESS,
}  # fmt: skip
CONSENT: Type = dict.fromkeys(("adUserData", "adPersonalization"), Choice(frozenset({"GRANTED", "DENIED"})))
ITEM: Type = {"productId": S, "quantity": Scalar.INT64, "unitPrice": N}
CART: Type = {
    "merchantId": Scalar.INT64, "feedCountryCode": S, "feedLanguageCode": S, "localTransactionCost": N,
    "items": Many(ITEM),
}  # fmt: skip
CONVERSION: Type = {
    **dict.fromkeys(rules.words("gclid gbraid wbraid conversionAction conversionDateTime currencyCode orderId "
                                "userIpAddress sessionAttributesEncoded"), S),
    "conversionValue": N, "userIdentifiers": Many(IDENTIFIER), "consent": CONSENT, "cartData": CART,
    "customerType": Choice(frozenset({"NEW", "RETURNING"})), "conversionEnvironment": Choice(frozenset({"APP", "WEB"})),
    "customVariables": Many({"conversionCustomVariable": S, "value": S}), "externalAttributionData": Scalar.ANY,
    "sessionAttributesKeyValuePairs": Scalar.ANY,
}  # fmt: skip
ADJUSTMENT: Type = {
    **dict.fromkeys(rules.words("conversionAction orderId adjustmentDateTime userAgent"), S),
    "gclidDateTimePair": {"gclid": S, "conversionDateTime": S},
    "adjustmentType": Choice(frozenset({"ENHANCEMENT", "RETRACTION", "RESTATEMENT"})),
    "restatementValue": {"adjustedValue": N, "currencyCode": S}, "userIdentifiers": Many(IDENTIFIER),
}  # fmt: skip
OPTIONS: Final[Mapping[str, Type]] = {"partialFailure": B, "validateOnly": B, "debugEnabled": B, "jobId": Scalar.INT64}

Problem = tuple[str, str]  # which enum of errors, and its value
CLICK = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
ALREADY = re.compile("ALREADY")  # codes of a repetition, which is no bad event
TIME = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}[+-]\d{2}:\d{2}", re.ASCII)


def upload(code: str) -> Problem:
    return "conversionUploadError", code


def adjust(code: str) -> Problem:
    return "conversionAdjustmentUploadError", code


class GoogleAds(Platform):
    """One bad row leaves the others alone (`partialFailure`): it comes back empty, with an error in a 200.

    A repeated order id of an action is refused and not counted again; so is a repeated click at the same second of a
    conversion without one. Enhancements are taken of any order id of a tag's action, for there is no tag here.
    """

    slug = "google_ads"
    title = "Google Ads"
    documentation = "https://developers.google.com/google-ads/api/docs/conversions/overview"
    environment: ClassVar = google.ENVIRONMENT

    def __init__(self) -> None:
        self.tokens = google.token_endpoint("adwords")

    def endpoints(self) -> Sequence[Endpoint]:
        base = "/{version}/customers/{customer}"
        return [
            Endpoint("POST", f"{base}:uploadClickConversions", self.clicks),
            Endpoint("POST", f"{base}:uploadConversionAdjustments", self.adjustments),
            Endpoint("POST", "/token", self.tokens.answer, kind="token"),
        ]

    def clicks(self, call: Call) -> Reply:
        return self._upload(call, "conversions", CONVERSION, "TOO_MANY_CONVERSIONS_IN_REQUEST", self._convert)

    def adjustments(self, call: Call) -> Reply:
        name, many = "conversionAdjustments", "TOO_MANY_ADJUSTMENTS_IN_REQUEST"
        return self._upload(call, name, ADJUSTMENT, many, self._adjust)

    def _upload(
        self,
        call: Call,
        name: str,
        shape: Type,
        too_many: str,
        one: Callable[[Call, Mapping[str, Any], bool], Problem | None],
    ) -> Reply:
        """Envelope and types refuse the request; then each row on its own. `one` stores a row or says what is wrong."""
        self._authorise(call)
        body = call.json()
        if body is None:
            raise Refused(google.error(400, "Invalid JSON payload received."))
        rows = body.get(name)
        call.events = len(rows) if isinstance(rows, list) else 0
        if unfit := list(misfits({name: Many(shape), **OPTIONS}, body)):
            violations = [{"field": path, "description": text} for path, text in unfit]
            detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}
            raise Refused(google.error(400, unfit[0][1], [detail]), rejected=len(unfit))
        if not rows:
            raise refused(400, ("requestError", "REQUIRED_FIELD_MISSING"), "The list is empty.")
        if len(rows) > MAXIMUM:
            raise refused(400, (upload if name == "conversions" else adjust)(too_many), f"At most {MAXIMUM} rows.")
        if not body.get("partialFailure"):
            raise refused(400, ("requestError", "PARTIAL_FAILURE_MODE_REQUIRED"), "partialFailure must be true.")
        results, errors = [], []
        for index, row in enumerate(rows):
            problem = injected(call, row, name) or one(call, row, bool(body.get("validateOnly")))
            results.append({} if problem else echo(row))
            if problem:
                errors.append(located(problem, name, index))
        call.rejected = sum(not ALREADY.search(next(iter(error["errorCode"].values()))) for error in errors)
        answer: dict[str, Any] = {"results": [] if body.get("validateOnly") else results, "jobId": "4711"}
        if errors:
            first = errors[0]["message"]
            answer["partialFailureError"] = {"code": 3, "message": f"{first}, at {name}", "details": [failure(errors)]}
        return Reply(answer, headers={"request-id": secrets.token_urlsafe(16)})

    def _convert(self, call: Call, row: Mapping[str, Any], only_check: bool) -> Problem | None:
        problem = conversion_problem(row, call.now)
        if problem or only_check:
            return problem
        click = row.get("gclid") or row.get("gbraid") or row.get("wbraid") or str(row.get("userIdentifiers"))
        order, action = row.get("orderId"), row["conversionAction"]
        (outcome,) = call.record(
            [
                Event(
                    CUSTOMER, identity(action, order or f"{click}\x1f{row['conversionDateTime']}"), action, row,
                    id=order, window=FOREVER, value=row.get("conversionValue"), currency=row.get("currencyCode"),
                )
            ]
        )  # fmt: skip
        if outcome != "duplicate":
            return None
        return upload("ORDER_ID_ALREADY_IN_USE" if order else "CLICK_CONVERSION_ALREADY_EXISTS")

    def _adjust(self, call: Call, row: Mapping[str, Any], only_check: bool) -> Problem | None:
        problem = adjustment_problem(row, call.now)
        if problem or (only_check and row["adjustmentType"] == "ENHANCEMENT"):
            return problem
        order, action, kind = row.get("orderId"), row["conversionAction"], row["adjustmentType"]
        if kind == "ENHANCEMENT":
            key = identity(action, f"tag\x1f{order}")
            (outcome,) = call.record([Event(CUSTOMER, key, action, row, id=order, window=FOREVER)])
            return adjust("CONVERSION_ALREADY_ENHANCED") if outcome == "duplicate" else None
        original = call.store.counted(self.slug, CUSTOMER, identity(action, order or pair(row)))
        problem = self._unfit(call, row, original)
        if problem or only_check or original is None:
            return problem
        restated = row.get("restatementValue") or {}
        value, currency = restated.get("adjustedValue"), restated.get("currencyCode")
        call.store.change_value(original["id"], value, currency, retracted=kind == "RETRACTION")
        key = f"{original['identity']}\x1f{kind}\x1f{row['adjustmentDateTime']}"
        outcome = "retracted" if kind == "RETRACTION" else "restated"
        call.record([Event(CUSTOMER, key, action, row, id=order, outcome=outcome, value=value, currency=currency)])
        return None

    def _unfit(self, call: Call, row: Mapping[str, Any], original: Mapping[str, Any] | None) -> Problem | None:
        """Why a retraction or restatement does not fit the conversion that it names."""
        if original is None:
            return adjust("CONVERSION_NOT_FOUND")
        if original["retracted"]:
            return adjust("CONVERSION_ALREADY_RETRACTED")
        at, converted = (
            moment(row["adjustmentDateTime"]),
            moment(orjson.loads(original["payload"])["conversionDateTime"]),
        )
        if at is None or converted is None or at <= converted:
            return adjust("ADJUSTMENT_PRECEDES_CONVERSION")
        if call.now - converted > ADJUSTABLE:
            return adjust("CONVERSION_EXPIRED")
        if row["adjustmentType"] == "RETRACTION":
            return None
        filters = {"platform": self.slug, "event_name": row["conversionAction"], "outcome": "restated"}
        known = call.store.events(filters | {"event_id": original["event_id"]}, 1000, 0) if original["event_id"] else []
        times = [moment(event["payload"]["adjustmentDateTime"]) for event in known]
        if at in times:
            return adjust("RESTATEMENT_ALREADY_EXISTS")
        return adjust("MORE_RECENT_RESTATEMENT_FOUND") if any(time and time > at for time in times) else None

    def _authorise(self, call: Call) -> None:
        unknown = failure([{"errorCode": {"authenticationError": "OAUTH_TOKEN_INVALID"}, "message": "Invalid token."}])
        google.require_token(self.tokens, call, google.error(401, "Request had invalid credentials.", [unknown]))
        customer, manager = call.path["customer"], call.headers.get("login-customer-id")
        if not re.fullmatch(r"v\d+", call.path["version"]) or int(call.path["version"][1:]) < 23:
            raise Refused(Reply("<html><title>404</title></html>", 404, media_type="text/html"))
        if customer == NEWCOMER:
            code = ("notAllowlistedError", "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE")
            raise refused(403, code, "Use the Data Manager API.")
        if customer != CUSTOMER or manager not in (None, MANAGER):
            words = "User doesn't have permission to access customer; is 'login-customer-id' set?"
            raise refused(403, ("authorizationError", "USER_PERMISSION_DENIED"), words)

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        code = str(parameters.get("code") or "RESOURCE_EXHAUSTED")
        return refused(parameters.get("status") or 429, ("quotaError", code), "Too many requests.").reply

    def server_error(self, status: int) -> Reply:
        return refused(status, ("internalError", "INTERNAL_ERROR"), "An internal error has occurred.").reply


def refused(status: int, problem: Problem, words: str) -> Refused:
    """The request as a whole, with a GoogleAdsFailure in its google.rpc.Status."""
    detail = failure([{"errorCode": dict([problem]), "message": words}])
    return Refused(google.error(status, "The request was refused.", [detail]))


def failure(errors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kind = "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure"
    return {"@type": kind, "errors": list(errors), "requestId": secrets.token_urlsafe(16)}


def located(problem: Problem, name: str, index: int) -> dict[str, Any]:
    """An error and the row that it is about; an index of 0 is left out, as protobuf's JSON does with defaults."""
    element = {"fieldName": "conversions" if name == "conversions" else "conversion_adjustments"}
    return {
        "errorCode": dict([problem]), "message": f"Refused: {problem[1]}.",
        "location": {"fieldPathElements": [element | ({"index": index} if index else {})]},
    }  # fmt: skip


def injected(call: Call, row: Mapping[str, Any], name: str) -> Problem | None:
    """A refusal on demand: a code, or `enum.code`."""
    code = call.refusal(row, "UNPARSEABLE_GCLID")
    if code is None:
        return None
    kind, _, value = str(code).rpartition(".")
    return (kind, value) if kind else (upload if name == "conversions" else adjust)(value)


def echo(row: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a row that was taken."""
    fields = (
        "gclid", "gbraid", "wbraid", "conversionAction", "conversionDateTime", "adjustmentType", "adjustmentDateTime",
        "orderId",
    )  # fmt: skip
    return {field: row[field] for field in fields if field in row}


def identity(action: str, key: str) -> str:
    return f"{action}\x1f{key}"


def pair(row: Mapping[str, Any]) -> str:
    """A conversion without an order id, by its click and time."""
    found = row.get("gclidDateTimePair") or {}
    return f"{found.get('gclid')}\x1f{found.get('conversionDateTime')}"


def moment(text: object) -> datetime | None:
    """`2026-10-01 14:23:05+00:00`, in UTC."""
    if not isinstance(text, str) or TIME.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def shared_problem(row: Mapping[str, Any], actions: frozenset[str]) -> Problem | None:
    """Action and order id, which conversions and adjustments share."""
    action = re.fullmatch(rf"customers/{CUSTOMER}/conversionActions/(\d+)", row.get("conversionAction") or "", re.ASCII)
    if action is None or action[1] not in UPLOAD_CLICKS | WEBPAGE:
        return upload("NO_CONVERSION_ACTION_FOUND")
    if action[1] not in actions:
        return upload("INVALID_CONVERSION_ACTION_TYPE")
    order = row.get("orderId") or ""
    if len(order) > LONGEST_ORDER_ID:
        return "stringLengthError", "TOO_LONG"
    return upload("ORDER_ID_CONTAINS_PII") if "@" in order else None


def conversion_problem(row: Mapping[str, Any], now: datetime) -> Problem | None:
    """The first thing wrong with a conversion; None for a good one."""
    if problem := shared_problem(row, UPLOAD_CLICKS):
        return problem
    at = moment(row.get("conversionDateTime"))
    if at is None:
        return "dateError", "INVALID_STRING_DATE_TIME"
    if at > now:
        return "dateError", "LATER_THAN_MAXIMUM_DATE"
    if now - at > AGE:
        return upload("EXPIRED_EVENT")
    clicks = [name for name in ("gclid", "gbraid", "wbraid") if row.get(name)]
    if {"gbraid", "wbraid"} <= set(clicks):
        return upload("GBRAID_WBRAID_BOTH_SET")
    if len(clicks) > 1:
        return upload("VALUE_MUST_BE_UNSET")
    if clicks and CLICK.fullmatch(row[clicks[0]]) is None:
        return upload(f"UNPARSEABLE_{clicks[0].upper()}")
    if not clicks and not row.get("userIdentifiers"):
        return "fieldError", "REQUIRED"
    if row.get("currencyCode") and not rules.is_currency(row["currencyCode"]):
        return "currencyCodeError", "UNSUPPORTED"
    if (row.get("consent") or {}).get("adPersonalization") or (row.get("cartData") and clicks and clicks != ["gclid"]):
        return upload("VALUE_MUST_BE_UNSET")
    if row.get("conversionEnvironment") or row.get("userIpAddress"):
        return "notAllowlistedError", "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"
    return identifiers_problem(row, upload, address=False)


def adjustment_problem(row: Mapping[str, Any], now: datetime) -> Problem | None:
    """The first thing wrong with an adjustment by itself; None for a good one."""
    kind, time = row.get("adjustmentType"), (row.get("gclidDateTimePair") or {}).get("conversionDateTime")
    if kind not in ("ENHANCEMENT", "RETRACTION", "RESTATEMENT"):
        return adjust("INVALID_ADJUSTMENT_TYPE")
    if problem := shared_problem(row, WEBPAGE if kind == "ENHANCEMENT" else UPLOAD_CLICKS | WEBPAGE):
        return problem
    converted = moment(time)
    if time is not None and converted is None:
        return "dateError", "INVALID_STRING_DATE_TIME"
    if kind == "ENHANCEMENT":
        if not row.get("orderId") or not row.get("userIdentifiers"):
            return "fieldError", "REQUIRED"
        if converted is not None and now - converted > ENHANCEABLE:
            return adjust("CONVERSION_EXPIRED")
        return identifiers_problem(row, adjust, address=True)
    at = moment(row.get("adjustmentDateTime"))
    if at is None:
        return "dateError", "INVALID_STRING_DATE_TIME"
    if at > now:
        return "dateError", "LATER_THAN_MAXIMUM_DATE"
    if bool(row.get("orderId")) == bool(time):
        return adjust("VALUE_MUST_BE_UNSET") if time else ("fieldError", "REQUIRED")
    value = (row.get("restatementValue") or {}).get("adjustedValue")
    if (kind == "RESTATEMENT") != (value is not None):
        return adjust("MISSING_RESTATED_VALUE" if value is None else "CANNOT_RESTATE_WITHOUT_RESTATEMENT")
    return adjust("VALUE_MUST_BE_UNSET") if row.get("userIdentifiers") else None


def identifiers_problem(row: Mapping[str, Any], enum: Callable[[str], Problem], address: bool) -> Problem | None:
    found = row.get("userIdentifiers") or []
    if len(found) > MOST_IDENTIFIERS:
        return "collectionSizeError", "TOO_MANY"
    for identifier in found:
        given = [name for name in identifier if name != "userIdentifierSource" and identifier[name]]
        if len(given) != 1:
            return "fieldError", "REQUIRED"
        value = identifier[given[0]]
        if given[0] == "addressInfo":
            if not address:
                return enum("UNSUPPORTED_USER_IDENTIFIER")
            names = [value.get("hashedFirstName"), value.get("hashedLastName")]
            clear = [value.get(name) for name in ("city", "state", "countryCode", "postalCode")]
            street = value.get("hashedStreetAddress")
            if not all(map(rules.is_digest, names)) or not (street is None or rules.is_digest(street)):
                return enum("INVALID_USER_IDENTIFIER")
            if not (value.get("countryCode") and value.get("postalCode")) or any(map(rules.looks_hashed, clear)):
                return enum("INVALID_USER_IDENTIFIER")
        elif given[0] not in ("hashedEmail", "hashedPhoneNumber"):
            return enum("UNSUPPORTED_USER_IDENTIFIER")
        elif not rules.is_digest(value):
            return enum("INVALID_USER_IDENTIFIER")
    return None
