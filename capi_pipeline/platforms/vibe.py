"""Vibe.co server-to-server conversions (`vibe`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_table, is_page
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig, compact
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted
from capi_pipeline.platforms.times import days, hours, milliseconds
from capi_pipeline.platforms.wire import Payload, Request, Response

STATUSES = {
    400: Kind.REFUSED,
    422: Kind.REFUSED,
    401: Kind.CONFIGURATION,
    403: Kind.CONFIGURATION,
    404: Kind.CONFIGURATION,
}


class Vibe(Platform):
    """Vibe.co S2S conversions: one event per request, matched by the household's IPv4 address, no credential.
    https://help.vibe.co"""

    name = "vibe"
    title = "Vibe.co"
    documentation = "https://help.vibe.co"
    host = "https://t.vibe.co"
    limits = Limits(events=1, oldest=days(7), concurrency=8)
    deduplication = Deduplication(keys=("eid",), window=hours(48))  # the window is not published
    browser_ids = ("ga_client_id",)
    event_names: ClassVar = {
        "page_view": "page_view",
        "purchase": "purchase",
        "generate_lead": "lead",
        "sign_up": "signup",
        "start_trial": "signup",
        "contact": "lead",
        "schedule": "lead",
        "submit_application": "lead",
        "app_install": "install",
    }

    class Config(PlatformConfig):
        pixel_id: str = Field(description="Id of the Vibe pixel (`aid`).", min_length=1, examples=["AbC123"])
        send_email: Literal[False] = Field(
            False, description="Stays `false`: plain e-mail addresses never leave the warehouse.", examples=[False]
        )

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "custom":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Vibe's list of actions is closed")
        name, ip = self.event_name(c), c.ipv4
        if not ip:
            raise Withhold(Reason.NO_IDENTIFIER, "no IPv4 address")
        return {
            "aid": self.config.pixel_id,
            "a": name,
            "eid": c.event_id,
            "ts": milliseconds(c.event_time),
            "ip": ip,
            "ua": c.user_agent,
            "url": c.source_url,
            "gid": c.browser_ids.get("ga_client_id"),
            "ed": details(c),
        }

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        return self.post("/s2s-conversion/events", payloads[0], Accept="application/json")

    def read(self, response: Response, count: int) -> Verdict:
        if 200 <= response.status < 300 and not is_page(response):
            return accepted(count)
        return by_table(response, STATUSES, self.title)


def details(c: Conversion) -> str | None:
    """A text that holds a JSON object; amounts in dollars only, for nothing says another currency. Raises Withhold."""
    value = amounts.not_negative(c.value)
    known = compact({"price_usd": value if c.currency == "USD" else None, "purchase_id": c.transaction_id})
    return json.dumps(known, ensure_ascii=False, separators=(",", ":")) if known else None
