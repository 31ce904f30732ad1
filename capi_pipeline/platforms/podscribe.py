"""Podscribe server events (`podscribe`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from pydantic import Field

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import anonymous_id, email
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_table, is_page
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig, compact
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted
from capi_pipeline.platforms.times import iso
from capi_pipeline.platforms.wire import Payload, Request, Response

LONGEST = 8000  # characters of a query
DROPPED = ("referrer", "url", "user_agent", "discount_code")  # to make it shorter, in this order
OFFLINE = ("physical_store", "phone_call")
STATUSES = {
    400: Kind.REFUSED,
    414: Kind.REFUSED,
    422: Kind.REFUSED,
    401: Kind.CONFIGURATION,
    403: Kind.CONFIGURATION,
    404: Kind.CONFIGURATION,
}


class Podscribe(Platform):
    """Podscribe S2S tracking: one GET per event, matched by IP address, no credential, no documented deduplication.
    https://help.podscribe.com"""

    name = "podscribe"
    title = "Podscribe"
    documentation = "https://help.podscribe.com"
    host = "https://verifi.podscribe.com"
    limits = Limits(events=1, concurrency=8)
    deduplication = Deduplication(window=None)
    event_names: ClassVar = {
        **{name: name for name in EVENT_NAMES if name not in ("refund", "custom")},  # as a custom action
        "page_view": "view",
        "view_item": "view",
        "view_item_list": "view",
        "sign_up": "signup",
        "generate_lead": "lead",
        "contact": "lead",
        "schedule": "lead",
        "submit_application": "lead",
        "purchase": "purchase",
        "app_install": "install",
    }
    single_identifiers: ClassVar = {"device_id": anonymous_id.clear, "hashed_email": email.gmail}

    class Config(PlatformConfig):
        advertiser: str = Field(
            description="Lookup key of the advertiser (in the pixel's code).", min_length=1, examples=["acmeshoes"]
        )
        user_id: str | None = Field(
            None,
            description="Id of the advertiser's user at Podscribe; never a customer's id.",
            examples=["5f0c3f6e-2c77-4e0a-9d0b-1c2d3e4f5a6b"],
        )
        event_names: dict[str, str] = Field(
            {}, description="Canonical (or custom) name -> another action.", examples=[{"add_to_cart": "add_to_cart"}]
        )

    def encode(self, c: Conversion) -> Payload:
        action = self.action(c)
        if not c.ip:
            raise Withhold(Reason.NO_IDENTIFIER, "no IP address")
        value, subscription = amounts.not_negative(c.value), c.properties.get("is_subscription")
        return shortened(
            {
                "action": action,
                "advertiser": self.config.advertiser,
                "user_id": self.config.user_id,
                "timestamp": iso(c.event_time, 3),
                "ip": (c.ip_address or "").strip(),
                "user_agent": c.user_agent,
                "url": c.source_url,
                "referrer": c.referrer_url,
                "order_value": None if value is None else amounts.text(value),
                "order_number": c.transaction_id,
                "currency": c.currency,
                "discount_code": c.coupon,
                "num_items_purchased": str(c.quantity) if c.event_name == "purchase" and c.items else None,
                "is_new_customer": {"new": "true", "returning": "false"}.get(c.customer_type or ""),
                "is_subscription": str(subscription).lower() if isinstance(subscription, bool) else None,
                **self.matched(c),
            }
        )

    def action(self, c: Conversion) -> str:
        standard = self.event_name(c)  # none for a refund, whatever the account says
        if c.event_name == "purchase" and c.action_source in OFFLINE:
            standard = "offline_purchase"
        return str(self.config.event_names.get(c.name) or standard)

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        return Request("GET", self.url("/tag"), params=payloads[0])

    def read(self, response: Response, count: int) -> Verdict:
        """The body of a success means nothing: none, or a tiny image."""
        if 200 <= response.status < 300 and not is_page(response):
            return accepted(count)
        return by_table(response, STATUSES, self.title)


def shortened(params: Payload) -> Payload:
    """The parameters without optional ones that make the address too long. Raises Withhold."""
    params = compact(params)
    for key in ("", *DROPPED):
        params.pop(key, None)
        if len(urlencode(params)) <= LONGEST:
            return params
    raise Withhold(Reason.INVALID_VALUE, f"the address would be longer than {LONGEST} characters")
