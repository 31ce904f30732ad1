"""Campaign Manager 360: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import hours, minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, object_of, objects, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

ACTIVITIES = {name: str(100 + n) for n, name in enumerate(EVENT_NAMES) if name not in ("refund", "custom")}
CONFIG = {
    "profile_id": "7654321",
    "floodlight_configuration_id": "8901234",
    "floodlight_activities": {**ACTIVITIES, "Demo Booked": "555"},
    "currency": "USD",
    "oauth_client_id": "cid.apps.googleusercontent.com",
    "oauth_client_secret": "GOCSPX-test",
    "oauth_refresh_token": "1//test-refresh",
}
MERCHANT = {"merchant_id": "123456789", "merchant_feed_label": "US", "merchant_feed_language": "en"}
MATCH = {"match_id_from": "anonymous_id"}
WEB = {"mode": "enhancements", **MATCH}
NAME_AT = "json.conversions[0].floodlightActivityId"
NAMES: dict[str, str | Reason] = {**ACTIVITIES, "refund": ACTIVITIES["purchase"], "custom": "555"}
MINIMAL = Reason.NO_IDENTIFIER

E = "json.conversions[0]"
URL = "https://dfareporting.googleapis.com/dfareporting/v5/userprofiles/7654321/conversions"
NAME: dict[str, Any] = {"first_name": " Jürgen ", "last_name": "O'Brien-Ñ", "postal_code": " 94105 "}
ADDRESS = {
    "hashedFirstName": sha("jürgen"),
    "hashedLastName": sha("o'brien-ñ"),
    "countryCode": "US",
    "postalCode": "94105",
}
CONTACT = [{"hashedEmail": DIGEST}, {"hashedPhoneNumber": sha("+14155552671")}]
MANY = [f"p{number}@x.com" for number in range(7)]
IDFA = "AEBE52E7-03EE-455A-B3C4-E57283966239"
APP: dict[str, Any] = {"action_source": "app", "click_ids": {}}


def clicks(**values: dict[str, Any]) -> dict[str, Any]:
    return {"click_ids": values}


def device(**members: str) -> dict[str, Any]:
    return {**APP, "device": {"advertising_id": IDFA, **members}}


CASES = [
    Case("where it goes", event(), {"url": f"{URL}/batchinsert", "json.kind": "dfareporting#conversionsBatchInsertRequest"}),
    Case("another version", event(), {"url": f"{URL.replace('v5', 'v6')}/batchinsert"}, {"api_version": "v6"}),
    Case("no activity for it", event("donate"), Reason.NOT_CONFIGURED, {"floodlight_activities": {"purchase": "1"}}),
    Case("no activity for an own event", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("numbers as text, and the value as a number", event(), {
        f"{E}.floodlightConfigurationId": "8901234", f"{E}.timestampMicros": "1790863200000000", f"{E}.quantity": "1",
        f"{E}.value": 149.97, f"{E}.ordinal": "ORD-1"}),
    Case("microseconds", event(event_time="2026-10-01T14:00:00.123456Z"), {f"{E}.timestampMicros": "1790863200123456"}),
    Case("the event's own id", event(transaction_id=""), {f"{E}.ordinal": "evt-1"}),
    # money
    Case("no value is none", event(value=None, currency=None), {f"{E}.value": 0}),
    Case("a value of nothing", event(value=0), {f"{E}.value": 0}),
    Case("another currency", event(currency="EUR"), Reason.INVALID_VALUE),
    Case("yen of an advertiser in Japan", event(value=12000, currency="JPY"), {f"{E}.value": 12000}, {"currency": "JPY"}),
    Case("dinars have three decimals", event(value="12.345", currency="KWD"), {f"{E}.value": 12.345}, {"currency": "KWD"}),
    # exactly one identifier
    Case("the click of a search ad", event(), {f"{E}.gclid": "click-gclid", f"{E}.dclid": GONE, f"{E}.matchId": GONE}, MATCH),
    Case("else of a display ad", event(**clicks(dclid=click("D-x"), gbraid=click("b"))), {f"{E}.dclid": "D-x",
         f"{E}.gclid": GONE}),
    Case("a click of 60 days before", event(**clicks(gclid=click("g", "2026-08-02T14:00:00Z"))), {f"{E}.gclid": "g"}),
    Case("and no older one", event(**clicks(gclid=click("g", "2026-08-02T13:59:59Z"), dclid=click("d"))), {f"{E}.dclid": "d",
         f"{E}.gclid": GONE}),
    Case("a click of unknown time", event(**clicks(gclid=click("g", None))), {f"{E}.gclid": "g"}),
    Case("an iPhone that may be tracked", event(**device(os="iOS", att_status="authorized")), {f"{E}.mobileDeviceId": IDFA}),
    Case("one that may not", event(**device(os="iOS", att_status="denied")), Reason.NO_IDENTIFIER),
    Case("an Android phone", event(**device(os="Android")), {f"{E}.mobileDeviceId": IDFA, f"{E}.matchId": GONE}, MATCH),
    Case("the cookie that the tag sends", event(click_ids={}), {f"{E}.matchId": "anon-9f2c"}, MATCH),
    Case("or the customer's id", event(click_ids={}), {f"{E}.matchId": "cust-42"}, {"match_id_from": "user_id"}),
    Case("an e-mail address is no match id", event(click_ids={}, user_id="jane@example.com"), Reason.NO_IDENTIFIER,
         {"match_id_from": "user_id"}),
    Case("no column for it", event(click_ids={}), Reason.NO_IDENTIFIER),
    Case("nobody", event(**NOBODY), Reason.NO_IDENTIFIER, MATCH),
    Case("no user identifiers with a new conversion", event(**NAME), {f"{E}.userIdentifiers": GONE}),
    # cart
    Case("no cart without a merchant", event(), {f"{E}.cartData": GONE}),
    Case("a cart", event(contents=[{"id": 7, "quantity": 2, "price": "9.5"}, {"id": "b"}, {"name": "no id"}]),
         {f"{E}.cartData": {"merchantId": "123456789", "merchantFeedLabel": "US", "merchantFeedLanguage": "en",
          "items": [{"itemId": "7", "quantity": 2, "unitPrice": 9.5}, {"itemId": "b", "quantity": 1}]}}, MERCHANT),
    Case("no cart of a view", event("view_item"), {f"{E}.cartData": GONE}, MERCHANT),
    # consent
    Case("no personalisation", event(consent_ad_personalization="denied"), {f"{E}.nonPersonalizedAd": True,
         f"{E}.adUserDataConsent": "GRANTED", f"{E}.limitAdTracking": GONE}),
    Case("personalisation", event(consent_ad_personalization="granted"), {f"{E}.nonPersonalizedAd": False}),
    Case("nobody asked", event(consent_ad_storage=None, consent_ad_user_data=None),
         {f"{E}.nonPersonalizedAd": GONE, f"{E}.adUserDataConsent": GONE}),
    Case("opted out of sale", event(opt_out_of_sale=True, consent_ad_personalization="granted"),
         {f"{E}.limitAdTracking": True, f"{E}.nonPersonalizedAd": True}),
    # refunds
    Case("a refund restates its conversion", event("refund"), {"url": f"{URL}/batchupdate",
        "json.kind": "dfareporting#conversionsBatchUpdateRequest", E: {
            "kind": "dfareporting#conversion", "floodlightActivityId": ACTIVITIES["purchase"],
            "floodlightConfigurationId": "8901234", "ordinal": "ORD-1", "timestampMicros": "1790784000000000",
            "gclid": "click-gclid", "quantity": "1", "value": 100}}, MERCHANT),
    Case("a whole refund", event("refund", remaining_value=0), {f"{E}.quantity": "0", f"{E}.value": 0}),
    Case("a conversion without an order went under its own id", event("refund", transaction_id=None), {f"{E}.ordinal": "evt-0"}),
    Case("of another event", event("refund", properties={"original_event_name": "subscribe"}),
         {NAME_AT: ACTIVITIES["subscribe"]}),
    Case("of an event without an activity", event("refund"), Reason.NOT_CONFIGURED, {"floodlight_activities": {"donate": "1"}}),
    Case("of somebody who opted out", event("refund", opt_out_of_sale=True), Reason.OPTED_OUT),
    Case("the click was in time for the conversion", event("refund", original_event_time="2026-09-10T00:00:00Z",
         **clicks(gclid=click("g", "2026-07-20T00:00:00Z"))), {f"{E}.gclid": "g"}),
    # enhancements
    Case("an enhancement", event(city=" Köln ", region="NW", street_address=" Domplatz 1 ", **NAME), {"url": f"{URL}/batchupdate",
         E: {"kind": "dfareporting#conversion", "floodlightActivityId": ACTIVITIES["purchase"],
             "floodlightConfigurationId": "8901234", "ordinal": "ORD-1", "timestampMicros": "1790863200000000",
             "matchId": "anon-9f2c", "quantity": "1", "value": 149.97, "userIdentifiers": [*CONTACT, {"addressInfo": {
                 **ADDRESS, "city": "Köln", "state": "NW", "hashedStreetAddress": sha("domplatz 1")}}]}}, {**WEB, **MERCHANT}),
    Case("five identifiers", event(emails=MANY, **NAME),
         {f"{E}.userIdentifiers": [{"hashedEmail": sha(address)} for address in MANY[:5]]}, WEB),
    *(Case(f"an address without {part}", event(**{**NAME, part: None}), {f"{E}.userIdentifiers": CONTACT}, WEB) for part in NAME),
    Case("no match id", event(anonymous_id=None), Reason.NO_IDENTIFIER, WEB),
    Case("nothing to add", event(emails=[], phones=[]), Reason.NO_IDENTIFIER, WEB),
    Case("only what the tag recorded", event(action_source="app"), Reason.UNSUPPORTED_EVENT, WEB),
    Case("by its order", event(transaction_id=None), Reason.MISSING_FIELD, WEB),
    Case("a refund is no enhancement", event("refund"), Reason.UNSUPPORTED_EVENT, WEB),
    Case("no enhancement of somebody who opted out", event(opt_out_of_sale=True), Reason.OPTED_OUT, WEB),
    Case("within a day", event(event_time="2026-09-30T16:00:00Z"), {f"{E}.ordinal": "ORD-1"}, WEB),
    Case("and no later", event(event_time="2026-09-30T15:59:59Z"), Reason.TOO_OLD, WEB),
]  # fmt: skip

# --- answers --------------------------------------------------------------------------------------------------------


def good(**more: Any) -> dict[str, Any]:
    return {"kind": "dfareporting#conversionStatus", "conversion": {"ordinal": "ORD-1", "gclid": "g"}, **more}


def bad(*codes: Any) -> dict[str, Any]:
    return good(errors=[{"kind": "dfareporting#conversionError", "code": code, "message": "words"} for code in codes])


def rows(*statuses: Any, **more: Any) -> Response:
    failed = any(isinstance(status, dict) and "errors" in status for status in statuses)
    kind = "dfareporting#conversionsBatchInsertResponse"
    return answer(200, {"kind": kind, "hasFailures": failed, "status": list(statuses), **more})


def refusal(status: int, reason: str = "", name: str = "") -> Response:
    errors = [{"message": "words", "domain": "usageLimits", "reason": reason}] if reason else []
    return answer(status, {"error": {"code": status, "message": "words", "errors": errors, "status": name}})


def says(response: Response, count: int) -> Said:
    """200 with a status for each conversion: taken if it has no error; blamed for INVALID_ARGUMENT, and for NOT_FOUND where
    that has lasted. A 400 with code 400 refuses the request."""
    body = object_of(response.body)
    error = body.get("error")
    if response.status == 400 and isinstance(error, dict) and whole(error.get("code")) and error["code"] == 400:
        return Said(refused=True)
    statuses = body.get("status")
    if response.status != 200 or "error" in body or not objects(statuses) or len(statuses) != count:
        return NOTHING
    taken, blamed = set(), set()
    for row, status in enumerate(statuses):
        errors = status.get("errors", [])
        if not objects(errors) or not all(isinstance(e.get("code"), str) and e["code"] for e in errors):
            return NOTHING
        if errors:
            blamed |= {row} & ({row} if any(e["code"] in ("INVALID_ARGUMENT", "NOT_FOUND") for e in errors) else set())
        elif isinstance(status.get("conversion"), dict) and status["conversion"]:
            taken.add(row)
        else:
            return NOTHING
    failures = body.get("hasFailures", False)
    if not isinstance(failures, bool) or (failures and len(taken) == count):
        return NOTHING
    return Said(frozenset(taken), frozenset(blamed))


def successes(count: int) -> list[Response]:
    return [
        rows(*[good()] * count),
        answer(200, {"status": [good()] * count}),
        rows(*[good(errors=[])] * count, hasFailures=False),
    ]


def lasting(title: str, age: str, outcome: Any, code: str = "NOT_FOUND") -> Answer:
    """An answer of 16:00 about a conversion of this time."""
    sent = [{"timestampMicros": f"17908{age}000000"}]
    response = replace(rows(bad(code)), headers={"date": "Thu, 01 Oct 2026 16:00:00 GMT"}, sent=sent)
    return Answer(title, response, Kind.SETTLED, 1, [outcome])


OK, BAD = State.ACCEPTED, (State.REJECTED, "INVALID_ARGUMENT")
SOON = (State.RETRY, "NOT_FOUND", hours(1))
ANSWERS = [
    Answer("success", rows(good(), good()), Kind.SETTLED, outcomes=[OK, OK]),
    Answer("one is refused", rows(good(), bad("INVALID_ARGUMENT")), Kind.SETTLED, outcomes=[OK, BAD]),
    Answer("it counts, whatever hasFailures says", rows(good(), bad("INVALID_ARGUMENT"), hasFailures=False), Kind.SETTLED,
           outcomes=[OK, BAD]),
    Answer("one is not known yet", rows(bad("NOT_FOUND"), good()), Kind.SETTLED, outcomes=[SOON, OK]),
    lasting("a conversion of six hours ago is not known yet", "48800", SOON),
    lasting("a conversion of more than six hours ago never will be", "48799", (State.REJECTED, "NOT_FOUND")),
    lasting("a wrong one is wrong at any age", "60000", BAD, "INVALID_ARGUMENT"),
    Answer("an internal error of one", rows(bad("INTERNAL"), good()), Kind.SETTLED,
           outcomes=[(State.RETRY, "INTERNAL", None), OK]),
    Answer("a code of tomorrow", rows(bad("SLEEPY"), good()), Kind.SETTLED, outcomes=[(State.RETRY, "SLEEPY", None), OK]),
    Answer("no access to one activity", rows(bad("PERMISSION_DENIED"), good()), Kind.SETTLED,
           outcomes=[(State.RETRY, "PERMISSION_DENIED", None), OK]),
    Answer("no access to any", rows(bad("PERMISSION_DENIED"), bad("PERMISSION_DENIED")), Kind.CONFIGURATION,
           code="PERMISSION_DENIED", words="words"),
    Answer("two errors of one", rows(bad("INTERNAL", "INVALID_ARGUMENT"), bad("NOT_FOUND", "PERMISSION_DENIED")), Kind.SETTLED,
           outcomes=[BAD, (State.RETRY, "PERMISSION_DENIED", None)]),
    *(
        Answer(title, response, Kind.TRANSIENT, maybe_stored=True)
        for title, response in (
            ("a status less", rows(good())),
            ("a status more", rows(good(), good(), good())),
            ("a status of another kind", rows(good(), "ok")),
            ("no statuses", answer(200, {"kind": "dfareporting#conversionsBatchInsertResponse", "hasFailures": False})),
            ("a status without its conversion", rows(good(), {"kind": "dfareporting#conversionStatus"})),
            ("errors of another kind", rows(good(), good(errors="NOT_FOUND"))),
            ("an error without a code", rows(good(), bad(None))),
            ("a failure that no row has", rows(good(), good(), hasFailures=True)),
            ("failures of another kind", rows(good(), good(), hasFailures="no")),
            ("statuses and an error", rows(good(), good(), error={"code": 13})),
            ("success in a 500", answer(500, {"status": [good(), good()]})),
            ("HTML", answer(200, HTML)),
            ("a gateway's page", answer(502, HTML)),
            ("404 in HTML", answer(404, HTML)),
            ("a 400 that is not Google's", answer(400, {"error": {"code": "400"}})),
        )
    ),
    Answer("an unknown field, or too many", refusal(400, "badRequest"), Kind.REFUSED, code="badRequest"),
    Answer("401", refusal(401, "authError"), Kind.AUTH, code="authError"),
    *(Answer(f"403 {reason}", refusal(403, reason), Kind.CONFIGURATION, code=reason)
      for reason in ("accessNotConfigured", "insufficientPermissions", "forbidden")),
    *(Answer(f"403 {reason} is no matter of permission", refusal(403, reason), Kind.RATE_LIMITED, code=reason)
      for reason in ("rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded")),
    Answer("403 without a reason", refusal(403, name="PERMISSION_DENIED"), Kind.AUTH, code="PERMISSION_DENIED"),
    Answer("429", refusal(429, "rateLimitExceeded"), Kind.RATE_LIMITED),
    Answer("429 with its wait", replace(refusal(429, "rateLimitExceeded"), headers={"retry-after": "60"}), Kind.RATE_LIMITED,
           wait=minutes(1)),
    *(Answer(f"{status}", refusal(status, "backendError"), Kind.TRANSIENT, code="backendError", maybe_stored=True)
      for status in (500, 502, 503, 504)),
    Answer("404 in its words", refusal(404, "notFound"), Kind.CONFIGURATION),
]  # fmt: skip


def refusing(code: str) -> dict[str, Any]:
    return {"kind": "reject_event", "match": '"ordinal":"3"', "code": code}


AT_SANDBOX = [
    Struck("a conversion that is refused", [refusing("INVALID_ARGUMENT")], {State.REJECTED: 1}, "INVALID_ARGUMENT"),
    Struck("a click that is not known yet", [refusing("NOT_FOUND")], {State.RETRY: 1}, "NOT_FOUND"),
    Struck("an internal error of one", [refusing("INTERNAL")], {State.RETRY: 1}, "INTERNAL"),
    Struck("no access to an activity", want={State.RETRY: 12}, code="PERMISSION_DENIED", failed=True,
           account={"floodlight_activities": {"purchase": "99999"}}),
    Struck("an activity that is none", want={State.REJECTED: 12}, code="INVALID_ARGUMENT",
           account={"floodlight_activities": {"purchase": "42"}}),
    Struck("another profile", want={State.RETRY: 12}, code="forbidden", failed=True, account={"profile_id": "1"}),
    Struck("another currency", want={State.WITHHELD: 12}, code="invalid_value", account={"currency": "USD"}),
    Struck("a quota in a 403", [{"kind": "rate_limit", "status": 403, "code": "userRateLimitExceeded", "times": 1}]),
    Struck("an expired token", [{"kind": "expired_token"}]),
    Struck("enhancements of the tag's conversions", account={"mode": "enhancements"}),
]  # fmt: skip
