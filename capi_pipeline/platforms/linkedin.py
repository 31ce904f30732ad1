"""LinkedIn Conversions API (`linkedin`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, SecretStr, model_validator

from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.conversions.identifiers import email, first_name, last_name, user_id
from capi_pipeline.platforms import amounts
from capi_pipeline.platforms.answers import by_status, dicts, retry_after, unreadable
from capi_pipeline.platforms.auth import Grant, OAuth
from capi_pipeline.platforms.base import USUALLY, Deduplication, Limits, Platform, PlatformConfig
from capi_pipeline.platforms.outcomes import Kind, Outcome, Reason, State, Verdict, Withhold, rejected
from capi_pipeline.platforms.times import days, milliseconds, minutes
from capi_pipeline.platforms.wire import Payload, Request, Response

RULES_PER_REQUEST = 100
HASHED_NAMES = "202609"  # the first version that takes names, hashed
RuleId = Annotated[str, Field(pattern=r"^\d+$")]
# Where an error names the bad elements: `indices [0, 3]`, `batchIndex=0`, `Index: 3, ERROR :: /user/userIds :: words`.
_INDEX = re.compile(r"\bindices \[([0-9, ]+)\]|\bbatchIndex=([0-9]+)|\bIndex: ([0-9]+), ERROR ::")


class LinkedIn(Platform):
    """LinkedIn Marketing API 202609, streaming conversions: a batch of conversions for the rules of an ad account.
    https://learn.microsoft.com/en-us/linkedin/marketing/integrations/ads-reporting/conversions-api"""

    name = "linkedin"
    title = "LinkedIn"
    documentation = "https://learn.microsoft.com/en-us/linkedin/marketing/integrations/ads-reporting/conversions-api"
    host = "https://api.linkedin.com"
    limits = Limits(events=5000, oldest=days(90), atomic=True, per_second=9.8)  # 600 requests a minute
    deduplication = Deduplication(window=None)  # LinkedIn documents one against its own tag only
    click_ids = ("li_fat_id", "li_lead_id")
    oauth: OAuth | None = OAuth("https://www.linkedin.com", "/oauth/v2/accessToken")
    single_identifiers: ClassVar = {
        "SHA256_EMAIL": email.trimmed,
        "hashedFirstName": first_name.bare,
        "hashedLastName": last_name.bare,
        "externalIds": user_id.clear,
    }

    class Config(PlatformConfig):
        access_token: SecretStr | None = Field(
            None,
            description="Token of a Direct API source in Campaign Manager; it does not expire.",
            examples=["LI-TOKEN"],
            json_schema_extra=USUALLY,
        )
        client_id: str | None = Field(None, description="Own app instead: its client id.", examples=["86abcdefghij1k"])
        client_secret: SecretStr | None = Field(None, description="Own app: its secret.", examples=["LI-SECRET"])
        refresh_token: SecretStr | None = Field(
            None, description="Own app: refresh token of a member with access; lives 365 days.", examples=["LI-REFRESH"]
        )
        api_version: str = Field(
            "202609",
            description="API version, YYYYMM. One lives about a year.",
            pattern=r"^20\d{4}$",
            examples=["202609"],
        )
        conversions: dict[str, RuleId] = Field(
            description="Canonical (or custom) name -> id of a conversion rule. Not listed = not sent.",
            examples=[{"purchase": "104012", "add_to_cart": "104013", "generate_lead": "104014"}],
        )

        @model_validator(mode="after")
        def _can_sign_in(self) -> Self:
            app = (self.client_id, self.client_secret, self.refresh_token)
            if not all(app) and (any(app) or not self.access_token):
                raise ValueError("give access_token, or all of client_id, client_secret and refresh_token")
            return self

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        if config.refresh_token is None:
            self.oauth = None
        rules = dict.fromkeys(config.conversions.values())
        self.share = {rule: number // RULES_PER_REQUEST for number, rule in enumerate(rules)}

    def grant(self) -> Grant:
        config = self.config
        return Grant(config.client_id, config.client_secret.get_secret_value(), config.refresh_token.get_secret_value())

    def group(self, c: Conversion) -> int:
        """A request holds events of at most 100 rules."""
        return self.share[self.configured("conversions", c.name)]

    def encode(self, c: Conversion) -> Payload:
        if c.event_name == "refund":
            raise Withhold(Reason.UNSUPPORTED_EVENT, "LinkedIn takes no refunds")
        rule = self.configured("conversions", c.name)
        return {
            "conversion": f"urn:lla:llaPartnerConversion:{rule}",
            "conversionHappenedAt": milliseconds(c.event_time),
            "conversionValue": {
                "currencyCode": c.currency,
                "amount": None if c.value is None else amounts.text(c.value),
            },
            "eventId": c.event_id,
            "user": self.user(c),
        }

    def user(self, c: Conversion) -> Payload:
        known = self.matched(c)
        external, first, last = known.get("externalIds"), known.get("hashedFirstName"), known.get("hashedLastName")
        ids = {
            "SHA256_EMAIL": known.get("SHA256_EMAIL"),
            "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID": c.click_id("li_fat_id"),
            "PLAINTEXT_IP_ADDRESS": c.ipv4,
            "GOOGLE_AID": c.advertising_id if c.system == "android" else None,
        }
        lead = c.click_id("li_lead_id")
        user: Payload = {
            "userIds": [{"idType": kind, "idValue": value} for kind, value in ids.items() if value],
            "externalIds": [external] if external else [],
            "lead": f"urn:li:leadGenFormResponse:{lead}" if lead else None,
        }
        if first and last and self.config.api_version >= HASHED_NAMES:  # both, or nothing of the person
            user["userInfo"] = {"hashedFirstName": first, "hashedLastName": last, "countryCode": c.country}
        if not any(user.values()):
            raise Withhold(Reason.NO_IDENTIFIER, "no e-mail, li_fat_id, IPv4 address, names, user_id or lead")
        return user

    def request(self, payloads: Sequence[Any], group: Any) -> Request:
        # `userIds` must be there, also empty.
        elements = [{**payload, "user": {"userIds": [], **payload["user"]}} for payload in payloads]
        headers = {
            "LinkedIn-Version": self.config.api_version,
            "X-Restli-Protocol-Version": "2.0.0",
            "X-RestLi-Method": "BATCH_CREATE",
        }
        return self.post("/rest/conversionEvents", {"elements": elements}).with_headers(**headers)

    def read(self, response: Response, count: int) -> Verdict:
        body = response.json()
        if response.status == 200:
            return read_elements(body.get("elements"), count) or unreadable(response)
        message = body.get("message")
        own = body.get("status") == response.status and isinstance(message, str)  # LinkedIn's own words, no gateway's
        known: dict[str, Any] = {
            "code": str(body.get("code") or f"http_{response.status}"),
            "message": message if own else "",
        }
        if response.status == 403:  # "No ad accounts found": mostly a rule id that does not exist
            known["message"] += f" (rules {', '.join(self.share)})"
            return Verdict(Kind.CONFIGURATION, **known)
        if response.status == 426 or known["code"] == "VERSION_MISSING":
            return Verdict(Kind.CONFIGURATION, **known)
        if response.status in (400, 422) and own:
            named = {
                index for found in _INDEX.findall(known["message"]) for index in re.findall("[0-9]+", "".join(found))
            }
            ours = named <= {str(index) for index in range(count)}  # else the words are about another request
            culprits = {int(index): rejected(known["code"], known["message"]) for index in named if ours}
            return Verdict(Kind.REFUSED, culprits=culprits, **known)
        if 500 <= response.status < 600 and own:  # a clear answer: nothing is stored, so it may be sent again
            return Verdict(Kind.TRANSIENT, wait=retry_after(response), **known)
        # A 429 gives no hint; the count of a day begins anew at 00:00 UTC.
        return by_status(response, **known, wait=minutes(1)) or unreadable(response)


def read_elements(elements: Any, count: int) -> Verdict | None:
    """One status for each event, in their order; None for anything else."""
    if dicts(elements) != elements or len(elements) != count:
        return None
    outcomes = [outcome(element.get("status")) for element in elements]
    return None if None in outcomes else Verdict(Kind.SETTLED, outcomes)  # type: ignore[arg-type]  # none is None


def outcome(status: Any) -> Outcome | None:
    """What became of an element with this status; None for one that is not documented."""
    if status == 201 and type(status) is int:
        return Outcome(State.ACCEPTED)
    if type(status) is not int or not 400 <= status < 600:
        return None
    words = f"LinkedIn answered {status} for this event"
    if status == 429 or status >= 500:
        return Outcome(State.RETRY, f"http_{status}", words, minutes(1) if status == 429 else None)
    return rejected(f"http_{status}", words)
