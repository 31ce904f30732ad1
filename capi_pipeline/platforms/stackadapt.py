"""StackAdapt server-side pixel (`stackadapt`)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import user_id
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_table, is_page
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig, compact
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted
from capi_pipeline.platforms.times import hours, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

STATUSES = {
    **dict.fromkeys((*range(300, 400), 400, 404, 414), Kind.REFUSED),  # a redirect: wrong endpoint or flag
    401: Kind.AUTH,
    403: Kind.AUTH,
}
_NO_HEADER = re.compile(r"[^ -~]")  # what may not stand in an HTTP header


class StackAdapt(Platform):
    """StackAdapt pixel, as its Segment destination and its tag template send it: one GET per event that counts when it
    arrives, no credential, no deduplication. https://docs.stackadapt.com"""

    name = "stackadapt"
    title = "StackAdapt"
    documentation = "https://docs.stackadapt.com"
    host = "https://tags.srv.stackadapt.com"
    limits = Limits(events=1, oldest=hours(24))  # no timestamp travels: a late event would count on another day
    deduplication = Deduplication(window=None)
    click_ids = ("sapid",)
    browser_ids = ("sa-postbackid", "sa-userid")
    event_names: ClassVar = {name: name for name in EVENT_NAMES if name not in ("refund", "custom")}
    single_identifiers: ClassVar = {"user_id": user_id.clear}

    class Config(PlatformConfig):
        pixel_id: str = Field(
            description="Id of the universal pixel (Pixels page).", min_length=1, examples=["sqQHa3Ob1hFi__2EcYYVZg1"]
        )
        server_flag: Literal["segment_ss", "gtm_ss"] = Field(
            description="Which flag marks a server's hit; StackAdapt's support tells yours.", examples=["segment_ss"]
        )
        conversion_ids: dict[str, str] = Field(
            {},
            description="Canonical (or custom) name -> id of a conversion event, sent to it and not to the pixel.",
            examples=[{"purchase": "9Kx2conversionEXAMPLE"}],
        )
        max_age_hours: float = Field(24, gt=0, le=720, description="Withhold events older than this.", examples=[24])

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.limits = replace(self.limits, oldest=hours(config.max_age_hours))

    def encode(self, c: Conversion) -> Payload:
        action = self.event_name(c)
        if not (c.ip and header(c.user_agent)):
            raise Withhold(Reason.NO_IDENTIFIER, "no IP address and user agent of the person")
        return {
            self.config.server_flag: "1",
            **self.target(c),
            "event_type": "page" if c.event_name == "page_view" else "track",
            "url": c.source_url,
            "ref": c.referrer_url,
            "ip_fwd": (c.ip_address or "").strip(),
            "ua_fwd": c.user_agent,
            "user_id": c.browser_ids.get("sa-userid"),
            "args": self.arguments(c, action),
        }

    def target(self, c: Conversion) -> Payload:
        """The conversion event that the account names, else the universal pixel."""
        conversion = self.config.conversion_ids.get(c.name)
        if not conversion:
            return {"uid": self.config.pixel_id}
        return {"cid": conversion, "postback_id": c.click_id("sapid") or c.browser_ids.get("sa-postbackid")}

    def arguments(self, c: Conversion, action: str) -> str:
        """One JSON text. The amount is read in the account's currency: there is no field for another."""
        known = {
            "action": action,
            **self.matched(c),
            "revenue": amounts.not_negative(c.value),
            "order_id": c.transaction_id,
            "products": [
                {
                    "product_id": item["id"],
                    "product_name": item["name"],
                    "product_category": item["category"],
                    "product_price": item["price"],
                    "product_quantity": item["quantity"],
                }
                for item in c.items
            ],
        }
        return json.dumps(compact(known), ensure_ascii=False, separators=(",", ":"))

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        (hit,) = payloads
        headers = {"User-Agent": header(hit["ua_fwd"]), "X-Forwarded-For": hit["ip_fwd"]}
        return Request("GET", self.url("/conv" if "cid" in hit else "/saq_pxl"), headers, params=hit)

    def read(self, response: Response, count: int) -> Verdict:
        """A success holds an image, a script or nothing, and proves receipt only."""
        if 200 <= response.status < 300 and not is_page(response):
            return accepted(count)
        return by_table(response, STATUSES, self.title, wait=minutes(1))


def header(text: str | None) -> str:
    """The text as an HTTP header can hold it."""
    return _NO_HEADER.sub("", text or "").strip()
