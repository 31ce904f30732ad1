"""Google Data Manager API: what the golden requests leave out, and every documented answer, also the later ones."""

from __future__ import annotations

import re
from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import hours, minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NO_EVENT, NOTHING, Said, every, object_of, objects, trace, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, answer, click, event, sha

ACTIONS = {name: str(100 + number) for number, name in enumerate(EVENT_NAMES) if name not in ("refund", "custom")}
CONFIG = {
    "operating_account_id": "1234567890",
    "oauth_client_id": "cid.apps.googleusercontent.com",
    "oauth_client_secret": "GOCSPX-test",
    "oauth_refresh_token": "1//test-refresh",
    "conversion_actions": {**ACTIONS, "Demo Booked": "555"},
}
MERCHANT = {"merchant_id": "123456789", "merchant_feed_label": "US", "merchant_feed_language": "en"}
NAME_AT = "json.destinations[0].productDestinationId"
TESTING = {"validate_only": True}
NAMES: dict[str, str | Reason] = {**ACTIONS, "refund": ACTIONS["purchase"], "custom": "555"}
MINIMAL = Reason.NO_IDENTIFIER

E = "json.events[0]"
IDS, D, C = f"{E}.userData.userIdentifiers", f"{E}.eventDeviceInfo", f"{E}.cartData"
NAME = {"first_name": " Mr. Jürgen", "last_name": "O'Brien-Ñ Jr.", "postal_code": " 94105-1234 "}
ADDRESS = {"givenName": sha("jürgen"), "familyName": sha("o'brien-ñ"), "regionCode": "US", "postalCode": "94105-1234"}
MANY = [f"p{number}@x.com" for number in range(12)]
CONTACT = [{"emailAddress": DIGEST}, {"phoneNumber": sha("+14155552671")}]


def clicks(**values: dict[str, Any]) -> dict[str, Any]:
    return {"click_ids": values}


CASES = [
    Case("the destination", event(), {
        "json.destinations": [{"operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                               "productDestinationId": ACTIONS["purchase"]}],
        "json.encoding": "HEX", "json.validateOnly": GONE}),
    Case("through a manager, charged to a project", event(),
         {"json.destinations[0].loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9998887777"},
          "headers.x-goog-user-project": "my-gcp-project"},
         {"login_account_id": "9998887777", "quota_project": "my-gcp-project"}),
    Case("a check only", event(), {"json.validateOnly": True}, {"validate_only": True}),
    Case("no action for it", event("donate"), Reason.NOT_CONFIGURED, {"conversion_actions": {"purchase": "1"}}),
    Case("no action for an own event", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    # times and money
    Case("whole seconds", event(event_time="2026-10-01T14:00:00+02:00"), {f"{E}.eventTimestamp": "2026-10-01T12:00:00Z"}),
    Case("milliseconds", event(event_time="2026-10-01T12:00:00.75Z"), {f"{E}.eventTimestamp": "2026-10-01T12:00:00.750Z"}),
    Case("microseconds", event(event_time="2026-10-01T12:00:00.750001Z"), {f"{E}.eventTimestamp": "2026-10-01T12:00:00.750001Z"}),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{E}.conversionValue": 12000, f"{E}.currency": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{E}.conversionValue": 12.345, f"{E}.currency": "KWD"}),
    Case("a value of nothing is a value", event(value=0), {f"{E}.conversionValue": 0}),
    Case("no value", event(value=None, currency=None), {f"{E}.conversionValue": GONE, f"{E}.currency": GONE}),
    Case("the order's id", event(), {f"{E}.transactionId": "ORD-1"}),
    Case("else the event's", event(transaction_id=""), {f"{E}.transactionId": "evt-1"}),
    Case("64 characters of it", event(transaction_id="x" * 64), {f"{E}.transactionId": "x" * 64}),
    Case("and no more", event(transaction_id="x" * 65), Reason.INVALID_VALUE),
    *(
        Case(f"{source} is {wire}", event(action_source=source), {f"{E}.eventSource": wire})
        for source, wire in {
            "website": "WEB", "app": "APP", "physical_store": "IN_STORE", "phone_call": "PHONE", "chat": "MESSAGE",
            "email": "OTHER", "system_generated": "OTHER", "other": "OTHER",
        }.items()
    ),
    # the person
    Case("every e-mail and phone, then the address", event(emails=["J.a.n.e+1@gmail.com", "nobody", "a@x.com"], **NAME),
         {IDS: [{"emailAddress": sha("jane@gmail.com")}, {"emailAddress": sha("a@x.com")}, CONTACT[1], {"address": ADDRESS}]}),
    Case("ten at most", event(emails=MANY), {IDS: [{"emailAddress": sha(address)} for address in MANY[:10]]}),
    Case("the address among them", event(emails=MANY, **NAME),
         {IDS: [*({"emailAddress": sha(address)} for address in MANY[:9]), {"address": ADDRESS}]}),
    *(Case(f"an address without {part}", event(**{**NAME, part: None}), {IDS: CONTACT}) for part in NAME),
    Case("an address without a country", event(**NAME, **{**NOBODY, "click_ids": {"gclid": click("c")}}), {IDS: GONE}),
    Case("a US code that is none", event(**{**NAME, "postal_code": "2138"}), {IDS: CONTACT}),
    Case("already hashed names", event(**{**NAME, "first_name": DIGEST, "last_name": DIGEST}),
         {f"{IDS}[2].address": {**ADDRESS, "givenName": DIGEST, "familyName": DIGEST}}),
    Case("a hashed postal code cannot be sent", event(**{**NAME, "postal_code": DIGEST}), {IDS: CONTACT}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[" "]), {IDS: GONE}),
    # clicks
    Case("one click id", event(**clicks(wbraid=click("w"), gbraid=click("b"), gclid=click("g"))),
         {f"{E}.adIdentifiers": {"gclid": "g"}}),
    Case("else gbraid", event(**clicks(wbraid=click("w"), gbraid=click("b"))), {f"{E}.adIdentifiers": {"gbraid": "b"}}),
    Case("else wbraid", event(**clicks(wbraid=click("W-x"))), {f"{E}.adIdentifiers": {"wbraid": "W-x"}}),
    Case("dclid is Floodlight's", event(**clicks(dclid=click("d"))), {f"{E}.adIdentifiers": GONE}),
    Case("a click of more than 90 days before", event(**clicks(gclid=click("g", "2026-07-02T00:00:00Z"))),
         {f"{E}.adIdentifiers": GONE}),
    Case("63 days without a click", event(event_time="2026-07-30T16:00:00Z", click_ids={}), {NAME_AT: ACTIONS["purchase"]}),
    Case("and no more", event(event_time="2026-07-30T15:59:59Z", click_ids={}), Reason.TOO_OLD),
    Case("90 with one", event(event_time="2026-07-03T16:00:00Z", **clicks(gclid=click("g", None))),
         {NAME_AT: ACTIONS["purchase"]}),
    # minimum, device
    Case("nobody", event(**NOBODY), Reason.NO_IDENTIFIER),
    Case("an address of the network in the United States", event(**{**NOBODY, "ip_address": "203.0.113.7", "country": "US"}),
         {D: {"ipAddress": "203.0.113.7"}}),
    *(
        Case(f"none of {place}", event(**{**NOBODY, "ip_address": "203.0.113.7", **place}), Reason.NO_IDENTIFIER)
        for place in ({"country": "DE"}, {"country": "GB"}, {"country": "CH"}, {"country": None},
                      {"country": "US", "privacy_country": "FR"})
    ),
    Case("the device", event(device={"os": "iOS", "os_version": 18.5, "model": "iPhone15,2", "language": "en-US",
         "screen_width": 390, "screen_height": "844"}),
         {D: {"userAgent": "Mozilla/5.0", "ipAddress": "203.0.113.7", "languageCode": "en-US", "operatingSystem": "iOS",
              "operatingSystemVersion": "18.5", "model": "iPhone15,2", "screenWidth": 390, "screenHeight": 844}}),
    # cart and customer
    Case("no cart without a merchant", event(), {C: GONE}),
    Case("a cart", event(coupon="AUTUMN", contents=[{"id": 7, "quantity": 2, "price": "9.5"}, {"id": "b"}, {"name": "no id"}]),
         {C: {"merchantId": "123456789", "merchantFeedLabel": "US", "merchantFeedLanguageCode": "en", "couponCodes": ["AUTUMN"],
              "items": [{"merchantProductId": "7", "quantity": "2", "unitPrice": 9.5}, {"merchantProductId": "b",
                   "quantity": "1"}]}},
         MERCHANT),
    Case("no cart with gbraid", event(**clicks(gbraid=click("b"))), {C: GONE}, MERCHANT),
    Case("no cart of a view", event("view_item"), {C: GONE}, MERCHANT),
    Case("a returning customer", event(customer_type="returning"), {f"{E}.userProperties.customerType": "RETURNING"}),
    Case("a new one", event(customer_type="new"), {f"{E}.userProperties.customerType": "NEW"}),
    # consent
    Case("consent", event(consent_ad_personalization="denied"),
         {f"{E}.consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_DENIED"}}),
    Case("nobody asked", event(consent_ad_storage=None, consent_ad_user_data=None), {f"{E}.consent": GONE}),
    # refunds
    Case("a refund restates its conversion", event("refund"),
         {f"{E}.transactionId": "ORD-1", f"{E}.conversionValue": 100, f"{E}.eventTimestamp": "2026-09-30T16:00:00Z",
              C: GONE}, MERCHANT),
    Case("a conversion without an order went under its own id", event("refund", transaction_id=None),
         {f"{E}.transactionId": "evt-0"}),
    Case("a whole refund leaves nothing", event("refund", remaining_value=0), {f"{E}.conversionValue": 0}),
    Case("of another event", event("refund", properties={"original_event_name": "subscribe"}), {NAME_AT: ACTIONS["subscribe"]}),
    Case("of an event without an action", event("refund"), Reason.NOT_CONFIGURED, {"conversion_actions": {"donate": "1"}}),
    Case("a refund by the network's address", event("refund", **{**NOBODY, "ip_address": "203.0.113.7", "country": "US"}),
         {D: {"ipAddress": "203.0.113.7"}}),
    Case("the click was in time for the conversion", event("refund", original_event_time="2026-08-01T00:00:00Z",
         **clicks(gclid=click("g", "2026-06-01T00:00:00Z"))), {f"{E}.adIdentifiers": {"gclid": "g"}}),
]  # fmt: skip


def refusal(status: int, name: str, *violations: tuple[str, str], reason: str = "", message: str = "words") -> Response:
    details: list[dict[str, Any]] = []
    if reason:
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
                        "domain": "datamanager.googleapis.com", "metadata": {"requestId": "t-1"}})  # fmt: skip
    if violations:
        found = [{"field": field, "description": "words", "reason": why} for field, why in violations]
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": found})
    return answer(status, {"error": {"code": status, "status": name, "message": message, "details": details}})


def says(response: Response, count: int) -> Said:
    """200 `{"requestId": "...", "fieldWarnings"?: [{...}]}` queues all; a 400 whose violations all name `events[i]`
    blames these."""
    body = object_of(response.body)
    if response.status == 200:
        good = "error" not in body and trace(body.get("requestId")) and objects(body.get("fieldWarnings", []))
        return Said(every(count)) if good else NOTHING
    error = body.get("error")
    if response.status != 400 or not isinstance(error, dict) or not whole(error.get("code")) or error["code"] != 400:
        return NOTHING
    blamed: set[int] = set()
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        violations = detail.get("fieldViolations") if isinstance(detail, dict) else None
        for violation in violations if isinstance(violations, list) else []:
            if not isinstance(violation, dict):
                continue
            found = re.match(r"events\[(\d{1,9})\]", str(violation.get("field")), re.A)
            if found is None or int(found[1]) >= count:
                return NOTHING  # the account's fault, or another request's
            blamed.add(int(found[1]))
    return Said(blamed=frozenset(blamed), refused=True)


def successes(count: int) -> list[Response]:
    warning = {"field": "events[0].cart_data", "reason": "WARNING_REASON_GENERIC", "description": "words"}
    return [
        answer(200, {"requestId": "126365e1-16d0-4c81"}),
        answer(200, {"requestId": "a", "fieldWarnings": [warning]}),
    ]


def reasons_by_event(errors: list[Any], count: int) -> dict[int, set[str]] | None:
    """The reasons that `recordIndices` give to events; None unless every error names as many as it counts."""
    found: dict[int, set[str]] = {}
    for error in errors:
        positions = error.get("recordIndices")
        if not isinstance(positions, list) or not all(whole(p) and 0 <= p < count for p in positions):
            return None
        if not positions or len(set(positions)) != int(error["recordCount"]):
            return None
        for position in positions:
            found.setdefault(position, set()).add(error["reason"])
    return found


def has_it(reason: str) -> bool:
    return "DUPLICATE_TRANSACTION_ID" in reason or "DUPLICATE_GCLID" in reason


def passes(reason: str) -> bool:
    return "TOO_RECENT_CLICK" in reason or "INTERNAL_ERROR" in reason


def says_later(response: Response, count: int) -> Said:
    """200 with one destination that has ended: SUCCESS takes all. Error counts refuse those they name; without names
    they speak of all (one event, or a FAILED whose one reason counts every event), or of nobody in particular."""
    statuses = object_of(response.body).get("requestStatusPerDestination")
    if response.status != 200 or not isinstance(statuses, list) or len(statuses) != 1 or not objects(statuses):
        return NOTHING
    status, information = statuses[0].get("requestStatus"), statuses[0].get("errorInfo", {})
    ingested = statuses[0].get("eventsIngestionStatus", {"recordCount": str(count)})
    if not isinstance(ingested, dict) or str(ingested.get("recordCount")) != str(count):
        return NOTHING  # other events than ours
    if status not in ("SUCCESS", "PARTIAL_SUCCESS", "FAILED") or not isinstance(information, dict):
        return NOTHING
    errors = information.get("errorCounts", [])
    if not objects(errors) or not all(well_formed(error, count) for error in errors):
        return NOTHING
    if not errors or status == "SUCCESS":  # a failure without its reason, or a success with one
        return Said(every(count)) if status == "SUCCESS" and not errors else NOTHING
    named = reasons_by_event(errors, count)
    if named is not None and status == "FAILED" and set(named) != every(count):
        return NOTHING  # all failed, and yet it does not say why some did
    if named is None:
        reasons = {error["reason"] for error in errors}
        total = sum(int(error["recordCount"]) for error in errors)
        harmless = all(has_it(reason) for reason in reasons) and (status == "PARTIAL_SUCCESS" or total >= count)
        final = count == 1 or (len(reasons) == 1 and total == count and status == "FAILED")
        return Said(every(count) if harmless else NO_EVENT, every(count) if final else NO_EVENT)
    taken = {e for e in range(count) if all(has_it(reason) for reason in named.get(e, ()))}
    final_ones = {e for e, reasons in named.items() if any(not has_it(r) and not passes(r) for r in reasons)}
    return Said(frozenset(taken), frozenset(final_ones))


def well_formed(error: dict[str, Any], count: int) -> bool:
    number = error.get("recordCount")
    digits = whole(number) or (isinstance(number, str) and re.fullmatch(r"[0-9]{1,18}", number) is not None)
    return bool(error.get("reason")) and isinstance(error["reason"], str) and digits and 0 < int(str(number)) <= count


def later_successes(count: int) -> list[Response]:
    plain = {"destination": {}, "requestStatus": "SUCCESS", "eventsIngestionStatus": {"recordCount": str(count)}}
    duplicate = {"recordCount": str(count), "reason": "PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID"}
    again = {**plain, "requestStatus": "FAILED", "errorInfo": {"errorCounts": [duplicate]}}
    return [answer(200, {"requestStatusPerDestination": [one]}) for one in (plain, again)]


QUEUED = [State.PENDING] * 2
BAD = "INVALID_ARGUMENT"
ANSWERS = [
    Answer("queued", answer(200, {"requestId": "abc"}), Kind.SETTLED, outcomes=QUEUED),
    Answer("queued with a warning",
           answer(200, {"requestId": "abc", "fieldWarnings": [{"field": "f", "reason": "WARNING_REASON_GENERIC"}]}),
           Kind.SETTLED, outcomes=QUEUED, words="WARNING_REASON_GENERIC"),
    Answer("only checked", answer(200, {"requestId": "t-1"}), Kind.SETTLED, outcomes=[(State.WITHHELD, "test_mode")] * 2,
           config={"validate_only": True}),
    *(
        Answer(f"no request id: {body!r:.40}", answer(200, body), Kind.TRANSIENT, maybe_stored=True)
        for body in (
            {}, {"requestId": 5}, {"requestId": " "}, {"requestId": "a\x00"}, {"requestId": "jane@example.com"},
            {"requestId": "x" * 201}, b'{"requestId": "a", "requestId": "b"}', b'{"requestId": "a", "x": NaN}',
            '{"requestId": "a"}'.encode("utf-16"), b'{"requestId": "\xed\xa0\x80"}', b'{"requestId": "a"}}',
        )
    ),
    Answer("queued, with a byte order mark", answer(200, b'\xef\xbb\xbf{"requestId": "abc"}'), Kind.SETTLED, outcomes=QUEUED),
    Answer("queued, and an error", answer(200, {"requestId": "abc", "error": {"code": 13}}), Kind.TRANSIENT, maybe_stored=True),
    Answer("queued, with warnings of another kind", answer(200, {"requestId": "abc", "fieldWarnings": ["none"]}), Kind.TRANSIENT,
           maybe_stored=True),
    Answer("an error in a 200", refusal(200, "INTERNAL"), Kind.TRANSIENT, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("401", refusal(401, "UNAUTHENTICATED"), Kind.AUTH, code="UNAUTHENTICATED"),
    Answer("403", refusal(403, "PERMISSION_DENIED", reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT"), Kind.AUTH,
           code="ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
    Answer("429", refusal(429, "RESOURCE_EXHAUSTED"), Kind.RATE_LIMITED, wait=minutes(1)),
    Answer("429 with its wait", Response(429, {"retry-after": "90"}, refusal(429, "RESOURCE_EXHAUSTED").body),
           Kind.RATE_LIMITED, wait=minutes(1.5)),
    *(
        Answer(f"{status} {name}", refusal(status, name), Kind.TRANSIENT, maybe_stored=True, code=name)
        for status, name in ((500, "INTERNAL"), (500, "UNKNOWN"), (503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED"), (409,
             "ABORTED"))
    ),
    Answer("a gateway's page", answer(503, HTML), Kind.TRANSIENT, maybe_stored=True),
    *(
        Answer(f"one event: {reason}", refusal(400, BAD, ("events[1].x", reason)), Kind.REFUSED, culprits={1: reason})
        for reason in ("REQUIRED_FIELD_MISSING", "INVALID_HEX_ENCODING", "INVALID_SHA256_FORMAT", "EVENT_TIME_INVALID",
                       "INVALID_CURRENCY_CODE", "NO_IDENTIFIERS_PROVIDED", "INVALID_COUNTRY_CODE", "FIELD_VALUE_TOO_LONG")
    ),
    Answer("two violations of one event, and another",
           refusal(400, BAD, ("events[0].a", "A"), ("events[0].b", "B"), ("events[1]", "C"), reason="A"), Kind.REFUSED,
           culprits={0: "A", 1: "C"}),
    Answer("an event that is not there", refusal(400, BAD, ("events[2].a", "A")), Kind.CONFIGURATION),
    Answer("an event and the destination", refusal(400, BAD, ("events[0].a", "A"), ("destinations[0].x", "B")),
         Kind.CONFIGURATION),
    *(
        Answer(f"a 400 that is not Google's: {error!r}", answer(400, {"error": error}), Kind.TRANSIENT, maybe_stored=True)
        for error in ({}, {"code": "400"}, {"code": 500, "status": BAD}, {"message": "words"})
    ),
    Answer("no violation named", refusal(400, BAD), Kind.REFUSED, code=BAD),
    Answer("the destination in words", refusal(400, BAD, message="destinations[0] is wrong"), Kind.CONFIGURATION),
    *(
        Answer(f"the account: {reason}", refusal(400, BAD, reason=reason), Kind.CONFIGURATION, code=reason)
        for reason in (
            "TOO_MANY_EVENTS", "INVALID_CONVERSION_ACTION_ID", "INVALID_CONVERSION_ACTION_TYPE", "INVALID_DESTINATION",
            "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH", "TERMS_AND_CONDITIONS_NOT_SIGNED", "DESTINATION_ACCOUNT_NOT_ENABLED",
            "NOT_ALLOWLISTED", "EVENT_SOURCE_AND_DESTINATION_MISMATCH", "INVALID_MERCHANT_ID",
        )
    ),
    Answer("the account, said of an event", refusal(400, BAD, ("events[0].event_source",
         "EVENT_SOURCE_AND_DESTINATION_MISMATCH")),
           Kind.CONFIGURATION),
    Answer("404", answer(404, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("404 in its words", refusal(404, "NOT_FOUND"), Kind.CONFIGURATION),
]  # fmt: skip


def status(word: Any, *errors: dict[str, Any], more: int = 0, **members: Any) -> Response:
    one = {"destination": {}, "requestStatus": word, **members}
    if errors:
        one["errorInfo"] = {"errorCounts": list(errors)}
    return answer(200, {"requestStatusPerDestination": [one] * (1 + more)})


def count_of(reason: str, number: Any, indices: list[Any] | None = None) -> dict[str, Any]:
    found = {"recordCount": number, "reason": f"PROCESSING_ERROR_REASON_{reason}"}
    return found if indices is None else {**found, "recordIndices": indices}


def later(title: str, response: Response, *outcomes: Any, **more: Any) -> Answer:
    return Answer(title, response, Kind.SETTLED, len(outcomes), outcomes, **more)


def unsaid(title: str, response: Response) -> Answer:
    """It says nothing about the three events that can be relied on: they are asked for again."""
    return Answer(title, response, Kind.TRANSIENT, 3, maybe_stored=True)


OK, AGAIN = State.ACCEPTED, (State.RETRY, "narrow")
FINAL = (
    "INVALID_GCLID", "INVALID_GBRAID", "INVALID_WBRAID", "EVENT_TOO_OLD", "CONVERSION_PRECEDES_CLICK", "CLICK_NOT_FOUND",
    "NO_CONSENT", "DENIED_CONSENT", "INVALID_OPERATING_ACCOUNT_FOR_CLICK",
)  # fmt: skip
SOON, SOON_TOO = (State.RETRY, "TOO_RECENT_CLICK", hours(6)), (State.RETRY, "INTERNAL_ERROR", hours(6))
HAS_IT = (OK, "DUPLICATE_TRANSACTION_ID")
STATUS_ANSWERS = [
    later("success", status("SUCCESS"), OK, OK, OK),
    later("success of all that was sent", status("SUCCESS", eventsIngestionStatus={"recordCount": "3"}), OK, OK, OK),
    *(unsaid(f"success of {number}, not 3", status("SUCCESS", eventsIngestionStatus={"recordCount": number}))
      for number in ("2", "4", 0, "-3", None, "three", True)),
    unsaid("success, of nothing", status("SUCCESS", eventsIngestionStatus=[])),
    *(unsaid(f"a failure with a broken reason: {broken}", status("FAILED", {**count_of("X", "3"), **broken}))
      for broken in ({"reason": None}, {"reason": ""}, {"reason": 5}, {"recordCount": None}, {"recordCount": "0"},
                     {"recordCount": "-1"}, {"recordCount": "4"}, {"recordCount": True})),
    unsaid("a list of reasons that holds something else", status("SUCCESS", errorInfo={"errorCounts": [5]})),
    unsaid("reasons that are no list", status("SUCCESS", errorInfo={"errorCounts": {"reason": "X"}})),
    unsaid("information that is none", status("SUCCESS", errorInfo="INVALID_GCLID")),
    unsaid("a destination beside something else",
           answer(200, {"requestStatusPerDestination": [{"requestStatus": "SUCCESS"}, 5]})),
    Answer("still at work", status("PROCESSING"), Kind.WAITING, 3),
    Answer("a word of tomorrow", status("SLEEPING"), Kind.TRANSIENT, 3),
    Answer("a failure without a count", status("FAILED"), Kind.TRANSIENT, 3, maybe_stored=True),
    Answer("two destinations", status("SUCCESS", more=1), Kind.TRANSIENT, 3, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, 3, maybe_stored=True),
    Answer("401", refusal(401, "UNAUTHENTICATED"), Kind.AUTH, 3),
    Answer("429", refusal(429, "RESOURCE_EXHAUSTED"), Kind.RATE_LIMITED, 3, wait=minutes(1)),
    Answer("503", answer(503, HTML), Kind.TRANSIENT, 3, maybe_stored=True),
    later("an unknown request id", refusal(404, "NOT_FOUND"), *[(State.HELD, "request_unknown")] * 2),
    unsaid("a gateway's 404", answer(404, HTML)),
    *(later(f"alone: {reason}", status("FAILED", count_of(reason, "1")), (State.REJECTED, reason)) for reason in FINAL),
    *(later(f"alone: {reason}", status("FAILED", count_of(reason, "1")), (OK, reason))
      for reason in ("DUPLICATE_TRANSACTION_ID", "DUPLICATE_GCLID")),
    later("alone, too early", status("FAILED", count_of("TOO_RECENT_CLICK", "1")), SOON),
    later("alone, Google's own fault", status("FAILED", count_of("INTERNAL_ERROR", "1")), SOON_TOO),
    later("some too early: sending all again is safe", status("PARTIAL_SUCCESS", count_of("TOO_RECENT_CLICK", "1")), SOON,
         SOON, SOON),
    later("some too early, some there", status("PARTIAL_SUCCESS", count_of("DUPLICATE_TRANSACTION_ID", "1"),
          count_of("TOO_RECENT_CLICK", "1")), SOON, SOON, SOON),
    later("all of them", status("FAILED", count_of("INVALID_GCLID", "3")), *[(State.REJECTED, "INVALID_GCLID")] * 3),
    later("some of them, nobody says which", status("PARTIAL_SUCCESS", count_of("INVALID_GCLID", "1")), AGAIN, AGAIN, AGAIN),
    later("for two reasons", status("FAILED", count_of("INVALID_GCLID", "1"), count_of("NO_CONSENT", 2)), AGAIN, AGAIN, AGAIN),
    later("the same reason twice", status("FAILED", count_of("NO_CONSENT", "1"), count_of("NO_CONSENT", "2")),
          *[(State.REJECTED, "NO_CONSENT")] * 3),
    later("one event for two reasons", status("FAILED", count_of("TOO_RECENT_CLICK", "1"), count_of("NO_CONSENT", "1")),
          (State.REJECTED, "NO_CONSENT")),
    later("Google has them", status("PARTIAL_SUCCESS", count_of("DUPLICATE_TRANSACTION_ID", "2")), *[HAS_IT] * 3),
    unsaid("an error in a success is no success", status("SUCCESS", count_of("INVALID_GCLID", "1"))),
    later("all of them, and yet some came through", status("PARTIAL_SUCCESS", count_of("NO_CONSENT", "2")), AGAIN, AGAIN),
    later("all failed, Google has one, and of the other it does not say why",
          status("FAILED", count_of("DUPLICATE_GCLID", "1")), AGAIN, AGAIN),
    # positions
    unsaid("all failed, and of some it does not say why", status("FAILED", count_of("INVALID_GCLID", "1", [1]))),
    later("positions", status("PARTIAL_SUCCESS", count_of("INVALID_GCLID", "1", [1])), OK, (State.REJECTED, "INVALID_GCLID"), OK),
    later("positions of two reasons",
          status("PARTIAL_SUCCESS", count_of("INVALID_GCLID", "1", [0]), count_of("DUPLICATE_GCLID", "1", [2])),
          (State.REJECTED, "INVALID_GCLID"), (OK, ""), (OK, "DUPLICATE_GCLID")),
    later("fewer positions than failures", status("PARTIAL_SUCCESS", count_of("INVALID_GCLID", "2", [1])), AGAIN, AGAIN, AGAIN),
    later("no position at all", status("PARTIAL_SUCCESS", count_of("INVALID_GCLID", "2", [])), AGAIN, AGAIN, AGAIN),
    later("a position that is not there", status("PARTIAL_SUCCESS", count_of("INVALID_GCLID", "1", [3])), AGAIN, AGAIN, AGAIN),
    later("a position that is no number", status("PARTIAL_SUCCESS", count_of("INVALID_GCLID", "1", [True])), AGAIN, AGAIN, AGAIN),
    later("positions of one reason only",
          status("PARTIAL_SUCCESS", count_of("INVALID_GCLID", "1", [0]), count_of("NO_CONSENT", "1")), AGAIN, AGAIN, AGAIN),
]  # fmt: skip
