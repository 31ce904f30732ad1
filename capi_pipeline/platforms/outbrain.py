"""Outbrain server-to-server conversions (`outbrain`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.platforms.base import (
    Deduplication,
    Kind,
    Limits,
    Payload,
    Platform,
    PlatformConfig,
    Reason,
    Request,
    Response,
    Verdict,
    Withhold,
    accepted,
    iso,
    rejected,
    retry_after,
    unreadable,
)


class Outbrain(Platform):
    """Outbrain Amplify S2S: one GET per event, matched by click id, no credential and no deduplication.
    https://www.outbrain.com/help/advertisers/server2server-integrations/"""

    name = "outbrain"
    title = "Outbrain"
    documentation = "https://www.outbrain.com/help/advertisers/server2server-integrations/"
    host = "https://tr.outbrain.com"
    limits = Limits(events=1, concurrency=8)
    deduplication = Deduplication(window=None)

    class Config(PlatformConfig):
        event_names: dict[str, str] = Field(
            description="Canonical (or custom) name -> name of an event-based conversion in Amplify. Not listed = not sent."
        )

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Outbrain takes no refunds")
        name = self.config.event_names.get(c.name)
        if not name:
            raise Withhold(Reason.NOT_CONFIGURED, f"event_names has no entry for `{c.name}`")
        click = c.click_id("ob_click_id", "OutbrainClickId", "obclid") or c.browser_ids.get("outbrain_cid")
        click = click or c.click_id("dicbo")
        if not click:
            raise Withhold(Reason.NO_CLICK_ID, "no Outbrain click id")
        return {
            "ob_click_id": click,
            "name": name,
            "orderId": c.transaction_id,
            "orderValue": None if c.value is None else f"{c.value:.4f}".rstrip("0").rstrip("."),
            "currency": c.currency,
            "timestamp": iso(c.event_time),
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        # A redirect leads to a pixel image; the event counted before it.
        return Request("GET", self.url("/unifiedPixel"), params=payloads[0], follow_redirects=True)

    def read(self, response: Response, count: int) -> Verdict:
        """The status is the outcome: the body says nothing, so a page in a 200 cannot be told from success."""
        code, message = f"http_{response.status}", f"Outbrain answered HTTP {response.status}"
        if 200 <= response.status < 400:
            return accepted(count)
        if response.status in (408, 429):
            return Verdict(Kind.RATE_LIMITED, wait=retry_after(response), code=code, message=message)
        if 500 <= response.status < 600:  # a clear failure by its documentation, so sending again is safe
            return Verdict(Kind.TRANSIENT, wait=retry_after(response), code=code, message=message)
        if response.status in (400, 414, 422):  # 414: this event's address is too long
            return Verdict(Kind.SETTLED, [rejected(code, message)] * count)
        if 400 < response.status < 500:  # path, method or blocking of our address: no event is to blame
            return Verdict(Kind.CONFIGURATION, code=code, message=message)
        return unreadable(response)
