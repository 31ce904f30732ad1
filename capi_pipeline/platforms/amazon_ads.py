"""Amazon Ads Events API (`amazon_ads`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from capi_pipeline.conversions.conversion import Conversion, number
from capi_pipeline.conversions.identifiers import (
    city,
    email,
    first_name,
    last_name,
    phone,
    postal_code,
    region,
    street_address,
    user_id,
)
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status, dicts, unreadable
from capi_pipeline.platforms.auth import Grant, OAuth
from capi_pipeline.platforms.base import USUALLY, Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, State, Verdict, Withhold, need, rejected
from capi_pipeline.platforms.times import days, hours, iso
from capi_pipeline.platforms.wire import Payload, Request, Response

HOSTS = {
    "NA": "https://advertising-api.amazon.com",
    "EU": "https://advertising-api-eu.amazon.com",
    "FE": "https://advertising-api-fe.amazon.com",
}
PURCHASE = "OFF_AMAZON_PURCHASES"
OTHER = (
    "add_to_wishlist", "add_payment_info", "qualify_lead", "close_convert_lead", "start_trial", "schedule", "find_location",
    "customize_product", "donate", "download", "app_open",
)  # fmt: skip
APPS = {"ios": "IOS", "android": "ANDROID", "fire os": "FIRE_TV"}
# Amazon takes no event of these countries without a consent signal.
CONSENT_COUNTRIES = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE GB NO IS LI".split()  # noqa: SIM905
)
LATER = {"INTERNAL_ERROR", "THROTTLED"}
_NOT_IN_A_NAME = re.compile(r"[!@#$%^&*|+=(){}\[\]<>?\\/~;]")


class AmazonAds(Platform):
    """Amazon Ads API v1, "create events" (open beta, July 2026): off-Amazon conversions for DSP and sponsored ads.
    https://advertising.amazon.com/API/docs/en-us/guides/events/overview"""

    name = "amazon_ads"
    title = "Amazon Ads"
    documentation = "https://advertising.amazon.com/API/docs/en-us/guides/events/overview"
    host = HOSTS["NA"]
    # The rate is that of the API before this one; none is published for it.
    limits = Limits(events=500, oldest=days(21), per_second=5)
    # The window is not published: within a day a repetition is safe, later a person decides.
    deduplication = Deduplication(keys=("eventId",), window=hours(24))
    limited_data = True
    oauth = OAuth("https://api.amazon.com", "/auth/o2/token", placeholder="Atza|access")
    click_ids = ("aref",)
    event_names: ClassVar = {  # conversion types; the name of an event is ours
        "page_view": "PAGE_VIEW",
        "view_item": "PAGE_VIEW",
        "view_item_list": "PAGE_VIEW",
        "search": "SEARCH",
        "add_to_cart": "ADD_TO_SHOPPING_CART",
        "begin_checkout": "CHECKOUT",
        "purchase": PURCHASE,
        "generate_lead": "LEAD",
        "sign_up": "SIGN_UP",
        "subscribe": "SUBSCRIBE",
        "contact": "CONTACT",
        "submit_application": "APPLICATION",
        "app_install": "MOBILE_APP_FIRST_START",
        **dict.fromkeys(OTHER, "OTHER"),
    }
    single_identifiers: ClassVar = {  # match keys, in Amazon's order
        "EMAIL": email.amazon,
        "PHONE": phone.digits,
        "FIRST_NAME": first_name.amazon,
        "LAST_NAME": last_name.amazon,
        "ADDRESS": street_address.amazon,
        "CITY": city.amazon,
        "STATE": region.amazon,
        "POSTAL": postal_code.amazon,
        "MATCH_ID": user_id.alphanumeric,
    }

    class Config(PlatformConfig):
        region: str = Field(
            description="Region of the account: `NA`, `EU` or `FE`.", pattern="^(NA|EU|FE)$", examples=["NA"]
        )
        client_id: str = Field(
            description="Client id of the Login with Amazon security profile.",
            examples=["amzn1.application-oa2-client.example"],
        )
        client_secret: SecretStr = Field(description="Its secret.", examples=["lwa-secret"])
        refresh_token: SecretStr = Field(
            description="Refresh token with the scope advertising::campaign_management.", examples=["Atzr|refresh"]
        )
        account_id: str | None = Field(
            None,
            description="DSP advertiser account (global or numeric id); or else `manager_account_id`.",
            examples=["amzn1.ads-account.g.example"],
            json_schema_extra=USUALLY,
        )
        manager_account_id: str | None = Field(
            None, description="Manager account, instead of `account_id`.", examples=["amzn1.ads1.ma1.abc123"]
        )
        data_set_name: str | None = Field(
            None,
            description="Data set of the events; default: Default_Events.",
            pattern="^[A-Za-z][A-Za-z0-9_-]{4,99}$",
            examples=["capi_pipeline"],
        )
        default_country: str | None = Field(
            None, description="Country of events that have none.", pattern="^[A-Z]{2}$", examples=["US"]
        )

        @model_validator(mode="after")
        def _one_account(self) -> Self:
            if bool(self.account_id) == bool(self.manager_account_id):
                raise ValueError("give one of account_id and manager_account_id")
            return self

    def grant(self) -> Grant:
        config = self.config
        return Grant(config.client_id, config.client_secret.get_secret_value(), config.refresh_token.get_secret_value())

    def encode(self, c: Conversion) -> Payload:
        conversion_type = "OTHER" if c.event_name == "custom" else self.event_name(c)
        purchase = conversion_type == PURCHASE
        value = amounts.not_negative(c.value)
        country = need(c.country or c.privacy_country or self.config.default_country, "Amazon needs a country")
        return {
            "eventId": c.event_id,
            "eventTime": iso(c.event_time),
            "countryCode": country,
            "eventDescription": {
                "name": own_name(c.name),
                "conversionType": conversion_type,
                "eventSource": source(c),
                "eventIngestionMethod": "SERVER_TO_SERVER",
                "dataSetName": self.config.data_set_name,
            },
            "matchKeys": self.match_keys(c),
            "value": None if value is None else number(round(value, 2)),
            "currencyCode": c.currency if purchase else None,
            "unitsSold": c.quantity if purchase and c.items else None,
            "consent": consent(c, country),
            "dataProcessingOptions": {"options": "LIMITED_DATA_USE" if c.opt_out_of_sale else None},
            "deviceInfo": {"userAgent": (c.user_agent or "")[:512]},
            "arefMeasurementTokens": click_token(c),
        }

    def match_keys(self, c: Conversion) -> list[Payload]:
        found = self.matched(c)
        own = found.pop("MATCH_ID", None)
        found |= {"MAID": c.advertising_id, "MATCH_ID": own, "FIP": str(c.ip) if c.ip else None}
        keys = [{"type": key, "values": [value]} for key, value in found.items() if value]
        if not keys:
            raise Withhold(Reason.NO_IDENTIFIER, "nothing by which Amazon matches a person")
        return keys

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        config = self.config
        headers = {"Content-Type": "application/json", "Amazon-Ads-ClientId": config.client_id}
        if config.manager_account_id:
            headers["Amazon-Ads-Manager-AccountId"] = config.manager_account_id
        else:
            headers["Amazon-Ads-AccountId"] = config.account_id
        address = self.url("/adsApi/v1/create/events", HOSTS[config.region])
        return Request("POST", address, headers, json={"events": list(payloads)})

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        if response.status == 207:
            outcomes = read_events(body, count)
            return Verdict(Kind.SETTLED, outcomes) if outcomes else unreadable(response)
        code = body["code"] if isinstance(body.get("code"), str) else ""
        known: dict[str, Any] = {
            "code": code or f"http_{response.status}",
            "message": str(body.get("message") or f"Amazon Ads answered HTTP {response.status}"),
        }
        if response.status == 413 or (response.status == 400 and code):
            return Verdict(Kind.REFUSED, **known)
        return by_status(response, **known) or unreadable(response)


def read_events(body: Payload, count: int) -> list[Outcome] | None:
    """The outcome of each event of a 207, in order; None unless `success` and `error` name each of them once."""
    good, bad = body.get("success", []), body.get("error", [])
    if dicts(good) != good or dicts(bad) != bad:
        return None
    found = [(entry.get("index"), Outcome(State.ACCEPTED)) for entry in good]
    found += [(entry.get("index"), failure(entry)) for entry in bad]
    indices = [index for index, _ in found]
    if any(type(index) is not int for index in indices) or sorted(indices) != list(range(count)):
        return None
    outcomes = dict(found)
    return [outcomes[index] for index in range(count)]


def failure(entry: Payload) -> Outcome:
    """Of an event with several errors the final one counts; one without a readable error is sent again."""
    errors = dicts(entry.get("errors"))
    if errors != entry.get("errors"):
        errors = []
    codes = [str(error.get("code") or "") for error in errors]
    for error, code in zip(errors, codes, strict=True):
        if code and code not in LATER:
            return rejected(code, f"{error.get('fieldLocation')}: {error.get('message')}")
    return Outcome(State.RETRY, next(filter(None, codes), "no_reason"), "Amazon failed to take it")


def own_name(name: str) -> str:
    """At most 256 characters, with a space for those that Amazon does not take. Raises Withhold."""
    allowed = _NOT_IN_A_NAME.sub(" ", name).strip()[:256]
    if not allowed:
        raise Withhold(Reason.INVALID_VALUE, "Amazon takes no event of this name")
    return allowed


def source(c: Conversion) -> str:
    if c.action_source == "website":
        return "WEBSITE"
    return APPS.get(c.system, "OFFLINE") if c.action_source == "app" else "OFFLINE"


def consent(c: Conversion, country: str) -> Payload:
    """Exactly one form: the TCF string, the GPP string, or what the person said. Raises Withhold."""
    if c.tcf_string:
        return {"tcf": c.tcf_string}
    if c.gpp_string:
        return {"gpp": c.gpp_string}
    if c.consent_ad_user_data:
        storage = c.consent_ad_storage
        return {
            "amazonConsent": {
                "amznUserData": c.consent_ad_user_data.upper(),
                "amznAdStorage": storage.upper() if storage else None,
            }
        }
    if country in CONSENT_COUNTRIES:
        raise Withhold(Reason.CONSENT_UNKNOWN, f"Amazon needs a consent signal in {country}")
    return {}


def click_token(c: Conversion) -> str | None:
    """`{token}.{milliseconds}` of an Amazon ad click: ten characters, and thirteen digits for when it was."""
    token, when = c.click_id("aref") or "", c.clicked_at("aref") or 0
    return f"{token}.{when}" if len(token) == 10 and 10**12 <= when < 10**13 else None
