"""Rakuten Advertising's EP endpoint, as integrators describe it (its own documentation is behind a login):
https://www.rudderstack.com/docs/destinations/streaming-destinations/rakuten"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from xml.sax.saxutils import escape

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import HTML_ERROR, Call, Endpoint, Platform, Refused, Reply
from capi_pipeline.sandbox.store import NEVER, Event

MID: Final = "12345"
MID_NOT_ENABLED: Final = "54321"
LISTS: Final = ("skulist", "qlist", "namelist", "amtlist")  # of every order; the others go along
OPTIONAL: Final = ("brandlist", "catlist")
SITE = re.compile(r"\S{34}")
AMOUNT = re.compile(r"-?\d+", re.ASCII)
QUANTITY = re.compile(r"[1-9]\d*", re.ASCII)


class Rakuten(Platform):
    """One GET per order, and no credential but the merchant's id. What is sent twice is added up. Good and bad count lines;
    good ones are taken although others are bad."""

    slug = "rakuten"
    title = "Rakuten Advertising"
    documentation = "https://www.rudderstack.com/docs/destinations/streaming-destinations/rakuten"

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("GET", "/ep", self.order)]

    def order(self, call: Call) -> Reply:
        call.events = 1
        query = dict(call.query)
        if query.get("mid") == MID_NOT_ENABLED:
            raise Refused(failed("Access denied"))
        if query.get("mid") != MID:
            raise Refused(Reply(HTML_ERROR, 400, media_type="text/html"))
        count = len(query.get("skulist", "").split("|"))
        code = call.refusal(query, "")
        if code:
            raise Refused(failed(str(code)), rejected=1)
        bad = bad_lines(query) if order_is_good(query, call.now) else set(range(count))
        if code is not None:
            bad |= {0}
        call.rejected = 1 if bad else 0
        good = sorted(set(range(count)) - bad)
        if good:
            amounts = query["amtlist"].split("|")
            call.record(
                [
                    Event(
                        account=MID,
                        identity="\x1f".join(query[name] for name in ("ord", "date", "skulist", "amtlist")),
                        name="return" if amounts[good[0]].startswith("-") else "order",
                        id=query["ord"],
                        payload=query,
                        window=NEVER,
                        value=sum(int(amounts[index]) for index in good) / 100,
                        currency=query.get("cur"),
                    )
                ]
            )
        transactions = f"<transactions><good>{len(good)}</good><bad>{len(bad)}</bad></transactions>"
        return xml(f"<unique_id>{secrets.token_hex(8)}</unique_id><summary>{transactions}</summary>")

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return Reply(b"", parameters.get("status") or 429, media_type="text/plain")


def xml(inner: str) -> Reply:
    return Reply(f"<response>{inner}</response>", media_type="text/xml")


def failed(words: str) -> Reply:
    return xml(f"<error>{escape(words)}</error>")


def minute(text: str) -> datetime | None:
    """A time of the form YYYYMMDD_HHMM, in UTC."""
    try:
        return datetime.strptime(text, "%Y%m%d_%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None


def order_is_good(query: Mapping[str, str], now: datetime) -> bool:
    """What all lines share: order, click, times, currency, and lists of one length."""
    land, date = minute(query.get("land", "")), minute(query.get("date", ""))
    if land is None or date is None or not land < date <= now:
        return False
    lengths = {query[name].count("|") for name in (*LISTS, *OPTIONAL) if name in query}
    return (
        bool(query.get("ord"))
        and SITE.fullmatch(query.get("tr", "")) is not None
        and rules.is_currency(query.get("cur", "USD"))
        and all(query.get(name) for name in LISTS)
        and len(lengths) == 1
    )


def bad_lines(query: Mapping[str, str]) -> set[int]:
    lines = zip(*(query[name].split("|") for name in LISTS), strict=True)
    return {
        index
        for index, (sku, quantity, name, amount) in enumerate(lines)
        if not (sku and name and QUANTITY.fullmatch(quantity) and AMOUNT.fullmatch(amount))
    }
