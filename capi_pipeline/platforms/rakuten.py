"""Rakuten Advertising, EP endpoint (`rakuten`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, ClassVar
from urllib.parse import urlencode
from xml.etree import ElementTree

from pydantic import Field

from capi_pipeline.conversions.conversion import Amount, Conversion
from capi_pipeline.conversions.identifiers import user_id
from capi_pipeline.platforms.answers import by_status, retry_after, trace, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig, compact
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted, need, rejected
from capi_pipeline.platforms.times import iso, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

LONGEST_CLICK_ID = 34
LONGEST_QUERY = 8000  # bytes; unpublished, and an order cannot be split
_COUNT = re.compile("[0-9]{1,9}")


class Rakuten(Platform):
    """EP (event processing): one GET per order with all its lines, known by the merchant id. What is sent twice may be added
    up. https://www.rudderstack.com/docs/destinations/streaming-destinations/rakuten"""

    name = "rakuten"
    title = "Rakuten Advertising"
    # Rakuten's own help centre is behind a login.
    documentation = "https://www.rudderstack.com/docs/destinations/streaming-destinations/rakuten"
    host = "https://track.linksynergy.com"
    limits = Limits(events=1)
    deduplication = Deduplication(window=None)
    differs = True
    event_names: ClassVar = {"purchase": "order", "refund": "return"}
    single_identifiers: ClassVar = {"custid": user_id.clear}
    click_ids = ("ranSiteID",)

    class Config(PlatformConfig):
        mid: str = Field(description="Merchant (advertiser) id, enabled for server calls.", examples=["12345"])

    def encode(self, c: Conversion) -> Payload:
        self.event_name(c)
        if c.event_name == "custom":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Rakuten takes orders and their returns only")
        payload: Payload = {
            "mid": self.config.mid,
            "xml": "1",
            "source": "capi_pipeline",
            **click(c),
            "ord": bare(need(c.transaction_id, "no transaction_id")),
            "cur": need(c.currency, "no currency"),
            "coupon": bare(c.coupon),
            "custid": bare(c.first(user_id.clear)),
            **lists(c),
        }
        if len(urlencode(compact(payload))) > LONGEST_QUERY:
            raise Withhold(Reason.INVALID_VALUE, f"an order of more than {LONGEST_QUERY} bytes")
        return payload

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        return Request("GET", self.url("/ep"), params=payloads[0])

    def read(self, response: Response, count: int) -> Verdict:
        """A 200 says nothing by itself: its XML counts good and bad lines, or holds an error."""
        known: dict[str, Any] = {
            "code": f"http_{response.status}",
            "message": f"Rakuten answered HTTP {response.status}",
        }
        if response.status == 200:
            return self.read_lines(response, count) or unreadable(response)
        if response.status == 400:
            return Verdict(Kind.CONFIGURATION, **known)
        if response.status == 429:
            return Verdict(Kind.RATE_LIMITED, wait=retry_after(response) or minutes(1), **known)
        return by_status(response, **known) or unreadable(response)

    def read_lines(self, response: Response, count: int) -> Verdict | None:
        """None for an answer that nobody describes."""
        try:
            text = response.body.decode("utf-8-sig")
            root = ElementTree.fromstring(
                "" if "<!" in text or "\0" in text else text
            )  # no entities, no other encoding
        except (ElementTree.ParseError, ValueError):
            return None
        errors = [(error.text or "").strip() for error in root.iter("error")]
        if errors:
            words = "; ".join(filter(None, errors))
            if "access denied" in words.lower():
                return Verdict(Kind.CONFIGURATION, code="access_denied", message=f"{words}: the mid is not enabled")
            return Verdict(Kind.SETTLED, [rejected("error", words)] * count) if words else None
        numbers = [(found.text or "").strip() for name in ("good", "bad") for found in root.iter(name)]
        if root.tag != "response" or len(numbers) != 2 or not all(map(_COUNT.fullmatch, numbers)):
            return None
        good, bad = map(int, numbers)
        if bad:
            words = f"{bad} of {good + bad} lines are bad; the good ones were taken"
            return Verdict(Kind.SETTLED, [rejected("bad_lines", words)] * count)
        sent = response.sent[0]["skulist"].count("|") + 1 if response.sent else good
        return accepted(count, trace(root.findtext("unique_id"))) if good == sent > 0 else None


def click(c: Conversion) -> Payload:
    """The click id, the time of its landing, and the time of the order (or return), which lies after it."""
    value, landed = c.click_id("ranSiteID"), c.clicked_at("ranSiteID")
    if not value or landed is None:
        raise Withhold(Reason.NO_CLICK_ID, "no ranSiteID with its landing time")
    if len(value) > LONGEST_CLICK_ID:
        raise Withhold(Reason.INVALID_VALUE, f"ranSiteID is longer than {LONGEST_CLICK_ID} characters")
    if not 0 <= landed // 60_000 < c.event_time // 60_000_000:
        raise Withhold(Reason.INVALID_VALUE, "the landing is not before the order")
    return {"tr": value, "land": minute(landed * 1000), "date": minute(c.event_time)}


def lists(c: Conversion) -> Payload:
    """One place per line in every list. An order is whole or withheld: without a line its amount would be wrong."""
    if not c.contents:
        raise Withhold(Reason.MISSING_FIELD, "no lines")
    skus, names, quantities, totals = [], [], [], []
    for item in c.contents:
        skus.append(need(bare(item["id"]), "a line without product id"))
        names.append(need(bare(item["name"]), "a line without name"))
        quantity, price = need(item["quantity"], "a line without quantity"), need(item["price"], "a line without price")
        if quantity < 1 or price < 0:
            raise Withhold(Reason.INVALID_VALUE, "a line with a negative price, or without a piece")
        quantities.append(str(quantity))
        totals.append(hundredths(price, quantity))
    if c.event_name == "refund":
        if sum(totals) != hundredths(need(c.value, "a refund needs value")):
            raise Withhold(Reason.INVALID_VALUE, "the returned lines do not come to the value of the refund")
        totals = [-total for total in totals]
    return {
        "skulist": "|".join(skus),
        "qlist": "|".join(quantities),
        "amtlist": "|".join(map(str, totals)),
        "namelist": "|".join(names),
        "brandlist": optional([item["brand"] for item in c.contents]),
        "catlist": optional([item["category"] for item in c.contents]),
    }


def optional(texts: list[str | None]) -> str:
    """A list in which some may be missing; empty if all are."""
    found = [bare(text) for text in texts]
    return "|".join(found) if any(found) else ""


def hundredths(price: Amount, quantity: int = 1) -> int:
    """A line's total in hundredths of the main unit, whatever the currency: 2 at 24.99 -> 4998, 1 at JPY 12000 -> 1200000."""
    return int((Decimal(repr(price)) * quantity * 100).to_integral_value(ROUND_HALF_UP))


def minute(time: int) -> str:
    """`YYYYMMDD_HHMM` in UTC of epoch microseconds, cut."""
    return re.sub("[-:]", "", iso(time)[:16]).replace("T", "_")


def bare(text: str | None) -> str:
    """Without the pipe, which separates the places of a list."""
    return (text or "").replace("|", "")
