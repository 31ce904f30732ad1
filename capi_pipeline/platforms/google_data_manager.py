"""Google Data Manager API, events:ingest (`google_data_manager`)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.consent import OPT_IN_COUNTRIES
from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import email, first_name, last_name, phone, postal_code
from capi_pipeline.platforms.answers import by_status, dicts, trace, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Verdicts
from capi_pipeline.platforms.google import GoogleConfig, GooglePlatform, ad_click, by_rpc_status, told
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, State, Verdict, Withhold, only_tested, rejected
from capi_pipeline.platforms.times import age_of, days, hours, iso, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

EVENT_SOURCES = {"website": "WEB", "app": "APP", "physical_store": "IN_STORE", "phone_call": "PHONE", "chat": "MESSAGE"}
# Reasons of a 400 that blame the request's account or destination, not an event.
CONFIGURATION = re.compile(
    r"TOO_MANY_EVENTS|INVALID_CONVERSION_ACTION|INVALID_DESTINATION|OPERATING_ACCOUNT|TERMS_AND_CONDITIONS_NOT_SIGNED|"
    r"DESTINATION_ACCOUNT_|NOT_ALLOWLISTED|EVENT_SOURCE_AND_DESTINATION_MISMATCH|INVALID_MERCHANT_ID"
)
# Verdicts that say that Google already has the event.
HAS_IT = re.compile(r"DUPLICATE_(TRANSACTION_ID|GCLID)")
LATER = re.compile(r"TOO_RECENT_CLICK|INTERNAL_ERROR")
OLDEST_WITHOUT_CLICK = days(63)
_EVENT_FIELD = re.compile(r"^events\[([0-9]{1,9})\]")
_INT64 = re.compile("[0-9]{1,18}")
_PREFIX = "PROCESSING_ERROR_REASON_"


class GoogleDataManager(GooglePlatform):
    """Data Manager API v1 (release 1.8): conversions for Google Ads. A 200 only means queued; the verdict comes later.
    https://developers.google.com/data-manager/api"""

    name = "google_data_manager"
    title = "Google Data Manager"
    documentation = "https://developers.google.com/data-manager/api"
    host = "https://datamanager.googleapis.com"
    # 300 requests a minute for each Cloud project.
    limits = Limits(events=2000, oldest=days(90), newest=minutes(0), atomic=True, concurrency=4, per_second=5)
    # A repeated transaction id is an adjustment of the same conversion, however late.
    deduplication = Deduplication(keys=("conversion action", "transactionId"), window=days(90))
    restates = True
    test_mode = "validate_only"
    click_ids = ("gclid", "gbraid", "wbraid")
    verdicts = Verdicts(first=minutes(30), factor=1.3, longest=minutes(60), give_up=hours(24))
    identifiers: ClassVar = {"emailAddress": email.google, "phoneNumber": phone.e164}
    single_identifiers: ClassVar = {  # parts of one `address`
        "givenName": first_name.google,
        "familyName": last_name.google,
        "postalCode": postal_code.google,
    }

    class Config(GoogleConfig):
        operating_account_id: str = Field(
            description="Account that owns the conversion actions, digits.", pattern=r"^\d+$", examples=["1234567890"]
        )
        operating_account_type: str = Field("GOOGLE_ADS", description="Its type.", pattern="^GOOGLE_ADS$")
        login_account_id: str | None = Field(
            None,
            description="Manager account, digits; leave out when access is direct.",
            pattern=r"^\d+$",
            examples=["9998887777"],
        )
        login_account_type: str = Field("GOOGLE_ADS", description="Its type.")
        oauth_refresh_token: SecretStr = Field(description="Refresh token of a user with access; scope datamanager.")
        quota_project: str | None = Field(
            None, description="Cloud project that is charged for the quota.", examples=["my-gcp-project"]
        )
        conversion_actions: dict[str, Annotated[str, Field(pattern=r"^\d+$")]] = Field(
            description="Canonical or custom name -> numeric id of the action.", examples=[{"purchase": "111"}]
        )
        merchant_id: str | None = Field(
            None, description="Merchant Center id; switches cart data on.", examples=["123456789"]
        )
        merchant_feed_label: str | None = Field(None, description="Feed label of the products.", examples=["US"])
        merchant_feed_language: str | None = Field(None, description="Feed language of the products.", examples=["en"])
        validate_only: bool = Field(False, description="Google checks the requests and stores nothing.")

    def group(self, c: Conversion) -> str:
        """The conversion action. Raises Withhold when none is configured for this event."""
        name = c.original_event_name if c.event_name == "refund" else c.name
        action: str | None = self.config.conversion_actions.get(name)
        if not action:
            raise Withhold(Reason.NOT_CONFIGURED, f"conversion_actions has no entry for `{name}`")
        return action

    def encode(self, c: Conversion) -> Payload:
        self.group(c)
        refund = c.event_name == "refund"
        identifiers, click, ip_address = self.user_identifiers(c), ad_click(c), self.ip_address(c)
        if not (click or identifiers or ip_address):
            raise Withhold(
                Reason.NO_IDENTIFIER, "no click id, no e-mail, phone or address, no IP address that Google may get"
            )
        event: Payload = {
            # A refund goes under the id of its conversion: under one of its own it would be a new conversion.
            "transactionId": c.transaction_id or (c.original_event_id if refund else c.event_id),
            "eventTimestamp": timestamp(c.event_time),
            "eventSource": EVENT_SOURCES.get(c.action_source, "OTHER"),
            "userData": {"userIdentifiers": identifiers},
            "adIdentifiers": click,
            "consent": {
                "adUserData": consent(c.consent_ad_user_data),
                "adPersonalization": consent(c.consent_ad_personalization),
            },
            "currency": c.currency,
            "conversionValue": c.value,
        }
        if len(event["transactionId"] or "") > 64:
            raise Withhold(Reason.INVALID_VALUE, "transactionId is longer than 64 characters")
        if refund:
            if c.remaining_value is None or not c.currency or c.original_event_time is None:
                raise Withhold(
                    Reason.MISSING_FIELD,
                    "a refund needs remaining_value (the new total), currency and original_event_time",
                )
            if c.remaining_value < 0:
                raise Withhold(Reason.INVALID_VALUE, "remaining_value is negative")
            restated = {"eventTimestamp": timestamp(c.original_event_time), "conversionValue": c.remaining_value}
            return event | restated | {"eventDeviceInfo": {"ipAddress": ip_address}}
        event["eventDeviceInfo"] = self.device(c, ip_address)
        event["cartData"] = self.cart(c)
        event["userProperties"] = {"customerType": {"new": "NEW", "returning": "RETURNING"}.get(c.customer_type or "")}
        return event

    def user_identifiers(self, c: Conversion) -> list[Payload]:
        """E-mails, phones, then the address (only with all four parts: an incomplete one refuses the request); ten at most."""
        matched = self.matched(c)
        found: list[Payload] = [{field: value} for field in self.identifiers for value in matched.get(field, ())]
        address: Payload = {field: matched.get(field) for field in self.single_identifiers}
        address["regionCode"] = c.country
        if all(address.values()):
            found = [*found[:9], {"address": address}]
        return found[:10]

    def ip_address(self, c: Conversion) -> str | None:
        """Only of people known to be outside the EEA, the United Kingdom and Switzerland."""
        outside = c.country and not {c.country, c.privacy_country} & OPT_IN_COUNTRIES
        return c.ip_address if outside else None

    def screen_age(self, conversion: Conversion, now: datetime) -> None:
        super().screen_age(conversion, now)
        if ad_click(conversion) or conversion.event_name == "refund":
            return
        if age_of(conversion.event_time, now) > OLDEST_WITHOUT_CLICK:
            raise Withhold(Reason.TOO_OLD, "without a click id Google takes events of the last 63 days")

    def device(self, c: Conversion, ip_address: str | None) -> Payload:
        return {
            "userAgent": c.user_agent,
            "ipAddress": ip_address,
            "languageCode": c.device.get("language"),
            "operatingSystem": c.device.get("os"),
            "operatingSystemVersion": c.device.get("os_version"),
            "model": c.device.get("model"),
            "screenWidth": c.device.get("screen_width"),
            "screenHeight": c.device.get("screen_height"),
        }

    def cart(self, c: Conversion) -> Payload:
        config = self.config
        braid = ad_click(c).keys() & {"gbraid", "wbraid"}  # Google takes no cart data with these
        if not (config.merchant_id and c.items and c.event_name == "purchase") or braid:
            return {}
        return {
            "merchantId": config.merchant_id,
            "merchantFeedLabel": config.merchant_feed_label,
            "merchantFeedLanguageCode": config.merchant_feed_language,
            "couponCodes": [c.coupon] if c.coupon else [],
            "items": [
                {
                    "merchantProductId": item["id"],
                    "quantity": str(item["quantity"] or 1),
                    "unitPrice": item["price"],
                }
                for item in c.items
            ],
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        config = self.config
        destination: Payload = {
            "operatingAccount": {
                "accountType": config.operating_account_type,
                "accountId": config.operating_account_id,
            },
            "productDestinationId": group,
        }
        if config.login_account_id:
            destination["loginAccount"] = {
                "accountType": config.login_account_type,
                "accountId": config.login_account_id,
            }
        body: Payload = {"destinations": [destination], "encoding": "HEX", "events": list(payloads)}
        if config.validate_only:
            body["validateOnly"] = True
        headers = {"Content-Type": "application/json"}
        return Request("POST", self.url("/v1/events:ingest"), headers | self.quota(), json=body)

    def quota(self) -> dict[str, str]:
        return {"x-goog-user-project": self.config.quota_project} if self.config.quota_project else {}

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        request_id, found = trace(body.get("requestId")), body.get("fieldWarnings", [])
        if response.status == 200 and request_id and "error" not in body and dicts(found) == found:
            warnings = "; ".join(str(warning.get("reason") or warning) for warning in found)
            if self.config.validate_only:
                return only_tested(count, request_id, warnings or "checked; Google stored nothing")
            return Verdict(Kind.SETTLED, [Outcome(State.PENDING, message=warnings)] * count, trace_id=request_id)
        return self.read_error(body, response, count) or unreadable(response)

    def read_error(self, body: Payload, response: Response, count: int) -> Verdict | None:
        error = body.get("error")
        if not isinstance(error, dict):
            return by_status(response)
        known = told(error, response)
        if response.status == 400 and type(error.get("code")) is int and error["code"] == 400:
            return self.read_refusal(error, known, count)
        return by_rpc_status(error, response, known, least=minutes(1))

    def read_refusal(self, error: Payload, known: dict[str, Any], count: int) -> Verdict:
        """A 400: nothing was stored. Events are to blame if every violation names one, else the configuration is."""
        violations = [v for d in dicts(error.get("details")) for v in dicts(d.get("fieldViolations"))]
        if CONFIGURATION.search(" ".join([known["code"], *(str(v.get("reason") or "") for v in violations)])):
            return Verdict(Kind.CONFIGURATION, **known)
        culprits: dict[int, Outcome] = {}
        for violation in violations:
            found = _EVENT_FIELD.match(str(violation.get("field")))
            if not found or int(found[1]) >= count:
                return Verdict(Kind.CONFIGURATION, **known)
            reason = violation.get("reason") or known["code"]
            culprits.setdefault(
                int(found[1]), rejected(reason, f"{violation.get('field')}: {violation.get('description')}")
            )
        if not culprits and "destinations" in known["message"]:
            return Verdict(Kind.CONFIGURATION, **known)
        return Verdict(Kind.REFUSED, culprits=culprits, **known)

    def status_request(self, trace_id: str) -> Request:
        return Request("GET", self.url("/v1/requestStatus:retrieve"), self.quota(), params={"requestId": trace_id})

    def read_status(self, response: Response, count: int) -> Verdict:
        """SUCCESS: all accepted. Errors with `recordIndices` hit those events. Errors with counts alone name nobody:
        unless they hit all events alike, every event is sent again in a smaller request (`narrow`; the transaction id
        makes that safe) until the culprit stands alone. https://developers.google.com/data-manager/api/devguides/diagnostics"""
        body = response.json()
        if response.status == 404 and isinstance(body.get("error"), dict):  # else a gateway's
            lost = Outcome(State.HELD, "request_unknown", "Google does not know this request id")
            return Verdict(Kind.SETTLED, [lost] * count)
        statuses = body.get("requestStatusPerDestination")
        if response.status != 200 or dicts(statuses) != statuses or len(statuses) != 1:
            return self.read_error(body, response, count) or unreadable(response)
        status = statuses[0].get("requestStatus")
        if status not in ("SUCCESS", "PARTIAL_SUCCESS", "FAILED"):
            kind = Kind.WAITING if status == "PROCESSING" else Kind.TRANSIENT
            return Verdict(kind, code=str(status), message=f"requestStatus {status}")
        errors = error_counts(statuses[0], count)
        if errors is None or bool(errors) == (status == "SUCCESS"):  # a success with a reason, a failure without one
            return unreadable(response)
        outcomes = settle(errors, count, status == "FAILED")
        return Verdict(Kind.SETTLED, outcomes) if outcomes else unreadable(response)


def error_counts(status: Payload, count: int) -> list[Payload] | None:
    """The error counts of one destination; None if they are not well-formed, or about another number of events."""
    ingested, information = status.get("eventsIngestionStatus", {"recordCount": count}), status.get("errorInfo", {})
    if not (
        isinstance(ingested, dict) and isinstance(information, dict) and whole(ingested.get("recordCount")) == count
    ):
        return None
    errors = information.get("errorCounts", [])
    if dicts(errors) != errors or not all(0 < whole(error.get("recordCount")) <= count for error in errors):
        return None
    return errors if all(isinstance(error.get("reason"), str) and error["reason"] for error in errors) else None


def settle(errors: list[Payload], count: int, all_failed: bool) -> list[Outcome] | None:
    """Outcome of each of `count` events for the error counts of a request, all accepted if there are none; None if all
    failed and the positions leave some of them out."""
    failed: Counter[str] = Counter()
    for error in errors:
        failed[error["reason"]] += whole(error["recordCount"])
    named = [indices(error, count) for error in errors]
    if None not in named:
        reasons: dict[int, list[str]] = defaultdict(list)
        for error, positions in zip(errors, named, strict=True):
            for index in positions or ():
                reasons[index].append(error["reason"])
        if all_failed and len(reasons) < count:
            return None
        return [failure(reasons[index]) if index in reasons else Outcome(State.ACCEPTED) for index in range(count)]
    together = failure(list(failed))
    if count == 1 or (all_failed and len(failed) == 1 and failed.total() == count):
        return [together] * count
    unexplained = all_failed and failed.total() < count
    if together.state is State.RETRY or (together.state is State.ACCEPTED and not unexplained):
        return [together] * count  # whichever events these are, the same becomes of them and of the others
    words = ", ".join(f"{number} {reason.removeprefix(_PREFIX)}" for reason, number in failed.items())
    return [Outcome(State.RETRY, "narrow", f"of {count} events: {words}; which ones, Google does not say")] * count


def indices(error: Payload, count: int) -> list[int] | None:
    """The events that an error count names; None unless it names as many as it counts."""
    found = error.get("recordIndices")
    if not isinstance(found, list) or not all(type(index) is int and 0 <= index < count for index in found):
        return None
    return found if found and len(set(found)) == whole(error.get("recordCount")) else None


def failure(reasons: list[str]) -> Outcome:
    """What becomes of an event for which Google's diagnostics give these reasons."""
    codes = [reason.removeprefix(_PREFIX) for reason in reasons]
    final = next((code for code in codes if not (HAS_IT.search(code) or LATER.search(code))), None)
    if final:
        return rejected(final, "verdict of Google's diagnostics")
    later = next((code for code in codes if LATER.search(code)), None)
    if later:
        return Outcome(State.RETRY, later, "Google asks for it again later", hours(6))
    return Outcome(State.ACCEPTED, codes[0])


def whole(number: Any) -> int:
    """An int64, which JSON carries as text; 0 for anything else."""
    if isinstance(number, str) and _INT64.fullmatch(number):
        return int(number)
    return number if type(number) is int else 0


def consent(word: str | None) -> str | None:
    return f"CONSENT_{word.upper()}" if word else None


def timestamp(time: int) -> str:
    """RFC 3339: whole seconds without a fraction, otherwise 3 or 6 digits."""
    micros = time % 1_000_000
    return iso(time, 0 if not micros else 3 if micros % 1000 == 0 else 6)
