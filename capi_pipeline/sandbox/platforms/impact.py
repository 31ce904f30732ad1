"""impact.com Brand API, conversions and actions:
https://integrations.impact.com/brand-api-reference/reference/conversions/conversions"""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token
from capi_pipeline.sandbox.store import FOREVER, Event

ACCOUNT_SID: Final = "IRexampleSID00001"
AUTH_TOKEN: Final = "sandbox-impact-token"
CAMPAIGN_ID: Final = "3641"
EVENT_TYPES: Final = frozenset(("7001", "7002", "7003"))

KEYS: Final = ("ClickId", "CustomerId", "CustomProfileId", "OrderPromoCode", "MediaId", "UniqueUrl", "CallerId", "PhoneNumber",
               "AppleIfa", "AppleIfv", "GoogAId", "AndroidId")  # fmt: skip
LONGEST: Final = {"OrderId": 64, "ClickId": 64, "CustomerId": 255, "CustomProfileId": 70, "Note": 255}
REASONS: Final = rules.words(
    "ORDER_UPDATE ITEM_RETURNED ITEM_OUT_OF_STOCK CONS_FRAUD CONS_ERROR ORDER_ERROR TEST_ACTION OTHER"
)
DECIMAL = re.compile(r"\d+(\.\d+)?", re.ASCII)
DELTA = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
WHOLE = re.compile(r"\d+", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
MONEY = re.compile(r"Order(SubTotalPostDiscount|Discount|Tax|Shipping)|Item(Price|SubTotal|Discount)\d+", re.ASCII)
Form = dict[str, str]


class Impact(Platform):
    """One conversion or change of an action per request, and only queued: what became of it stands in its submission. An order
    is counted once per event type."""

    slug = "impact"
    title = "impact.com"
    documentation = "https://integrations.impact.com/brand-api-reference/reference/conversions/conversions"
    environment: ClassVar = {"IMPACT_AUTH_TOKEN": AUTH_TOKEN}

    def endpoints(self) -> Sequence[Endpoint]:
        return [
            Endpoint("POST", "/Advertisers/{sid}/Conversions", self.convert),
            Endpoint("PUT", "/Advertisers/{sid}/Actions", self.change),
            Endpoint("GET", "/Advertisers/{sid}/APISubmissions/{id}", self.submission, kind="status"),
        ]

    def convert(self, call: Call) -> Reply:
        form = opened(call)
        found = first_problem(form, call)
        if found is None and (field := call.refusal(form, "OrderId")) is not None:
            found = str(field), "is not valid"
        if found is not None:
            raise Refused(invalid(*found), rejected=1)
        identity = f"{form['EventTypeId']}\x1f{form['OrderId']}"
        known = form["EventTypeId"] in EVENT_TYPES
        failure = verdict(call, form) or ("" if known else "CONTRACT_NOT_FOUND")
        (outcome,) = call.record(
            [
                Event(
                    account=ACCOUNT_SID, identity=identity, name=form["EventTypeId"], id=form["OrderId"], payload=form,
                    window=FOREVER, outcome="failed" if failure else None, value=worth(form), currency=form.get("CurrencyCode"),
                )
            ]
        )  # fmt: skip
        return queued(call, failure or ("DUPLICATE_ACTION" if outcome == "duplicate" else ""))

    def change(self, call: Call) -> Reply:
        form = opened(call)
        if form.get("Reason") not in REASONS:
            raise Refused(invalid("Reason", "is required"), rejected=1)
        amount, sku, delta = form.get("Amount"), form.get("Sku"), form.get("ItemSubTotalDelta")
        total = amount is not None and DECIMAL.fullmatch(amount) is not None and not (sku or delta)
        by_line = bool(sku) and delta is not None and DELTA.fullmatch(delta) is not None and amount is None
        if not (total or by_line):
            raise Refused(invalid("Amount", "Amount, or Sku with ItemSubTotalDelta, is required"), rejected=1)
        identity = f"{form.get('ActionTrackerId')}\x1f{form.get('OrderId')}"
        original = call.store.counted(call.platform, ACCOUNT_SID, identity)
        if original is None:
            raise Refused(Reply({"Status": "ERROR", "Message": "Action not found"}, 404), rejected=1)
        left = float(amount) if amount is not None else round(float(original["value"] or 0) + float(delta or 0), 4)
        call.store.change_value(original["id"], left, None, retracted=left <= 0)
        outcome = "retracted" if left <= 0 else "restated"
        call.record(
            [
                Event(
                    account=ACCOUNT_SID, identity=identity, name="change", id=form.get("OrderId"), payload=form,
                    outcome=outcome, value=left,
                )
            ]
        )  # fmt: skip
        return queued(call, "")

    def submission(self, call: Call) -> Reply:
        """Queued until the setting verdict_delay has passed, then what became of it."""
        authorise(call)
        receipt = call.store.receipt(self.slug, call.path["id"])
        if receipt is None:
            raise Refused(Reply({"Status": "ERROR", "Message": "Submission not found"}, 404))
        at, body = receipt
        if (call.now - at).total_seconds() < call.settings.verdict_delay:
            return Reply({"Status": "Queued"})
        return Reply({"Status": "Complete", **body})

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        reset = str(int(parameters.get("regain_minutes") or 0) * 60)
        headers = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
        return Reply({"Status": "ERROR", "Message": "Rate limit exceeded"}, parameters.get("status") or 429, headers)

    def server_error(self, status: int) -> Reply:
        return Reply({"Status": "ERROR", "Message": "Internal error"}, status)


def authorise(call: Call) -> None:
    """HTTP Basic with the account's SID as the user, which is also part of the address."""
    scheme, _, given = call.headers.get("authorization", "").partition(" ")
    good = b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    state = call.static_token(given if scheme == "Basic" else "", good)
    if state is not Token.GOOD or call.path["sid"] != ACCOUNT_SID:
        raise Refused(Reply({"Status": "ERROR", "Message": "Access denied"}, 401))


def opened(call: Call) -> Form:
    """The form of a request with good credentials."""
    authorise(call)
    call.events = 1
    if call.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise Refused(invalid("Content-Type", "must be application/x-www-form-urlencoded"), rejected=1)
    return dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))


def invalid(field: str, message: str) -> Reply:
    errors = [{"Field": field, "Message": message}]
    return Reply({"Status": "ERROR", "Message": "Validation Failed", "Errors": errors}, 400)


def queued(call: Call, failure: str) -> Reply:
    submission = f"A-{secrets.token_hex(8)}"
    call.store.add_receipt(call.platform, submission, call.now, {"ErrorType": failure} if failure else {})
    return Reply({"Status": "QUEUED", "QueuedUri": f"/Advertisers/{ACCOUNT_SID}/APISubmissions/{submission}"})


def verdict(call: Call, form: Form) -> str:
    """The error in which an injected fault lets this conversion end."""
    return next((str(fault.parameters["reason"]) for fault in call.verdicts if fault.hits(form)), "")


def numbered(form: Form, name: str) -> list[str]:
    """ItemSku1, ItemSku2, … without a gap."""
    values: list[str] = []
    while (value := form.get(f"{name}{len(values) + 1}")) is not None:
        values.append(value)
    return values


def worth(form: Form) -> float | None:
    if "OrderSubTotalPostDiscount" in form:
        return float(form["OrderSubTotalPostDiscount"])
    prices, quantities = numbered(form, "ItemPrice"), numbered(form, "ItemQuantity")
    if not prices:
        return None
    total = sum(float(price) * int(quantity) for price, quantity in zip(prices, quantities, strict=True))
    return round(total - float(form.get("OrderDiscount", 0)), 4)


def first_problem(form: Form, call: Call) -> tuple[str, str] | None:
    """Field and message of the first thing wrong with a conversion."""
    if form.get("CampaignId") != CAMPAIGN_ID:
        return "CampaignId", "is not a programme of this account"
    if not WHOLE.fullmatch(form.get("EventTypeId", "")):
        return "EventTypeId", "is required"
    date = rules.parse_rfc3339(form.get("EventDate"))
    if date is None or date > call.now:
        return "EventDate", "must be an ISO 8601 time that is not in the future"
    if not form.get("OrderId"):
        return "OrderId", "is required"
    for field, longest in LONGEST.items():
        if len(form.get(field, "")) > longest:
            return field, f"is longer than {longest} characters"
    if not any(form.get(key) for key in KEYS):
        return "ClickId", "one attribution key is required"
    if not DIGEST.fullmatch(form.get("CustomerEmail", "0" * 40)):
        return "CustomerEmail", "must be hashed"
    if form.get("CustomerStatus", "NEW") not in ("NEW", "EXISTING"):
        return "CustomerStatus", "is not in the mapping of this event type"
    return money_problem(form)


def money_problem(form: Form) -> tuple[str, str] | None:
    money = [name for name in form if MONEY.fullmatch(name)]
    for name in money:
        if not DECIMAL.fullmatch(form[name]):
            return name, "must be a plain decimal"
    if money and not rules.is_currency(form.get("CurrencyCode")):
        return "CurrencyCode", "is required with money"
    skus, prices, quantities = (numbered(form, f"Item{part}") for part in ("Sku", "Price", "Quantity"))
    if skus and "OrderSubTotalPostDiscount" in form:
        return "OrderSubTotalPostDiscount", "is not allowed beside items"
    if any(name.startswith("ItemPrice") for name in money) and any(name.startswith("ItemSubTotal") for name in money):
        return "ItemPrice1", "is not allowed beside ItemSubTotal"
    if not len(skus) == len(prices) == len(quantities) or not all(map(WHOLE.fullmatch, quantities)):
        return "ItemSku1", "every item needs sku, quantity and price"
    return None
