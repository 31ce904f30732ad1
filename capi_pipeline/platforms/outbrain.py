"""Outbrain server-to-server conversions (`outbrain`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status_alone
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Reason, Verdict, Withhold
from capi_pipeline.platforms.times import iso
from capi_pipeline.platforms.wire import Payload, Request, Response


class Outbrain(Platform):
    """Outbrain Amplify S2S: one GET per event, matched by click id, no credential and no deduplication.
    https://www.outbrain.com/help/advertisers/server2server-integrations/"""

    name = "outbrain"
    title = "Outbrain"
    documentation = "https://www.outbrain.com/help/advertisers/server2server-integrations/"
    host = "https://tr.outbrain.com"
    limits = Limits(events=1, concurrency=8)
    deduplication = Deduplication(window=None)
    click_ids = ("ob_click_id", "OutbrainClickId", "obclid", "dicbo")
    browser_ids = ("outbrain_cid",)

    class Config(PlatformConfig):
        event_names: dict[str, str] = Field(
            description="Canonical (or custom) name -> name of an event-based conversion in Amplify. Not listed = not sent.",
            examples=[{"purchase": "Purchase", "generate_lead": "Lead"}],
        )

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Outbrain takes no refunds")
        name = self.configured("event_names", c.name)
        click = c.click_id(*self.click_ids[:3]) or c.browser_ids.get("outbrain_cid") or c.click_id("dicbo")
        if not click:
            raise Withhold(Reason.NO_CLICK_ID, "no Outbrain click id")
        return {
            "ob_click_id": click,
            "name": name,
            "orderId": c.transaction_id,
            "orderValue": None if c.value is None else amounts.text(c.value),
            "currency": c.currency,
            "timestamp": iso(c.event_time),
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        # A redirect leads to a pixel image; the event counted before it.
        return Request("GET", self.url("/unifiedPixel"), params=payloads[0], follow_redirects=True)

    def read(self, response: Response, count: int) -> Verdict:
        return by_status_alone(response, count, self.title, failures_are_clear=True)
