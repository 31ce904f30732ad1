"""Podscribe server events: https://help.podscribe.com, and the tags of Segment's and Zeotap's integrations."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply
from capi_pipeline.sandbox.store import NEVER, Event

ADVERTISER: Final = "acmeshoes"
LONGEST: Final = 8192  # of an address
PIXEL: Final = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
AMOUNT = re.compile(r"\d+(\.\d+)?", re.ASCII)
COUNT = re.compile(r"\d+", re.ASCII)
TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", re.ASCII)


class Podscribe(Platform):
    """One GET per event, no authentication and no documented deduplication: what is sent twice counts twice.

    An advertiser that does not exist is answered like one that does (recorded as `unknown_advertiser`, not counted).
    """

    slug = "podscribe"
    title = "Podscribe"
    documentation = "https://help.podscribe.com"

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("GET", "/tag", self.track)]

    def track(self, call: Call) -> Reply:
        call.events = 1
        query = dict(call.query)
        status = (
            400 if not valid(query) else 414 if sum(map(len, query.values())) > LONGEST else call.refusal(query, 400)
        )
        if status is not None:
            raise Refused(Reply(b"", int(status), media_type="text/plain"), rejected=1)
        order = query.get("order_number")
        call.record(
            [
                Event(
                    account=query["advertiser"],
                    identity="\x1f".join((query["action"], order or "", query["timestamp"], query["ip"])),
                    name=query["action"],
                    id=order,
                    payload=query,
                    window=NEVER,
                    outcome=None if query["advertiser"] == ADVERTISER else "unknown_advertiser",
                    value=float(query["order_value"]) if "order_value" in query else None,
                    currency=query.get("currency"),
                )
            ]
        )
        return Reply(PIXEL, media_type="image/gif")

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return Reply(b"", parameters.get("status") or 429, media_type="text/plain")


def valid(query: Mapping[str, str]) -> bool:
    """Required parameters are there and the optional ones have their documented form."""
    if not query.get("action") or not query.get("advertiser"):
        return False
    if not TIMESTAMP.fullmatch(query.get("timestamp", "")) or not rules.is_ip_address(query.get("ip", "")):
        return False
    if "order_value" in query and not (
        AMOUNT.fullmatch(query["order_value"]) and rules.is_currency(query.get("currency"))
    ):
        return False
    flags = [query[name] for name in ("is_new_customer", "is_subscription") if name in query]
    return (
        all(flag in ("true", "false") for flag in flags)
        and COUNT.fullmatch(query.get("num_items_purchased", "1")) is not None
        and ("hashed_email" not in query or rules.is_digest(query["hashed_email"]))
    )
