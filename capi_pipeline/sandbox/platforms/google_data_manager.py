"""Google Data Manager API v1: https://developers.google.com/data-manager/api"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import accounts, google, rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token
from capi_pipeline.sandbox.proto import Choice, Many, Scalar, Type, misfits
from capi_pipeline.sandbox.store import FOREVER, Event

MAXIMUM: Final = 2000
MOST_DESTINATIONS: Final = 10
MOST_IDENTIFIERS: Final = 10
LONGEST_TRANSACTION_ID: Final = 64
AGE: Final = timedelta(days=90)  # after the click
USER_DATA_AGE: Final = timedelta(days=63)
ACTIONS: Final = frozenset(accounts.GOOGLE_CONVERSION_ACTIONS.values())

# Discovery document of datamanager v1: messages and fields of events:ingest.
S, N, B, T = Scalar.STRING, Scalar.DOUBLE, Scalar.BOOL, Scalar.TIMESTAMP
ACCOUNT: Type = {"product": S, "accountId": S, "accountType": Choice(rules.words(
    "GOOGLE_ADS DISPLAY_VIDEO_PARTNER DISPLAY_VIDEO_ADVERTISER DATA_PARTNER GOOGLE_ANALYTICS_PROPERTY "
    "FLOODLIGHT_CONFIG"))}  # fmt: skip
CONSENT: Type = dict.fromkeys(
    ("adUserData", "adPersonalization"),
    Choice(frozenset({"CONSENT_STATUS_UNSPECIFIED", "CONSENT_GRANTED", "CONSENT_DENIED"})),
)
DEVICE: Type = dict.fromkeys(rules.words(
    "userAgent ipAddress category languageCode operatingSystem operatingSystemVersion brand model browser "
    "browserVersion"), S) | {"screenHeight": Scalar.INT64, "screenWidth": Scalar.INT64}  # fmt: skip
PARAMETERS: Type = Many({"parameterName": S, "value": S})
ADDRESS: Type = dict.fromkeys(
    rules.words("givenName familyName regionCode postalCode addressLine city administrativeArea"), S
)
USER_DATA: Type = {"userIdentifiers": Many({"emailAddress": S, "phoneNumber": S, "address": ADDRESS})}
EVENT: Type = {
    "destinationReferences": Many(S), "transactionId": S, "eventTimestamp": T, "lastUpdatedTimestamp": T,
    "userData": USER_DATA, "consent": CONSENT, "currency": S, "conversionValue": N, "conversionCount": N,
    "eventSource": Choice(rules.words("WEB APP IN_STORE PHONE MESSAGE OTHER")),
    "adIdentifiers": {**dict.fromkeys(rules.words("sessionAttributes gclid gbraid wbraid dclid matchId impressionId "
                                                  "mobileDeviceId"), S), "landingPageDeviceInfo": DEVICE},
    "eventDeviceInfo": DEVICE,
    "cartData": {
        "merchantId": S, "merchantFeedLabel": S, "merchantFeedLanguageCode": S, "transactionDiscount": N,
        "couponCodes": Many(S),
        "items": Many({"merchantProductId": S, "itemId": S, "quantity": Scalar.INT64, "unitPrice": N,
                       "conversionValue": N, "additionalItemParameters": PARAMETERS}),
    },
    "customVariables": Many({"variable": S, "value": S, "destinationReferences": Many(S)}),
    "experimentalFields": Many({"field": S, "value": S}),
    "userProperties": {"customerType": Choice(frozenset({"NEW", "RETURNING", "REENGAGED"})),
                       "customerValueBucket": Choice(frozenset({"LOW", "MEDIUM", "HIGH"})),
                       "additionalUserProperties": Many({"propertyName": S, "value": S})},
    "eventName": S, "clientId": S, "userId": S, "appInstanceId": S, "additionalEventParameters": PARAMETERS,
    "thirdPartyUserData": Scalar.ANY, "eventLocation": Scalar.ANY, "callInfo": Scalar.ANY,
}  # fmt: skip
REQUEST: Type = {
    "destinations": Many({"reference": S, "loginAccount": ACCOUNT, "linkedAccount": ACCOUNT,
                          "operatingAccount": ACCOUNT, "productDestinationId": S}),
    "events": Many(EVENT), "consent": CONSENT, "validateOnly": B, "encoding": Choice(frozenset({"HEX", "BASE64"})),
    "encryptionInfo": Scalar.ANY,
}  # fmt: skip

Violation = tuple[str, str, str]  # field path, reason, description
HEX = re.compile(r"[0-9a-fA-F]+")


def error(status: int, message: str, reason: str, violations: Sequence[Violation] = ()) -> Reply:
    """google.rpc.Status with ErrorInfo and, for bad fields, BadRequest."""
    details: list[dict[str, Any]] = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
            "domain": "datamanager.googleapis.com", "metadata": {"requestId": f"t-{uuid.uuid4().hex}"},
        }
    ]  # fmt: skip
    if violations:
        fields = [{"field": field, "description": text, "reason": why} for field, why, text in violations]
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields})
    return google.error(status, message, details)


def invalid(violations: Sequence[Violation]) -> Refused:
    """400 for fields that break a rule; the events named in the paths are the bad ones."""
    message = "There was a problem with the request."
    bad = {path.partition(".")[0] for path, _, _ in violations if path.startswith("events[")}
    return Refused(error(400, message, violations[0][1], violations), rejected=len(bad))


class GoogleDataManager(Platform):
    """Events are queued: 200 gives a requestId, and requestStatus tells later what became of them.

    One bad required field refuses the request. A second event with the same transactionId for the same action is an
    adjustment: it overwrites the value and is not counted. For an unknown transaction it creates a new conversion,
    which nothing in the request tells from any other.
    """

    slug = "google_data_manager"
    title = "Google Data Manager"
    documentation = "https://developers.google.com/data-manager/api"
    environment: ClassVar = google.ENVIRONMENT

    def __init__(self) -> None:
        self.tokens = google.token_endpoint("datamanager")

    def endpoints(self) -> Sequence[Endpoint]:
        return [
            Endpoint("POST", "/v1/events:ingest", self.ingest),
            Endpoint("GET", "/v1/requestStatus:retrieve", self.status, kind="status"),
            Endpoint("POST", "/token", self.tokens.answer, kind="token"),
        ]

    def ingest(self, call: Call) -> Reply:
        self._authorise(call)
        body = call.json()
        if body is None:
            raise Refused(error(400, "Invalid JSON payload received.", "INVALID_ARGUMENT"))
        events = body.get("events")
        call.events = len(events) if isinstance(events, list) else 0
        unfit = [(path, "INVALID_FORMAT", text) for path, text in misfits(REQUEST, body)]
        if unfit:
            refused = invalid(unfit)
            raise Refused(error(400, unfit[0][2], "INVALID_ARGUMENT", unfit), refused.rejected)
        destinations = body.get("destinations") or []
        events = body.get("events") or []
        check_destinations(destinations)
        check_request(body, events)
        references = {destination.get("reference") for destination in destinations}
        violations: list[Violation] = []
        for index, event in enumerate(events):
            violations += event_violations(f"events[{index}]", event, body.get("encoding"), references, call.now)
            reason = call.refusal(event, "INVALID_EVENT")
            if reason is not None:
                violations.append((f"events[{index}]", str(reason), "This event is not valid."))
        if violations:
            raise invalid(violations)
        request_id = uuid.uuid4().hex
        if not body.get("validateOnly"):
            statuses = [
                self._store(call, request_id, destination, events, body.get("consent")) for destination in destinations
            ]
            call.store.add_receipt(self.slug, request_id, call.now, statuses)
        warnings = [warning for index, event in enumerate(events) for warning in field_warnings(index, event)]
        return Reply({"requestId": request_id} | ({"fieldWarnings": warnings} if warnings else {}))

    def _store(
        self, call: Call, request_id: str, destination: Mapping[str, Any], events: Sequence[Any], consent: object
    ) -> dict[str, Any]:
        """Records the events that go to one destination; what requestStatus will say about them."""
        action, reference = destination["productDestinationId"], destination.get("reference")
        mine = [
            (index, event)
            for index, event in enumerate(events)
            if not event.get("destinationReferences") or reference in event["destinationReferences"]
        ]
        failures = {index: failure(call, event, consent) for index, event in mine}
        outcomes = call.record([accepted(event, action, failures[index]) for index, event in mine], request_id)
        reported = {index: reason for index, reason in failures.items() if reason is not None}
        if call.settings.report_duplicates:
            duplicate = "PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID"
            reported |= {
                index: duplicate for (index, _), outcome in zip(mine, outcomes, strict=True) if outcome == "adjustment"
            }
        return {
            "destination": dict(destination),
            "records": len(mine),
            "failed": {str(index): reason for index, reason in reported.items()},
            "indices": call.settings.record_indices or any(verdict.parameters["indices"] for verdict in call.verdicts),
        }

    def status(self, call: Call) -> Reply:
        """PROCESSING until the setting verdict_delay has passed, then what became of the events."""
        self._authorise(call)
        receipt = call.store.receipt(self.slug, call.query.get("requestId", ""))
        if receipt is None:
            raise Refused(error(404, "Resource not found.", "INVALID_REQUEST_ID"))
        at, destinations = receipt
        waiting = (call.now - at).total_seconds() < call.settings.verdict_delay
        return Reply({"requestStatusPerDestination": [verdict(item, waiting) for item in destinations]})

    def _authorise(self, call: Call) -> None:
        state = self.tokens.check(call)
        if state is Token.MISSING:
            message = "Request is missing required authentication credential."
            raise Refused(error(401, message, "CREDENTIALS_MISSING"))
        if state is not Token.GOOD:
            message = "Request had invalid authentication credentials."
            raise Refused(error(401, message, "ACCESS_TOKEN_EXPIRED"))

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        message = "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'."
        return error(parameters.get("status") or 429, message, "RATE_LIMIT_EXCEEDED")

    def server_error(self, status: int) -> Reply:
        return error(status, "The service could not process the request.", "INTERNAL_ERROR")


def check_destinations(destinations: Sequence[Mapping[str, Any]]) -> None:
    """Account errors answer 403, as no account tells a stranger that it exists; the rest is a bad request."""
    if not destinations:
        raise invalid([("destinations", "REQUIRED_FIELD_MISSING", "Required field is missing.")])
    if len(destinations) > MOST_DESTINATIONS:
        raise invalid([("destinations", "TOO_MANY_DESTINATIONS", "At most 10 destinations are allowed.")])
    known = (
        ("operatingAccount", accounts.GOOGLE_OPERATING_ACCOUNT_ID),
        ("loginAccount", accounts.GOOGLE_LOGIN_ACCOUNT_ID),
    )
    references = Counter(destination.get("reference") for destination in destinations)
    if len(destinations) > 1 and (None in references or max(references.values()) > 1):
        raise invalid([("destinations", "DUPLICATE_DESTINATION_REFERENCE", "Each needs a reference of its own.")])
    for index, destination in enumerate(destinations):
        path = f"destinations[{index}]"
        if not destination.get("operatingAccount"):
            raise invalid([(f"{path}.operating_account", "REQUIRED_FIELD_MISSING", "Required field is missing.")])
        for field, account in known:
            given = destination.get(field)
            if given and (given.get("accountId"), given.get("accountType")) != (account, "GOOGLE_ADS"):
                message = "The caller does not have permission, or the account was not found."
                raise Refused(error(403, message, "PERMISSION_DENIED"))
        if destination.get("productDestinationId") not in ACTIONS:
            text = "Conversion action ID is not valid."
            raise invalid([(f"{path}.product_destination_id", "INVALID_CONVERSION_ACTION_ID", text)])


def check_request(body: Mapping[str, Any], events: Sequence[Any]) -> None:
    if not events:
        raise invalid([("events", "REQUIRED_FIELD_MISSING", "Required field is missing.")])
    if len(events) > MAXIMUM:
        raise invalid([("events", "TOO_MANY_EVENTS", "Too many events in the request.")])
    if body.get("encoding") is None and any(event.get("userData") for event in events):
        raise invalid([("encoding", "REQUIRED_FIELD_MISSING", "Required with user data.")])


def event_violations(
    path: str, event: Mapping[str, Any], encoding: str | None, references: set[str | None], now: datetime
) -> list[Violation]:
    """Every required field of an event that is missing or not as documented."""
    found: list[Violation] = []

    def bad(field: str, reason: str, text: str) -> None:
        found.append((f"{path}.{field}" if field else path, reason, text))

    for field, name in (("transactionId", "transaction_id"), ("eventTimestamp", "event_timestamp"),
                        ("eventSource", "event_source")):  # fmt: skip
        if not event.get(field):
            bad(name, "REQUIRED_FIELD_MISSING", "Required field is missing.")
    if len(event.get("transactionId") or "") > LONGEST_TRANSACTION_ID:
        bad("transaction_id", "FIELD_VALUE_TOO_LONG", "At most 64 characters are allowed.")
    at = rules.parse_rfc3339(event.get("eventTimestamp"))
    if at is not None and at > now:
        bad("event_timestamp", "EVENT_TIME_INVALID", "The event time lies in the future.")
    if event.get("currency") is not None and not rules.is_currency(event["currency"]):
        bad("currency", "INVALID_CURRENCY_CODE", "The currency code is not supported.")
    if event.get("conversionValue") is not None and not event.get("currency"):
        bad("currency", "REQUIRED_FIELD_MISSING", "Required with a conversion value.")
    if not references.issuperset(event.get("destinationReferences") or ()):
        bad("destination_references", "INVALID_DESTINATION", "There is no destination with this reference.")
    identifiers = (event.get("userData") or {}).get("userIdentifiers") or []
    if len(identifiers) > MOST_IDENTIFIERS:
        bad("user_data.user_identifiers", "TOO_MANY_USER_IDENTIFIERS", "At most 10 user identifiers are allowed.")
    for index, identifier in enumerate(identifiers):
        for field, reason, text in identifier_violations(identifier, encoding):
            bad(f"user_data.user_identifiers[{index}]{field}", reason, text)
    if not identifiers and not other_identifiers(event):
        bad("", "NO_IDENTIFIERS_PROVIDED", "Events data contains no user identifiers or ad identifiers.")
    return found


def other_identifiers(event: Mapping[str, Any]) -> bool:
    """A click id, session attributes, or the IP address of the event or of the landing page."""
    ads = event.get("adIdentifiers") or {}
    devices = (event.get("eventDeviceInfo") or {}, ads.get("landingPageDeviceInfo") or {})
    names = ("gclid", "gbraid", "wbraid", "dclid", "matchId", "sessionAttributes")
    return any(ads.get(name) for name in names) or any(device.get("ipAddress") for device in devices)


def identifier_violations(identifier: Mapping[str, Any], encoding: str | None) -> list[Violation]:
    given = [field for field in ("emailAddress", "phoneNumber", "address") if identifier.get(field)]
    if len(given) != 1:
        return [("", "INVALID_ARGUMENT", "Exactly one of email_address, phone_number and address must be set.")]
    if given[0] == "emailAddress":
        return digest_violations(".email_address", identifier["emailAddress"], encoding)
    if given[0] == "phoneNumber":
        return digest_violations(".phone_number", identifier["phoneNumber"], encoding)
    address, found = identifier["address"], []
    for field, name in (("givenName", "given_name"), ("familyName", "family_name"), ("regionCode", "region_code"),
                        ("postalCode", "postal_code")):  # fmt: skip
        if not address.get(field):
            found.append((f".address.{name}", "REQUIRED_FIELD_MISSING", "An address needs all four fields."))
        elif field in ("givenName", "familyName"):
            found += digest_violations(f".address.{name}", address[field], encoding)
    if address.get("regionCode") and not re.fullmatch("[A-Z]{2}", address["regionCode"]):
        found.append((".address.region_code", "INVALID_COUNTRY_CODE", "Country code is not valid."))
    if rules.looks_hashed(address.get("postalCode")):
        found.append((".address.postal_code", "INVALID_POSTAL_CODE", "Postal code is not valid."))
    return found


def digest_violations(path: str, value: str, encoding: str | None) -> list[Violation]:
    """SHA-256 in the encoding that the request names; the case of hex digits does not matter."""
    if encoding == "BASE64":
        try:
            digest = base64.b64decode(value, validate=True).hex()
        except (binascii.Error, ValueError):
            return [(path, "INVALID_BASE64_ENCODING", "The base64 encoded value is malformed.")]
    elif HEX.fullmatch(value) is None:
        return [(path, "INVALID_HEX_ENCODING", "The HEX encoded value is malformed.")]
    else:
        digest = value.lower()
    if rules.is_digest(digest):
        return []
    return [(path, "INVALID_SHA256_FORMAT", "The SHA256 encoded value is malformed.")]


def failure(call: Call, event: Mapping[str, Any], consent: object) -> str | None:
    """Why an event that was queued will fail in processing; None when it will not."""
    for verdict_fault in call.verdicts:
        if verdict_fault.hits(event):
            return str(verdict_fault.parameters["reason"])
    given = {**(consent if isinstance(consent, dict) else {}), **(event.get("consent") or {})}
    if given.get("adUserData") == "CONSENT_DENIED":
        return "PROCESSING_ERROR_REASON_DENIED_CONSENT"
    at = rules.parse_rfc3339(event["eventTimestamp"])
    ads = event.get("adIdentifiers") or {}
    clicked = any(ads.get(name) for name in ("gclid", "gbraid", "wbraid"))
    if at is not None and call.now - at > (AGE if clicked else USER_DATA_AGE):
        return "PROCESSING_ERROR_REASON_EVENT_TOO_OLD"
    return None


def accepted(event: Mapping[str, Any], action: str, reason: str | None) -> Event:
    return Event(
        account=accounts.GOOGLE_OPERATING_ACCOUNT_ID, identity=f"{action}\x1f{event['transactionId']}", name=action,
        payload=event, id=event["transactionId"], window=FOREVER, copy_outcome="adjustment", outcome=reason,
        value=event.get("conversionValue"), currency=event.get("currency"),
    )  # fmt: skip


def verdict(stored: Mapping[str, Any], waiting: bool) -> dict[str, Any]:
    """One entry of requestStatusPerDestination; int64 counts are strings."""
    answer: dict[str, Any] = {
        "destination": stored["destination"],
        "eventsIngestionStatus": {"recordCount": str(stored["records"])},
    }
    failed: Mapping[str, str] = stored["failed"]
    if waiting:
        return answer | {"requestStatus": "PROCESSING"}
    if not failed:
        return answer | {"requestStatus": "SUCCESS"}
    counts = []
    for reason, number in Counter(failed.values()).items():
        count: dict[str, Any] = {"recordCount": str(number), "reason": reason}
        if stored["indices"]:
            count["recordIndices"] = [int(index) for index, why in failed.items() if why == reason]
        counts.append(count)
    status = "FAILED" if len(failed) == stored["records"] else "PARTIAL_SUCCESS"
    return answer | {"requestStatus": status, "errorInfo": {"errorCounts": counts}}


def field_warnings(index: int, event: Mapping[str, Any]) -> list[dict[str, str]]:
    """Problems of optional fields; the event is taken all the same."""
    ads = event.get("adIdentifiers") or {}
    found = []
    if event.get("cartData") and (ads.get("gbraid") or ads.get("wbraid")):
        found.append(("cart_data", "WARNING_REASON_CART_DATA_NOT_SUPPORTED_WITH_GBRAID_OR_WBRAID"))
    if event.get("customVariables"):
        found.append(("custom_variables", "WARNING_REASON_CUSTOM_VARIABLE_NOT_ENABLED"))
    return [
        {"field": f"events[{index}].{field}", "reason": reason, "description": "The field is not used."}
        for field, reason in found
    ]
