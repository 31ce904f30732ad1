"""Outbrain server-to-server conversions: https://www.outbrain.com/help/advertisers/server2server-integrations/"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from capi_pipeline.sandbox import accounts, rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply
from capi_pipeline.sandbox.store import NEVER, Event

PIXEL: Final = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
AMOUNT = re.compile(r"\d+(\.\d+)?", re.ASCII)  # a dot as decimal point, no currency sign, no thousands separator
TIMESTAMPS = (
    re.compile(r"\d{2}/\d{2}/\d{4} \d{2}:\d{2}:\d{2}", re.ASCII),
    re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:?\d{2})?", re.ASCII),
)
NAMES: Final = frozenset(accounts.OUTBRAIN_CONVERSION_NAMES.values())


class Outbrain(Platform):
    """One GET per conversion, no authentication and no deduplication: what is sent twice counts twice.

    A conversion name that does not exist is swallowed silently (recorded as `unknown_name`, not counted).
    """

    slug = "outbrain"
    title = "Outbrain"
    documentation = "https://www.outbrain.com/help/advertisers/server2server-integrations/"

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("GET", "/unifiedPixel", self.convert)]

    def convert(self, call: Call) -> Reply:
        call.events = 1
        query = dict(call.query)
        if not valid(query) or call.refusal(query, 400) is not None:
            raise Refused(Reply(b"", 400, media_type="text/plain"), rejected=1)
        name, order = query["name"], query.get("orderId")
        call.record(
            [
                Event(
                    account="unifiedPixel",  # the API names no account: the click id belongs to one
                    identity="\x1f".join((query["ob_click_id"], name, order or "", query.get("timestamp", ""))),
                    name=name,
                    id=order,
                    payload=query,
                    window=NEVER,
                    outcome=None if name in NAMES else "unknown_name",
                    value=float(query["orderValue"]) if "orderValue" in query else None,
                    currency=query.get("currency"),
                )
            ]
        )
        return Reply(PIXEL, media_type="image/gif")

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return Reply(b"", parameters.get("status") or 429, media_type="text/plain")


def valid(query: Mapping[str, str]) -> bool:
    """Required parameters are there and the optional ones have their documented form."""
    if not query.get("ob_click_id") or not query.get("name"):
        return False
    if ("orderValue" in query) != ("currency" in query):
        return False
    if "orderValue" in query and not (AMOUNT.fullmatch(query["orderValue"]) and rules.is_currency(query["currency"])):
        return False
    return "timestamp" not in query or any(form.fullmatch(query["timestamp"]) for form in TIMESTAMPS)
