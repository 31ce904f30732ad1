"""The Trade Desk Real-Time Conversion Events API (`the_trade_desk`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import SUBDIVISIONS, region
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_table, dicts
from capi_pipeline.platforms.base import NEVER, USUALLY, Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, State, Verdict, Withhold, need, rejected
from capi_pipeline.platforms.times import hours, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

COOKIES = {"tdid": "TDID", "uid2": "UID2", "euid": "EUID", "idl": "IDL"}  # best first
DEVICES = {"ios": "IDFA", "android": "AAID", "windows": "NAID"}
OTHER_DEVICE = "DAID"
STATUSES = {  # 402: the tag or an event is not defined for the account
    400: Kind.REFUSED,
    413: Kind.REFUSED,
    **dict.fromkeys((401, 402, 403, 404, 405), Kind.CONFIGURATION),
}
STATES = frozenset(SUBDIVISIONS["US"].values())
_DIGEST = re.compile("[0-9a-fA-F]{64}")  # a hashed e-mail address is none of these ids


class TheTradeDesk(Platform):
    """Real-Time Conversion Events API (partner portal v3): no credentials, no event time, no deduplication key.
    https://partner.thetradedesk.com/v3/portal/data/doc/DataConversionEventsApi"""

    name = "the_trade_desk"
    title = "The Trade Desk"
    documentation = "https://partner.thetradedesk.com/v3/portal/data/doc/DataConversionEventsApi"
    host = "https://insight.adsrvr.org"
    # The event is stamped on arrival: an old one would be attributed to the wrong moment (`max_event_age_minutes`).
    limits = Limits(events=100, oldest=minutes(120), newest=minutes(0), atomic=True)
    # Nobody says for how long: within a day a repetition is safe, later a person decides.
    deduplication = Deduplication(keys=("order_id",), window=hours(24), only="events with an order_id", exact=True)
    limited_data = True  # US states only
    click_ids = ("ttd_imp",)
    browser_ids = tuple(COOKIES)
    event_names: ClassVar = {
        "page_view": "sitevisit",
        "view_item": "viewitem",
        "view_item_list": "searchcategory",
        "search": "searchitem",
        "add_to_wishlist": "wishlistitem",
        "add_to_cart": "addtocart",
        "begin_checkout": "startcheckout",
        "purchase": "purchase",
        "contact": "messagebusiness",
        "find_location": "direction",
    }

    class Config(PlatformConfig):
        advertiser_id: str | None = Field(
            None, description="Advertiser id.", min_length=1, examples=["abc1234"], json_schema_extra=USUALLY
        )
        tracker_id: str | None = Field(
            None,
            description="Event tracker: conversions by event name.",
            min_length=1,
            examples=["trk5678"],
            json_schema_extra=USUALLY,
        )
        merchant_id: str | None = Field(
            None, description="Instead of advertiser_id, for merchants.", min_length=1, examples=["mer999"]
        )
        upixel_id: str | None = Field(
            None,
            description="Universal pixel instead of tracker_id: conversions by page address.",
            min_length=1,
            examples=["up12345"],
        )
        event_names: dict[str, Annotated[str, Field(pattern="^[^A-Z]+$")]] = Field(
            {},
            description="Canonical (or custom) name -> name agreed with The Trade Desk, in lower case.",
            examples=[{"generate_lead": "lead"}],
        )
        allow_ip_only: bool = Field(
            False, description="Also send events whose only identifier is the IP address.", examples=[True]
        )
        max_event_age_minutes: int = Field(
            120, description="Withhold older events: they would count at their arrival.", ge=1, le=10080, examples=[120]
        )

        @model_validator(mode="after")
        def _one_of_each(self) -> TheTradeDesk.Config:
            if bool(self.advertiser_id) == bool(self.merchant_id):
                raise ValueError("give one of advertiser_id and merchant_id")
            if bool(self.tracker_id) == bool(self.upixel_id):
                raise ValueError("give one of tracker_id and upixel_id")
            if self.merchant_id and self.upixel_id:
                raise ValueError("a merchant_id needs a tracker_id")
            return self

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.limits = replace(self.limits, oldest=minutes(config.max_event_age_minutes))

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "The Trade Desk takes no refunds")
        config = self.config
        payload: Payload = {
            "adv": config.advertiser_id,
            "merchant_id": config.merchant_id,
            **self.tag(c),
            **self.identity(c),
            "client_ip": str(c.ip) if c.ip else None,
            "imp": c.click_id("ttd_imp"),
            "order_id": c.transaction_id,
            "value": None if c.value is None else amounts.text(c.value),
            "currency": c.currency,
            "items": [item(some) for some in c.items],
            "privacy_settings": privacy_settings(c),
        }
        if c.opt_out_of_sale:
            payload["data_processing_option"] = {"policies": ["LDU"], "region": f"US-{us_state(c)}"}
        return payload

    def tag(self, c: Conversion) -> Payload:
        """By event name, or with a universal pixel by page address (the field is misnamed: it is no referrer)."""
        config = self.config
        if config.upixel_id:
            page = need(c.source_url, "a universal pixel needs source_url")
            return {"upixel_id": config.upixel_id, "referrer_url": page}
        own = config.event_names.get(c.name) or self.event_names.get(c.event_name)
        name = own or self.configured("event_names", c.name)
        if name == "purchase":
            need(c.currency, "a purchase needs value and currency")
        return {"tracker_id": config.tracker_id, "event_name": name, "referrer_url": c.source_url}

    def identity(self, c: Conversion) -> Payload:
        """The best id as `adid`. Raises Withhold where neither that nor an impression id is known."""
        known = {kind: c.browser_ids.get(cookie) for cookie, kind in COOKIES.items()}
        known[DEVICES.get(c.system, OTHER_DEVICE)] = c.advertising_id
        for kind, value in known.items():
            if value and not _DIGEST.fullmatch(value):
                return {"adid": value, "adid_type": kind}
        if not c.click_id("ttd_imp") and not (self.config.allow_ip_only and c.ip):
            raise Withhold(Reason.NO_IDENTIFIER, "no id of The Trade Desk")
        return {}

    def deduplication_of(self, payload: Any) -> Deduplication:
        return self.deduplication if "order_id" in payload else NEVER

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        return self.post("/track/realtimeconversion", {"data": list(payloads)})

    def read(self, response: Response, count: int) -> Verdict:
        """`EventErrors` name the bad events, and nothing of the others was taken (400, and whatever the status)."""
        body, status = response.json(), response.status
        entries = dicts(body.get("EventResponses"))
        if bad := [entry for entry in entries if entry.get("EventErrors")]:
            found = {position(entry, count): rejected(*words(entry["EventErrors"])) for entry in bad}
            named = {index: outcome for index, outcome in found.items() if index is not None}
            culprits = named if len(named) == len(bad) else {}  # else the words are about another request
            code, message = words(bad[0]["EventErrors"])
            if culprits or status == 400:
                return Verdict(Kind.REFUSED, culprits=culprits, code=code, message=message)
        elif status == 200 and succeeded(body):
            warnings = {position(entry, count): words(entry.get("EventWarnings"))[1] for entry in entries}
            return Verdict(Kind.SETTLED, [Outcome(State.ACCEPTED, message=warnings.get(i, "")) for i in range(count)])
        return by_table(response, STATUSES, self.title)


def item(some: Mapping[str, Any]) -> dict[str, str | None]:
    price, quantity = some["price"], some["quantity"]
    return {
        "item_code": some["id"],
        "name": some["name"],
        "qty": None if quantity is None else str(quantity),
        "price": None if price is None else amounts.text(price),
        "cat": some["category"],
    }


def privacy_settings(c: Conversion) -> list[Payload]:
    strings = {"GDPR": c.tcf_string, "GPP": c.gpp_string}
    return [
        {"privacy_type": kind, "is_applicable": 1, "consent_string": text} for kind, text in strings.items() if text
    ]


def us_state(c: Conversion) -> str:
    """Two letters, of the choice's jurisdiction. Raises Withhold: the flag exists for US states only."""
    nation, name = c.jurisdiction
    code = region.code.normalise(name.strip(), "US") if nation == "US" and name else None
    if not code or code not in STATES:
        raise Withhold(Reason.OPTED_OUT, "no US state for The Trade Desk's limited data use")
    return code.upper()


def succeeded(body: Payload) -> bool:
    """`{"Message": null, "EventResponses": []}`, or each of these says `Successful`."""
    entries = body.get("EventResponses")
    listed = entries is None or (
        dicts(entries) == entries and all(entry.get("Successful") is True for entry in entries)
    )
    return listed and bool(body.keys() & {"Message", "EventResponses"}) and isinstance(body.get("Message"), str | None)


def position(entry: Payload, count: int) -> int | None:
    """The event that an entry names; None if that is none of the `count` events sent."""
    index = entry.get("EventIndex")
    return index if type(index) is int and 0 <= index < count else None


def words(listed: Any) -> tuple[str, str]:
    """The first code of a list of errors or warnings, and all their words."""
    known = dicts(listed)
    texts = [": ".join(str(value) for value in some.values() if value) for some in known]
    return str(known[0].get("Error") or "") if known else "", "; ".join(texts)
