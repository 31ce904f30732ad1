"""Taboola server-to-server conversions: https://developers.taboola.com/pixel/docs/bulk-submit-s2s-conversions"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, payload_digest
from capi_pipeline.sandbox.store import Event

ACCOUNT_ID: Final = "1234567"
MAXIMUM: Final = 1000
WINDOW: Final = timedelta(minutes=1)
NAMES: Final = rules.words("make_purchase lead complete_registration add_to_cart start_checkout add_payment_info")
CURRENCIES: Final = rules.words("AUD BRL CAD CNY EUR GBP HKD ILS INR JPY KRW MXN NZD RUB SGD THB TRY USD ZAR")


class Taboola(Platform):
    """Many conversions a request, no authentication, and always 204: what is wrong with an action shows nowhere.

    Such actions are recorded as `ignored`, and those of a name that Realize does not know as `unknown_name`; neither
    counts. The same click id, name and order within a minute count once.
    """

    slug = "taboola"
    title = "Taboola S2S conversions"
    documentation = "https://developers.taboola.com/pixel/docs/bulk-submit-s2s-conversions"

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/{account_id}/log/3/bulk-s2s-action", self.submit)]

    def submit(self, call: Call) -> Reply:
        if call.path["account_id"] != ACCOUNT_ID:
            raise Refused(empty(404))
        actions = (call.json() or {}).get("actions")
        if not isinstance(actions, list) or not all(isinstance(action, dict) for action in actions):
            raise Refused(empty(400))
        call.events = len(actions)
        if len(actions) > MAXIMUM:
            raise Refused(empty(413))
        for action in actions:
            status = call.refusal(action, 400)
            if status is not None:
                raise Refused(empty(int(status)), rejected=1)
        call.record([recorded(action) for action in actions])
        return empty(204)

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return empty(parameters.get("status") or 429)


def empty(status: int) -> Reply:
    return Reply(b"", status, media_type="text/plain")


def recorded(action: Mapping[str, Any]) -> Event:
    name, order = action.get("name"), action.get("orderid")
    outcome = "ignored" if not valid(action) else None if name in NAMES else "unknown_name"
    # Without an order, two actions of one click are told apart by their time only.
    key = "\x1f".join((str(action.get("click-id")), str(name), str(order or action.get("timestamp") or "")))
    return Event(
        account=ACCOUNT_ID, identity=key if outcome is None else payload_digest(action), name=str(name),
        id=order if isinstance(order, str) else None, payload=action, window=WINDOW, outcome=outcome,
        value=None if outcome else action.get("revenue"), currency=None if outcome else action.get("currency"),
    )  # fmt: skip


def valid(action: Mapping[str, Any]) -> bool:
    """Required members are there and the optional ones have their documented form."""
    at = action.get("timestamp")
    return (
        rules.is_text(action.get("click-id"))
        and rules.is_text(action.get("name"))
        and rules.is_integer(at)
        and 10**12 <= at < 10**13  # milliseconds
        and rules.is_amount(action.get("revenue", 0))
        and isinstance(action.get("currency", "USD"), str)
        and action.get("currency", "USD") in CURRENCIES
        and rules.is_integer(action.get("quantity", 1))
        and isinstance(action.get("orderid", ""), str)
    )
