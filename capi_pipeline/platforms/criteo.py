"""Criteo Events API, server to server (`criteo`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import anonymous_id, email
from capi_pipeline.platforms.answers import by_table, unreadable
from capi_pipeline.platforms.base import NEVER, Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Reason, Verdict, Withhold, accepted, need, rejected
from capi_pipeline.platforms.times import hours, iso, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

REGIONS = ("widget.criteo.com", "widget.eu.criteo.com", "widget.us.criteo.com", "widget.as.criteo.com")
LINES = ("addToCart", "beginCheckout", "trackTransaction")  # events whose products have a price and a quantity
LONGEST_LIST = 3
STATUSES = {
    **dict.fromkeys((400, 404, 413), Kind.REFUSED),
    **dict.fromkeys((401, 403, 405), Kind.CONFIGURATION),  # there are no credentials
}
_HOME = re.compile(r"[^/?#]*//[^/?#]*/?([?#].*)?", re.DOTALL)
_TABLET = re.compile("iPad|Tablet|Android(?!.*Mobile)", re.DOTALL)
_MOBILE = re.compile("iPhone|iPod|Mobi")
_ACCOUNT = re.compile("account|partner", re.IGNORECASE)


class Criteo(Platform):
    """Criteo Events API ("OneTag server to server", s2s_v0): one event of one person a request, near real time, no
    credentials, and refusals in a 200. https://guides.criteotilt.com/events-api/"""

    name = "criteo"
    title = "Criteo"
    documentation = "https://guides.criteotilt.com/events-api/"
    host = "https://widget.criteo.com"
    # Near real time is demanded: how late is agreed with Criteo (`max_event_age_minutes`).
    limits = Limits(events=1, oldest=minutes(60), newest=minutes(0), concurrency=8)
    # Nobody says for how long: within a day a repetition is safe, later a person decides.
    deduplication = Deduplication(keys=("id",), window=hours(24), only="trackTransaction", exact=True)
    browser_ids = ("crto_mapped_user_id", "crto_is_user_optout", "criteo_page_view_id")
    event_names: ClassVar = {
        "page_view": "viewPage",
        "view_item": "viewItem",
        "view_item_list": "viewList",
        "search": "viewList",
        "add_to_cart": "addToCart",
        "begin_checkout": "beginCheckout",
        "add_payment_info": "addPaymentInfo",
        "purchase": "trackTransaction",
    }
    single_identifiers: ClassVar = {
        "retailer_visitor_id": anonymous_id.as_is,
        "id.email.md5": email.md5,
        "id.email.sha256": email.trimmed,
        "id.email.sha256_md5": email.sha256_md5,
    }

    class Config(PlatformConfig):
        partner_id: str = Field(description="Criteo account (partner) id.", min_length=1, examples=["12345"])
        caller_id: str | None = Field(
            None, description="Caller id, given by Criteo for user mapping.", min_length=1, examples=["70"]
        )
        event_names: dict[str, str] = Field(
            {}, description="Canonical (or custom) name -> Criteo's event.", examples=[{"sign_up": "login"}]
        )
        max_event_age_minutes: int = Field(
            60, description="Withhold older events; agree on it with Criteo.", ge=1, le=10080, examples=[60]
        )

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.limits = replace(self.limits, oldest=minutes(config.max_event_age_minutes))

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Criteo takes no refunds")
        if c.action_source != "website":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "only website events go to this API")
        if (c.browser_ids.get("crto_is_user_optout") or "").lower() == "true":
            raise Withhold(Reason.OPTED_OUT, "opted out at Criteo")
        return {
            "account": self.config.partner_id,
            "version": "s2s_v1.0.0",
            "site_type": site_type(c.user_agent or ""),
            "ip": str(c.ip) if c.ip else None,
            "useragent": c.user_agent,
            "full_url": c.source_url,
            "previous_url": c.referrer_url,
            "retailer_visitor_id": c.first(anonymous_id.as_is),
            "events": [self.event(c)],
            "id": self.identity(c),
        }

    def event(self, c: Conversion) -> Payload:
        name = self.criteo_name(c)
        event: Payload = {
            "event": name,
            "timestamp": iso(c.event_time),
            "item": products(c, name),
            "deduplication_page_view_id": c.browser_ids.get("criteo_page_view_id"),
        }
        if name == "trackTransaction":
            event["id"] = need(c.transaction_id, "a sale needs transaction_id")
        if name in LINES:
            event["currency"] = c.currency
        if c.event_name == "search" and name == "viewList":
            event["keywords"] = c.search_term
        return event

    def criteo_name(self, c: Conversion) -> str:
        own: str | None = self.config.event_names.get(c.name)
        if own:
            return own
        if c.event_name == "page_view" and _HOME.fullmatch(c.source_url or ""):
            return "viewHome"
        return self.event_names.get(c.event_name) or self.configured("event_names", c.name)

    def identity(self, c: Conversion) -> Payload:
        """Criteo's id of the person, and the best e-mail address in three hashes (one where it came as a SHA-256)."""
        mapped = c.browser_ids.get("crto_mapped_user_id")
        hashes = {"md5": c.all(email.md5), "sha256": c.all(email.trimmed), "sha256_md5": c.all(email.sha256_md5)}
        if len(hashes["md5"]) != len(hashes["sha256"]):  # the first ones may be of two addresses
            hashes = {"sha256": hashes["sha256"]}
        best = {form: values[0] for form, values in hashes.items() if values}
        if not mapped and not best:
            raise Withhold(Reason.NO_IDENTIFIER, "neither Criteo's id nor an e-mail address")
        return {"mapping_key": self.config.caller_id, "mapped_user_id": mapped, "email": best}

    def deduplication_of(self, payload: Any) -> Deduplication:
        return self.deduplication if payload["events"][0]["event"] == "trackTransaction" else NEVER

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        return Request(
            "POST",
            self.url("/m/event"),
            {"Content-Type": "application/json"},
            {"version": "s2s_v0"},
            json=payloads[0],
            follow_redirects=True,  # to the region of the account
            redirect_hosts=() if self.config.base_url else REGIONS,
        )

    def read(self, response: Response, count: int) -> Verdict:
        """A 200 may hold `errors`, too."""
        status = response.status
        if status == 200:
            return self.read_body(response.json(), response, count) or unreadable(response)
        if status in (307, 308):
            words = "a redirect to a host that Criteo does not document"
            return Verdict(Kind.CONFIGURATION, code=f"http_{status}", message=words)
        return by_table(response, STATUSES, self.title)

    def read_body(self, body: Payload, response: Response, count: int) -> Verdict | None:
        """None unless it is an object with lists of words, or without them."""
        errors, warnings = (body.get(key) or [] for key in ("errors", "warnings"))
        if response.body.strip()[:1] != b"{" or not (texts(errors) and texts(warnings)):
            return None
        if not errors:
            known = body or response.body.strip() == b"{}"  # else it was no JSON
            return accepted(count, message="; ".join(warnings)) if known and "error" not in body else None
        words = "; ".join(errors)
        code = re.split(r"\W", errors[0], maxsplit=1)[0] or "error"
        if _ACCOUNT.search(words):
            return Verdict(Kind.CONFIGURATION, code=code, message=words)
        return Verdict(Kind.SETTLED, [rejected(code, words)] * count)


def site_type(agent: str) -> str:
    """`t`ablet, `m`obile or `d`esktop."""
    return "t" if _TABLET.search(agent) else "m" if _MOBILE.search(agent) else "d"


def products(c: Conversion, name: str) -> Any:
    """Shaped by the event: one id, up to three ids, or lines whose sum is the value of the sale. Raises Withhold."""
    if name not in ("viewItem", "viewList", *LINES):
        return None
    items = need(c.items or None, f"{name} needs contents")
    if name == "viewItem":
        return items[0]["id"]
    if name == "viewList":
        return [item["id"] for item in items[:LONGEST_LIST]]
    return [
        {
            "id": item["id"],
            "price": need(item["price"], f"{name} needs the price of each product"),
            "quantity": 1 if item["quantity"] is None else item["quantity"],
        }
        for item in items
    ]


def texts(listed: Any) -> bool:
    return isinstance(listed, list) and all(isinstance(text, str) for text in listed)
