"""Awin Conversion API: https://help.awin.com/apidocs/conversion-api"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token
from capi_pipeline.sandbox.store import FOREVER, Event

API_KEY: Final = "sandbox-awin-key"
ADVERTISER_ID: Final = "12345"
COMMISSION_GROUPS: Final = rules.words("DEFAULT LEAD SIGNUP")

MAXIMUM: Final = 1000
CODE = re.compile(r"[A-Z0-9_.\-]+", re.ASCII)
Problem = tuple[str, str]  # field and message


class Awin(Platform):
    """Server-to-server orders. Each is judged on its own; a known order reference is recognised and not paid again."""

    slug = "awin"
    title = "Awin Conversion API"
    documentation = "https://help.awin.com/apidocs/conversion-api"
    environment: ClassVar = {"AWIN_API_KEY": API_KEY}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/s2s/advertiser/{advertiser_id}/orders", self.orders)]

    def orders(self, call: Call) -> Reply:
        if call.static_token(call.headers.get("x-api-key", ""), API_KEY) is not Token.GOOD:
            raise Refused(problem(401, "Invalid API key"))
        if call.path["advertiser_id"] != ADVERTISER_ID:
            raise Refused(problem(404, "Advertiser not found"))
        orders = (call.json() or {}).get("orders")
        if not isinstance(orders, list) or not 1 <= len(orders) <= MAXIMUM:
            raise Refused(problem(400, f"orders must be a list of 1 to {MAXIMUM} orders"))
        call.events = len(orders)
        good, taken, failed = [], [], []
        for order in orders:
            found = first_problem(order, call.now.timestamp())
            if found is None and (field := call.refusal(order, "orderReference")) is not None:
                found = str(field), "is not valid"
            reference = order.get("orderReference") if isinstance(order, dict) else None
            if found is None:
                good.append(accepted(order))
                taken.append({"orderReference": reference, "correlationId": secrets.token_hex(8)})
            else:
                errors = [{"field": found[0], "message": found[1]}]
                failed.append({"order": {"orderReference": reference}, "errors": errors})
        call.rejected = len(failed)
        call.record(good)
        lists = {"successfulOrders": taken, "pendingOrders": [], "failedOrders": failed}
        return Reply({"batchId": secrets.token_hex(16), **lists}, 206 if failed else 200)

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return problem(parameters.get("status") or 429, "Too many requests")

    def server_error(self, status: int) -> Reply:
        return problem(status, "Internal error")


def problem(status: int, message: str) -> Reply:
    return Reply({"message": message}, status)


def accepted(order: dict[str, Any]) -> Event:
    """Deduplication: the order reference of an advertiser, also against the tag. Test orders are not paid."""
    reference = order["orderReference"]
    return Event(
        account=ADVERTISER_ID, identity=reference, name=order["commissionGroups"][0]["code"], id=reference, payload=order,
        window=FOREVER, outcome="test" if order.get("isTest") else None, value=order["amount"], currency=order["currency"],
    )  # fmt: skip


def first_problem(order: object, now: float) -> Problem | None:
    if not isinstance(order, dict):
        return "order", "must be an object"
    reference = order.get("orderReference")
    if not rules.is_text(reference) or len(reference) > 50:
        return "orderReference", "is required, at most 50 characters"
    if not rules.is_amount(order.get("amount")):
        return "amount", "must be a number that is not negative"
    if not rules.is_text(order.get("channel")):
        return "channel", "is required"
    if not rules.is_currency(order.get("currency")):
        return "currency", "must be an ISO 4217 code"
    if not (
        rules.is_text(order.get("awc"))
        or rules.is_text(order.get("voucher"))
        or (rules.is_integer(order.get("publisherId")) and rules.is_integer(order.get("clickTime")))
    ):
        return "awc", "one of awc, voucher, publisherId with clickTime is required"
    if order.get("customerAcquisition", "NEW") not in ("NEW", "RETURNING"):
        return "customerAcquisition", "must be NEW or RETURNING"
    time = order.get("transactionTime", 0)
    if not rules.is_integer(time) or time > now:
        return "transactionTime", "must be Unix time in seconds, not in the future"
    if not isinstance(order.get("isTest", False), bool):
        return "isTest", "must be true or false"
    return groups_problem(order) or basket_problem(order.get("basket", []))


def groups_problem(order: Mapping[str, Any]) -> Problem | None:
    groups = order.get("commissionGroups")
    if not isinstance(groups, list) or not groups or not all(isinstance(group, dict) for group in groups):
        return "commissionGroups", "is required"
    for group in groups:
        code = group.get("code")
        if not isinstance(code, str) or not CODE.fullmatch(code) or code not in COMMISSION_GROUPS:
            return "commissionGroups", "is not a commission group of this programme"
        if not rules.is_amount(group.get("amount")):
            return "commissionGroups", "amount must be a number"
    if abs(sum(group["amount"] for group in groups) - order["amount"]) > 0.005:
        return "commissionGroups", "amounts do not add up to the amount of the order"
    return None


def basket_problem(basket: object) -> Problem | None:
    if not isinstance(basket, list):
        return "basket", "must be a list"
    for item in basket:
        if not isinstance(item, dict) or not (rules.is_text(item.get("id")) and rules.is_text(item.get("name"))):
            return "basket", "an item needs id and name"
        if not rules.is_amount(item.get("price")) or not rules.is_integer(item.get("quantity")):
            return "basket", "an item needs price and quantity"
        if any("|" in value for value in item.values() if isinstance(value, str)):
            return "basket", "`|` is not allowed"
        if not rules.is_one_of(item.get("commissionGroupCode", "DEFAULT"), COMMISSION_GROUPS):
            return "basket", "is not a commission group of this programme"
    return None
