"""Quora Conversion API (`quora`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from capi_pipeline.conversions.conversion import Amount, Conversion
from capi_pipeline.conversions.identifiers import email
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_table, dicts, retry_after, unreadable
from capi_pipeline.platforms.base import Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, State, Verdict, Withhold, rejected
from capi_pipeline.platforms.times import days, hours, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

HIGHEST_VALUE = 214_748.36
KINDS = {400: Kind.REFUSED, 401: Kind.AUTH, 403: Kind.AUTH, 413: Kind.REFUSED}
Name = Annotated[
    str,
    Field(
        pattern="^(Generic|AppInstall|Purchase|GenerateLead|CompleteRegistration|AddPaymentInfo|AddToCart|AddToWishlist|"
        "InitiateCheckout|Search|ViewContent)$"
    ),
]


class Quora(Platform):
    """Quora Ads Conversion API v0: a batch of conversions of one ad account, each with a result of its own.
    https://www.quora.com/ads/conversion_api_doc"""

    name = "quora"
    title = "Quora"
    documentation = "https://www.quora.com/ads/conversion_api_doc"
    host = "https://api.quora.com"
    # Quora takes 1,000 events a request and 1,000 a minute, and refuses a whole request that would go over. Small
    # requests keep to it: ten at once and 39 more make 980 in the first minute.
    limits = Limits(events=20, oldest=days(90), per_second=0.65)
    deduplication = Deduplication(keys=("event_name", "event_id"), window=hours(24))  # the window is not published
    token_key = "api_token"
    click_ids = ("qclid",)
    browser_ids = ("quora_qclid",)
    event_names: ClassVar = {
        "page_view": "Generic",
        "view_item": "Generic",
        "view_item_list": "Generic",
        "search": "Search",
        "add_to_wishlist": "AddToWishlist",
        "add_to_cart": "AddToCart",
        "begin_checkout": "InitiateCheckout",
        "add_payment_info": "AddPaymentInfo",
        "purchase": "Purchase",
        "generate_lead": "GenerateLead",
        "qualify_lead": "Generic",
        "close_convert_lead": "Generic",
        "sign_up": "CompleteRegistration",
        "start_trial": "Generic",
        "subscribe": "GenerateLead",
        "contact": "GenerateLead",
        "schedule": "Generic",
        "submit_application": "GenerateLead",
        "find_location": "Search",
        "customize_product": "Generic",
        "donate": "Generic",
        "download": "Generic",
        "app_install": "AppInstall",
        "app_open": "Generic",
        "custom": "Generic",
    }
    single_identifiers: ClassVar = {"email": email.quora}

    class Config(PlatformConfig):
        account_id: str = Field(
            description="Ad account id, digits.", pattern=r"^\d{1,18}$", examples=["527745581653587"]
        )
        api_token: SecretStr = Field(
            description="Token of this ad account (Ads Manager, Conversion API); it does not expire.",
            examples=["quora-token"],
        )
        account_currency: str = Field(
            "USD",
            description="Currency of the ad account: a value in another one is left out.",
            pattern="^[A-Z]{3}$",
            examples=["USD"],
        )
        event_names: dict[str, Name] = Field(
            {},
            description="Canonical (or custom) name -> another of Quora's names, e.g. `ViewContent` for item views.",
            examples=[{"view_item": "ViewContent"}],
        )

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "Quora takes no refunds")
        person, click = self.matched(c), c.click_id("qclid") or c.browser_ids.get("quora_qclid")
        if not (person or click):
            raise Withhold(Reason.NO_IDENTIFIER, "neither qclid nor e-mail: Quora could never attribute it")
        return {
            # Phone, name, birth date and place exist in the clear only, and Quora matches nobody by them.
            "user": {**person, "ip": str(c.ip) if c.ip else None},
            "device": {
                "user_agent": c.user_agent,
                "language": c.device.get("language"),
                "referer": c.referrer_url,
                "mobile_device_id": c.advertising_id,
            },
            "conversion": {
                "event_name": self.config.event_names.get(c.name) or self.event_names[c.event_name],
                "timestamp": c.event_time,  # microseconds; Quora takes any other unit for a time long ago, and then its own
                "event_id": c.event_id,
                "click_id": click,
                "value": self.value(c),
            },
        }

    def value(self, c: Conversion) -> Amount | None:
        """Only in the account's currency, for there is no field for another; one that is too high would cost the event."""
        if c.currency != self.config.account_currency or (c.value or 0) > HIGHEST_VALUE:
            return None
        return amounts.not_negative(c.value)

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        data = [{"user": {}, "device": {}, **payload} for payload in payloads]  # both are sent, also empty
        return self.post("/ads/v0/conversions", {"account_id": int(self.config.account_id), "data": data})

    def read(self, response: Response, count: int) -> Verdict:
        if response.status == 200:
            return read_results(response.json(), count) or unreadable(response)
        if response.status in (408, 423):
            return Verdict(
                Kind.TRANSIENT, wait=retry_after(response), maybe_stored=True, code=f"http_{response.status}"
            )
        return by_table(response, KINDS, self.title, wait=minutes(1))


def read_results(body: Payload, count: int) -> Verdict | None:
    """Each event by its index; one that is not listed is taken. None where the numbers do not agree with the list."""
    results, received, errored = body.get("events"), body.get("events_received"), body.get("events_errored")
    if dicts(results) != results or type(received) is not int or type(errored) is not int:
        return None
    outcomes: dict[int, Outcome] = {}
    for result in results:
        index, status = result.get("index"), result.get("status")
        if type(index) is not int or not 0 <= index < count or index in outcomes or status not in ("OK", "ERROR"):
            return None
        refused = rejected(result.get("error_code") or "ERROR", str(result.get("error_message") or ""))
        outcomes[index] = refused if status == "ERROR" else Outcome(State.ACCEPTED)
    if received != count or errored != sum(outcome.state is State.REJECTED for outcome in outcomes.values()):
        return None
    return Verdict(Kind.SETTLED, [outcomes.get(index, Outcome(State.ACCEPTED)) for index in range(count)])
