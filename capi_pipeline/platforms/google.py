"""What Google's APIs share: the OAuth keys, errors as google.rpc.Status, ad clicks and user identifiers."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import city, first_name, last_name, postal_code, street_address
from capi_pipeline.platforms.answers import by_status, dicts, retry_after, trace
from capi_pipeline.platforms.auth import Grant, OAuth
from capi_pipeline.platforms.base import Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Outcome, State, Verdict
from capi_pipeline.platforms.times import LONGEST_WAIT, age_of, milliseconds
from capi_pipeline.platforms.wire import Payload, Response

# Reasons of a 403 that speak of quota, not of permission.
QUOTA = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED"}
OLDEST_CLICK = 90 * 86_400_000  # milliseconds
# `addressInfo` of Google Ads and Campaign Manager 360.
ADDRESS = {
    "hashedFirstName": first_name.lower,
    "hashedLastName": last_name.lower,
    "hashedStreetAddress": street_address.lower,
    "city": city.as_is,
    "postalCode": postal_code.as_is,
}
MOST_IDENTIFIERS = 5
_SECONDS = re.compile(r"([0-9]{1,9})(\.[0-9]{1,9})?s")  # google.protobuf.Duration


class GoogleConfig(PlatformConfig):
    """The account's keys that every Google API with OAuth has."""

    oauth_client_id: str = Field(
        description="OAuth client of a Cloud project in which this API is on.",
        examples=["cid.apps.googleusercontent.com"],
    )
    oauth_client_secret: SecretStr = Field(description="Its secret.")
    oauth_refresh_token: SecretStr = Field(description="Refresh token of a user with access.")
    access_token: SecretStr | None = Field(None, description="A ready access token, instead of refreshing one.")


class GooglePlatform(Platform):
    """A Google API with a refresh token."""

    oauth = OAuth("https://oauth2.googleapis.com", "/token")

    def grant(self) -> Grant:
        config = self.config
        secret = config.oauth_client_secret.get_secret_value()
        return Grant(config.oauth_client_id, secret, config.oauth_refresh_token.get_secret_value())


# --- events ----------------------------------------------------------------------------------------------------------


def ad_click(c: Conversion) -> Payload:
    """The first click id of Google Ads; none of a click from more than 90 days before the event, which Google refuses."""
    converted = c.original_event_time or c.event_time
    for parameter in ("gclid", "gbraid", "wbraid"):
        if value := c.click_id(parameter):
            clicked = c.clicked_at(parameter)
            expired = clicked is not None and milliseconds(converted) - clicked > OLDEST_CLICK
            return {} if expired else {parameter: value}
    return {}


def user_identifiers(matched: Payload, c: Conversion, address: bool) -> list[Payload]:
    """E-mails, phones, then the address (only with both names, country and postal code); one each, five at most."""
    found: list[Payload] = [
        {field: value} for field in ("hashedEmail", "hashedPhoneNumber") for value in matched.get(field, ())
    ]
    place: Payload = {field: matched[field] for field in ADDRESS if field in matched}
    if address and c.country and place.keys() >= {"hashedFirstName", "hashedLastName", "postalCode"}:
        found.append({"addressInfo": place | {"state": (c.region or "").strip(), "countryCode": c.country}})
    return found[:MOST_IDENTIFIERS]


# --- answers ---------------------------------------------------------------------------------------------------------


def told(error: Payload, response: Response) -> dict[str, Any]:
    """Code (the reasons of a google.rpc.Status, or its name), words and trace of an error."""
    traces = (trace(d["metadata"].get("requestId")) for d in _details(error) if isinstance(d.get("metadata"), dict))
    return {
        "code": " ".join(reasons(error)) or str(error.get("status") or f"http_{response.status}"),
        "message": str(error.get("message") or ""),
        "trace_id": next(filter(None, traces), ""),
    }


def reasons(error: Payload) -> list[str]:
    """Of ErrorInfo details, else of the `errors` list that older APIs add."""
    return [str(found["reason"]) for found in _details(error) if found.get("reason")] or [
        str(found["reason"]) for found in dicts(error.get("errors")) if found.get("reason")
    ]


def by_rpc_status(
    error: Payload, response: Response, known: dict[str, Any], least: timedelta | None = None
) -> Verdict | None:
    """The reading that Google's APIs share; None for a 400 and for what is none of its errors. `least`: the wait where a
    rate limit names none."""
    if response.status == 429 or (response.status == 403 and QUOTA & set(reasons(error))):
        wait = retry_delay(error) or retry_after(response) or least
        return Verdict(Kind.RATE_LIMITED, wait=wait, **known)
    if response.status == 409:
        return Verdict(Kind.TRANSIENT, maybe_stored=True, **known)
    return by_status(response, **known)


def retry_delay(error: Payload) -> timedelta | None:
    """`retryDelay` of a RetryInfo detail, a day at most."""
    for detail in _details(error):
        if found := _SECONDS.fullmatch(str(detail.get("retryDelay"))):
            return min(timedelta(seconds=float(found[0][:-1])), LONGEST_WAIT)
    return None


def age_at(response: Response, time: int) -> timedelta | None:
    """How long before the answer (by its Date header) epoch microseconds were; None if it tells no time."""
    try:
        return age_of(time, parsedate_to_datetime(response.headers.get("date", "")))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def by_row(outcomes: Sequence[Outcome], account: Collection[int], trace_id: str = "") -> Verdict:
    """Each event has its outcome; `account`: those for which the account is to blame, which wait until a person has
    corrected it. Where these are all, the destination stops."""
    if len(account) == len(outcomes):
        first = outcomes[0]
        return Verdict(Kind.CONFIGURATION, code=first.code, message=first.message, trace_id=trace_id)
    return Verdict(Kind.SETTLED, outcomes, trace_id=trace_id)


def blocked(code: str, words: str) -> Outcome:
    """An event that waits for a correction of the account."""
    return Outcome(State.RETRY, code, words)


def _details(error: Payload) -> list[Payload]:
    return dicts(error.get("details"))
