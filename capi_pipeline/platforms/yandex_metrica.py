"""Yandex Metrica offline conversions (`yandex_metrica`)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import user_id
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status, dicts, retry_after, trace, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig, Verdicts
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, State, Verdict, Withhold, rejected
from capi_pipeline.platforms.times import days, hours, minutes, seconds
from capi_pipeline.platforms.wire import Payload, Request, Response

IDENTIFIERS = ("UserId", "ClientId", "Yclid", "PurchaseId")
COLUMNS = (*IDENTIFIERS, "Target", "DateTime", "Price", "Currency")
TOO_MANY = (420, 429)  # one page of the documentation says 420
DAILY_QUOTAS = {"quota_requests_by_uid", "quota_requests_by_counter_id"}  # lifted at 00:00 GMT
_DIGITS = re.compile("[0-9]+")


class YandexMetrica(Platform):
    """Yandex Metrica Management API v1, upload of offline conversions as CSV, on which Yandex Direct optimises.
    https://yandex.com/dev/metrika/en/management/offline-conv"""

    name = "yandex_metrica"
    title = "Yandex Metrica"
    documentation = "https://yandex.com/dev/metrika/en/management/offline-conv"
    host = "https://api-metrika.yandex.net"
    # A conversion joins a session of the last 21 days; three requests at once per user, 30 a second, 5,000 a day.
    limits = Limits(events=10_000, oldest=days(21), atomic=True, concurrency=3, per_second=30)
    deduplication = Deduplication(window=None)  # there is no event id: an upload that is repeated counts twice
    token_key = "oauth_token"
    verdicts = Verdicts(first=minutes(30), factor=1.5, longest=hours(1), give_up=hours(24))
    click_ids = ("yclid",)
    browser_ids = ("_ym_uid",)
    single_identifiers: ClassVar = {"UserId": user_id.clear}

    class Config(PlatformConfig):
        counter_id: str = Field(description="Number of the tag (counter).", pattern=r"^\d+$", examples=["44147844"])
        oauth_token: SecretStr = Field(
            description="OAuth token with the scope metrika:offline_data or metrika:write.", examples=["ya-oauth-token"]
        )
        goals: dict[str, str] = Field(
            description="Canonical name (or `custom:<name>`) -> identifier of a JavaScript event goal. Not listed = not sent.",
            examples=[{"purchase": "order_paid", "generate_lead": "lead_sent"}],
        )
        send_user_id: bool = Field(
            False, description="Send `user_id`: only if the site gives Metrica the same by setUserID.", examples=[True]
        )
        type: str = Field(
            "BASIC", description="Kind of conversions.", pattern="^(BASIC|CALLS|CHATS)$", examples=["BASIC"]
        )

    def authorize(self, request: Request, token: str) -> Request:
        return request.with_headers(Authorization=f"OAuth {token}")

    def group(self, c: Conversion) -> str:
        """A file per goal: Metrica names no row, so what it says of a missing goal is then true of all of them."""
        return self.configured("goals", f"custom:{c.name}" if c.event_name == "custom" else c.event_name)

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "an uploaded conversion cannot be taken back")
        goal = self.group(c)
        visitor = c.browser_ids.get("_ym_uid") or ""
        row = self.matched(c) if self.config.send_user_id else {}
        row |= {
            "ClientId": visitor if _DIGITS.fullmatch(visitor) else None,
            "Yclid": c.click_id("yclid"),
            "PurchaseId": c.transaction_id if c.event_name == "purchase" else None,
        }
        if not any(row.values()):
            raise Withhold(Reason.NO_IDENTIFIER, "no user id of the site, Metrica client id, yclid or order")
        price = amounts.not_negative(c.value)
        return row | {
            "Target": goal,
            "DateTime": str(seconds(c.event_time)),
            "Price": None if price is None else amounts.text(price),
            "Currency": c.currency,
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        """One CSV file; a column that is empty in all of it is left out."""
        columns = [column for column in COLUMNS if any(column in row for row in payloads)]
        sheet = io.StringIO()
        writer = csv.DictWriter(sheet, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(payloads)
        file = {"filename": "conversions.csv", "content_type": "text/csv", "content": sheet.getvalue()}
        params = {"type": self.config.type}
        return Request("POST", self.address("upload"), params=params, multipart={"file": file})

    def address(self, what: str) -> str:
        return self.url(f"/management/v1/counter/{self.config.counter_id}/offline_conversions/{what}")

    def probe(self) -> Request:
        return Request("GET", self.address("uploadings"))

    def status_request(self, trace_id: str) -> Request:
        return Request("GET", self.address(f"uploading/{trace_id}"))

    def read(self, response: Response, count: int) -> Verdict:
        upload = uploading(response)
        if upload is None:
            return read_error(response)
        known = upload.get("id")
        trace_id = trace(str(known)) if type(known) is int and known > 0 else ""
        if not trace_id:
            return unreadable(response)
        return Verdict(Kind.SETTLED, [Outcome(State.PENDING)] * count, trace_id=trace_id)

    def read_status(self, response: Response, count: int) -> Verdict:
        """The upload's state and its quantities; there is no result per row."""
        upload = uploading(response)
        if upload is None:
            return read_error(response)
        status = upload.get("status")
        if status == "LINKAGE_FAILURE":  # nobody knows how far it came, and a repetition could count twice
            return Verdict(Kind.SETTLED, [Outcome(State.HELD, status, "Metrica could not link the upload")] * count)
        if status != "PROCESSED":
            kind = Kind.WAITING if status in ("UPLOADED", "PREPARED") else Kind.TRANSIENT
            return Verdict(kind, code=str(status), message=f"status {status}")
        outcome = linked(upload, count)
        return Verdict(Kind.SETTLED, [outcome] * count) if outcome else unreadable(response)


def uploading(response: Response) -> Payload | None:
    """The upload that an answer describes, if it describes one."""
    body = response.json()
    found = body.get("uploading")
    return found if response.status == 200 and isinstance(found, dict) and "errors" not in body else None


def linked(upload: Payload, count: int) -> Outcome | None:
    """What became of the rows of a processed upload, which is the same for all of them: Metrica counts and names nobody.
    Rows without a visitor are normal. None if the numbers contradict each other."""
    found = (upload.get(f"{what}_quantity") for what in ("linked", "goal_not_found", "user_not_found"))
    counts = [number for number in found if type(number) is int and 0 <= number <= count]
    if len(counts) < 3:
        return None
    good, no_goal, no_visitor = counts
    words = f"of {count} rows {good} linked, {no_goal} without a goal, {no_visitor} without a visitor"
    if good == count:
        return Outcome(State.ACCEPTED)
    if good:
        return Outcome(State.ACCEPTED, "partly_linked", words)
    if no_goal == count:
        return rejected("goal_not_found", words)
    return rejected("user_not_found", words) if no_goal + no_visitor >= count else None


def read_error(response: Response) -> Verdict:
    """`{"errors": [{"error_type", "message", "location"}], "code", "message"}`."""
    body, status = response.json(), response.status
    types = [error["error_type"] for error in dicts(body.get("errors")) if isinstance(error.get("error_type"), str)]
    known: dict[str, Any] = {
        "code": " ".join(types) or f"http_{status}",
        "message": str(body.get("message") or f"Yandex Metrica answered HTTP {status}"),
    }
    if status in TOO_MANY:
        usual = until_midnight(response) if DAILY_QUOTAS & set(types) else timedelta(seconds=1)
        return Verdict(Kind.RATE_LIMITED, wait=retry_after(response) or usual, **known)
    if status == 413 or (status == 400 and types):
        return Verdict(Kind.REFUSED, **known)
    if status == 404 and types:  # the counter, or its feature is off
        return Verdict(Kind.CONFIGURATION, **known)
    return by_status(response, **known) or unreadable(response)


def until_midnight(response: Response) -> timedelta:
    """From the answer's own Date to 00:00 GMT; an hour where it has none."""
    try:
        now = parsedate_to_datetime(response.headers.get("date", ""))
        now = now.astimezone(UTC) if now.tzinfo else now
    except (ValueError, TypeError, OverflowError, IndexError):
        return hours(1)
    return days(1) - timedelta(hours=now.hour, minutes=now.minute, seconds=now.second)
