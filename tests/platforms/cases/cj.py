"""CJ Tracking API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of, objects, trace
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

LEADS = ("generate_lead", "qualify_lead", "close_convert_lead", "sign_up", "start_trial", "subscribe", "submit_application",
         "schedule", "contact", "download", "donate", "app_install")  # fmt: skip
TRACKERS = {name: 350001 + number for number, name in enumerate(("purchase", *LEADS, "Demo Booked"))}
CONFIG: dict[str, Any] = {
    "personal_access_token": "cj-pat", "enterprise_id": "1500000", "action_trackers": TRACKERS,
}  # fmt: skip
V, C = "json.variables.newOrders[0]", "json.variables.cancelledOrders[0]"
NAME_AT = f"{V}.actionTrackerId"
TESTING = {"validate_only": True}
NAMES: dict[str, Any] = {
    **dict.fromkeys(EVENT_NAMES, Reason.UNSUPPORTED_EVENT),
    **{name: tracker for name, tracker in TRACKERS.items() if name in EVENT_NAMES},
    "custom": TRACKERS["Demo Booked"],
}
MINIMAL = Reason.NO_CLICK_ID
CLEAR = ("cust-42",)
ONLY_WHOLE_REFUNDS = True
ITEM = {"id": "SKU-1", "name": "Shoe", "price": 9.5, "quantity": 2}
WHOLE = {"remaining_value": 0}


def clicks(*names: str, **changes: Any) -> dict[str, Any]:
    return event(click_ids={name: click(f"{name}-AbC") for name in names}, **changes)


CASES = [
    Case("everything", event(event_time="2026-10-01T14:00:00.9Z", coupon=" AUTUMN ", customer_type="returning", tax="1.25",
         browser_ids={"cjUser": "u-1"}), {
        "method": "POST", "url": "https://tracking.api.cj.com/graphql", "headers.Authorization": "Bearer cj-pat",
        V: {"enterpriseId": "1500000", "actionTrackerId": 350001, "orderId": "ORD-1", "eventTime": "2026-10-01T14:00:00Z",
            "cjEvent": "click-cjevent", "amount": "149.97", "currency": "USD", "coupon": "AUTUMN",
            "items": [{"sku": "SKU-1", "unitPrice": "50", "quantity": 2}],
            "ids": {"userId": "cust-42", "emailHash": DIGEST, "universalTagCjUser": "u-1"},
            "verticalParameters": {"customerStatus": "existing", "customerCountry": "US", "taxAmount": "1.25"}}}),
    Case("a new customer", event(customer_type="new"), {f"{V}.verticalParameters.customerStatus": "new"}),
    Case("checked only", event(), {"url": "https://tracking.api.cj.com/graphqltest"}, {"validate_only": True}),
    # the click
    Case("the click id before the cookie", clicks("cjevent", browser_ids={"cje": "c"}), {f"{V}.cjEvent": "cjevent-AbC"}),
    Case("in capitals", clicks("CJEVENT"), {f"{V}.cjEvent": "CJEVENT-AbC"}),
    Case("the cookie", clicks("gclid", browser_ids={"cje": "c"}), {f"{V}.cjEvent": "c"}),
    Case("a click alone", event(**{**NOBODY, "click_ids": {"cjevent": click("c")}}),
         {f"{V}.cjEvent": "c", f"{V}.ids": GONE, f"{V}.verticalParameters": GONE}),
    Case("a person is no click", clicks("gclid"), Reason.NO_CLICK_ID),
    # the order
    *(
        Case(f"the order {text!r}", event(transaction_id=text), {f"{V}.orderId": order})
        for text, order in (("A 1/ä", "A-1--"), ("a_b-C9", "a_b-C9"), (None, "evt-1"), ("", "evt-1"), ("jane@x.de", "jane-x-de"))
    ),
    Case("an order without a letter that CJ takes", event(transaction_id="注文"), Reason.INVALID_VALUE),
    *(
        Case(f"{value} {currency}", event(value=value, currency=currency), {f"{V}.amount": text, f"{V}.currency": currency})
        for value, currency, text in (
            (12000, "JPY", "12000"), ("12.345", "KWD", "12.345"), (0, "EUR", "0"), ("9.9", "EUR", "9.9")
        )
    ),
    Case("no negative value", event(value="-0.01"), Reason.INVALID_VALUE),
    Case("items without a value, in the account's currency", event(value=None, currency=None),
         {f"{V}.amount": GONE, f"{V}.currency": GONE, f"{V}.items[0].unitPrice": "50"}),
    Case("a sale of nothing", event(value=None, currency=None, contents=[]), Reason.MISSING_FIELD),
    Case("a lead without an amount", event("sign_up", value=None, currency=None, contents=[]), {f"{V}.amount": GONE}),
    Case("a lead with one, and never items", event("sign_up"), {f"{V}.amount": "149.97", f"{V}.items": GONE}),
    Case("no coupon", event(coupon=" "), {f"{V}.coupon": GONE}),
    # items: whole or not at all
    *(
        Case(f"a line without its {key} ({value!r})", event(contents=[ITEM, {**ITEM, key: value}]),
             {f"{V}.items": GONE, f"{V}.amount": "149.97"})
        for key, value in (("id", None), ("id", ""), ("price", None), ("price", -1), ("quantity", None), ("quantity", 0),
                           ("quantity", 1.5))
    ),
    Case("such a line and no value", event(value=None, currency=None, contents=[{**ITEM, "price": None}]), Reason.MISSING_FIELD),
    Case("a discount of the whole order", event(value="17.9", contents=[ITEM]), {f"{V}.discount": "1.1", f"{V}.amount": "17.9"}),
    *(Case(f"no discount: {value}", event(value=value, contents=[ITEM]), {f"{V}.discount": GONE}) for value in (19, 25)),
    Case("exact decimals", event(value="0.3", contents=[{**ITEM, "price": 0.1, "quantity": 3}]), {f"{V}.discount": GONE}),
    Case("a hundred lines", event(contents=[ITEM] * 100), {f"{V}.items[99].sku": "SKU-1"}),
    Case("and one more", event(contents=[ITEM] * 101), Reason.INVALID_VALUE),
    Case("of a lead, which has none", event("sign_up", contents=[ITEM] * 101), {f"{V}.items": GONE}),
    # action trackers
    Case("a lead without a tracker", event("donate"), Reason.NOT_CONFIGURED, {"action_trackers": {"purchase": 1}}),
    Case("an own event without one", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("an event that nobody pays for", event("add_to_cart"), Reason.UNSUPPORTED_EVENT,
         {"action_trackers": {"add_to_cart": 1}}),
    # the person
    Case("the first e-mail that is valid", event(emails=["nobody", " Jürgen.M+x@GoogleMail.com ", "a@x.com"]),
         {f"{V}.ids.emailHash": sha("jürgen.m+x@googlemail.com")}),
    Case("already hashed", event(emails=[DIGEST.upper()], user_id=DIGEST), {f"{V}.ids": {"emailHash": DIGEST}}),
    Case("the digest of nothing", event(emails=[sha("")]), {f"{V}.ids.emailHash": GONE}),
    Case("an own id keeps its case", event(user_id=" Cust 42 "), {f"{V}.ids.userId": "Cust 42"}),
    Case("an own id that is an address", event(user_id="jane@example.com"), {f"{V}.ids.userId": GONE}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: 350001}),
    # refunds
    Case("a whole refund cancels the order", event("refund", **WHOLE, event_time="2026-10-01T12:00:00.5Z"), {
        "url": "https://tracking.api.cj.com/graphql",
        "json.variables": {"cancelledOrders": [{"enterpriseId": "1500000", "actionTrackerId": 350001, "orderId": "ORD-1",
                                                "updateTime": "2026-10-01T12:00:00Z"}]}}),
    Case("of an open-ended action", event("refund", **WHOLE), {f"{C}.status": "Declined"}, {"open_ended": ["purchase"]}),
    Case("of one that is not", event("refund", **WHOLE), {f"{C}.status": GONE}, {"open_ended": ["sign_up"]}),
    Case("without a click", event("refund", **{**NOBODY, **WHOLE}), {f"{C}.orderId": "ORD-1"}),
    Case("of an order without a number", event("refund", **WHOLE, transaction_id=None), {f"{C}.orderId": "evt-0"}),
    Case("of another event", event("refund", **WHOLE, properties={"original_event_name": "subscribe"}),
         {f"{C}.actionTrackerId": TRACKERS["subscribe"]}),
    Case("of an event without a tracker", event("refund", **WHOLE), Reason.NOT_CONFIGURED, {"action_trackers": {"sign_up": 1}}),
    Case("the last cent stays", event("refund", remaining_value="0.01"), Reason.UNSUPPORTED_EVENT),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """200 with one mutation's result: as many `orders` as were sent, and no `errors`, take all. Errors of the mutation, or
    of the request by one of four documented phrases, refuse; those about the token or the account blame no order."""
    body = object_of(response.body)
    if response.status == 413:
        return Said(refused=True)
    data = body.get("data") if isinstance(body.get("data"), dict) else {}
    results = [data[name] for name in ("createOrders", "cancelOrders") if data.get(name) is not None]
    if response.status != 200 or len(results) > 1 or not objects(results):
        return NOTHING
    inner = results[0].get("errors") if results else None
    outer = body.get("errors")
    if not (inner is None or objects(inner)) or not (outer is None or objects(outer)):
        return NOTHING
    if not inner and not outer:
        orders = results[0].get("orders") if results else None
        good = objects(orders) and len(orders) == count and all(trace(order.get("submissionId")) for order in orders)
        return Said(every(count)) if good else NOTHING
    return Said(refused=True)


def said(*orders: Any, errors: Any = None, name: str = "createOrders", **root: Any) -> Response:
    return answer(200, {"data": {name: {"orders": list(orders) or None, "errors": errors}}, **root})


def order(number: int) -> dict[str, str]:
    return {"submissionId": f"s-{number}", "batchId": "b-1", "orderId": f"ORD-{number}"}


def successes(count: int) -> list[Response]:
    taken = [order(number) for number in range(count)]
    return [said(*taken), said(*taken, name="cancelOrders"), said(*taken, errors=[]),
            answer(200, {"data": {"createOrders": {"orders": taken}}})]  # fmt: skip


def error(message: str, status: int = 200) -> Response:
    return answer(status, {"errors": [{"message": message}], "data": None})


BAD = {"message": "eventTime may not be in the future", "fields": ["eventTime"]}
OK = [State.ACCEPTED] * 2
ANSWERS = [
    Answer("success", said(order(1), order(2)), Kind.SETTLED, outcomes=OK),
    Answer("cancelled", said(order(1), order(2), name="cancelOrders"), Kind.SETTLED, outcomes=OK),
    Answer("checked only", said(order(1), order(2)), Kind.SETTLED, outcomes=[(State.WITHHELD, "test_mode")] * 2,
           config={"validate_only": True}),
    Answer("fewer orders than were sent", said(order(1)), Kind.TRANSIENT, maybe_stored=True),
    Answer("no submission", said(order(1), {"orderId": "ORD-2"}), Kind.TRANSIENT, maybe_stored=True),
    Answer("two results", answer(200, {"data": {n: {"orders": [order(1)] * 2} for n in ("createOrders", "cancelOrders")}}),
           Kind.TRANSIENT, maybe_stored=True),
    *(Answer(f"errors that are no list: {value!r}", said(order(1), order(2), errors=value), Kind.TRANSIENT, maybe_stored=True)
      for value in ({}, "none", [1], True)),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    *(Answer(words, error(words), Kind.AUTH, code=words) for words in ("Missing Token", "Invalid Token", "Unauthorized")),
    Answer("not this enterprise's tracker", said(errors=[{"message": "Unauthorized actionTrackerId", "fields": []}]), Kind.AUTH,
           code="Unauthorized"),
    *(
        Answer(words, error(words), Kind.REFUSED, code=code, words=words)
        for words, code in (
            ("Invalid Syntax", "Invalid Syntax"), ("Validation error of type WrongType: x", "Validation error of type"),
            ("Order may not have more than 100 items", "more than 100 items"), ("updateTime is in the future", "in the future"),
        )
    ),
    Answer("a value of a field", said(errors=[BAD]), Kind.REFUSED, code="eventTime", words="in the future"),
    Answer("another value", said(errors=[{"message": "orderId has a blank", "fields": ["orderId"]}]), Kind.REFUSED,
           code="orderId"),
    Answer("without its field", said(errors=[{"message": "words"}]), Kind.REFUSED, code="order"),
    Answer("some orders, and an error", said(order(1), errors=[BAD]), Kind.REFUSED, maybe_stored=True),
    Answer("the order, and an error", said(order(1), errors=[BAD]), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("words of tomorrow", error("The service rests"), Kind.TRANSIENT, maybe_stored=True, words="The service rests"),
    *(Answer(f"{s}", answer(s), Kind.AUTH, code=f"http_{s}") for s in (401, 403)),
    Answer("too large", answer(413), Kind.REFUSED, code="http_413"),
    Answer("too large alone", answer(413), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("too many calls", answer(429), Kind.RATE_LIMITED, wait=minutes(1)),
    Answer("too many calls, with the wait", answer(429, retry_after="30"), Kind.RATE_LIMITED, wait=minutes(0.5)),
    *(Answer(f"{s}", answer(s, HTML), Kind.TRANSIENT, maybe_stored=True, code=f"http_{s}") for s in (500, 502, 503, 504)),
    Answer("an error in a 500", error("Invalid Syntax", 500), Kind.TRANSIENT, maybe_stored=True),
    *(Answer(f"{s}", answer(s), Kind.TRANSIENT, maybe_stored=True) for s in (204, 302)),
    Answer("404", answer(404), Kind.CONFIGURATION),
]  # fmt: skip

AT_SANDBOX = [
    Struck("one bad order is found by halving", [{"kind": "reject_event", "match": "\"orderId\":\"7\""}], {State.REJECTED: 1},
           "orderId"),
    Struck("too many items", [{"kind": "reject_event", "match": "\"orderId\":\"7\"", "code": "more than 100 items"}],
           {State.REJECTED: 1}, "orderId"),
    Struck("an expired token", [{"kind": "expired_token"}], {State.RETRY: 12}, "Invalid Token", failed=True),
    Struck("another enterprise", want={State.RETRY: 12}, code="Unauthorized", failed=True, account={"enterprise_id": "1"}),
    Struck("another's tracker", want={State.RETRY: 12}, code="Unauthorized", failed=True,
           account={"action_trackers": {"purchase": 999}}),
    Struck("too many calls", [{"kind": "rate_limit"}], {State.RETRY: 12}, "http_429", failed=True),
    Struck("checked only", want={State.WITHHELD: 12}, code="test_mode", account={"validate_only": True}),
]  # fmt: skip
