"""Google Ads API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import hours
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, object_of, objects, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

ACTIONS = {name: str(100 + number) for number, name in enumerate(EVENT_NAMES) if name not in ("refund", "custom")}
CONFIG = {
    "customer_id": "1234567890",
    "oauth_client_id": "cid.apps.googleusercontent.com",
    "oauth_client_secret": "GOCSPX-test",
    "oauth_refresh_token": "1//test-refresh",
    "conversion_actions": {**ACTIONS, "Demo Booked": "555"},
}
MERCHANT = {"merchant_id": "123456789", "merchant_feed_country": "US", "merchant_feed_language": "EN"}
WEB = {"mode": "web_enhancements"}


def resource(number: str) -> str:
    return f"customers/1234567890/conversionActions/{number}"


NAME_AT = "json.conversions[0].conversionAction"
TESTING = {"validate_only": True}
REFUND_NAME_AT = "json.conversionAdjustments[0].conversionAction"
NAMES: dict[str, str | Reason] = {
    **{name: resource(number) for name, number in ACTIONS.items()},
    "refund": resource(ACTIONS["purchase"]),
    "custom": resource("555"),
}
MINIMAL = Reason.NO_IDENTIFIER

E, A = "json.conversions[0]", "json.conversionAdjustments[0]"
IDS, ADJUSTED = f"{E}.userIdentifiers", f"{A}.userIdentifiers"
NAME: dict[str, Any] = {"first_name": " Mr. Jürgen", "last_name": "O'Brien-Ñ Jr.", "postal_code": " 94105-1234 "}
ADDRESS = {"hashedFirstName": sha("mr. jürgen"), "hashedLastName": sha("o'brien-ñ jr."), "countryCode": "US",
           "postalCode": "94105-1234"}  # fmt: skip
MANY = [f"p{number}@x.com" for number in range(7)]


def first_party(*identifiers: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"userIdentifierSource": "FIRST_PARTY", **identifier} for identifier in identifiers]


def mail(address: str) -> dict[str, Any]:
    return {"hashedEmail": sha(address)}


CONTACT = first_party({"hashedEmail": DIGEST}, {"hashedPhoneNumber": sha("+14155552671")})


def clicks(**values: dict[str, Any]) -> dict[str, Any]:
    return {"click_ids": values}


CASES = [
    Case("where it goes", event(), {
        "url": "https://googleads.googleapis.com/v26/customers/1234567890:uploadClickConversions",
        "json.partialFailure": True, "json.validateOnly": GONE, "headers.login-customer-id": GONE,
        "headers.developer-token": GONE}),
    Case("another version, a manager and a legacy token", event(), {
        "url": "https://googleads.googleapis.com/v27/customers/1234567890:uploadClickConversions",
        "headers.login-customer-id": "9998887777", "headers.developer-token": "legacy"},
        {"api_version": "v27", "login_customer_id": "9998887777", "developer_token": "legacy"}),
    Case("a check only", event(), {"json.validateOnly": True}, {"validate_only": True}),
    Case("no action for it", event("donate"), Reason.NOT_CONFIGURED, {"conversion_actions": {"purchase": "1"}}),
    Case("no action for an own event", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    # times and money
    Case("a fraction of a second is cut", event(event_time="2026-10-01T13:59:59.999+02:00"),
         {f"{E}.conversionDateTime": "2026-10-01 11:59:59+00:00"}),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{E}.conversionValue": 12000, f"{E}.currencyCode": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{E}.conversionValue": 12.345}),
    Case("a value of nothing is a value", event(value=0), {f"{E}.conversionValue": 0}),
    Case("no value", event(value=None, currency=None), {f"{E}.conversionValue": GONE, f"{E}.currencyCode": GONE}),
    Case("the order's id", event(), {f"{E}.orderId": "ORD-1"}),
    Case("else the event's", event(transaction_id=""), {f"{E}.orderId": "evt-1"}),
    Case("64 characters of it", event(transaction_id="x" * 64), {f"{E}.orderId": "x" * 64}),
    Case("and no more", event(transaction_id="x" * 65), Reason.INVALID_VALUE),
    *(
        Case(f"from {source}", event(action_source=source), {NAME_AT: resource(ACTIONS["purchase"])})
        for source in ("website", "app", "physical_store", "phone_call", "chat", "email", "system_generated", "other")
    ),
    # the person
    Case("every e-mail and phone, no address", event(emails=["J.a.n.e+1@gmail.com", "nobody", "a@x.com"], **NAME),
         {IDS: [*first_party(mail("jane@gmail.com"), mail("a@x.com")), CONTACT[1]]}),
    Case("five at most", event(emails=MANY), {IDS: first_party(*map(mail, MANY[:5]))}),
    Case("already hashed", event(emails=[DIGEST.upper()], phones=[]), {IDS: CONTACT[:1]}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[" "]), {IDS: GONE}),
    Case("nobody", event(**NOBODY), Reason.NO_IDENTIFIER),
    Case("an address alone", event(**{**NOBODY, **NAME, "country": "US"}), Reason.NO_IDENTIFIER),
    Case("an IP address and an own id alone", event(**{**NOBODY, "ip_address": "203.0.113.7", "user_id": "u", "country": "US"}),
         Reason.NO_IDENTIFIER),
    # clicks
    Case("one click id", event(**clicks(wbraid=click("w"), gbraid=click("b"), gclid=click("g"))),
         {f"{E}.gclid": "g", f"{E}.gbraid": GONE, f"{E}.wbraid": GONE}),
    Case("else gbraid", event(**clicks(wbraid=click("w"), gbraid=click("b"))), {f"{E}.gbraid": "b", f"{E}.wbraid": GONE}),
    Case("else wbraid, as it is", event(**clicks(wbraid=click("W-x"))), {f"{E}.wbraid": "W-x"}),
    Case("a click alone", event(**{**NOBODY, **clicks(gclid=click("g"))}), {IDS: GONE, f"{E}.gclid": "g"}),
    Case("a click of more than 90 days before", event(**clicks(gclid=click("g", "2026-07-02T00:00:00Z"))), {f"{E}.gclid": GONE}),
    Case("63 days without a click", event(event_time="2026-07-30T16:00:00Z", click_ids={}), {f"{E}.orderId": "ORD-1"}),
    Case("and no more", event(event_time="2026-07-30T15:59:59Z", click_ids={}), Reason.TOO_OLD),
    # cart, customer, consent
    Case("no cart without a merchant", event(), {f"{E}.cartData": GONE}),
    Case("a cart", event(contents=[{"id": 7, "quantity": 2, "price": "9.5"}, {"id": "b"}, {"name": "no id"}]),
         {f"{E}.cartData": {"merchantId": "123456789", "feedCountryCode": "US", "feedLanguageCode": "EN",
          "items": [{"productId": "7", "quantity": 2, "unitPrice": 9.5}, {"productId": "b", "quantity": 1}]}}, MERCHANT),
    Case("no cart with gbraid", event(**clicks(gbraid=click("b"))), {f"{E}.cartData": GONE}, MERCHANT),
    Case("no cart of a view", event("view_item"), {f"{E}.cartData": GONE}, MERCHANT),
    Case("a returning customer", event(customer_type="returning"), {f"{E}.customerType": "RETURNING"}),
    Case("personalisation has no field", event(consent_ad_personalization="denied"), {f"{E}.consent": {"adUserData": "GRANTED"}}),
    Case("nobody asked", event(consent_ad_storage=None, consent_ad_user_data=None), {f"{E}.consent": GONE}),
    Case("opted out", event(opt_out_of_sale=True), Reason.OPTED_OUT),
    # refunds
    Case("a refund restates its conversion", event("refund"), {
        "url": "https://googleads.googleapis.com/v26/customers/1234567890:uploadConversionAdjustments",
        A: {"conversionAction": resource(ACTIONS["purchase"]), "adjustmentDateTime": "2026-10-01 14:00:00+00:00",
            "orderId": "ORD-1", "adjustmentType": "RESTATEMENT",
            "restatementValue": {"adjustedValue": 100, "currencyCode": "USD"}}}),
    Case("a whole refund retracts it", event("refund", remaining_value=0),
         {f"{A}.adjustmentType": "RETRACTION", f"{A}.restatementValue": GONE}),
    Case("a retraction needs no currency", event("refund", remaining_value=0, value=None, currency=None),
         {f"{A}.adjustmentType": "RETRACTION"}),
    Case("a conversion without an order went under its own id", event("refund", transaction_id=None), {f"{A}.orderId": "evt-0"}),
    Case("of another event", event("refund", properties={"original_event_name": "subscribe"}),
         {REFUND_NAME_AT: resource(ACTIONS["subscribe"])}),
    Case("of an event without an action", event("refund"), Reason.NOT_CONFIGURED, {"conversion_actions": {"donate": "1"}}),
    Case("of nobody", event("refund", **NOBODY), {f"{A}.orderId": "ORD-1"}),
    Case("a refund before its conversion", event("refund", original_event_time="2026-10-01T14:00:00Z"), Reason.INVALID_VALUE),
    Case("54 days after it", event("refund", original_event_time="2026-08-08T16:00:00Z"), {f"{A}.orderId": "ORD-1"}),
    Case("and no more", event("refund", original_event_time="2026-08-08T15:59:59Z"), Reason.TOO_OLD),
    # enhancements
    Case("an enhancement with the whole person", event(city=" Köln ", region="NW", street_address=" Domplatz 1 ", **NAME),
         {"url": "https://googleads.googleapis.com/v26/customers/1234567890:uploadConversionAdjustments", A: {
             "conversionAction": resource(ACTIONS["purchase"]), "adjustmentType": "ENHANCEMENT", "orderId": "ORD-1",
             "gclidDateTimePair": {"conversionDateTime": "2026-10-01 14:00:00+00:00"}, "userAgent": "Mozilla/5.0",
             "userIdentifiers": [*CONTACT, *first_party({"addressInfo": {
                 **ADDRESS, "city": "Köln", "state": "NW", "hashedStreetAddress": sha("domplatz 1")}})]}}, WEB),
    Case("five identifiers, e-mails first", event(emails=MANY, **NAME), {ADJUSTED: first_party(*map(mail, MANY[:5]))}, WEB),
    *(Case(f"an address without {part}", event(**{**NAME, part: None}), {ADJUSTED: CONTACT}, WEB) for part in NAME),
    Case("an address alone enhances", event(**{**NOBODY, **NAME, "country": "US"}),
         {ADJUSTED: first_party({"addressInfo": ADDRESS})}, WEB),
    Case("nobody enhances nothing", event(**{**NOBODY, **clicks(gclid=click("g"))}), Reason.NO_IDENTIFIER, WEB),
    Case("only what the tag recorded", event(action_source="app"), Reason.UNSUPPORTED_EVENT, WEB),
    Case("by its order", event(transaction_id=None), Reason.MISSING_FIELD, WEB),
    Case("a refund is no enhancement", event("refund"), Reason.UNSUPPORTED_EVENT, WEB),
    Case("within a day", event(event_time="2026-09-30T16:00:00Z"), {f"{A}.orderId": "ORD-1"}, WEB),
    Case("and no later", event(event_time="2026-09-30T15:59:59Z"), Reason.TOO_OLD, WEB),
]  # fmt: skip

# --- answers --------------------------------------------------------------------------------------------------------

DONE = {"gclid": "g", "conversionAction": resource("111"), "conversionDateTime": "2026-10-01 14:00:00+00:00"}
FAILURE = "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure"


def problem(
    code: str, index: Any = None, kind: str = "conversionUploadError", field: str = "conversions"
) -> dict[str, Any]:
    """An error of row `index` (None: of no row)."""
    found: dict[str, Any] = {"errorCode": {kind: code}, "message": "words"}
    if index is not None:
        element = {"fieldName": field} if index == 0 else {"fieldName": field, "index": index}
        found["location"] = {"fieldPathElements": [element, {"fieldName": "gclid"}]}
    return found


def partial(results: Any, *errors: Any, **more: Any) -> Response:
    body: dict[str, Any] = {"results": results, "jobId": "123", **more}
    if errors:
        details = [{"@type": FAILURE, "errors": list(errors), "requestId": "r-1"}]
        body["partialFailureError"] = {"code": 3, "message": "words", "details": details}
    return answer(200, body, request_id="AbC-1")


def refusal(status: int, name: str, *errors: Any, **more: Any) -> Response:
    details: list[Any] = [{"@type": FAILURE, "errors": list(errors), "requestId": "r-1"}] if errors else []
    return answer(status, {"error": {"code": status, "message": "words", "status": name, "details": details, **more}})


ALREADY = ("ORDER_ID_ALREADY_IN_USE", "CLICK_CONVERSION_ALREADY_EXISTS", "DUPLICATE_ORDER_ID",
           "DUPLICATE_CLICK_CONVERSION_IN_REQUEST", "CONVERSION_ALREADY_ENHANCED", "CONVERSION_ALREADY_RETRACTED",
           "RESTATEMENT_ALREADY_EXISTS")  # fmt: skip
EARLY = ("TOO_RECENT_EVENT", "TOO_RECENT_CONVERSION_ACTION", "TOO_RECENT_CONVERSION", "CONVERSION_NOT_FOUND")
PASSES = ("TRANSIENT_ERROR", "DEADLINE_EXCEEDED", "CONCURRENT_MODIFICATION")
OF_THE_ACCOUNT = (
    "NO_CONVERSION_ACTION_FOUND", "INVALID_CONVERSION_ACTION_TYPE", "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS",
    "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS", "CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS",
    "UNAUTHORIZED_CUSTOMER", "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE",
)  # fmt: skip
# Without CONVERSION_NOT_FOUND, which is final where it lasts.
NOT_THE_ROW = {*EARLY[:3], *PASSES, *OF_THE_ACCOUNT, "USER_PERMISSION_DENIED", "CUSTOMER_NOT_ENABLED", "ACTION_NOT_PERMITTED",
               "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION"}  # fmt: skip
KINDS_OF_NO_ROW = {"authenticationError", "internalError", "quotaError"}


def has_it(kind: str, code: str) -> bool:
    known = code in ALREADY or (code.startswith("DUPLICATE_") and len(code) > 10 and code.isupper() and code.isascii())
    return kind in ("conversionUploadError", "conversionAdjustmentUploadError") and known


def final(kind: str, code: str) -> bool:
    policy = code.startswith("CUSTOMER_DATA_POLICY_PROHIBITS_")
    return not (has_it(kind, code) or code in NOT_THE_ROW or kind in KINDS_OF_NO_ROW or policy)


def errors_by_row(details: Any, count: int) -> dict[int, list[tuple[str, str]]] | None:
    """Each row's errors, those that name no row with every row; None if one is broken or about a row of nobody."""
    rows: dict[int, list[tuple[str, str]]] = {}
    for detail in details if isinstance(details, list) else []:
        if not isinstance(detail, dict):
            continue
        if not objects(detail.get("errors", [])):
            return None
        for error in detail.get("errors", []):
            code = error.get("errorCode")
            if not isinstance(code, dict) or len(code) != 1 or not all(isinstance(v, str) and v for v in code.values()):
                return None
            location = error.get("location", {})
            if not isinstance(location, dict) or not objects(location.get("fieldPathElements", [])):
                return None
            lists = ("conversions", "conversionAdjustments", "conversion_adjustments")
            named = [e for e in location.get("fieldPathElements", []) if e.get("fieldName") in lists]
            index = named[0].get("index", 0) if named else None
            if named and not (whole(index) and 0 <= index < count):
                return None
            for row in [index] if named else range(count):
                rows.setdefault(row, []).extend(code.items())
    return rows


def says(response: Response, count: int) -> Said:
    """200: a result that names its action is taken, an empty one with an error is not, unless Google had it before. A 400
    with code 400 refuses the request, and blames the rows that its errors name."""
    body = object_of(response.body)
    error = body.get("error")
    if response.status == 400 and isinstance(error, dict) and whole(error.get("code")) and error["code"] == 400:
        rows = errors_by_row(error.get("details"), count) or {}
        return Said(blamed=frozenset(r for r, e in rows.items() if any(final(*one) for one in e)), refused=True)
    if response.status != 200 or "error" in body or not isinstance(body.get("jobId", ""), str | int):
        return NOTHING
    results, failed = body.get("results", []), body.get("partialFailureError")
    rows = (
        {}
        if failed is None
        else (errors_by_row(failed.get("details"), count) if isinstance(failed, dict) else None) or {}
    )
    if failed is not None and not rows:
        return NOTHING
    if results == [] and len(rows) == count:
        results = [{}] * count
    if not objects(results) or len(results) != count:
        return NOTHING
    for row, result in enumerate(results):
        if (result != {}) if row in rows else not isinstance(result.get("conversionAction"), str):
            return NOTHING
    taken = {row for row in range(count) if all(has_it(*one) for one in rows.get(row, ()))}
    blamed = {row for row, errors in rows.items() if any(final(*one) for one in errors)}
    return Said(frozenset(taken), frozenset(blamed))


def successes(count: int) -> list[Response]:
    adjusted = {"conversionAction": resource("111"), "adjustmentType": "RESTATEMENT", "orderId": "ORD-1"}
    again = [problem("ORDER_ID_ALREADY_IN_USE", row) for row in range(count)]
    return [partial([DONE] * count), answer(200, {"results": [adjusted] * count}), partial([{}] * count, *again)]


OK, BAD = State.ACCEPTED, State.REJECTED
PERMANENT = (
    "CLICK_NOT_FOUND", "EVENT_NOT_FOUND", "UNPARSEABLE_GCLID", "UNPARSEABLE_GBRAID", "UNPARSEABLE_WBRAID", "EXPIRED_EVENT",
    "CONVERSION_PRECEDES_EVENT", "INVALID_USER_IDENTIFIER", "UNSUPPORTED_USER_IDENTIFIER", "INVALID_CUSTOMER_FOR_CLICK",
    "GBRAID_WBRAID_BOTH_SET", "ORDER_ID_CONTAINS_PII", "CONVERSION_NOT_COMPLIANT_WITH_ATT_POLICY", "CONVERSION_EXPIRED",
    "ADJUSTMENT_PRECEDES_CONVERSION", "MORE_RECENT_RESTATEMENT_FOUND",
    "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
)  # fmt: skip


def settled(title: str, response: Response, *outcomes: Any, **more: Any) -> Answer:
    return Answer(title, response, Kind.SETTLED, len(outcomes), outcomes, **more)


def unsaid(title: str, response: Response) -> Answer:
    return Answer(title, response, Kind.TRANSIENT, maybe_stored=True)


ANSWERS = [
    settled("success", partial([DONE, DONE]), OK, OK),
    settled("success without a job", answer(200, {"results": [DONE]}), OK),
    *(settled(f"Google has it: {code}", partial([{}, DONE], problem(code, 0)), (OK, code), OK) for code in ALREADY),
    *(settled(f"a bad row: {code}", partial([DONE, {}], problem(code, 1)), OK, (BAD, code)) for code in PERMANENT),
    *(settled(f"a row that comes too early: {code}", partial([{}, DONE], problem(code, 0)), (State.RETRY, code, hours(6)), OK)
      for code in EARLY),
    *(settled(f"a row that passes: {code}", partial([{}, DONE], problem(code, 0, kind)), (State.RETRY, code, None), OK)
      for code, kind in (("INTERNAL_ERROR", "internalError"), ("TRANSIENT_ERROR", "internalError"),
                         ("DEADLINE_EXCEEDED", "requestError"), ("CONCURRENT_MODIFICATION", "databaseError"),
                         ("RESOURCE_EXHAUSTED", "quotaError"))),
    *(settled(f"one action of several is wrong: {code}", partial([{}, DONE], problem(code, 0)), (State.RETRY, code, None), OK)
      for code in OF_THE_ACCOUNT),
    *(Answer(f"every row is the account's fault: {code}", partial([{}, {}], problem(code, 0), problem(code, 1)),
             Kind.CONFIGURATION, code=code) for code in OF_THE_ACCOUNT),
    settled("an adjustment's row", partial([DONE, {}], problem("CONVERSION_EXPIRED", 1, "conversionAdjustmentUploadError",
            "conversion_adjustments")), OK, (BAD, "CONVERSION_EXPIRED")),
    settled("in camel case", partial([DONE, {}], problem("CONVERSION_EXPIRED", 1, field="conversionAdjustments")), OK,
            (BAD, "CONVERSION_EXPIRED")),
    settled("an index that is missing means 0", partial([{}, DONE], problem("EXPIRED_EVENT", 0)), (BAD, "EXPIRED_EVENT"), OK),
    settled("a row with two errors", partial([{}, DONE], problem("TOO_RECENT_EVENT", 0), problem("EXPIRED_EVENT", 0)),
            (BAD, "EXPIRED_EVENT"), OK),
    settled("a row that is there and too early", partial([{}], problem("ORDER_ID_ALREADY_IN_USE", 0),
            problem("TOO_RECENT_EVENT", 0)), (State.RETRY, "TOO_RECENT_EVENT")),
    settled("an error without a row concerns all", partial([{}, {}], problem("EXPIRED_EVENT")), *[(BAD, "EXPIRED_EVENT")] * 2),
    settled("and then there may be no results", partial([], problem("EXPIRED_EVENT")), *[(BAD, "EXPIRED_EVENT")] * 2),
    settled("a repetition is one of an upload's errors", partial([{}], problem("DUPLICATE_ORDER_ID", 0, "fieldError")),
            (BAD, "DUPLICATE_ORDER_ID")),
    settled("a conversion that Google does not know in a day, it never will",
            replace(partial([{}, {}], *(problem("CONVERSION_NOT_FOUND", row) for row in (0, 1))),
                    headers={"date": "Thu, 01 Oct 2026 16:00:00 GMT"},
                    sent=[{"adjustmentDateTime": f"2026-09-30 {time}+00:00"} for time in ("15:59:59", "16:00:00")]),
            (BAD, "CONVERSION_NOT_FOUND"), (State.RETRY, "CONVERSION_NOT_FOUND", hours(6))),
    settled("nor one of the tag",
            replace(partial([{}], problem("CONVERSION_NOT_FOUND", 0)), headers={"date": "Thu, 01 Oct 2026 16:00:00 GMT"},
                    sent=[{"gclidDateTimePair": {"conversionDateTime": "2026-09-30 15:59:59+00:00"}}]),
            (BAD, "CONVERSION_NOT_FOUND")),
    settled("only checked", answer(200, {"results": []}), *[(State.WITHHELD, "test_mode")] * 2, config={"validate_only": True}),
    settled("only checked, without a list", answer(200, {}), (State.WITHHELD, "test_mode"), config={"validate_only": True}),
    settled("checked and refused", partial([], problem("EXPIRED_EVENT", 1)), (State.WITHHELD, "test_mode"),
            (BAD, "EXPIRED_EVENT"), config={"validate_only": True}),
    *(
        unsaid(title, response)
        for title, response in (
            ("a result less", partial([DONE])),
            ("a result more", partial([DONE] * 3)),
            ("an empty result without an error", partial([DONE, {}])),
            ("a result and an error of one row", partial([DONE, DONE], problem("EXPIRED_EVENT", 1))),
            ("a result of another kind", partial([DONE, 5])),
            ("a result that names no action", partial([DONE, {"gclid": "g"}])),
            ("no results", answer(200, {"jobId": "1"})),
            ("an error of a row that was not sent", partial([{}, {}], problem("EXPIRED_EVENT", 2))),
            ("an error of a row that is no number", partial([{}, DONE], problem("EXPIRED_EVENT", True))),
            ("an error without a code", partial([{}, DONE], {"message": "words"})),
            ("an error with two codes", partial([{}, DONE], {"errorCode": {"a": "A", "b": "B"}})),
            ("an error of another kind", partial([{}, DONE], 5)),
            ("a place of another kind", partial([{}, {}], {**problem("EXPIRED_EVENT"), "location": "conversions"})),
            ("a failure without errors", partial([DONE, DONE], partialFailureError={"code": 3, "message": "words"})),
            ("a failure of another kind", partial([DONE, DONE], partialFailureError="INVALID")),
            ("results and an error", partial([DONE, DONE], error={"code": 13})),
            ("a job of another kind", partial([DONE, DONE], jobId=[1])),
            ("success in a 500", answer(500, {"results": [DONE, DONE]})),
            ("HTML", answer(200, HTML)),
            ("a gateway's page", answer(503, HTML)),
            ("404 in HTML", answer(404, HTML)),
        )
    ),
    Answer("401", refusal(401, "UNAUTHENTICATED"), Kind.AUTH, code="UNAUTHENTICATED"),
    Answer("401 in Google Ads' words", refusal(401, "UNAUTHENTICATED", problem("OAUTH_TOKEN_EXPIRED", None,
           "authenticationError")), Kind.AUTH, code="OAUTH_TOKEN_EXPIRED"),
    Answer("authentication in a 400", refusal(400, "INVALID_ARGUMENT", problem("CLIENT_CUSTOMER_ID_INVALID", None,
           "authenticationError")), Kind.AUTH),
    *(
        Answer(f"403 {code}", refusal(403, "PERMISSION_DENIED", problem(code, None, "authorizationError")),
               Kind.CONFIGURATION, code=code, words="words")
        for code in ("USER_PERMISSION_DENIED", "CUSTOMER_NOT_ENABLED", "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION",
                     "ACTION_NOT_PERMITTED", "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE")
    ),
    Answer("403 without a reason", refusal(403, "PERMISSION_DENIED"), Kind.AUTH, code="PERMISSION_DENIED"),
    Answer("429", refusal(429, "RESOURCE_EXHAUSTED"), Kind.RATE_LIMITED, code="RESOURCE_EXHAUSTED"),
    Answer("a quota in a 400", refusal(400, "INVALID_ARGUMENT", problem("RESOURCE_TEMPORARILY_EXHAUSTED", None, "quotaError")),
           Kind.RATE_LIMITED, code="RESOURCE_TEMPORARILY_EXHAUSTED"),
    Answer("429 with its wait", answer(429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3600.5s"}]}}), Kind.RATE_LIMITED,
        wait=hours(1) + hours(0.5) / 3600),
    *(Answer(f"{status} {name}", refusal(status, name), Kind.TRANSIENT, code=name, maybe_stored=True)
      for status, name in ((500, "INTERNAL"), (503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED"), (409, "ABORTED"))),
    *(Answer(f"passes: {code}", refusal(400, "INVALID_ARGUMENT", problem(code, None, kind)), Kind.TRANSIENT, code=code,
             maybe_stored=True)
      for code, kind in (("INTERNAL_ERROR", "internalError"), ("TRANSIENT_ERROR", "internalError"),
                         ("DEADLINE_EXCEEDED", "internalError"), ("CONCURRENT_MODIFICATION", "databaseError"))),
    Answer("the account in a 500 is a failing server", refusal(500, "INTERNAL", problem("CUSTOMER_NOT_ENABLED", None,
           "authorizationError")), Kind.TRANSIENT, maybe_stored=True),
    Answer("an unknown field", refusal(400, "INVALID_ARGUMENT"), Kind.REFUSED, code="INVALID_ARGUMENT"),
    *(Answer(f"{code}", refusal(400, "INVALID_ARGUMENT", problem(code)), Kind.REFUSED, code=code)
      for code in ("TOO_MANY_CONVERSIONS_IN_REQUEST", "TOO_MANY_ADJUSTMENTS_IN_REQUEST")),
    Answer("a 400 that names its row", refusal(400, "INVALID_ARGUMENT", problem("EXPIRED_EVENT", 1)), Kind.REFUSED,
           culprits={1: "EXPIRED_EVENT"}),
    Answer("a 400 that names no row", refusal(400, "INVALID_ARGUMENT", problem("INVALID_CUSTOMER_ID", None, "requestError")),
           Kind.CONFIGURATION, code="INVALID_CUSTOMER_ID"),
    Answer("404 in its words", refusal(404, "NOT_FOUND"), Kind.CONFIGURATION),
    unsaid("a 400 that is not Google's", answer(400, {"error": {"code": "400"}})),
]  # fmt: skip

ADS = "conversionUploadError"
AT_SANDBOX = [
    *(Struck(f"a row refused with {code}", [{"kind": "reject_event", "match": '"orderId":"3"', "code": code}],
             {State.REJECTED: 1}, code) for code in ("UNPARSEABLE_GCLID", "CLICK_NOT_FOUND", "EXPIRED_EVENT")),
    *(Struck(f"Google has the row: {code}", [{"kind": "reject_event", "match": '"orderId":"3"', "code": code}])
      for code in ("ORDER_ID_ALREADY_IN_USE", "DUPLICATE_ORDER_ID")),
    Struck("a click of a minute ago", [{"kind": "reject_event", "match": '"orderId":"3"', "code": "TOO_RECENT_EVENT"}],
           {State.RETRY: 1}, "TOO_RECENT_EVENT"),
    Struck("an internal error of one row",
           [{"kind": "reject_event", "match": '"orderId":"3"', "code": "internalError.INTERNAL_ERROR"}], {State.RETRY: 1}),
    Struck("another account", want={State.RETRY: 12}, code="USER_PERMISSION_DENIED", failed=True, account={"customer_id": "1"}),
    Struck("an account that never uploaded", want={State.RETRY: 12}, code="CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE",
           failed=True, account={"customer_id": "5550001111"}),
    Struck("an action that is none", want={State.RETRY: 12}, code="NO_CONVERSION_ACTION_FOUND", failed=True,
           account={"conversion_actions": {"purchase": "42"}}),
    Struck("an action of the tag", want={State.RETRY: 12}, code="INVALID_CONVERSION_ACTION_TYPE", failed=True,
           account={"conversion_actions": {"purchase": "1111"}}),
    Struck("a version that is gone", want={State.RETRY: 12}, failed=True, account={"api_version": "v22"}),
    Struck("enhancements of the tag's conversions",
           account={"mode": "web_enhancements", "conversion_actions": {"purchase": "1111"}}),
    Struck("an expired token", [{"kind": "expired_token"}]),
    Struck("only checked", want={State.WITHHELD: 12}, code="test_mode", account={"validate_only": True}),
    Struck("too many requests", [{"kind": "rate_limit", "times": 1}]),
]  # fmt: skip
