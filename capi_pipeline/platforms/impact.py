"""impact.com conversions (`impact`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import city, email, postal_code, region, user_id
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status, dicts, unreadable
from capi_pipeline.platforms.auth import basic
from capi_pipeline.platforms.base import NEVER, Deduplication, Limits, Platform, PlatformConfig, Verdicts
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, State, Verdict, Withhold, need, rejected
from capi_pipeline.platforms.times import LONGEST_WAIT, days, hours, iso, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

CONVERSIONS, ACTIONS = "Conversions", "Actions"
# By any of these impact.com credits a partner.
KEYS = ("ClickId", "CustomerId", "OrderPromoCode", "AppleIfa", "AppleIfv", "GoogAId")
DEVICES = KEYS[3:]
LONGEST = {"ClickId": 64, "CustomerId": 255}
LONGEST_ORDER = 64
_SUBMISSION = re.compile(r"/Advertisers/[^/]+/APISubmissions/([A-Za-z0-9_.-]{1,100})")
_SECONDS = re.compile("[0-9]{1,9}")


class Impact(Platform):
    """Brand API v14: sales and leads, for which impact.com pays partners. An answer only says queued; the verdict comes later.
    https://integrations.impact.com/brand-api-reference/reference/conversions/conversions"""

    name = "impact"
    title = "impact.com"
    documentation = "https://integrations.impact.com/brand-api-reference/reference/conversions/conversions"
    host = "https://api.impact.com"
    limits = Limits(events=1, concurrency=2)  # 1,000 requests an hour, which may come at once
    # As long as the order can be changed; this is how long it is relied on.
    deduplication = Deduplication(keys=("OrderId", "EventTypeId"), window=days(30), only="all but returns of one line")
    restates = True
    token_key = "auth_token"
    verdicts = Verdicts(first=minutes(15), factor=2, longest=hours(6), give_up=days(2))
    single_identifiers: ClassVar = {
        "CustomerEmail": email.sha1,
        "CustomerId": user_id.clear,
        "CustomerCity": city.as_is,
        "CustomerRegion": region.as_is,
        "CustomerPostCode": postal_code.as_is,
    }
    click_ids = ("irclickid",)

    class Config(PlatformConfig):
        account_sid: str = Field(description="Account SID.", examples=["IRexampleSID00001"], pattern="^IR[A-Za-z0-9]+$")
        auth_token: SecretStr = Field(
            description="Token that may write Conversions and Actions and read APISubmissions.",
            examples=["impact-token"],
        )
        campaign_id: int = Field(description="Id of the programme (campaign).", examples=[3641], ge=0)
        event_types: dict[str, Annotated[int, Field(gt=0)]] = Field(
            description="Canonical name (or `custom:<name>`) -> id of the event type (action tracker). Not listed = not sent.",
            examples=[{"purchase": 7001, "generate_lead": 7002}],
        )
        refund_reason: str = Field("ITEM_RETURNED", description="Reason code of returns.", examples=["ITEM_RETURNED"])
        refunds: Literal["lines", "totals"] = Field(
            "lines",
            description="`lines`: a return of one line is a difference, never repeated. `totals`: always the new total.",
            examples=["totals"],
        )

    def authorize(self, request: Request, token: str) -> Request:
        return request.with_headers(Authorization=basic(self.config.account_sid, token))

    def group(self, c: Conversion) -> str:
        return ACTIONS if c.event_name == "refund" else CONVERSIONS

    def encode(self, c: Conversion) -> Payload:
        amounts.not_negative(c.value)
        if c.event_name == "refund":
            return self.change(c)
        event_type = self.configured("event_types", f"custom:{c.name}" if c.event_name == "custom" else c.name)
        payload = {
            "CampaignId": str(self.config.campaign_id),
            "EventTypeId": str(event_type),
            "EventDate": iso(c.event_time),
            "OrderId": order_id(c.transaction_id or c.event_id),
            "ClickId": c.click_id("irclickid"),
            "OrderPromoCode": (c.coupon or "").strip(),
            "CustomerStatus": {"new": "NEW", "returning": "EXISTING"}.get(c.customer_type or ""),
            "CustomerCountry": c.country,
            "IpAddress": c.ip_address,
            "UserAgent": c.user_agent,
            **self.matched(c),
            **device(c),
            **money(c),
        }
        for key, longest in LONGEST.items():  # never cut: a part of it is somebody else
            if len(payload.get(key) or "") > longest:
                payload[key] = None
        if not any(payload.get(key) for key in (DEVICES if c.event_name in ("app_install", "app_open") else KEYS)):
            raise Withhold(Reason.NO_IDENTIFIER, "nothing by which impact.com credits a partner")
        return payload

    def change(self, c: Conversion) -> Payload:
        """What a refund leaves of an action: the difference of its one line, or the new total, which may be repeated."""
        value = need(c.value, "a refund needs value and currency")
        event_type = self.configured("event_types", c.original_event_name)
        change = {
            "ActionTrackerId": str(event_type),
            "OrderId": order_id(c.transaction_id or need(c.original_event_id, "a refund needs original_event_id")),
            "Reason": self.config.refund_reason,
        }
        items = amounts.whole_lines(c.contents)
        of_one_line = len(items) == 1 and amounts.total(items) == Decimal(repr(value))
        if self.config.refunds == "lines" and of_one_line and c.remaining_value != 0:
            return change | {"Sku": items[0]["id"], "ItemSubTotalDelta": amounts.text(-value)}
        left = need(amounts.not_negative(c.remaining_value), "a refund needs remaining_value (the new total)")
        return change | {"Amount": amounts.text(left)}

    def deduplication_of(self, payload: Any) -> Deduplication:
        return (
            NEVER if "ItemSubTotalDelta" in payload else self.deduplication
        )  # a difference that is sent again counts again

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        url = self.url(f"/Advertisers/{self.config.account_sid}/{group}")
        return Request("PUT" if group == ACTIONS else "POST", url, headers, form=payloads[0])

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        if response.status == 200:
            uri = body.get("QueuedUri")
            found = _SUBMISSION.fullmatch(uri) if isinstance(uri, str) and body.get("Status") == "QUEUED" else None
            queued = [Outcome(State.PENDING)] * count
            return Verdict(Kind.SETTLED, queued, trace_id=found[1]) if found else unreadable(response)
        return self.read_error(body, response)

    def read_error(self, body: Payload, response: Response) -> Verdict:
        """Some resources write the names of members in lower case."""
        errors = dicts(body.get("Errors", body.get("errors")))
        fields = [str(error.get("Field", error.get("field"))) for error in errors]
        words = [str(error.get("Message", error.get("message"))) for error in errors]
        known: dict[str, Any] = {
            "code": " ".join(dict.fromkeys(fields)) or f"http_{response.status}",
            "message": ": ".join(filter(None, [str(body.get("Message", body.get("message")) or ""), "; ".join(words)])),
        }
        changes = bool(response.sent) and "Reason" in response.sent[0]
        if response.status == 404 and not (errors or changes):  # of an address: the account is not there
            return Verdict(Kind.CONFIGURATION, **known)
        if response.status in (400, 402, 404, 405) and "ERROR" in (body.get("Status"), body.get("status")):
            return Verdict(Kind.REFUSED, **known)
        known["code"] = f"http_{response.status}"
        return by_status(response, **known, wait=reset(response)) or unreadable(response)

    def status_request(self, trace_id: str) -> Request:
        url = self.url(f"/Advertisers/{self.config.account_sid}/APISubmissions/{trace_id}")
        return Request("GET", url, {"Accept": "application/json"})

    def read_status(self, response: Response, count: int) -> Verdict:
        body = response.json()
        status = str(body.get("Status", body.get("status"))).lower()
        error = body.get("ErrorType", body.get("errorType"))
        if response.status != 200:
            return self.read_error({}, response) if response.status in (401, 403, 429) else unreadable(response)
        if status == "queued":
            return Verdict(Kind.WAITING, code=status)
        if status != "complete" or not isinstance(error, str | None):
            return unreadable(response)
        if (
            error and "duplicate" in error.lower()
        ):  # the order is there, by the tag or by an attempt whose answer was lost
            return Verdict(Kind.SETTLED, [Outcome(State.ACCEPTED, error)] * count)
        outcome = rejected(error, "verdict of impact.com") if error else Outcome(State.ACCEPTED)
        return Verdict(Kind.SETTLED, [outcome] * count)


def order_id(text: str) -> str:
    """Raises Withhold: a part of an id may be another order's."""
    if len(text) > LONGEST_ORDER:
        raise Withhold(Reason.INVALID_VALUE, f"the order id is longer than {LONGEST_ORDER} characters")
    return text


def device(c: Conversion) -> Payload:
    """Of an app event: the device and the app."""
    if c.action_source != "app":
        return {}
    ios, android = c.system == "ios", c.system == "android"
    return {
        "AppleIfa": c.advertising_id if ios else None,
        "AppleIfv": c.device.get("vendor_id") if ios else None,
        "GoogAId": c.advertising_id if android else None,
        "DeviceModel": c.device.get("model"),
        "AppPackage": c.device.get("app_id"),
        "AppVer": c.device.get("app_version"),
    }


def money(c: Conversion) -> Payload:
    """The lines of the order, or its value: both together would distort the payout. Nothing without a currency."""
    if c.value is None or not c.currency:
        return {}
    out: Payload = {
        "CurrencyCode": c.currency,
        "OrderTax": None if c.tax is None else amounts.text(c.tax),
        "OrderShipping": None if c.shipping is None else amounts.text(c.shipping),
    }
    items = amounts.whole_lines(c.contents)
    if not items:
        return out | {"OrderSubTotalPostDiscount": amounts.text(c.value)}
    over = amounts.total(items) - Decimal(repr(c.value))
    out["OrderDiscount"] = amounts.text(float(over)) if over > 0 else None
    for number, item in enumerate(items, 1):
        out |= {
            f"ItemSku{number}": item["id"],
            f"ItemName{number}": item["name"],
            f"ItemCategory{number}": item["category"],
            f"ItemBrand{number}": item["brand"],
            f"ItemQuantity{number}": str(item["quantity"]),
            f"ItemPrice{number}": amounts.text(item["price"]),
        }
    return out


def reset(response: Response) -> timedelta | None:
    """Seconds until the hourly quota is full again."""
    found = _SECONDS.fullmatch(response.headers.get("x-ratelimit-reset", ""))
    return min(timedelta(seconds=int(found[0])), LONGEST_WAIT) if found else None
