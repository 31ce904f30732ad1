"""Campaign Manager 360 API v5: https://developers.google.com/doubleclick-advertisers/guides/conversions_overview"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import google, rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply
from capi_pipeline.sandbox.proto import Choice, Many, Scalar, Type, misfits
from capi_pipeline.sandbox.store import FOREVER, Event

PROFILE: Final = "7654321"
CONFIGURATION: Final = "8901234"
ACTIVITIES: Final = frozenset({"11111", "22222", "33333", "44444", "55555", "66666", "77777"})
FOREIGN: Final = "99999"  # an activity to which the profile has no access
UNLINKED: Final = "unlinked"  # how a click id or match id begins that Campaign Manager does not know
MAXIMUM: Final = 1000
AGE: Final = timedelta(days=28)
MOST_IDENTIFIERS: Final = 5

S, N, B, I = Scalar.STRING, Scalar.DOUBLE, Scalar.BOOL, Scalar.INT64  # noqa: E741
IDENTIFIERS: Final = ("gclid", "dclid", "mobileDeviceId", "matchId", "impressionId", "encryptedUserId")
ADDRESS: Type = dict.fromkeys(
    rules.words("hashedFirstName hashedLastName hashedStreetAddress city state countryCode postalCode"), S
)
CONVERSION: Type = {
    **dict.fromkeys((*IDENTIFIERS, "kind", "ordinal", "sessionAttributesEncoded"), S),
    **dict.fromkeys(("floodlightActivityId", "floodlightConfigurationId", "timestampMicros", "quantity"), I),
    **dict.fromkeys(rules.words("limitAdTracking nonPersonalizedAd childDirectedTreatment treatmentForUnderage"), B),
    "encryptedUserIdCandidates": Many(S), "value": N, "adUserDataConsent": Choice(frozenset({"GRANTED", "DENIED"})),
    "customVariables": Many({"kind": S, "type": S, "value": S}),
    "userIdentifiers": Many({"hashedEmail": S, "hashedPhoneNumber": S, "addressInfo": ADDRESS}),
    "cartData": {"merchantId": I, "merchantFeedLabel": S, "merchantFeedLanguage": S,
                 "items": Many({"itemId": S, "quantity": I, "unitPrice": N})},
}  # fmt: skip
REQUEST: Type = {"kind": S, "conversions": Many(CONVERSION), "encryptionInfo": Scalar.ANY}
UPDATABLE: Final = frozenset({
    *IDENTIFIERS, "kind", "floodlightActivityId", "floodlightConfigurationId", "ordinal", "timestampMicros", "quantity",
    "value", "customVariables", "userIdentifiers",
})  # fmt: skip
Problem = tuple[str, str]  # code and message
INTEGER = re.compile(r"\d{1,19}", re.ASCII)


def invalid(words: str) -> Problem:
    return "INVALID_ARGUMENT", words


class CampaignManager(Platform):
    """Each conversion has a status of its own, in the order of the request; a repeated one is taken and not counted again.

    An update with user identifiers is an enhancement: it finds the tag's conversion of any match id, except those that
    begin with `unlinked`, for there is no tag here.
    """

    slug = "campaign_manager"
    title = "Campaign Manager 360"
    documentation = "https://developers.google.com/doubleclick-advertisers/guides/conversions_overview"
    environment: ClassVar = google.ENVIRONMENT

    def __init__(self) -> None:
        self.tokens = google.token_endpoint("ddmconversions")

    def endpoints(self) -> Sequence[Endpoint]:
        base = "/dfareporting/{version}/userprofiles/{profile}/conversions"
        return [
            Endpoint("POST", f"{base}/batchinsert", self.insert),
            Endpoint("POST", f"{base}/batchupdate", self.update),
            Endpoint("POST", "/token", self.tokens.answer, kind="token"),
        ]

    def insert(self, call: Call) -> Reply:
        rows = self._rows(call)
        problems = [injected(call, row) or insert_problem(row, call.now) for row in rows]
        call.record([accepted(row) for row, problem in zip(rows, problems, strict=True) if problem is None])
        return answered(call, "Insert", rows, problems)

    def update(self, call: Call) -> Reply:
        rows = self._rows(call)
        return answered(call, "Update", rows, [injected(call, row) or self._change(call, row) for row in rows])

    def _change(self, call: Call, row: Mapping[str, Any]) -> Problem | None:
        problem = shared_problem(row, call.now) or update_problem(row)
        if problem:
            return problem
        if row.get("userIdentifiers"):
            call.record([accepted(row)])
            return None
        original = call.store.counted(self.slug, CONFIGURATION, identity(row))
        if original is None:
            return "NOT_FOUND", "The conversion was not found."
        call.store.change_value(original["id"], row["value"], None, retracted=int(row["quantity"]) == 0)
        key = f"{identity(row)}\x1f{row['quantity']}\x1f{row['value']}"
        activity = str(row["floodlightActivityId"])
        call.record(
            [Event(CONFIGURATION, key, activity, row, id=row["ordinal"], outcome="restated", value=row["value"])]
        )
        return None

    def _rows(self, call: Call) -> list[dict[str, Any]]:
        google.require_token(self.tokens, call, refusal(401, "authError", "Invalid Credentials"))
        if call.path["version"] not in ("v4", "v5"):
            raise Refused(refusal(404, "notFound", "Not Found"))
        if call.path["profile"] != PROFILE:
            raise Refused(refusal(403, "forbidden", "The caller has no access to this user profile."))
        body = call.json()
        if body is None:
            raise Refused(refusal(400, "parseError", "Invalid JSON payload received."))
        rows = body.get("conversions")
        call.events = len(rows) if isinstance(rows, list) else 0
        if unfit := list(misfits(REQUEST, body)):
            raise Refused(refusal(400, "badRequest", unfit[0][1]), rejected=len(unfit))
        if not rows:
            raise Refused(refusal(400, "required", "conversions is required."))
        if len(rows) > MAXIMUM:
            raise Refused(refusal(400, "invalid", f"At most {MAXIMUM} conversions are allowed."))
        return list(rows)

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        reason = str(parameters.get("code") or "rateLimitExceeded")
        return refusal(parameters.get("status") or 429, reason, "Quota exceeded.")

    def server_error(self, status: int) -> Reply:
        return refusal(status, "backendError", "Backend Error")


def refusal(status: int, reason: str, message: str) -> Reply:
    """The request as a whole, with the `errors` list of Google's older APIs."""
    return google.error(status, message, errors=[{"message": message, "domain": "global", "reason": reason}])


def answered(call: Call, verb: str, rows: Sequence[Mapping[str, Any]], problems: Sequence[Problem | None]) -> Reply:
    call.rejected = sum(problem is not None for problem in problems)
    statuses = []
    for row, problem in zip(rows, problems, strict=True):
        status: dict[str, Any] = {"kind": "dfareporting#conversionStatus", "conversion": row}
        if problem:
            code, message = problem
            status["errors"] = [{"kind": "dfareporting#conversionError", "code": code, "message": message}]
        statuses.append(status)
    kind = f"dfareporting#conversionsBatch{verb}Response"
    return Reply({"kind": kind, "hasFailures": call.rejected > 0, "status": statuses})


def injected(call: Call, row: Mapping[str, Any]) -> Problem | None:
    code = call.refusal(row, "INVALID_ARGUMENT")
    return None if code is None else (str(code), "Refused on demand.")


def given(row: Mapping[str, Any]) -> list[str]:
    """Which identifiers a conversion has."""
    return [name for name in (*IDENTIFIERS, "encryptedUserIdCandidates") if row.get(name)]


def identity(row: Mapping[str, Any]) -> str:
    (name,) = given(row)
    fields = (row["floodlightActivityId"], row["ordinal"], row["timestampMicros"], name, row[name])
    return "\x1f".join(map(str, fields))


def accepted(row: Mapping[str, Any]) -> Event:
    activity = str(row["floodlightActivityId"])
    return Event(
        CONFIGURATION, identity(row), activity, row, id=row["ordinal"], window=FOREVER, value=row["value"]
    )  # fmt: skip


def shared_problem(row: Mapping[str, Any], now: datetime) -> Problem | None:
    """What inserts and updates have in common: the fields that name a conversion, and its worth."""
    for name in ("floodlightActivityId", "floodlightConfigurationId", "ordinal", "timestampMicros", "quantity"):
        if row.get(name) in (None, ""):
            return invalid(f"{name} is required.")
    if str(row["floodlightConfigurationId"]) != CONFIGURATION:
        return invalid("The Floodlight configuration is not valid.")
    if str(row["floodlightActivityId"]) == FOREIGN:
        return "PERMISSION_DENIED", "The profile has no access to this activity."
    if str(row["floodlightActivityId"]) not in ACTIVITIES:
        return invalid("The Floodlight activity is not valid.")
    if not INTEGER.fullmatch(str(row["timestampMicros"])) or not INTEGER.fullmatch(str(row["quantity"])):
        return invalid("timestampMicros and quantity may not be negative.")
    age = now.timestamp() - int(row["timestampMicros"]) / 1e6
    if not 0 <= age <= AGE.total_seconds():
        return invalid("timestampMicros must lie within the last 28 days.")
    if not rules.is_amount(row.get("value")):
        return invalid("value is required and may not be negative.")
    found = given(row)
    if len(found) != 1:
        return invalid("Exactly one identifier is required.")
    if found[0] in ("gclid", "dclid", "mobileDeviceId", "matchId") and rules.looks_hashed(row[found[0]]):
        return invalid(f"{found[0]} may not be hashed.")
    if str(row[found[0]]).startswith(UNLINKED):
        return "NOT_FOUND", f"The {found[0]} was not found."
    return None


def insert_problem(row: Mapping[str, Any], now: datetime) -> Problem | None:
    """The first thing wrong with a new conversion; None for a good one."""
    if problem := shared_problem(row, now):
        return problem
    if int(row["quantity"]) < 1:
        return invalid("quantity must be positive.")
    if row.get("userIdentifiers"):
        return invalid("userIdentifiers are not documented for batchinsert.")
    bad = [v for v in row.get("customVariables") or [] if not re.fullmatch("U([1-9][0-9]?|100)", v.get("type") or "")]
    return invalid("Custom Floodlight variables go from U1 to U100.") if bad else None


def update_problem(row: Mapping[str, Any]) -> Problem | None:
    """Fields that may not be updated, and user identifiers that are none."""
    if extra := sorted(row.keys() - UPDATABLE):
        return invalid(f"{extra[0]} cannot be updated.")
    found = row.get("userIdentifiers") or []
    if found and given(row) != ["matchId"]:
        return invalid("An enhancement is found by its match id.")
    if len(found) > MOST_IDENTIFIERS:
        return invalid("At most 5 user identifiers are allowed.")
    return invalid("A user identifier is not valid.") if not all(map(is_identifier, found)) else None


def is_identifier(identifier: Mapping[str, Any]) -> bool:
    """Exactly one of e-mail, phone and address, hashed where it must be and only there."""
    names = [name for name in identifier if identifier[name]]
    if names != ["addressInfo"]:
        return len(names) == 1 and rules.is_digest(identifier[names[0]])
    address = identifier["addressInfo"]
    street = address.get("hashedStreetAddress")
    hashed = [address.get("hashedFirstName"), address.get("hashedLastName"), *([street] if street else [])]
    clear = [address.get(name) for name in ("city", "state", "countryCode", "postalCode")]
    complete = bool(address.get("countryCode") and address.get("postalCode"))
    return complete and all(map(rules.is_digest, hashed)) and not any(map(rules.looks_hashed, clear))
