"""LinkedIn Marketing API, streaming conversions.

https://learn.microsoft.com/en-us/linkedin/marketing/integrations/ads-reporting/conversions-api
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.oauth import TokenEndpoint
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import NEVER, Event

ACCESS_TOKEN = "sandbox-linkedin-token"
CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "86sandboxapp00", "sandbox-linkedin-secret", "sandbox-linkedin-refresh"
RULES: Final = {"purchase": "104012", "add_to_cart": "104013", "generate_lead": "104014", "sign_up": "104015",
                "begin_checkout": "104017", "add_payment_info": "104018", "qualify_lead": "104019",
                "close_convert_lead": "104020"}  # fmt: skip

MAXIMUM: Final = 5000
MAXIMUM_RULES: Final = 100
AGE: Final = timedelta(days=90)
YEAR: Final = 31_536_000  # seconds, of a refresh token
URN: Final = "urn:lla:llaPartnerConversion:"
VERSIONS: Final = rules.words("202510 202511 202601 202602 202603 202604 202605 202606 202607 202608 202609")
AMOUNT = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
# Members of an event and of its user, and of which type; others are refused.
FIELDS: Final = rules.words("conversion conversionHappenedAt conversionValue eventId user")
USER: Final = rules.words("userIds userInfo externalIds lead")
ID_TYPES: Final = rules.words(
    "SHA256_EMAIL LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID PLAINTEXT_IP_ADDRESS SHA256_IP_ADDRESS GOOGLE_AID ACXIOM_ID"
)
INFO: Final = rules.words("hashedFirstName hashedLastName title companyName countryCode")
PLAIN_INFO: Final = rules.words("firstName lastName title companyName countryCode")  # before version 202609

Problem = tuple[int, str]  # the status that it makes, and the words


def error(status: int, message: str, code: str = "", **more: object) -> Reply:
    return Reply({"message": message, "status": status, **({"code": code} if code else {}), **more}, status)


def token_error(name: str, description: str, status: int) -> Reply:
    return Reply({"error": name, "error_description": description}, status)


def indexed(problems: Mapping[int, Problem]) -> Reply:
    """The answer to a batch with bad events: it names them, in one of three documented forms."""
    if any(status == 422 for status, _ in problems.values()):
        lines = [f"Index: {index}, ERROR :: {words}" for index, (_, words) in problems.items()]
        return error(422, "Input field validation failure\n" + "\n".join(lines))
    if any("conversionHappenedAt" in words for _, words in problems.values()):
        fields = [
            f"{{field=conversionHappenedAt, batchIndex={index}, type=INVALID_CONVERSION_TIME_FIELD_VALUE}}"
            for index in problems
        ]
        return error(400, f"Validation failed because [{', '.join(fields)}]")
    words = "; ".join(dict.fromkeys(words for _, words in problems.values()))
    return error(400, f"{words} at indices [{', '.join(map(str, problems))}] (0-indexed).")


class LinkedIn(Platform):
    """One bad event refuses the batch. Equal event ids of this API are not known to be dropped: they count again.

    `reject_event` refuses with 422 and the event's index; with the codes 400 (other words) or `NO_INDEX` (none).
    """

    slug = "linkedin"
    title = "LinkedIn Conversions API"
    documentation = "https://learn.microsoft.com/en-us/linkedin/marketing/integrations/ads-reporting/conversions-api"
    environment: ClassVar = {"LINKEDIN_ACCESS_TOKEN": ACCESS_TOKEN}

    def __init__(self) -> None:
        self.tokens = TokenEndpoint(
            CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, seconds=5_184_000, scope="rw_conversions,r_ads", rotates=False,
            error=token_error,
        )  # fmt: skip

    def endpoints(self) -> Sequence[Endpoint]:
        return [
            Endpoint("POST", "/rest/conversionEvents", self.convert),
            Endpoint("POST", "/oauth/v2/accessToken", self.token, kind="token"),
        ]

    def token(self, call: Call) -> Reply:
        """The refresh token stays, and so does its end."""
        reply = self.tokens.answer(call)
        kept = {"refresh_token": REFRESH_TOKEN, "refresh_token_expires_in": YEAR}
        return replace(reply, content={**reply.content, **kept}) if isinstance(reply.content, dict) else reply

    def convert(self, call: Call) -> Reply:
        self._authorise(call)
        version = call.headers.get("linkedin-version", "")
        if not version:
            raise Refused(error(400, "A version must be present. Please specify a version.", "VERSION_MISSING"))
        if version not in VERSIONS:
            raise Refused(error(426, f"Requested version {version} is not active", "NONEXISTENT_VERSION"))
        body, batch = call.json(), call.headers.get("x-restli-method") == "BATCH_CREATE"
        if body is None:
            raise Refused(error(400, "Cannot parse request entity"))
        events = body.get("elements") if batch else [body]
        if not isinstance(events, list) or not events:
            raise Refused(error(422, "/elements :: field is required but not found and has no default value"))
        call.events = len(events)
        if len(events) > MAXIMUM:
            raise Refused(error(400, f"Batch size exceeds the limit of {MAXIMUM}"))
        problems = {i: p for i, event in enumerate(events) if (p := first_problem(event, version, call.now))}
        if problems:
            raise Refused(indexed(problems), len(problems))
        named = {event["conversion"].removeprefix(URN) for event in events}
        if len(named) > MAXIMUM_RULES:
            raise Refused(error(400, f"A batch holds events of at most {MAXIMUM_RULES} conversions"))
        if not named <= set(RULES.values()):
            raise Refused(error(403, "No ad accounts found"))
        for index, event in enumerate(events):
            code = call.refusal(event, 422)
            if code == "NO_INDEX":
                raise Refused(error(400, "Conversion rule is disabled"), 1)
            if code is not None:
                raise Refused(indexed({index: (code, "/conversion :: the conversion rule is disabled")}), 1)
        call.record([accepted(event) for event in events])
        return Reply({"elements": [{"status": 201}] * len(events)}) if batch else Reply(b"", 201)

    def _authorise(self, call: Call) -> None:
        presented = call.bearer()
        own = self.tokens.check(call)
        state = call.static_token(presented, ACCESS_TOKEN) if own in (Token.MISSING, Token.WRONG) else own
        if state is Token.EXPIRED:
            words = "The token used in the request has expired"
            raise Refused(error(401, words, "EXPIRED_ACCESS_TOKEN", serviceErrorCode=65602))
        if state is not Token.GOOD:
            words = "The token used in the request has been revoked by the user"
            raise Refused(error(401, words, "REVOKED_ACCESS_TOKEN", serviceErrorCode=65601))

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return error(
            parameters.get("status") or 429, "Resource level throttle limit for calls to this resource is reached"
        )

    def server_error(self, status: int) -> Reply:
        return error(status, "Internal Server Error")


def accepted(event: dict[str, Any]) -> Event:
    rule, value = event["conversion"].removeprefix(URN), event.get("conversionValue") or {}
    return Event(
        account="sandbox", identity=f"{rule}\x1f{event.get('eventId') or payload_digest(event)}", name=rule,
        id=event.get("eventId"), payload=event, window=NEVER, value=float(value["amount"]) if value else None,
        currency=value.get("currencyCode"),
    )  # fmt: skip


def first_problem(event: object, version: str, now: datetime) -> Problem | None:
    """The first thing that is not as the schema says, or lies out of range."""
    if not isinstance(event, dict):
        return 422, "/ :: is not an object"
    for field in event.keys() - FIELDS:
        return 422, f"/{field} :: unrecognized field found but not allowed"
    conversion = event.get("conversion")
    if not isinstance(conversion, str) or not re.fullmatch(f"{URN}[0-9]+", conversion):
        return 422, f'/conversion :: "{conversion}" is not a URN of a llaPartnerConversion'
    at = event.get("conversionHappenedAt")
    if not rules.is_integer(at):
        return 422, "/conversionHappenedAt :: cannot be coerced to Long"
    if not now - AGE <= now.fromtimestamp(min(max(at, 0), 4_102_444_800_000) / 1000, now.tzinfo) <= now:
        return 400, "conversionHappenedAt is out of range"
    if "eventId" in event and not rules.is_text(event["eventId"]):
        return 422, "/eventId :: cannot be coerced to String"
    return value_problem(event.get("conversionValue", {})) or user_problem(event.get("user"), version)


def value_problem(value: object) -> Problem | None:
    if value == {}:
        return None
    if not isinstance(value, dict) or value.keys() != {"currencyCode", "amount"}:
        return 422, "/conversionValue :: needs currencyCode and amount"
    if not isinstance(value["amount"], str) or not AMOUNT.fullmatch(value["amount"]):
        return 422, "/conversionValue/amount :: cannot be coerced to String"
    return None if rules.is_text(value["currencyCode"]) else (422, "/conversionValue/currencyCode :: is not a string")


def user_problem(user: object, version: str) -> Problem | None:
    if not isinstance(user, dict):
        return 422, "/user :: field is required but not found and has no default value"
    for field in user.keys() - USER:
        return 422, f"/user/{field} :: unrecognized field found but not allowed"
    ids, externals = user.get("userIds"), user.get("externalIds", [])
    if not isinstance(ids, list):
        return 422, "/user/userIds :: field is required but not found and has no default value"
    for entry in ids:
        if not isinstance(entry, dict) or entry.keys() != {"idType", "idValue"} or not rules.is_text(entry["idValue"]):
            return 422, "/user/userIds :: needs idType and idValue"
        if not isinstance(entry["idType"], str) or entry["idType"] not in ID_TYPES:
            return 422, f'/user/userIds/idType :: "{entry["idType"]}" is not an enum symbol'
        dotted = rules.is_ip_address(entry["idValue"]) and ":" not in entry["idValue"]
        if entry["idType"] == "PLAINTEXT_IP_ADDRESS" and not dotted:
            return 400, "PLAINTEXT_IP_ADDRESS is not a valid IPv4 address"
    if not isinstance(externals, list) or len(externals) > 1 or not all(map(rules.is_text, externals)):
        return 422, "/user/externalIds :: must be a list of at most one string"
    lead, info = user.get("lead"), user.get("userInfo")
    if lead is not None and not (isinstance(lead, str) and lead.startswith("urn:li:leadGenFormResponse:")):
        return 422, "/user/lead :: is not a URN of a leadGenFormResponse"
    if info is not None and (problem := info_problem(info, version)):
        return problem
    return None if ids or externals or lead or info else (400, "The user has no identifier")


def info_problem(info: object, version: str) -> Problem | None:
    allowed, prefix = (INFO, "hashed") if version >= "202609" else (PLAIN_INFO, "")
    names = ("hashedFirstName", "hashedLastName") if prefix else ("firstName", "lastName")
    if not isinstance(info, dict):
        return 422, "/user/userInfo :: is not an object"
    for field in info.keys() - allowed:
        return 422, f"/user/userInfo/{field} :: unrecognized field found but not allowed"
    for name in names:
        if not (rules.is_digest(info.get(name)) if prefix else rules.is_text(info.get(name))):
            return 422, f"/user/userInfo/{name} :: field is required"
    country = info.get("countryCode", "XX")
    good = isinstance(country, str) and re.fullmatch("[A-Z]{2}", country)
    return None if good else (422, "/user/userInfo/countryCode :: is not a country code")
