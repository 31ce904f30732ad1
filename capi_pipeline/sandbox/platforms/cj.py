"""CJ Advertiser Tracking API (GraphQL): https://docs.cj.com/docs/neworders-api-implementation"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token
from capi_pipeline.sandbox.store import FOREVER, Event

PERSONAL_ACCESS_TOKEN: Final = "sandbox-cj-token"
ENTERPRISE_ID: Final = "1500000"
ACTION_TRACKERS: Final = frozenset((350001, 350002, 350003))

MAXIMUM: Final = 10_000
MOST_ITEMS: Final = 100
MUTATION = re.compile(r"\s*mutation\b[^{]*\{\s*(createOrders|cancelOrders)\s*\(", re.ASCII)
VARIABLES: Final = {"createOrders": "newOrders", "cancelOrders": "cancelledOrders"}
ORDER_ID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
DECIMAL = re.compile(r"\d+(\.\d+)?", re.ASCII)
Is = Callable[[object], bool]


def is_decimal(value: object) -> bool:
    """A GraphQL decimal, written as a string."""
    return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value, re.ASCII) is not None


def is_string(value: object) -> bool:
    return isinstance(value, str)


def is_instant(value: object) -> bool:
    return rules.parse_rfc3339(value) is not None


def is_object(value: object) -> bool:
    return isinstance(value, dict)


ITEM: Final[Mapping[str, Is]] = {
    "sku": is_string, "unitPrice": is_decimal, "quantity": rules.is_integer, "discount": is_decimal,
}  # fmt: skip
KEY: Final[Mapping[str, Is]] = {
    "enterpriseId": is_string, "actionTrackerId": rules.is_integer, "orderId": is_string,
}  # fmt: skip
# Input types of the schema: every member, and those that must be there.
TYPES: Final[Mapping[str, tuple[Mapping[str, Is], Sequence[str]]]] = {
    "createOrders": (
        {**KEY, "eventTime": is_instant, "cjEvent": is_string, "adId": is_string, "promotionalPropertyId": is_string,
         "amount": is_decimal, "items": lambda value: is_list_of(value, ITEM), "discount": is_decimal, "currency": is_string,
         "coupon": is_string, "sid": is_string, "ids": is_object, "verticalParameters": is_object,
         "customParameters": lambda value: isinstance(value, list), "bypassChannel": is_object},
        (*KEY, "eventTime"),
    ),
    "cancelOrders": (
        {**KEY, "updateTime": is_instant, "correctionReason": is_string, "status": lambda value: value == "Declined"},
        (*KEY, "updateTime"),
    ),
}  # fmt: skip


class Cj(Platform):
    """New orders and cancellations by GraphQL. Errors, too, come with HTTP 200, and one of them refuses the request. Only the
    first failing stage is shown: authentication, schema, authorisation, values. `/graphqltest` posts nothing."""

    slug = "cj"
    title = "CJ Tracking API"
    documentation = "https://docs.cj.com/docs/neworders-api-implementation"
    environment: ClassVar = {"CJ_PERSONAL_ACCESS_TOKEN": PERSONAL_ACCESS_TOKEN}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/graphql", self.live), Endpoint("POST", "/graphqltest", self.test)]

    def live(self, call: Call) -> Reply:
        return self.mutate(call, test=False)

    def test(self, call: Call) -> Reply:
        return self.mutate(call, test=True)

    def mutate(self, call: Call, test: bool) -> Reply:
        state = call.static_token(call.bearer(), PERSONAL_ACCESS_TOKEN)
        if state is not Token.GOOD:
            raise Refused(failed("Missing Token" if state is Token.MISSING else "Invalid Token"))
        name, orders = parsed(call)
        call.events = len(orders)
        for order in orders:
            if order["enterpriseId"] != ENTERPRISE_ID or order["actionTrackerId"] not in ACTION_TRACKERS:
                raise Refused(failed("Unauthorized"))
        for order in orders:
            found = first_problem(order, call.now)
            if found is None and (words := call.refusal(order, "is not valid")) is not None:
                found = "orderId", f"Order: {words}"
            if found is not None:
                errors = [{"message": found[1], "fields": [found[0]]}]
                raise Refused(Reply({"data": {name: {"orders": None, "errors": errors}}}), rejected=1)
        call.record([posted(call, name, order, test) for order in orders])
        batch = secrets.token_hex(8)
        taken = [
            {"submissionId": secrets.token_hex(8), "batchId": batch, "orderId": order["orderId"]} for order in orders
        ]
        return Reply({"data": {name: {"orders": taken, "errors": None}}})

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return Reply(b"", parameters.get("status") or 429, media_type="text/plain")


def failed(message: str) -> Reply:
    return Reply({"errors": [{"message": message}], "data": None})


def parsed(call: Call) -> tuple[str, list[dict[str, Any]]]:
    """The mutation's name and its orders, which are of its input type."""
    body = call.json() or {}
    query, variables = body.get("query"), body.get("variables")
    mutation = MUTATION.match(query) if isinstance(query, str) else None
    if mutation is None or not isinstance(variables, dict):
        raise Refused(failed("Invalid Syntax"))
    name = mutation[1]
    orders = variables.get(VARIABLES[name])
    if not isinstance(orders, list) or not orders:
        raise Refused(failed(f"Validation error of type WrongType: {VARIABLES[name]} must be a list of orders"))
    call.events = len(orders)
    if len(orders) > MAXIMUM:
        raise Refused(Reply(b"", 504, media_type="text/plain"))
    members, required = TYPES[name]
    for order in orders:
        if not is_list_of([order], members):
            raise Refused(
                failed("Validation error of type WrongType: an order has a member of another type"), rejected=1
            )
        if any(order.get(member) is None for member in required):
            raise Refused(
                failed("Validation error of type MissingFieldArgument: a required member is missing"), rejected=1
            )
    return name, orders


def is_list_of(value: object, members: Mapping[str, Is]) -> bool:
    """Objects with known members only, each null or of its type."""
    return isinstance(value, list) and all(
        isinstance(entry, dict)
        and entry.keys() <= members.keys()
        and all(member is None or members[key](member) for key, member in entry.items())
        for entry in value
    )


def first_problem(order: Mapping[str, Any], now: datetime) -> tuple[str, str] | None:
    """Field and message of the first value that CJ does not take."""
    if not ORDER_ID.fullmatch(order["orderId"]):
        return "orderId", "orderId may hold letters, digits, - and _ only"
    time = "eventTime" if "eventTime" in order else "updateTime"
    moment = rules.parse_rfc3339(order[time])
    if moment is None or moment > now:
        return time, f"{time} may not be in the future"
    if time == "updateTime":
        return None
    if not order.get("cjEvent") and not (order.get("adId") and order.get("promotionalPropertyId")):
        return "cjEvent", "cjEvent or adId with promotionalPropertyId is required"
    items = order.get("items") or []
    if len(items) > MOST_ITEMS:
        return "items", f"Order may not have more than {MOST_ITEMS} items"
    for item in items:
        if not item.get("sku") or not DECIMAL.fullmatch(item.get("unitPrice") or "") or (item.get("quantity") or 0) < 1:
            return "items", "an item needs sku, unitPrice and quantity"
    for field in ("amount", "discount"):
        if order.get(field) is not None and not DECIMAL.fullmatch(order[field]):
            return field, f"{field} may not be negative"
    if order.get("currency") is not None and not rules.is_currency(order["currency"]):
        return "currency", "currency must be an ISO 4217 code"
    if order.get("coupon") == "":
        return "coupon", "coupon may not be empty"
    digest = (order.get("ids") or {}).get("emailHash")
    return ("ids.emailHash", "emailHash must be hashed") if digest is not None and not rules.is_digest(digest) else None


def posted(call: Call, name: str, order: dict[str, Any], test: bool) -> Event:
    """Deduplication: order, action tracker and enterprise, as long as the order exists. What a cancellation does not find is
    an error of processing, which CJ never sends back."""
    identity = f"{order['actionTrackerId']}\x1f{order['orderId']}"
    outcome = "test" if test else None
    if name == "cancelOrders" and not test:
        original = call.store.counted(call.platform, ENTERPRISE_ID, identity)
        outcome = "retracted" if original else "unknown_order"
        if original:
            call.store.change_value(original["id"], 0, None, retracted=True)
    amount = order.get("amount")
    return Event(
        account=ENTERPRISE_ID, identity=identity, name=str(order["actionTrackerId"]), id=order["orderId"], payload=order,
        window=FOREVER, outcome=outcome, value=None if amount is None else float(amount), currency=order.get("currency"),
    )  # fmt: skip
