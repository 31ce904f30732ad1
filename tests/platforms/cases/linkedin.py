"""LinkedIn Conversions API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

import re
from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NO_EVENT, NOTHING, Said, object_of, objects, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

RULES = {name: str(104000 + number) for number, name in enumerate(EVENT_NAMES) if name != "custom"}
CONFIG = {"access_token": "LI-TOKEN", "api_version": "202609", "conversions": {**RULES, "Demo Booked": "104999"}}
APP = {"access_token": None, "client_id": "86app", "client_secret": "LI-SECRET", "refresh_token": "LI-REFRESH"}
URN = "urn:lla:llaPartnerConversion:"
NAME_AT = "json.elements[0].conversion"
NAMES: dict[str, str | Reason] = {
    **{name: URN + rule for name, rule in RULES.items()}, "custom": f"{URN}104999", "refund": Reason.UNSUPPORTED_EVENT
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER
CLEAR = ("cust-42",)  # externalIds

E = "json.elements[0]"
U = f"{E}.user"
MAIL = {"idType": "SHA256_EMAIL", "idValue": DIGEST}
CLICK = {"idType": "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", "idValue": "click-li_fat_id"}
ADDRESS = {"idType": "PLAINTEXT_IP_ADDRESS", "idValue": "203.0.113.7"}
ANDROID = {"os": "Android", "advertising_id": "CDDA802E-fb9c-47ad-9866-0794d394c912"}
NAMED = {"first_name": " Jürgen ", "last_name": "MÜLLER-Lüdenscheidt"}


def only(**known: Any) -> dict[str, Any]:
    return event(**{**NOBODY, "country": "US", **known})


CASES = [
    Case("everything", event(), {
        "method": "POST", "url": "https://api.linkedin.com/rest/conversionEvents", "params": {},
        "headers": {"Authorization": "Bearer LI-TOKEN", "Content-Type": "application/json", "LinkedIn-Version": "202609",
                    "X-Restli-Protocol-Version": "2.0.0", "X-RestLi-Method": "BATCH_CREATE"},
        "json": {"elements": [{
            "conversion": URN + RULES["purchase"], "conversionHappenedAt": 1790863200000,
            "conversionValue": {"currencyCode": "USD", "amount": "149.97"}, "eventId": "evt-1",
            "user": {"userIds": [MAIL, CLICK, ADDRESS], "externalIds": ["cust-42"]}}]}}),
    Case("no conversion rule configured", event("donate"), Reason.NOT_CONFIGURED, {"conversions": {"purchase": "1"}}),
    Case("an own event without one", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("milliseconds are kept, and cut there", event(event_time="2026-10-01T13:59:59.9999Z"),
         {f"{E}.conversionHappenedAt": 1790863199999}),
    *(
        Case(f"{value} {currency}", event(value=value, currency=currency),
             {f"{E}.conversionValue": {"currencyCode": currency, "amount": text}})
        for value, currency, text in (
            (12000, "JPY", "12000"), ("12.345", "KWD", "12.345"), ("149.9000", "USD", "149.9"), (0, "EUR", "0"),
            ("0.0001", "EUR", "0.0001"), ("12345678901234.5", "EUR", "12345678901234.5"),
        )
    ),
    Case("no value", event(value=None, currency=None), {f"{E}.conversionValue": GONE}),
    # the person
    Case("the best valid e-mail, as it is written", event(emails=["nobody", " B.b+1@Gmail.com", "a@x.com"]),
         {f"{U}.userIds": [{**MAIL, "idValue": sha("b.b+1@gmail.com")}, CLICK, ADDRESS]}),
    Case("already hashed", event(emails=[DIGEST.upper()]), {f"{U}.userIds[0]": MAIL}),
    Case("IPv6 is left out", event(ip_address="2001:db8::1"), {f"{U}.userIds": [MAIL, CLICK]}),
    Case("an Android phone", event(device=ANDROID, ip_address=None),
         {f"{U}.userIds": [MAIL, CLICK, {"idType": "GOOGLE_AID", "idValue": ANDROID["advertising_id"]}]}),
    Case("an iPhone's id is not Google's", event(device={**ANDROID, "os": "iOS"}), {f"{U}.userIds": [MAIL, CLICK, ADDRESS]}),
    Case("tracking limited", only(device={**ANDROID, "advertising_id": "00000000-0000"}), Reason.NO_IDENTIFIER),
    Case("both names, hashed, with the country", event(**NAMED, country="DE"),
         {f"{U}.userInfo": {"hashedFirstName": sha("jürgen"), "hashedLastName": sha("müllerlüdenscheidt"), "countryCode": "DE"}}),
    Case("both names without a country", event(**NAMED, country=None), {f"{U}.userInfo.countryCode": GONE}),
    Case("one name is none", event(first_name="Jane"), {f"{U}.userInfo": GONE}),
    Case("names alone", only(**NAMED), {f"{U}.userIds": [], f"{U}.userInfo.hashedFirstName": sha("jürgen")}),
    Case("no names in an older version", only(**NAMED), Reason.NO_IDENTIFIER, {"api_version": "202608"}),
    Case("the version is a header", event(**NAMED), {"headers": {
        "Authorization": "Bearer LI-TOKEN", "Content-Type": "application/json", "LinkedIn-Version": "202604",
        "X-Restli-Protocol-Version": "2.0.0", "X-RestLi-Method": "BATCH_CREATE"}, f"{U}.userInfo": GONE},
         {"api_version": "202604"}),
    Case("the list of ids is there when it is empty", only(user_id=" CUST-0099 "),
         {U: {"userIds": [], "externalIds": ["CUST-0099"]}}),
    Case("an e-mail address is no own id", only(user_id="jane.doe@example.com"), Reason.NO_IDENTIFIER),
    Case("a lead of LinkedIn's form", only(click_ids={"li_lead_id": click("a-1")}),
         {U: {"userIds": [], "lead": "urn:li:leadGenFormResponse:a-1"}}),
    Case("a click alone", only(click_ids={"li_fat_id": click("Ab-1")}), {f"{U}.userIds": [{**CLICK, "idValue": "Ab-1"}]}),
    Case("an address alone", only(ip_address=" 203.0.113.7 "), {f"{U}.userIds": [ADDRESS]}),
    Case("a phone is no identifier", only(phones=["+14155552671"], user_agent="UA", anonymous_id="a"), Reason.NO_IDENTIFIER),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: URN + RULES["purchase"]}),
    Case("an own app has no token yet", event(), {"headers": {
        "Authorization": "Bearer ACCESS-TOKEN", "Content-Type": "application/json", "LinkedIn-Version": "202609",
        "X-Restli-Protocol-Version": "2.0.0", "X-RestLi-Method": "BATCH_CREATE"}}, APP),
]  # fmt: skip


def elements(*statuses: Any, status: int = 200) -> Response:
    return answer(status, {"elements": [{"status": one} for one in statuses]})


def refusal(status: int, message: Any = "words", **more: Any) -> Response:
    return answer(status, {"message": message, "status": status, **more})


def own_words(response: Response) -> dict[str, Any]:
    """An error's body, if it is of LinkedIn's form."""
    body = object_of(response.body)
    return body if body.get("status") == response.status and isinstance(body.get("message"), str) else {}


def is_clear_failure(response: Response) -> bool:
    """The dossier: "resend only when there was a clear error answer"."""
    return 500 <= response.status <= 599 and bool(own_words(response))


def says(response: Response, count: int) -> Said:
    """200 `{"elements": [{"status": 201}, ...]}` says it of each; 400 and 422 refuse the batch, mostly with an index."""
    if response.status == 200:
        found = object_of(response.body).get("elements")
        if not objects(found) or len(found) != count:
            return NOTHING
        statuses = [element.get("status") for element in found]
        if not all(whole(status) and (status == 201 or 400 <= status <= 599) for status in statuses):
            return NOTHING
        taken = {index for index, status in enumerate(statuses) if status == 201}
        blamed = {index for index, status in enumerate(statuses) if 400 <= status <= 499 and status != 429}
        return Said(frozenset(taken), frozenset(blamed))
    body = own_words(response)
    if response.status not in (400, 422) or not body or body.get("code") == "VERSION_MISSING":
        return NOTHING
    words = body["message"]
    named = [
        number.strip()
        for group in re.findall(r"\bindices \[([0-9, ]+)\]", words)
        for number in re.split("[, ]+", group)
    ]
    named += re.findall(r"\bbatchIndex=([0-9]+)", words) + re.findall(r"\bIndex: ([0-9]+), ERROR ::", words)
    named = [number for number in named if number]
    there = {str(position) for position in range(count)}
    return Said(blamed=frozenset(map(int, named)) if set(named) <= there else NO_EVENT, refused=True)


def successes(count: int) -> list[Response]:
    return [elements(*[201] * count)]


OK = State.ACCEPTED
TIME = (
    "Validation failed because [{field=conversionHappenedAt, batchIndex=1, type=INVALID_CONVERSION_TIME_FIELD_VALUE}]"
)
SCHEMA = "Input field validation failure\nIndex: 0, ERROR :: /user/userIds :: field is required but not found"
ANSWERS = [
    Answer("success", elements(201, 201), Kind.SETTLED, outcomes=[OK, OK]),
    Answer("a bad element", elements(201, 400), Kind.SETTLED, outcomes=[OK, (State.REJECTED, "http_400")]),
    Answer("an element that failed there", elements(503, 201), Kind.SETTLED, outcomes=[(State.RETRY, "http_503"), OK]),
    Answer("an element too many", elements(201, 429), Kind.SETTLED, outcomes=[OK, (State.RETRY, "http_429", minutes(1))]),
    *(Answer(f"an element's status {s!r}", elements(201, s), Kind.TRANSIENT, maybe_stored=True)
      for s in (200, "201", None, True, 302, 600)),
    Answer("an element less", elements(201), Kind.TRANSIENT, maybe_stored=True),
    Answer("no elements", answer(200, {}), Kind.TRANSIENT, maybe_stored=True),
    Answer("the single form's success", answer(201), Kind.TRANSIENT, maybe_stored=True),
    Answer("a time out of range", refusal(400, TIME), Kind.REFUSED, culprits={1: "http_400"}),
    Answer("indices", refusal(400, "Invalid email at indices [0, 1] (0-indexed)."), Kind.REFUSED,
           culprits={0: "http_400", 1: "http_400"}),
    Answer("the schema", refusal(422, SCHEMA), Kind.REFUSED, culprits={0: "http_422"}),
    Answer("two lines", refusal(422, SCHEMA + "\nIndex: 1, ERROR :: /conversion :: no URN"), Kind.REFUSED,
           culprits={0: "http_422", 1: "http_422"}),
    Answer("of an event that was not sent", refusal(422, "Index: 7, ERROR :: /conversion :: no URN"), Kind.REFUSED),
    Answer("without an index", refusal(422, "/elements :: is not an array"), Kind.REFUSED, code="http_422"),
    Answer("a disabled rule", refusal(400, "Conversion rule is disabled"), Kind.REFUSED, code="http_400"),
    Answer("a page for a 400", answer(400, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("no version", refusal(400, code="VERSION_MISSING"), Kind.CONFIGURATION, code="VERSION_MISSING"),
    *(Answer(code, refusal(401, code=code, serviceErrorCode=65601), Kind.AUTH, code=code)
      for code in ("REVOKED_ACCESS_TOKEN", "EXPIRED_ACCESS_TOKEN")),
    Answer("no ad accounts", refusal(403, "No ad accounts found"), Kind.CONFIGURATION,
           words="No ad accounts found (rules 1, 2)", config={"conversions": {"purchase": "1", "sign_up": "2"}}),
    Answer("a wrong path", refusal(404), Kind.CONFIGURATION, code="http_404"),
    Answer("a version that ended", refusal(426, code="NONEXISTENT_VERSION"), Kind.CONFIGURATION, code="NONEXISTENT_VERSION"),
    Answer("too many requests", refusal(429), Kind.RATE_LIMITED, wait=minutes(1)),
    Answer("too many requests with a hint", answer(429, HTML, retry_after="600"), Kind.RATE_LIMITED, wait=minutes(10)),
    *(Answer(f"{s} in LinkedIn's words", refusal(s), Kind.TRANSIENT, code=f"http_{s}") for s in (500, 502, 503, 504)),
    Answer("a gateway's page", answer(502, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("words about another status", answer(500, {"message": "words", "status": 400}), Kind.TRANSIENT, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
]  # fmt: skip

WITHOUT_TOKEN = {
    "access_token": None, "client_id": "86sandboxapp00", "client_secret": "sandbox-linkedin-secret",
    "refresh_token": "sandbox-linkedin-refresh",
}  # fmt: skip
AT_SANDBOX = [
    Struck("a bad event is named by its index", [{"kind": "reject_event", "match": "order-00007"}], {State.REJECTED: 1},
           "http_422"),
    Struck("in the other words", [{"kind": "reject_event", "match": "order-00007", "code": 400}], {State.REJECTED: 1},
           "http_400"),
    Struck("without an index it is found by halving", [{"kind": "reject_event", "match": "order-00007", "code": "NO_INDEX"}],
           {State.REJECTED: 1}, "http_400"),
    Struck("an own app refreshes its token", account=WITHOUT_TOKEN),
    Struck("an expired token is renewed, and the rest goes", [{"kind": "expired_token", "path": "conversionEvents", "times": 1}],
           account={**WITHOUT_TOKEN, "access_token": "sandbox-linkedin-token"}),
    Struck("an expired token without an app", [{"kind": "expired_token"}], {State.RETRY: 12}, "EXPIRED_ACCESS_TOKEN",
           failed=True),
    Struck("a rule that does not exist", want={State.RETRY: 12}, code="http_403", failed=True,
           account={"conversions": {"purchase": "999"}}),
    Struck("a version that ended", want={State.RETRY: 12}, code="NONEXISTENT_VERSION", failed=True,
           account={"api_version": "202409"}),
    Struck("their server, said clearly: sent again", [{"kind": "server_error", "times": 1}]),
    Struck("their gateway's page: held", [{"kind": "server_error", "times": 1, "html": True}], {State.HELD: 12},
           "unknown_without_deduplication"),
]  # fmt: skip
