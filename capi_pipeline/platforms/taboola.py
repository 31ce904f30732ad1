"""Taboola server-to-server conversions (`taboola`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_table
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted
from capi_pipeline.platforms.times import milliseconds, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

# An amount in any other is booked in the account's currency.
CURRENCIES = {
    "AUD", "BRL", "CAD", "CNY", "EUR", "GBP", "HKD", "ILS", "INR", "JPY", "KRW", "MXN", "NZD", "RUB", "SGD", "THB", "TRY",
    "USD", "ZAR",
}  # fmt: skip
STATUSES = {
    400: Kind.REFUSED,
    413: Kind.REFUSED,
    401: Kind.CONFIGURATION,
    403: Kind.CONFIGURATION,
    404: Kind.CONFIGURATION,
}


class Taboola(Platform):
    """Taboola S2S conversions, bulk form: matched by click id, no credential, no outcome per event.
    https://developers.taboola.com/pixel/docs/bulk-submit-s2s-conversions"""

    name = "taboola"
    title = "Taboola"
    documentation = "https://developers.taboola.com/pixel/docs/bulk-submit-s2s-conversions"
    host = "https://trc.taboola.com"
    limits = Limits(events=1000, concurrency=2)
    deduplication = Deduplication(keys=("click-id", "name", "orderid"), window=minutes(1), exact=True)
    click_ids = ("tblci",)
    browser_ids = ("taboola_cid",)

    class Config(PlatformConfig):
        account_id: str = Field(
            description="Numeric id of the Taboola account, or of its network.", pattern=r"^\d+$", examples=["1234567"]
        )
        event_names: dict[str, str] = Field(
            description="Canonical (or custom) name -> Event Name of a conversion in Realize. Not listed = not sent.",
            examples=[{"purchase": "make_purchase", "generate_lead": "lead", "add_to_cart": "add_to_cart"}],
        )
        click_window_days: int | None = Field(
            None, ge=1, le=30, description="Withhold events that come more days after their click.", examples=[30]
        )

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Taboola takes no refunds")
        name = self.configured("event_names", c.name)
        click = c.click_id("tblci") or c.browser_ids.get("taboola_cid")
        if not click:
            raise Withhold(Reason.NO_CLICK_ID, "no Taboola click id")
        self.screen_click(c)
        action: Payload = {
            "click-id": click,
            "timestamp": milliseconds(c.event_time),
            "name": name,
            "orderid": c.transaction_id,
            "quantity": c.quantity if c.items else None,
        }
        value = amounts.not_negative(c.value)
        return action | {"revenue": value, "currency": c.currency} if c.currency in CURRENCIES else action

    def screen_click(self, c: Conversion) -> None:
        """Raises Withhold."""
        window, clicked_at = self.config.click_window_days, c.clicked_at("tblci")
        if window and clicked_at is not None and milliseconds(c.event_time) - clicked_at > window * 86_400_000:
            raise Withhold(Reason.TOO_OLD, f"the click is more than {window} days older than the event")

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        return self.post(f"/{self.config.account_id}/log/3/bulk-s2s-action", {"actions": list(payloads)})

    def read(self, response: Response, count: int) -> Verdict:
        """Success has no body, so a page or words in a 200 come from somewhere else."""
        if response.status in (200, 204) and not response.body.strip():
            return accepted(count)
        return by_table(response, STATUSES, self.title)
