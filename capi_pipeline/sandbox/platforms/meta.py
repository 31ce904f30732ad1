"""Meta Conversions API: https://developers.facebook.com/docs/marketing-api/conversions-api"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

from capi_pipeline.sandbox import accounts, rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import NEVER, Event

MAXIMUM: Final = 1000
AGE: Final = timedelta(days=7)
STORE_AGE: Final = timedelta(days=62)
WINDOW: Final = timedelta(hours=48)
INSTALL_WINDOW: Final = timedelta(days=90)
NEWEST: Final = 26  # Graph API v26.0
OLDEST: Final = 24  # older ones have ended; calls to them are moved up

ACTION_SOURCES: Final = rules.words(
    "website app physical_store phone_call chat email system_generated business_messaging other"
)
# parameters/customer-information-parameters
HASHED: Final = ("em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country")
CLEAR: Final = ("client_user_agent", "subscription_id", "fb_login_id", "page_id", "page_scoped_user_id", "ctwa_clid",
                "ig_account_id", "ig_sid", "madid", "anon_id")  # fmt: skip
CUSTOMER: Final = frozenset((*HASHED, *CLEAR, "external_id", "client_ip_address", "fbc", "fbp", "lead_id"))
TOO_WEAK: Final = (
    {"ct", "country", "st", "zp", "ge", "client_user_agent"}, {"db", "client_user_agent"}, {"fn", "ge"}, {"ln", "ge"},
)  # fmt: skip
FBC = re.compile(r"fb\.\d\.\d{10,13}\.\S+", re.ASCII)
FBP = re.compile(r"fb\.\d\.\d{10,13}\.\d+(\.[A-Za-z0-9]+)?", re.ASCII)
BUILT_DIGEST = re.compile(r"([0-9a-f]{64})(\.[A-Za-z0-9_-]{1,8})?")  # the parameter builder appends its version
# US states of Limited Data Use: marketing-apis/data-processing-options. 0 asks Meta to find the place by IP address.
LDU_STATES: Final = frozenset((0, *range(1000, 1015)))

OLD, INVALID, NO_VALUE, TOO_LITTLE, NOT_HASHED, BAD_FBC = 2804003, 2804019, 2804009, 2804050, 2804016, 2804001
Problem = tuple[int, str]


def error(
    code: int, message: str, subcode: int | None = None, status: int = 400, kind: str = "OAuthException",
    transient: bool = False, title: str | None = None, advice: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:  # fmt: skip
    """The Graph API's error object; callers decide on code, subcode and is_transient."""
    details: dict[str, Any] = {"message": message, "type": kind, "code": code}
    if subcode is not None:
        details["error_subcode"] = subcode
    details["is_transient"] = transient
    if title is not None:
        details |= {"error_user_title": title, "error_user_msg": advice}
    return Reply({"error": {**details, "fbtrace_id": trace()}}, status, headers or {})


def trace() -> str:
    return "A" + secrets.token_urlsafe(16)


class Meta(Platform):
    """Graph API: website, app, store, chat, phone, mail and CRM events go to one dataset.

    One invalid event refuses the whole request. The first copy within 48 h counts (app installs: 90 days); events
    with a test code are counted, too.
    """

    slug = "meta"
    title = "Meta Conversions API"
    documentation = "https://developers.facebook.com/docs/marketing-api/conversions-api"
    environment: ClassVar = {
        "META_ACCESS_TOKEN": accounts.META_ACCESS_TOKEN,
    }

    def endpoints(self) -> Sequence[Endpoint]:
        return [
            Endpoint("POST", "/{version}/{pixel_id}/events", self.send),
            Endpoint("GET", "/{version}/{pixel_id}", self.node, kind="status"),
        ]

    def node(self, call: Call) -> Reply:
        """Any Graph API object answers a read of its `id`."""
        self.opened(call, {})
        return Reply({"id": call.path["pixel_id"]})

    def opened(self, call: Call, body: Mapping[str, Any]) -> int:
        """The version's number, once version, token and dataset are found good."""
        version = re.fullmatch(r"v(\d+)\.0", call.path["version"])
        if version is None or int(version[1]) > NEWEST:
            raise Refused(error(2500, f"Unknown path components: /{call.path['version']}", status=404))
        authorise(call, body)
        if call.path["pixel_id"] != accounts.META_PIXEL_ID:
            raise Refused(
                error(
                    100, f"Unsupported post request. Object with ID '{call.path['pixel_id']}' does not exist, cannot "
                    "be loaded due to missing permissions, or does not support this operation.", 33,
                    kind="GraphMethodException",
                )
            )  # fmt: skip
        return int(version[1])

    def send(self, call: Call) -> Reply:
        body = call.json() or {}
        version = self.opened(call, body)
        events = body.get("data")
        if not isinstance(events, list) or not events:
            raise Refused(error(100, "(#100) The parameter data is required"))
        call.events = len(events)
        if len(events) > MAXIMUM:
            raise Refused(error(100, f"(#100) Param data must have at most {MAXIMUM} elements."))
        agent = body.get("partner_agent")
        if agent is not None and not (isinstance(agent, str) and len(agent) <= 22 and sum(map(str.isalpha, agent)) > 1):
            raise Refused(error(100, "(#100) Param partner_agent must have 2 letters and at most 22 characters."))
        now = call.now.timestamp()
        for index, event in enumerate(events):
            problem = first_problem(event, now)
            subcode = call.refusal(event, INVALID)
            if problem is None and subcode is not None:
                problem = subcode, "An event parameter is not valid"
            if problem is not None:
                raise Refused(
                    error(
                        100, "Invalid parameter", problem[0], title="Server Side Api Parameter Error",
                        advice=f"{problem[1]} (data[{index}])",
                    ), rejected=1,
                )  # fmt: skip
        call.record([accepted(event) for event in events])
        moved = {"X-Ad-Api-Version-Warning": f"The call has been auto-upgraded to v{OLDEST}.0"}
        return Reply(
            {"events_received": len(events), "messages": [], "fbtrace_id": trace()},
            headers=moved if version < OLDEST else {},
        )

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        """Codes 4, 17, 613 and 80000 to 80014; the wait stands in a usage header, in minutes."""
        code = int(parameters.get("code") or 4)
        subcodes = {4: 1504022, 17: 2446079, 613: 1487742, 80004: 2446079}
        usage = (
            '{"123456789":[{"type":"ads_management","call_count":100,"total_cputime":25,"total_time":25,'
            f'"estimated_time_to_regain_access":{int(parameters.get("regain_minutes") or 0)}}}]}}'
        )
        return error(
            code, f"(#{code}) Application request limit reached", subcodes.get(code), parameters.get("status") or 400,
            transient=True, headers={"X-Business-Use-Case-Usage": usage},
        )  # fmt: skip

    def server_error(self, status: int) -> Reply:
        if status == 500:
            return error(1, "An unknown error occurred", 99, status, transient=False)
        return error(2, "An unexpected error has occurred. Please retry your request later.", None, status,
                     transient=True)  # fmt: skip


def authorise(call: Call, body: Mapping[str, Any]) -> None:
    """The token as bearer, query parameter or form field; with a proof, that too must be right."""
    token = call.bearer() or call.query.get("access_token") or body.get("access_token") or ""
    match call.static_token(str(token), accounts.META_ACCESS_TOKEN):
        case Token.MISSING:
            raise Refused(error(104, "An access token is required to request this resource."))
        case Token.WRONG:
            raise Refused(error(190, "Invalid OAuth access token - Cannot parse access token", status=401))
        case Token.EXPIRED:
            raise Refused(error(190, "Error validating access token: Session has expired", 463, 401))
        case Token.REVOKED:
            raise Refused(error(190, "Error validating access token: The session has been invalidated", 460, 401))
    proof = call.query.get("appsecret_proof") or body.get("appsecret_proof")
    if proof is not None and proof != proof_of(str(token)):
        raise Refused(error(100, "Invalid appsecret_proof provided in the API argument", kind="GraphMethodException"))


def proof_of(token: str) -> str:
    """Graph API, securing requests: HMAC-SHA256 of the token with the app secret as key."""
    return hmac.new(accounts.META_APP_SECRET.encode(), token.encode(), hashlib.sha256).hexdigest()


def accepted(event: dict[str, Any]) -> Event:
    """Deduplication: event name and id; store events by order id, or by time and items, where they have no id."""
    name, event_id = event["event_name"], event.get("event_id")
    custom = event.get("custom_data") or {}
    window = INSTALL_WINDOW if name == "MobileAppInstall" else WINDOW
    if event_id:
        identity = f"{name}\x1f{event_id}"
    elif event["action_source"] == "physical_store":
        items = custom.get("order_id") or f"{event['event_time']} {custom.get('content_ids')}"
        identity = f"{name}\x1fstore\x1f{items}"
    else:
        identity, window = f"{name}\x1f{payload_digest(event)}", NEVER
    return Event(
        account=accounts.META_PIXEL_ID, identity=identity, name=name, id=event_id, payload=event, window=window,
        value=custom.get("value"), currency=custom.get("currency"),
    )  # fmt: skip


def first_problem(event: object, now: float) -> Problem | None:
    """Subcode and explanation of the first thing wrong with an event; None for a good one."""
    if not isinstance(event, dict):
        return INVALID, "An event must be an object"
    if not rules.is_text(event.get("event_name")):
        return INVALID, "event_name is missing or not a string"
    at, source = event.get("event_time"), event.get("action_source")
    if not rules.is_integer(at):
        return INVALID, "event_time must be an integer: Unix time in seconds"
    if not isinstance(source, str) or source not in ACTION_SOURCES:
        return INVALID, "action_source is missing or not one of the documented values"
    if at > now:
        return INVALID, "event_time lies in the future; it must be Unix time in seconds"
    if now - at > (STORE_AGE if source == "physical_store" else AGE).total_seconds():
        return OLD, "event_time is too far in the past"
    for field in ("event_id", "event_source_url", "referrer_url"):
        if field in event and not rules.is_text(event[field]):
            return INVALID, f"{field} must be a string that is not empty"
    if "opt_out" in event and not isinstance(event["opt_out"], bool):
        return INVALID, "opt_out must be true or false"
    user = event.get("user_data")
    if not isinstance(user, dict):
        return TOO_LITTLE, "user_data is missing"
    custom = event.get("custom_data", {})
    if not isinstance(custom, dict):
        return INVALID, "custom_data must be an object"
    return (
        user_problem(user)
        or source_problem(source, event, user)
        or custom_problem(event["event_name"], custom)
        or privacy_problem(event, user)
    )


def user_problem(user: Mapping[str, Any]) -> Problem | None:
    for field in (*HASHED, "external_id"):
        values = rules.as_list(user[field]) if field in user else None
        if values is None:
            continue
        if not values or not all(map(rules.is_text, values)):
            return NOT_HASHED, f"user_data.{field} must hold strings that are not empty"
        for value in values:
            digest = BUILT_DIGEST.fullmatch(value)
            if digest is None and field == "external_id":
                continue  # hashing is recommended here, not required
            if digest is None or digest[1] == rules.SHA256_OF_NOTHING:
                return NOT_HASHED, f"user_data.{field} is not hashed with SHA-256"
    for field in CLEAR:
        if field in user and not rules.is_text(user[field]):
            return INVALID, f"user_data.{field} must be a string that is not empty"
        if rules.looks_hashed(user.get(field)):
            return INVALID, f"user_data.{field} must not be hashed"
    address = user.get("client_ip_address", "0.0.0.0")
    if not isinstance(address, str) or not rules.is_ip_address(address):
        return INVALID, "user_data.client_ip_address is not an IP address"
    if "fbc" in user and not (isinstance(user["fbc"], str) and FBC.fullmatch(user["fbc"])):
        return BAD_FBC, "user_data.fbc is not of the form fb.1.<milliseconds>.<fbclid>"
    if "fbp" in user and not (isinstance(user["fbp"], str) and FBP.fullmatch(user["fbp"])):
        return INVALID, "user_data.fbp is not of the form fb.1.<milliseconds>.<number>"
    if "lead_id" in user and re.fullmatch(r"\d{15,17}", str(user["lead_id"])) is None:
        return INVALID, "user_data.lead_id must be a number of 15 to 17 digits"
    given = CUSTOMER.intersection(user)
    if any(given <= weak for weak in TOO_WEAK):
        return TOO_LITTLE, "There is not enough customer information to match the event"
    return None


def source_problem(source: str, event: Mapping[str, Any], user: Mapping[str, Any]) -> Problem | None:
    """What website and app events need beyond the rest."""
    if source == "website":
        if "client_user_agent" not in user:
            return INVALID, "website events need user_data.client_user_agent"
        if not event.get("event_source_url", "").startswith(("http://", "https://")):
            return INVALID, "website events need event_source_url"
    if source == "app":
        app = event.get("app_data")
        if not isinstance(app, dict):
            return INVALID, "app events need app_data"
        for field in ("advertiser_tracking_enabled", "application_tracking_enabled"):
            if not rules.is_integer(app.get(field)) or app[field] not in (0, 1):
                return INVALID, f"app_data.{field} must be 0 or 1"
        info = app.get("extinfo")
        if not isinstance(info, list) or len(info) != 16 or not all(isinstance(item, str) for item in info):
            return INVALID, "app_data.extinfo must be a list of 16 strings"
        if info[0] not in ("i2", "a2") or not info[4]:
            return INVALID, "app_data.extinfo needs the platform (i2 or a2) and the version of the system"
    return None


def custom_problem(name: str, custom: Mapping[str, Any]) -> Problem | None:
    if name == "Purchase" and ("value" not in custom or "currency" not in custom):
        return NO_VALUE, "Purchase events need custom_data.value and custom_data.currency"
    if "value" in custom and not rules.is_amount(custom["value"]):
        return NO_VALUE, "custom_data.value must be a number without a minus sign"
    if "currency" in custom and not rules.is_currency(custom["currency"]):
        return NO_VALUE, "custom_data.currency must be an ISO 4217 code in upper case"
    for field in ("order_id", "content_type", "search_string", "event_source", "lead_event_source",
                  "customer_segmentation"):  # fmt: skip
        if field in custom and not rules.is_text(custom[field]):
            return INVALID, f"custom_data.{field} must be a string that is not empty"
    if "num_items" in custom and not rules.is_integer(custom["num_items"]):
        return INVALID, "custom_data.num_items must be an integer"
    ids = custom.get("content_ids", [])
    if not isinstance(ids, list) or not all(map(rules.is_text, ids)):
        return INVALID, "custom_data.content_ids must be a list of strings"
    contents = custom.get("contents", [])
    if not isinstance(contents, list):
        return INVALID, "custom_data.contents must be a list"
    for item in contents:
        if not (isinstance(item, dict) and rules.is_text(item.get("id")) and rules.is_integer(item.get("quantity"))):
            return INVALID, "custom_data.contents needs id and quantity for each item"
        if "item_price" in item and not rules.is_number(item["item_price"]):
            return INVALID, "custom_data.contents.item_price must be a number"
    return None


def privacy_problem(event: Mapping[str, Any], user: Mapping[str, Any]) -> Problem | None:
    """Limited Data Use: the option, and then country and state, either known ones or 0 with an IP address."""
    options = event.get("data_processing_options", [])
    if not isinstance(options, list) or any(option != "LDU" for option in options):
        return INVALID, "data_processing_options must be a list that is empty or holds LDU"
    if not options:
        return None
    country, state = event.get("data_processing_options_country"), event.get("data_processing_options_state")
    if not rules.is_integer(country) or not rules.is_integer(state):
        return INVALID, "LDU needs data_processing_options_country and data_processing_options_state as integers"
    if country not in (0, 1) or state not in LDU_STATES or (country == 0 and state != 0):
        return INVALID, "data_processing_options_country or _state is not a documented value"
    if state == 0 and "client_ip_address" not in user:
        return INVALID, "LDU with country or state 0 needs user_data.client_ip_address"
    return None
