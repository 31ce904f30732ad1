"""Microsoft Conversions API for UET: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NO_EVENT, NOTHING, Said, every, object_of, objects, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

CONFIG = {"tag_id": "97012345", "api_token": "uet-capi-token"}
NAME_AT = "json.data[0].eventName"
NAMES: dict[str, str | Reason] = {name: name for name in EVENT_NAMES} | {
    "custom": "Demo Booked",
    "refund": Reason.UNSUPPORTED_EVENT,
}
MINIMAL = Reason.NO_IDENTIFIER
CLEAR = ("anon-9f2c",)

E = "json.data[0]"
U, D = f"{E}.userData", f"{E}.customData"
PAGE_TYPES = {
    "view_item": "product", "view_item_list": "category", "search": "searchresults", "add_to_cart": "cart",
    "begin_checkout": "cart", "purchase": "purchase", "page_view": "other",
}  # fmt: skip


def alone(**changes: Any) -> dict[str, Any]:
    return event(**{**NOBODY, **changes})


CASES = [
    Case("the envelope", event(), {
        "url": "https://capi.uet.microsoft.com/v1/97012345/events", "headers.Authorization": "Bearer uet-capi-token",
        "json.continueOnValidationError": True, "json.dataProvider": GONE}),
    Case("who sends for others", event(), {"json.dataProvider": "acme_cdp"}, {"data_provider": "acme_cdp"}),
    # names
    Case("another event action", event(), {NAME_AT: "order"}, {"event_names": {"purchase": "order"}}),
    Case("of an own event", event("custom"), {NAME_AT: "demo"}, {"event_names": {"Demo Booked": "demo"}}),
    Case("a refund that has one", event("refund"), Reason.UNSUPPORTED_EVENT, {"event_names": {"refund": "refund"}}),
    *(Case(f"page type of {name}", event(name), {f"{D}.pageType": wire}) for name, wire in PAGE_TYPES.items()),
    *(Case(f"no page type of {name}", event(name), {f"{D}.pageType": GONE, f"{E}.eventType": "custom"})
      for name in ("sign_up", "generate_lead", "add_payment_info", "app_open", "custom")),
    Case("a page view", event("page_view"), {f"{E}.eventType": "pageLoad"}),
    Case("a page view has a page", event("page_view", source_url=None), Reason.MISSING_FIELD),
    Case("and not an empty one", event("page_view", source_url=""), Reason.MISSING_FIELD),
    *(Case(f"from {source}", event(action_source=source, source_url=None), {NAME_AT: "purchase", f"{E}.eventSourceUrl": GONE})
      for source in ("app", "physical_store", "phone_call", "chat", "email", "system_generated", "other")),
    # times and money
    Case("a fraction of a second is cut", event(event_time="2026-10-01T13:59:59.999Z"), {f"{E}.eventTime": 1790863199}),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{D}.value": 12000, f"{D}.currency": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{D}.value": 12.345, f"{D}.currency": "KWD"}),
    Case("a value of nothing is a value", event(value=0), {f"{D}.value": 0, f"{D}.ecommTotalValue": 0}),
    Case("no value", event(value=None, currency=None), {f"{D}.value": GONE, f"{D}.currency": GONE, f"{D}.ecommTotalValue": GONE}),
    # the person
    Case("the first valid e-mail and phone", event(emails=["nobody", "Jürgen.M+x@Contoso.com", "a@x.com"],
         phones=["0", "(425) 555-1234", "+4930901820"]),
         {f"{U}.em": sha("jurgenm@contoso.com"), f"{U}.ph": sha("+14255551234")}),
    Case("Microsoft's own check values", event(emails=["john@contoso.com"], phones=["+14255551234"]),
         {f"{U}.em": "ec81f3ac7b2b19675bab9d54cf416f9f18cff87c97da5cca82c0f0891bc40602",
          f"{U}.ph": "c59475d96e9f01d7d18d06cfad84dd02333207f02c0c2c5663ef2782cda0390e"}),
    Case("already hashed", event(emails=[DIGEST.upper()], phones=[DIGEST]), {f"{U}.em": DIGEST, f"{U}.ph": DIGEST}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]), {f"{U}.em": GONE, f"{U}.ph": GONE}),
    Case("the customer's id keeps its case", event(user_id=" CUST 42 "), {f"{U}.externalId": sha("CUST 42")}),
    Case("the visitor's cookie goes before the own id", event(browser_ids={"uet_vid": "0123"}), {f"{U}.anonymousId": "0123"}),
    Case("the own id as it is", event(), {f"{U}.anonymousId": "anon-9f2c"}),
    Case("unless it is an e-mail address", event(anonymous_id="jane@example.com"), {f"{U}.anonymousId": GONE}),
    Case("a click id out of its cookie", event(click_ids={"msclkid": click("_uetAb1")}), {f"{U}.msclkid": "Ab1"}),
    Case("an iPhone", event(action_source="app", device={"os": "iPadOS", "advertising_id": "AB-1"}),
         {f"{U}.idfa": "AB-1", f"{U}.gaid": GONE}),
    Case("an Android phone", event(device={"os": "Android", "advertising_id": "aB-1"}), {f"{U}.gaid": "aB-1", f"{U}.idfa": GONE}),
    Case("another system", event(device={"os": "Windows", "advertising_id": "aB-1"}), {f"{U}.gaid": GONE, f"{U}.idfa": GONE}),
    Case("tracking limited", event(device={"os": "iOS", "advertising_id": "0000-00"}), {f"{U}.idfa": GONE}),
    Case("nobody", alone(), Reason.NO_IDENTIFIER),
    Case("an address and a browser are nobody", alone(ip_address="203.0.113.7", user_agent="UA"), Reason.NO_IDENTIFIER),
    Case("a click alone", alone(click_ids={"msclkid": click("c")}), {U: {"msclkid": "c"}}),
    Case("an empty click", alone(click_ids={"msclkid": click("_uet")}), Reason.NO_IDENTIFIER),
    Case("a visitor alone", alone(browser_ids={"uet_vid": "v"}), {U: {"anonymousId": "v"}}),
    Case("a customer alone", alone(user_id="u"), {U: {"externalId": sha("u")}}),
    Case("a device alone", alone(device={"os": "Android", "advertising_id": "a"}), {U: {"gaid": "a"}}),
    # the rest
    Case("items", event(contents=[{"id": 7, "quantity": 2, "price": "9.5", "name": "Jäcke"}, {"name": "no id"}]),
         {f"{D}.items": [{"id": "7", "name": "Jäcke", "quantity": 2, "price": 9.5}], f"{D}.itemIds": ["7"],
          f"{D}.ecommTotalValue": 149.97}),
    Case("no items", event(contents=[]), {f"{D}.items": GONE, f"{D}.itemIds": GONE, f"{D}.ecommTotalValue": GONE}),
    Case("a search", event("search", search_term="shoe"), {f"{D}.searchTerm": "shoe"}),
    Case("nothing to say", event("contact", value=None, currency=None, transaction_id=None, contents=[]), {D: GONE}),
    Case("consent that was given", event(), {f"{E}.adStorageConsent": "G"}),
    Case("consent that nobody asked for", event(consent_ad_storage=None), {f"{E}.adStorageConsent": GONE}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "purchase"}),
    Case("opted out", event(opt_out_of_sale=True), Reason.OPTED_OUT),
]  # fmt: skip


def detail(index: Any, code: str = "InvalidEventTime", warning: Any = False) -> dict[str, Any]:
    return {"index": index, "propertyName": f"data[{index}].x", "attemptedValue": 1, "errorMessage": "words", "errorCode": code,
            "isWarning": warning}  # fmt: skip


def refusal(code: Any, *details: Any, status: int = 400) -> Response:
    error = {"code": code, "message": "words", **({"details": list(details)} if details else {})}
    return answer(status, {"error": error, "traceId": "Trace"})


def received(number: Any, *details: Any, **more: Any) -> Response:
    error = {"error": {"code": "ValidationError", "message": "words", "details": list(details)}} if details else {}
    return answer(200, {"eventsReceived": number, **error, "traceId": "Trace", **more})


def says(response: Response, count: int) -> Said:
    """200 `{"eventsReceived": n}`, with `error.details` for refused events (`isWarning` false) and dropped fields (true);
    400 ValidationError with details: no event was valid. Any other 400 in Microsoft's words, and 413, refuse the request."""
    body = object_of(response.body)
    if response.status == 413:
        return Said(refused=True)
    error = body.get("error", {})
    if not isinstance(error, dict) or response.status not in (200, 400):
        return NOTHING
    details = error.get("details", [])
    good = objects(details) and all(
        whole(d.get("index")) and 0 <= d["index"] < count and isinstance(d.get("isWarning"), bool) for d in details
    )
    refused = frozenset(d["index"] for d in details if not d["isWarning"]) if good else NO_EVENT
    if response.status == 400:
        if not isinstance(error.get("code"), str):
            return NOTHING
        return Said(blamed=every(count) if refused and error["code"] == "ValidationError" else NO_EVENT, refused=True)
    number = body.get("eventsReceived")
    if not whole(number) or not 0 <= number <= count or not good or ("error" in body and not details):
        return NOTHING
    if number + len(refused) == count or number == count:
        return Said(every(count) - refused, refused)
    if number + len(refused) > count:
        return NOTHING
    return Said(blamed=refused if count > 1 else every(count))


def successes(count: int) -> list[Response]:
    warning = {
        "index": 0,
        "propertyName": "data[0].userData.em",
        "errorMessage": "x",
        "errorCode": "InvalidSha256",
        "isWarning": True,
    }
    return [
        answer(200, {"eventsReceived": count}),
        answer(200, {"eventsReceived": count, "error": {"code": "ValidationError", "message": "x", "details": [warning]}}),
    ]  # fmt: skip


TAKEN, NARROW = State.ACCEPTED, (State.RETRY, "narrow")
BAD = (State.REJECTED, "InvalidEventTime")
LOST = {"kind": Kind.TRANSIENT, "maybe_stored": True}
ANSWERS = [
    Answer("success", answer(200, {"eventsReceived": 2}), Kind.SETTLED, outcomes=[TAKEN] * 2),
    Answer("a warning is no failure", received(2, detail(0, "InvalidUrl", True)), Kind.SETTLED, outcomes=[TAKEN] * 2,
           words="InvalidUrl"),
    Answer("one refused", received(1, detail(1)), Kind.SETTLED, outcomes=[TAKEN, BAD]),
    Answer("one refused, and counted as received", received(2, detail(1)), Kind.SETTLED, outcomes=[TAKEN, BAD]),
    Answer("two problems of one event", received(1, detail(1), detail(1, "Empty")), Kind.SETTLED, outcomes=[TAKEN, BAD]),
    Answer("a warning and a refusal", received(1, detail(0, "InvalidUrl", True), detail(1)), Kind.SETTLED, outcomes=[TAKEN, BAD]),
    Answer("one missing, and nobody says which", received(1), Kind.SETTLED, outcomes=[NARROW] * 2, maybe_stored=True),
    Answer("two missing, one named", received(1, detail(2)), Kind.SETTLED, 3, [NARROW, NARROW, BAD], maybe_stored=True),
    Answer("the only one missing", received(0), Kind.SETTLED, 1, [(State.REJECTED, "not_received")]),
    Answer("more refused than missing", received(2, detail(0), detail(1)), count=3, **LOST),
    *(Answer(f"a number that is none: {number!r}", received(number), **LOST) for number in ("2", None, 2.0, True, -1, 3)),
    *(Answer(f"a detail about nobody: {bad!r:.30}", received(1, bad), **LOST)
      for bad in (detail(2), detail(-1), detail("0"), detail(True), detail(0, "x", None), detail(0, "x", "false"), 5)),
    Answer("an error without details", answer(200, {"eventsReceived": 2, "error": {"code": "x", "message": "y"}}), **LOST),
    Answer("an error that is none", answer(200, {"eventsReceived": 2, "error": None}), **LOST),
    Answer("HTML", answer(200, HTML), **LOST),
    Answer("nothing", answer(200), **LOST),
    Answer("another success", answer(202, {"eventsReceived": 2}), **LOST),
    Answer("no event valid", refusal("ValidationError", detail(0), detail(1, "Empty")), Kind.SETTLED,
           outcomes=[BAD, (State.REJECTED, "Empty")]),
    Answer("no event valid, one explained", refusal("ValidationError", detail(0)), Kind.SETTLED,
           outcomes=[BAD, (State.REJECTED, "ValidationError")]),
    Answer("validation of the envelope", refusal("ValidationError"), Kind.REFUSED, code="ValidationError"),
    Answer("of an event that is not there", refusal("ValidationError", detail(9)), Kind.REFUSED, code="ValidationError"),
    Answer("another 400", refusal("InvalidRequest"), Kind.REFUSED, code="InvalidRequest", words="words"),
    Answer("a gateway's 400", answer(400, HTML), **LOST),
    Answer("401", refusal("Unauthorized", status=401), Kind.AUTH, code="Unauthorized"),
    Answer("403", refusal("Forbidden", status=403), Kind.AUTH, code="Forbidden"),
    Answer("403 without words", answer(403, HTML), Kind.AUTH),
    Answer("413", answer(413, HTML), Kind.REFUSED, code="http_413"),
    Answer("429", refusal("TooManyRequests", status=429), Kind.RATE_LIMITED),
    Answer("429 with its wait", answer(429, HTML, retry_after="60"), Kind.RATE_LIMITED, wait=minutes(1)),
    *(Answer(f"{status}", answer(status, HTML), code=f"http_{status}", **LOST) for status in (500, 502, 503, 504)),
    Answer("500 in its words", refusal("InternalServerError", status=500), code="InternalServerError", **LOST),
    Answer("404", answer(404, HTML), **LOST),
]  # fmt: skip

AT_SANDBOX = [
    *(Struck(f"one event refused: {code}", [{"kind": "reject_event", "match": "order-00003", "code": code}],
             {State.REJECTED: 1}, code)
      for code in ("InvalidEventTime", "InvalidEnumValue", "Empty")),
    Struck("two missing and none named, for warnings fill the list", [{"kind": "reject_event", "match": "order-0001"}],
           {State.RETRY: 12}, "narrow"),
    Struck("none valid", [{"kind": "reject_event", "code": "InvalidEnumValue"}], {State.REJECTED: 12}, "InvalidEnumValue"),
    Struck("another tag", want={State.RETRY: 12}, code="Unauthorized", failed=True, account={"tag_id": "1"}),
    Struck("too many requests", [{"kind": "rate_limit"}], {State.RETRY: 12}, "TooManyRequests", failed=True),
    Struck("down", [{"kind": "server_error", "status": 500}], {State.RETRY: 12}, "InternalServerError", failed=True),
]  # fmt: skip
