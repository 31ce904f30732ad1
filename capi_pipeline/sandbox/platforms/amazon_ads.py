"""Amazon Ads Events API, Ads API v1: https://advertising.amazon.com/API/docs/en-us/guides/events/overview"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.oauth import TokenEndpoint
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import FOREVER, NEVER, Event

CLIENT_ID: Final = "amzn1.application-oa2-client.sandbox"
CLIENT_SECRET: Final = "sandbox-lwa-secret"
REFRESH_TOKEN: Final = "Atzr|sandbox-refresh"
ACCOUNT_ID: Final = "amzn1.ads-account.g.sandbox"
MANAGER_ACCOUNT_ID: Final = "amzn1.ads1.ma1.sandbox"

MAXIMUM: Final = 500
AGE: Final = timedelta(days=21)
PURCHASE: Final = "OFF_AMAZON_PURCHASES"
TYPES: Final = rules.words(
    f"PAGE_VIEW SEARCH ADD_TO_SHOPPING_CART CHECKOUT {PURCHASE} LEAD SIGN_UP SUBSCRIBE CONTACT APPLICATION "
    "MOBILE_APP_FIRST_START OTHER"
)
ENUMS: Final = {
    "conversionType": TYPES,
    "eventSource": rules.words("WEBSITE IOS ANDROID FIRE_TV OFFLINE"),
    "eventIngestionMethod": rules.words("SERVER_TO_SERVER"),
}
HASHED: Final = rules.words("EMAIL PHONE FIRST_NAME LAST_NAME ADDRESS CITY STATE POSTAL")
CLEAR: Final = rules.words("MAID MATCH_ID FIP RAMP_ID REAL_ID MERKLE_ID KANTAR_ID")
CONSENT: Final = rules.words(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE GB NO IS LI"
)
NAME = re.compile(r"[^!@#$%^&*|+=(){}\[\]<>?\\/~;]{1,256}")
DATA_SET = re.compile(r"[A-Za-z][A-Za-z0-9_-]{4,99}", re.ASCII)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
MATCH_ID = re.compile(r"[A-Za-z0-9]{1,100}", re.ASCII)
AREF = re.compile(r"[^.|]{10}\.\d{13}(\|[^.|]{10}\.\d{13})*", re.ASCII)
FIELDS: Final = rules.words(
    "eventId eventTime countryCode eventDescription matchKeys value currencyCode unitsSold consent dataProcessingOptions "
    "deviceInfo arefMeasurementTokens customData amazonAdEventKey partner"
)


def error(status: int, code: str, message: str) -> Reply:
    return Reply({"code": code, "message": message}, status)


def token_error(name: str, description: str, status: int) -> Reply:
    return Reply({"error": name, "error_description": description}, status)


class AmazonAds(Platform):
    """207 with an entry of `success` or `error` for each event, also if all are bad. The same event id again is one
    event, whatever its type; how long that holds is not published."""

    slug = "amazon_ads"
    title = "Amazon Ads Events API"
    documentation = "https://advertising.amazon.com/API/docs/en-us/guides/events/overview"
    environment: ClassVar = {
        "AMAZON_ADS_CLIENT_ID": CLIENT_ID,
        "AMAZON_ADS_CLIENT_SECRET": CLIENT_SECRET,
        "AMAZON_ADS_REFRESH_TOKEN": REFRESH_TOKEN,
    }

    def __init__(self) -> None:
        self.tokens = TokenEndpoint(
            CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN,
            seconds=3600, scope="advertising::campaign_management", rotates=False, error=token_error,
        )  # fmt: skip

    def endpoints(self) -> Sequence[Endpoint]:
        return [
            Endpoint("POST", "/adsApi/v1/create/events", self.create),
            Endpoint("POST", "/auth/o2/token", self.tokens.answer, kind="token"),
        ]

    def create(self, call: Call) -> Reply:
        self.authorise(call)
        events = (call.json() or {}).get("events")
        if not isinstance(events, list) or not 1 <= len(events) <= MAXIMUM:
            raise Refused(error(400, "BAD_REQUEST", f"events: 1 to {MAXIMUM} are required."))
        call.events = len(events)
        good: list[int] = []
        bad: list[dict[str, Any]] = []
        for index, event in enumerate(events):
            problem = first_problem(event, call.now)
            code = call.refusal(event, "BAD_REQUEST")
            if problem or code is not None:
                bad.append(event_error(index, str(code or "BAD_REQUEST"), problem or "event"))
            else:
                good.append(index)
        call.rejected = len(bad)
        call.record([accepted(events[index]) for index in good])
        return Reply({"success": [{"index": index, "event": events[index]} for index in good], "error": bad}, 207)

    def authorise(self, call: Call) -> None:
        if self.tokens.check(call) is not Token.GOOD or call.headers.get("amazon-ads-clientid") != CLIENT_ID:
            raise Refused(error(401, "UNAUTHORIZED", "Not authorized to access this API."))
        account = call.headers.get("amazon-ads-accountid")
        manager = call.headers.get("amazon-ads-manager-accountid")
        if (account, manager) not in ((ACCOUNT_ID, None), (None, MANAGER_ACCOUNT_ID)):
            raise Refused(error(403, "FORBIDDEN", "The account has no permission event_manager_edit."))

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return error(parameters.get("status") or 429, "THROTTLED", "Too many requests.")

    def server_error(self, status: int) -> Reply:
        return error(status, "INTERNAL_ERROR", "Internal error.")


def event_error(index: int, code: str, field: str) -> dict[str, Any]:
    problem = {"code": code, "fieldLocation": f"/events/{index}/{field}", "message": f"{field} is not valid."}
    return {"index": index, "errors": [problem]}


def accepted(event: Mapping[str, Any]) -> Event:
    event_id = event.get("eventId")
    return Event(
        account=ACCOUNT_ID, identity=event_id or payload_digest(event), name=event["eventDescription"]["conversionType"],
        id=event_id, payload=event, window=FOREVER if event_id else NEVER, value=event.get("value"),
        currency=event.get("currencyCode"),
    )  # fmt: skip


def first_problem(event: object, now: datetime) -> str | None:
    """The first field that is not as the OpenAPI file has it; None for a good event."""
    if not isinstance(event, dict):
        return "event"
    if unknown := set(event) - FIELDS:
        return str(min(unknown))
    at = rules.parse_rfc3339(event.get("eventTime"))
    if at is None or not TIME.fullmatch(event["eventTime"]) or not now - AGE <= at <= now:
        return "eventTime"
    country = event.get("countryCode")
    if not isinstance(country, str) or not re.fullmatch("[A-Z]{2}", country):
        return "countryCode"
    if "eventId" in event and not rules.is_text(event["eventId"]):
        return "eventId"
    return (
        description_problem(event.get("eventDescription"))
        or match_problem(event.get("matchKeys"))
        or money_problem(event)
        or privacy_problem(event, country)
    )


def description_problem(description: object) -> str | None:
    if not isinstance(description, dict):
        return "eventDescription"
    name = description.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return "eventDescription/name"
    for field, known in ENUMS.items():
        if not rules.is_one_of(description.get(field), known):
            return f"eventDescription/{field}"
    data_set = description.get("dataSetName", "Default_Events")
    return None if isinstance(data_set, str) and DATA_SET.fullmatch(data_set) else "eventDescription/dataSetName"


def match_problem(keys: object) -> str | None:
    if not isinstance(keys, list) or not 1 <= len(keys) <= 15 or not all(isinstance(key, dict) for key in keys):
        return "matchKeys"
    types = [key.get("type") for key in keys]
    if not all(map(rules.is_text, types)) or len(set(types)) < len(types) or not set(types) <= HASHED | CLEAR:
        return "matchKeys/type"
    for key in keys:
        values = key.get("values")
        if not isinstance(values, list) or len(values) != 1 or not rules.is_text(values[0]):
            return "matchKeys/values"
        if not fits_type(key["type"], values[0]):
            return f"matchKeys/{key['type']}"
    return None


def fits_type(kind: str, value: str) -> bool:
    if kind in HASHED:
        return rules.is_digest(value)
    if kind == "FIP":
        return rules.is_ip_address(value)
    return kind != "MATCH_ID" or MATCH_ID.fullmatch(value) is not None


def money_problem(event: Mapping[str, Any]) -> str | None:
    purchase = event["eventDescription"]["conversionType"] == PURCHASE
    if "value" in event and (not rules.is_amount(event["value"]) or rules.decimals(event["value"]) > 2):
        return "value"
    if "currencyCode" in event and not (purchase and rules.is_currency(event["currencyCode"])):
        return "currencyCode"
    if purchase and "value" in event and "currencyCode" not in event:
        return "currencyCode"
    return "unitsSold" if "unitsSold" in event and not (purchase and rules.is_integer(event["unitsSold"])) else None


def privacy_problem(event: Mapping[str, Any], country: str) -> str | None:
    consent = event.get("consent")
    if (consent is None and country in CONSENT) or (consent is not None and not good_consent(consent)):
        return "consent"
    if event.get("dataProcessingOptions", {"options": "LIMITED_DATA_USE"}) != {"options": "LIMITED_DATA_USE"}:
        return "dataProcessingOptions"
    device = event.get("deviceInfo", {"userAgent": "none"})
    if not isinstance(device, dict) or not rules.is_text(device.get("userAgent")) or len(device["userAgent"]) > 512:
        return "deviceInfo"
    token = event.get("arefMeasurementTokens")
    return None if token is None or (isinstance(token, str) and AREF.fullmatch(token)) else "arefMeasurementTokens"


def good_consent(consent: object) -> bool:
    """Exactly one of its forms."""
    if not isinstance(consent, dict) or len(consent) != 1:
        return False
    ((form, value),) = consent.items()
    if form in ("tcf", "gpp"):
        return rules.is_text(value)
    if form != "amazonConsent" or not isinstance(value, dict) or "amznUserData" not in value:
        return False
    return set(value) <= {"amznUserData", "amznAdStorage"} and all(
        choice in ("GRANTED", "DENIED") for choice in value.values()
    )
