"""Awin Conversion API (`awin`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status, dicts, trace, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import (
    Kind,
    Outcome,
    Reason,
    Verdict,
    Withhold,
    accepted,
    need,
    only_tested,
    rejected,
)
from capi_pipeline.platforms.times import days, minutes, seconds
from capi_pipeline.platforms.wire import Payload, Request, Response

LEADS = ("generate_lead", "qualify_lead", "close_convert_lead", "sign_up", "start_trial", "subscribe", "contact", "schedule",
         "submit_application", "donate", "download", "app_install")  # fmt: skip
LONGEST_REFERENCE = 50
ORDERS = ("successfulOrders", "pendingOrders", "failedOrders")


class Awin(Platform):
    """Conversion API (server to server): sales and leads, for which Awin pays publishers.
    https://help.awin.com/apidocs/conversion-api"""

    name = "awin"
    title = "Awin"
    documentation = "https://help.awin.com/apidocs/conversion-api"
    host = "https://api.awin.com"
    # 20 calls a minute: a burst of ten, and then ten a minute.
    limits = Limits(events=1000, concurrency=1, per_second=1 / 6)
    deduplication = Deduplication(keys=("orderReference",), window=days(1))  # for how long, Awin does not say
    token_key = "api_key"
    event_names: ClassVar = {"purchase": "sale", **dict.fromkeys(LEADS, "lead")}
    click_ids = ("awc",)
    browser_ids = ("awin_awc",)
    test_mode = "is_test"

    class Config(PlatformConfig):
        advertiser_id: int = Field(description="Id of the advertiser (programme), digits.", examples=["12345"], gt=0)
        api_key: SecretStr = Field(
            description="Key of the Conversion API, not of the reporting API.", examples=["awin-key"]
        )
        channel: str = Field("aw", description="Marketing channel that won the order; `aw` is Awin.", examples=["aw"])
        commission_groups: dict[str, Annotated[str, Field(pattern=r"^[A-Z0-9_.\-]+$")]] = Field(
            {"purchase": "DEFAULT"},
            description="Canonical (or custom) name -> code of a commission group. Not listed = not sent.",
            examples=[{"purchase": "DEFAULT", "generate_lead": "LEAD"}],
        )
        default_currency: str | None = Field(
            None, description="Currency of leads that have none.", examples=["USD"], pattern="^[A-Z]{3}$"
        )
        is_test: bool = Field(False, description="Awin records the orders as tests and pays nobody.", examples=["true"])

    def authorize(self, request: Request, token: str) -> Request:
        return request.with_headers(**{"x-api-key": token})

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            raise Withhold(
                Reason.UNSUPPORTED_EVENT, "returns go to Awin's Validation API, which has another credential"
            )
        self.event_name(c)
        group = self.configured("commission_groups", c.name)
        awc, voucher = c.click_id("awc") or c.browser_ids.get("awin_awc"), (c.coupon or "").strip()
        if not (awc or voucher):
            raise Withhold(Reason.NO_CLICK_ID, "neither an awc click id nor a voucher: nobody could be credited")
        sale = c.event_name == "purchase"
        value = amounts.not_negative(c.value)
        amount = need(value, "a sale needs value and currency") if sale else 1  # leads are counted
        return {
            "orderReference": (c.transaction_id or c.event_id)[:LONGEST_REFERENCE],
            "amount": amount,
            "channel": self.config.channel,
            "currency": need(c.currency or self.config.default_currency, "no currency, and no default_currency"),
            "commissionGroups": [{"code": group, "amount": amount}],
            "awc": awc,
            "voucher": voucher,
            "customerAcquisition": {"new": "NEW", "returning": "RETURNING"}.get(c.customer_type or ""),
            "transactionTime": seconds(c.event_time),  # counts once Awin has switched the field on
            "basket": basket(c, group) if sale else [],
            "isTest": self.config.is_test or None,
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        return self.post(f"/s2s/advertiser/{self.config.advertiser_id}/orders", {"orders": list(payloads)})

    def read(self, response: Response, count: int) -> Verdict:
        """What is not in `failedOrders` was taken."""
        body = response.json()
        known: dict[str, Any] = {"code": f"http_{response.status}", "message": str(body.get("message") or "")}
        if response.status in (200, 202, 206):
            return self.read_orders(body, response, count)
        if response.status in (400, 406, 422):
            return Verdict(Kind.REFUSED, **known)
        return by_status(response, **known, wait=minutes(1)) or unreadable(response)

    def read_orders(self, body: Payload, response: Response, count: int) -> Verdict:
        batch, lists = trace(body.get("batchId")), [body.get(key, []) for key in ORDERS]
        told = response.status == 202 or body.keys() & set(ORDERS)  # 202: Awin is still at work
        if not (batch and told and all(dicts(found) == found for found in lists) and sum(map(len, lists)) <= count):
            return unreadable(response)
        taken = only_tested(count, batch, "a test order") if self.config.is_test else accepted(count, batch)
        return without(taken, lists[2], [order["orderReference"] for order in response.sent]) if lists[2] else taken


def without(taken: Verdict, failed: list[Payload], sent: list[str]) -> Verdict:
    """The verdict in which the orders named by these failures are rejected. Where that leaves doubt (a reference that was
    sent twice, or not at all), the orders go again in halves; those that were taken are recognised."""
    outcomes: dict[str, Outcome] = {}
    for order in failed:
        errors, named = dicts(order.get("errors")), order.get("order")
        code = " ".join(dict.fromkeys(str(error["field"]) for error in errors if error.get("field"))) or "failedOrders"
        words = "; ".join(f"{error.get('field')}: {error.get('message')}" for error in errors)
        reference = named.get("orderReference") if isinstance(named, dict) else None
        outcomes[reference if isinstance(reference, str) else ""] = rejected(code, words)
    if outcomes.keys() <= set(sent) and len(set(sent)) == len(sent) == len(taken.outcomes):
        settled = [outcomes.get(reference, usual) for reference, usual in zip(sent, taken.outcomes, strict=True)]
        return replace(taken, outcomes=settled)
    last = list(outcomes.values())[-1]
    return Verdict(Kind.REFUSED, maybe_stored=True, code=last.code, message=last.message, trace_id=taken.trace_id)


def basket(c: Conversion, group: str) -> list[Payload]:
    """The lines of the order; none of them where one lacks what Awin requires of each."""
    lines = []
    for item in amounts.whole_lines(c.contents):
        sku, name = bare(item["id"]), bare(item["name"])
        if not (sku and name):
            return []
        lines.append({
            "id": sku, "name": name, "price": item["price"], "quantity": item["quantity"], "sku": sku,
            "category": bare(item["category"]), "commissionGroupCode": group,
        })  # fmt: skip
    return lines


def bare(text: str | None) -> str:
    """Without the pipe, which separates values elsewhere at Awin."""
    return (text or "").replace("|", "")
