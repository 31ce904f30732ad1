"""CJ Affiliate Tracking API (`cj`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import email, user_id
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status, dicts, retry_after, trace, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted, need, only_tested
from capi_pipeline.platforms.times import days, iso, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

LEADS = ("generate_lead", "qualify_lead", "close_convert_lead", "sign_up", "start_trial", "subscribe", "contact", "schedule",
         "submit_application", "donate", "download", "app_install")  # fmt: skip
CREATE, CANCEL = "createOrders", "cancelOrders"
_MUTATION = (
    "mutation {title}(${variable}: [{type}!]!) {{ {name}({variable}: ${variable}) "
    "{{ orders {{ submissionId batchId orderId }} errors {{ message fields }} }} }}"
)
VARIABLES = {CREATE: "newOrders", CANCEL: "cancelledOrders"}
MUTATIONS = {
    CREATE: _MUTATION.format(title="CreateOrders", variable="newOrders", type="OrderCreateRequest", name=CREATE),
    CANCEL: _MUTATION.format(title="CancelOrders", variable="cancelledOrders", type="OrderCancelRequest", name=CANCEL),
}
MOST_ITEMS = 100
AUTH = re.compile("Missing Token|Invalid Token|Unauthorized")
REFUSED = re.compile("Invalid Syntax|Validation error of type|more than 100 items|in the future")


class Cj(Platform):
    """Advertiser Tracking API (GraphQL): new orders, for which CJ pays publishers, and their cancellation.
    https://docs.cj.com/docs/neworders-api-implementation"""

    name = "cj"
    title = "CJ Affiliate"
    documentation = "https://docs.cj.com/docs/neworders-api-implementation"
    host = "https://tracking.api.cj.com"
    limits = Limits(events=1000, atomic=True, concurrency=2)  # CJ takes 10,000, but then tends to answer 504
    # As long as the order exists; this is how long it is relied on.
    deduplication = Deduplication(keys=("orderId", "actionTrackerId", "enterpriseId"), window=days(90))
    token_key = "personal_access_token"
    event_names: ClassVar = {"purchase": "sale", **dict.fromkeys(LEADS, "lead")}
    single_identifiers: ClassVar = {"userId": user_id.clear, "emailHash": email.trimmed}
    click_ids = ("cjevent", "CJEVENT")
    browser_ids = ("cje", "cjUser")
    restates = True  # whole refunds only
    test_mode = "validate_only"

    class Config(PlatformConfig):
        personal_access_token: SecretStr = Field(
            description="Personal access token of developers.cj.com.", examples=["cj-pat"]
        )
        enterprise_id: str = Field(
            description="Enterprise id (CID) of the advertiser, digits.", examples=["1500000"], pattern=r"^\d+$"
        )
        action_trackers: dict[str, Annotated[int, Field(ge=0)]] = Field(
            description="Canonical (or custom) name -> action tracker id (TYPE). Not listed = not sent.",
            examples=[{"purchase": 350001, "generate_lead": 350002}],
        )
        open_ended: list[str] = Field(
            [], description="Events whose action locks with a delay: cancelled as `Declined`.", examples=[["purchase"]]
        )
        validate_only: bool = Field(False, description="CJ checks the orders and posts nothing.", examples=["true"])

    def group(self, c: Conversion) -> str:
        return CANCEL if c.event_name == "refund" else CREATE

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            return self.cancellation(c)
        self.event_name(c)
        key = self.key(c.name, c.transaction_id or c.event_id)
        click = c.click_id(*self.click_ids) or c.browser_ids.get("cje")
        if not click:
            raise Withhold(Reason.NO_CLICK_ID, "no cjevent, without which CJ pays nobody")
        value, sale = amounts.not_negative(c.value), c.event_name == "purchase"
        items = amounts.whole_lines(c.contents) if sale else []
        if len(items) > MOST_ITEMS:
            raise Withhold(Reason.INVALID_VALUE, f"CJ takes at most {MOST_ITEMS} lines of an order")
        if sale and value is None and not items:
            raise Withhold(Reason.MISSING_FIELD, "a sale needs a value, or lines with id, price and quantity")
        return {
            **key,
            "eventTime": iso(c.event_time),
            "cjEvent": click,
            "amount": None if value is None else amounts.text(value),
            "currency": c.currency,
            "coupon": (c.coupon or "").strip(),
            "items": [
                {"sku": item["id"], "unitPrice": amounts.text(item["price"]), "quantity": item["quantity"]}
                for item in items
            ],
            "discount": discount(c, items),
            "ids": {**self.matched(c), "universalTagCjUser": c.browser_ids.get("cjUser")},
            "verticalParameters": {
                "customerStatus": {"new": "new", "returning": "existing"}.get(c.customer_type or ""),
                "customerCountry": c.country,
                "taxAmount": None if c.tax is None else amounts.text(c.tax),
            },
        }

    def cancellation(self, c: Conversion) -> Payload:
        """A whole refund. A partial one would have to restate the complete rest of the order, which a refund does not hold."""
        if need(amounts.not_negative(c.remaining_value), "a refund needs remaining_value") > 0:
            raise Withhold(Reason.UNSUPPORTED_EVENT, "CJ takes whole refunds only")
        name = c.original_event_name
        order = self.key(name, c.transaction_id or need(c.original_event_id, "a refund needs original_event_id"))
        declined = "Declined" if name in self.config.open_ended else None
        return {**order, "updateTime": iso(c.event_time), "status": declined}

    def key(self, name: str, order: str) -> Payload:
        """What CJ knows an order by. Raises Withhold."""
        tracker: int | None = self.config.action_trackers.get(name)
        if tracker is None:
            raise Withhold(Reason.NOT_CONFIGURED, f"action_trackers has no entry for `{name}`")
        taken = re.sub("[^A-Za-z0-9_-]", "-", order)
        if not taken.strip("-_"):  # such orders would all be one
            raise Withhold(Reason.INVALID_VALUE, "the order id has no letter or digit that CJ takes")
        return {"enterpriseId": self.config.enterprise_id, "actionTrackerId": tracker, "orderId": taken}

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        path = "/graphqltest" if self.config.validate_only else "/graphql"
        return self.post(path, {"query": MUTATIONS[group], "variables": {VARIABLES[group]: list(payloads)}})

    def read(self, response: Response, count: int) -> Verdict:
        """Errors come with HTTP 200, too, of the request or of its mutation; one of them refuses the whole request."""
        if response.status == 200:
            return self.read_result(response, count) or unreadable(response)
        known: dict[str, Any] = {"code": f"http_{response.status}", "message": f"CJ answered HTTP {response.status}"}
        if response.status == 429:
            return Verdict(Kind.RATE_LIMITED, wait=retry_after(response) or minutes(1), **known)
        if response.status == 413 and count > 1:
            return Verdict(Kind.REFUSED, **known)
        return by_status(response, **known) or unreadable(response)

    def read_result(self, response: Response, count: int) -> Verdict | None:
        """None for a result that CJ does not document."""
        body = response.json()
        data = body.get("data")
        results = [data[name] for name in VARIABLES if data.get(name) is not None] if isinstance(data, dict) else []
        if dicts(results) != results or len(results) > 1:
            return None
        result = results[0] if results else {}
        outer, inner = body.get("errors"), result.get("errors")
        if not all(found is None or (isinstance(found, list) and dicts(found) == found) for found in (outer, inner)):
            return None
        orders = dicts(result.get("orders"))
        if outer or inner:
            return read_errors(outer or [], inner or [], len(orders), count)
        ids = [trace(order.get("submissionId")) for order in orders]
        if orders != result.get("orders") or len(ids) != count or not all(ids):
            return None
        return only_tested(count, ids[0], "CJ posted nothing") if self.config.validate_only else accepted(count, ids[0])


def read_errors(outer: list[Payload], inner: list[Payload], taken: int, count: int) -> Verdict:
    """Errors of the request, errors of its mutation (which have `fields`), and how many orders were taken beside them."""
    messages = [str(error.get("message") or "") for error in [*outer, *inner]]
    words = "; ".join(messages)
    if denied := AUTH.search(words):
        return Verdict(Kind.AUTH, code=denied[0], message=words)
    known = [REFUSED.search(str(error.get("message"))) for error in outer]
    fields = [str(field) for error in inner if isinstance(error.get("fields"), list) for field in error["fields"]]
    codes = [found[0] for found in known if found] + (fields or ["order"]) * bool(inner)
    if not all(known) or (taken and count == 1):  # words that nobody documented; an order both taken and refused
        return Verdict(Kind.TRANSIENT, maybe_stored=True, code="graphql", message=words)
    return Verdict(Kind.REFUSED, maybe_stored=taken > 0, code=" ".join(dict.fromkeys(codes)), message=words)


def discount(c: Conversion, items: list[dict[str, Any]]) -> str | None:
    """By how much the lines exceed the order's value."""
    if not items or c.value is None:
        return None
    over = amounts.total(items) - Decimal(repr(c.value))
    return amounts.text(float(over)) if over > 0 else None
