"""Yandex Metrica offline conversions, Management API v1.

https://yandex.com/dev/metrika/en/management/offline-conv
"""

from __future__ import annotations

import csv
import io
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email.parser import BytesParser
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token
from capi_pipeline.sandbox.store import NEVER, Event

COUNTER_ID: Final = "44147844"
OAUTH_TOKEN: Final = "sandbox-metrica-token"
GOALS: Final = frozenset(
    [
        "order_paid",
        "lead_sent",
        "lead_qualified",
        "lead_won",
        "signed_up",
        "cart_filled",
        "checkout_begun",
        "payment_given",
    ]
)

AGE: Final = timedelta(days=21)
TYPES: Final = ("BASIC", "CALLS", "CHATS")
IDENTIFIERS: Final = ("UserId", "ClientId", "Yclid", "PurchaseId")
COLUMNS: Final = frozenset((*IDENTIFIERS, "Target", "DateTime", "Price", "Currency"))
FORMS: Final = {
    "ClientId": re.compile(r"\d+", re.ASCII), "DateTime": re.compile(r"\d{10}", re.ASCII),
    "Price": re.compile(r"\d+(\.\d+)?", re.ASCII), "Currency": re.compile("[A-Z]{3}"),
}  # fmt: skip
Row = dict[str, str]


def error(status: int, kind: str, message: str, location: str = "") -> Reply:
    first = {"error_type": kind, "message": message, **({"location": location} if location else {})}
    return Reply({"errors": [first], "code": status, "message": message}, status)


def invalid(message: str, kind: str = "invalid_parameter", rejected: int = 0) -> Refused:
    return Refused(error(400, kind, message, "file"), rejected=rejected)


class YandexMetrica(Platform):
    """One CSV file per upload; one row that is not as documented refuses the file. What comes later are quantities: rows
    without a goal, without a visitor (also those of the future or of more than 21 days ago), and linked ones. Nothing is
    recognised as a repetition."""

    slug = "yandex_metrica"
    title = "Yandex Metrica offline conversions"
    documentation = "https://yandex.com/dev/metrika/en/management/offline-conv"
    environment: ClassVar = {"YANDEX_OAUTH_TOKEN": OAUTH_TOKEN}

    def endpoints(self) -> Sequence[Endpoint]:
        base = "/management/v1/counter/{counter_id}/offline_conversions"
        return [
            Endpoint("POST", f"{base}/upload", self.upload),
            Endpoint("GET", f"{base}/uploading/{{id}}", self.uploading, kind="status"),
            Endpoint("GET", f"{base}/uploadings", self.uploadings, kind="status"),
        ]

    def upload(self, call: Call) -> Reply:
        authorise(call)
        if call.query.get("type", "BASIC") not in TYPES or len(call.query.get("comment", "")) > 255:
            raise Refused(error(400, "invalid_parameter", "type or comment is invalid.", "query"))
        rows = table(the_file(call))
        call.events = len(rows)
        for line, row in enumerate(rows, 2):
            problem = row_problem(row)
            code = call.refusal(row, "invalid_parameter")
            if problem or code is not None:
                raise invalid(f"line {line}: {problem or 'the row is invalid'}", str(code or "invalid_parameter"), 1)
        number = secrets.randbelow(10**9) + 1
        outcomes = [fate(call, row) for row in rows]
        call.record([stored(row, outcome) for row, outcome in zip(rows, outcomes, strict=True)], str(number))
        upload = {
            "id": number, "create_time": call.now.isoformat(), "source_quantity": len(rows), "line_quantity": len(rows),
            "comment": call.query.get("comment", ""), "type": call.query.get("type", "BASIC"), "status": "UPLOADED",
            "goal_not_found_quantity": 0, "user_not_found_quantity": 0, "linked_quantity": 0,
        }  # fmt: skip
        later = upload | {
            "status": "LINKAGE_FAILURE" if "LINKAGE_FAILURE" in outcomes else "PROCESSED",
            "goal_not_found_quantity": outcomes.count("goal_not_found"),
            "user_not_found_quantity": outcomes.count("user_not_found"),
            "linked_quantity": outcomes.count(None),
        }
        call.store.add_receipt(self.slug, str(number), call.now, [upload, later])
        return Reply({"uploading": upload})

    def uploading(self, call: Call) -> Reply:
        authorise(call)
        found = self.state(call, call.path["id"])
        if found is None:
            raise Refused(error(404, "not_found", "The upload does not exist."))
        return Reply({"uploading": found})

    def uploadings(self, call: Call) -> Reply:
        authorise(call)
        known = call.store.events({"platform": self.slug}, 10_000, 0)
        return Reply({"uploadings": [self.state(call, number) for number in {row["request_id"] for row in known}]})

    def state(self, call: Call, number: str) -> object:
        """UPLOADED until the setting verdict_delay has passed."""
        receipt = call.store.receipt(self.slug, number)
        if receipt is None:
            return None
        at, (upload, later) = receipt
        return upload if (call.now - at).total_seconds() < call.settings.verdict_delay else later

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        kind = str(parameters.get("code") or "quota_requests_by_ip")
        return error(parameters.get("status") or 429, kind, "The quota of requests is exceeded.")

    def server_error(self, status: int) -> Reply:
        return error(status, "backend_error", "Backend error.")


def authorise(call: Call) -> None:
    """The scheme is OAuth: a bearer token is refused."""
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    state = call.static_token(token if scheme == "OAuth" else "", OAUTH_TOKEN)
    if state is Token.MISSING:
        raise Refused(error(401, "unauthorized", "The request is not authorised."))
    if state is not Token.GOOD:
        raise Refused(error(403, "invalid_token", "Invalid oauth_token."))
    if call.path["counter_id"] != COUNTER_ID:
        raise Refused(error(404, "not_found", "Entity not found."))


def the_file(call: Call) -> str:
    """The text of the part `file` of a multipart/form-data body (RFC 7578)."""
    kind = call.headers.get("content-type", "")
    message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + call.body)
    if message.get_content_type() != "multipart/form-data" or not message.is_multipart():
        raise invalid("Required part 'file' is not present.", "missing_parameter")
    files = [
        part for part in message.walk() if part.get_param("name", header="content-disposition") == "file" and part.get_filename()
    ]  # fmt: skip
    if len(files) != 1:
        raise invalid("Required part 'file' is not present.", "missing_parameter")
    content = files[0].get_payload(decode=True)
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else ""
    except UnicodeDecodeError:
        raise invalid("The file is not UTF-8.") from None
    if text.startswith("\ufeff"):
        raise invalid("The file begins with a byte order mark.")
    return text


def table(text: str) -> list[Row]:
    """The rows by the names of the header."""
    header, *lines = [*csv.reader(io.StringIO(text, newline=""))] or [[]]
    if len(set(header)) < len(header) or not set(header) <= COLUMNS or not {"Target", "DateTime"} <= set(header):
        raise invalid("The header is wrong: Target, DateTime and known columns, each once.")
    if not lines or any(len(line) != len(header) for line in lines):
        raise invalid("A row has another number of columns than the header, or there is none.")
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    for column in header:
        if not any(row[column] for row in rows):
            raise invalid(f"The column {column} is empty.")
    return rows


def row_problem(row: Row) -> str | None:
    if not row["Target"]:
        return "Target is required"
    if not any(row.get(column) for column in IDENTIFIERS):
        return f"one of {', '.join(IDENTIFIERS)} is required"
    for column, form in FORMS.items():
        if (row.get(column) or column == "DateTime") and not form.fullmatch(row[column]):
            return f"{column} is invalid"
    return "Price and Currency come together" if bool(row.get("Price")) != bool(row.get("Currency")) else None


def fate(call: Call, row: Row) -> str | None:
    """Why a row will not be linked; None if it will."""
    for fault in call.verdicts:
        if fault.hits(row):
            return str(fault.parameters["reason"])
    if row["Target"] not in GOALS:
        return "goal_not_found"
    at = datetime.fromtimestamp(int(row["DateTime"]), call.now.tzinfo)
    return None if call.now - AGE <= at <= call.now else "user_not_found"


def stored(row: Row, outcome: str | None) -> Event:
    price = row.get("Price")
    return Event(
        account=COUNTER_ID, identity="\x1f".join(row.get(column, "") for column in (*IDENTIFIERS, "Target", "DateTime")),
        name=row["Target"], id=row.get("PurchaseId") or None, payload=row, window=NEVER, outcome=outcome,
        value=float(price) if price else None, currency=row.get("Currency") or None,
    )  # fmt: skip
