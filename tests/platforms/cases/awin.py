"""Awin Conversion API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of, objects, trace
from tests.platforms.support import GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event

LEADS = ("generate_lead", "qualify_lead", "close_convert_lead", "sign_up", "start_trial", "subscribe", "schedule",
         "submit_application", "contact", "donate", "download", "app_install")  # fmt: skip
GROUPS = {"purchase": "DEFAULT", **{name: f"LEAD_{name.upper()}" for name in LEADS}, "Demo Booked": "DEMO-1.A"}
CONFIG: dict[str, Any] = {
    "advertiser_id": 12345, "api_key": "awin-key", "commission_groups": GROUPS, "default_currency": "USD",
}  # fmt: skip
O = "json.orders[0]"  # noqa: E741
NAME_AT = f"{O}.commissionGroups[0].code"
TESTING = {"is_test": True}
NAMES: dict[str, str | Reason] = {
    **dict.fromkeys(EVENT_NAMES, Reason.UNSUPPORTED_EVENT),
    **{name: code for name, code in GROUPS.items() if name in EVENT_NAMES},
    "custom": "DEMO-1.A",
}
MINIMAL = Reason.NO_CLICK_ID
ITEM = {"id": "SKU-1", "name": "Shoe", "price": 9.5, "quantity": 2}


def clicks(*names: str, **changes: Any) -> dict[str, Any]:
    return event(click_ids={name: click(f"{name}-AbC") for name in names}, **changes)


CASES = [
    Case("everything", event(event_time="2026-10-01T14:00:00.9Z", coupon=" AUTUMN ", customer_type="returning"), {
        "method": "POST", "url": "https://api.awin.com/s2s/advertiser/12345/orders", "headers.x-api-key": "awin-key",
        "headers.Authorization": GONE, "json": {"orders": [{
            "orderReference": "ORD-1", "amount": 149.97, "channel": "aw", "currency": "USD", "awc": "click-awc",
            "voucher": "AUTUMN", "customerAcquisition": "RETURNING", "transactionTime": 1790863200,
            "commissionGroups": [{"code": "DEFAULT", "amount": 149.97}],
            "basket": [{"id": "SKU-1", "name": "Shoe", "price": 50, "quantity": 2, "sku": "SKU-1", "category": "Shoes",
                        "commissionGroupCode": "DEFAULT"}]}]}}),
    Case("a new customer", event(customer_type="new"), {f"{O}.customerAcquisition": "NEW"}),
    Case("another channel", event(), {f"{O}.channel": "ppc"}, {"channel": "ppc"}),
    # what names the publisher
    Case("the click id before the cookie", clicks("awc", browser_ids={"awin_awc": "c"}), {f"{O}.awc": "awc-AbC"}),
    Case("the cookie", clicks("gclid", browser_ids={"awin_awc": "c"}), {f"{O}.awc": "c"}),
    Case("a voucher alone", event(**{**NOBODY, "coupon": "AUTUMN"}), {f"{O}.voucher": "AUTUMN", f"{O}.awc": GONE}),
    Case("a click alone", event(**{**NOBODY, "click_ids": {"awc": click("c")}}), {f"{O}.awc": "c", f"{O}.voucher": GONE}),
    *(Case(f"no voucher in {text!r}", clicks("gclid", coupon=text), Reason.NO_CLICK_ID) for text in (None, "", " ")),
    Case("a person is no publisher", clicks("fbclid"), Reason.NO_CLICK_ID),
    # the order
    Case("fifty characters of the order", event(transaction_id="Ö" * 51), {f"{O}.orderReference": "Ö" * 50}),
    *(Case(f"no order in {text!r}: the event's id", event(transaction_id=text), {f"{O}.orderReference": "evt-1"})
      for text in (None, "")),
    *(
        Case(f"{value} {currency}", event(value=value, currency=currency), {
            f"{O}.amount": amount, f"{O}.currency": currency, f"{O}.commissionGroups": [{"code": "DEFAULT", "amount": amount}]})
        for value, currency, amount in ((12000, "JPY", 12000), ("12.345", "KWD", 12.345), (0, "EUR", 0), ("9.90", "EUR", 9.9))
    ),
    Case("tax and shipping are not added", event(tax=20, shipping=5), {f"{O}.amount": 149.97}),
    Case("a sale without a value", event(value=None, currency=None), Reason.MISSING_FIELD),
    Case("no negative value", event(value="-0.01"), Reason.INVALID_VALUE),
    # leads
    Case("a lead counts as one", event("generate_lead", currency="EUR"), {
        f"{O}.amount": 1, f"{O}.currency": "EUR", f"{O}.basket": GONE,
        f"{O}.commissionGroups": [{"code": "LEAD_GENERATE_LEAD", "amount": 1}]}),
    Case("in the account's currency", event("sign_up", value=None, currency=None), {f"{O}.amount": 1, f"{O}.currency": "USD"}),
    Case("which must be known", event("sign_up", value=None, currency=None), Reason.MISSING_FIELD, {"default_currency": None}),
    # groups
    Case("a lead without a group", event("donate"), Reason.NOT_CONFIGURED, {"commission_groups": {"purchase": "DEFAULT"}}),
    Case("an own event without one", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("an event that nobody pays for", event("add_to_cart"), Reason.UNSUPPORTED_EVENT, {"commission_groups": {"add_to_cart":
         "CART"}}),
    Case("a return", event("refund"), Reason.UNSUPPORTED_EVENT, {"commission_groups": {"refund": "BACK"}}),
    # the basket: whole or not at all
    Case("pipes are removed", event(contents=[{**ITEM, "id": "S|1", "name": "A|B|", "category": "|"}]), {
        f"{O}.basket": [{"id": "S1", "name": "AB", "price": 9.5, "quantity": 2, "sku": "S1", "commissionGroupCode": "DEFAULT"}]}),
    *(
        Case(f"a line without its {key} ({value!r})", event(contents=[ITEM, {**ITEM, key: value}]), {f"{O}.basket": GONE})
        for key, value in (("id", None), ("id", "|"), ("name", ""), ("price", None), ("price", -1), ("quantity", None),
                           ("quantity", 0), ("quantity", -1), ("quantity", 1.5))
    ),
    Case("a gift", event(contents=[{**ITEM, "price": 0}]), {f"{O}.basket[0].price": 0}),
    Case("no basket", event(contents=[]), {f"{O}.basket": GONE}),
    # the person and consent
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "DEFAULT"}),
    Case("a test", event(), {f"{O}.isTest": True}, {"is_test": True}),
    Case("no test", event(), {f"{O}.isTest": GONE}),
]  # fmt: skip

LISTS = ("successfulOrders", "pendingOrders", "failedOrders")


def says(response: Response, count: int) -> Said:
    """200 and 206 name orders in three lists, 202 is still at work; `failedOrders` refuses some by their reference, or
    nobody in particular where that is not one of those sent. 400, 406 and 422 refuse the request."""
    if response.status in (400, 406, 422):
        return Said(refused=True)
    body = object_of(response.body)
    lists = [body.get(key, []) for key in LISTS]
    if response.status not in (200, 202, 206) or not trace(body.get("batchId")) or not all(map(objects, lists)):
        return NOTHING
    if sum(map(len, lists)) > count or (response.status != 202 and not body.keys() & set(LISTS)):
        return NOTHING
    if not lists[2]:
        return Said(every(count))
    sent = [order["orderReference"] for order in response.sent]
    named = [
        order["order"].get("orderReference") if isinstance(order.get("order"), dict) else None for order in lists[2]
    ]
    if not len(set(sent)) == len(sent) == count or not all(isinstance(one, str) and one in sent for one in named):
        return Said(refused=True)
    blamed = frozenset(map(sent.index, named))
    return Said(every(count) - blamed, blamed)


def batch(taken: int = 0, pending: int = 0, *failed: Any, status: int = 200, **more: Any) -> Response:
    def named(number: int) -> list[dict[str, str]]:
        return [{"orderReference": f"ORD-{n}", "correlationId": f"c-{n}"} for n in range(number)]

    found = {
        "batchId": "b-1",
        "successfulOrders": named(taken),
        "pendingOrders": named(pending),
        "failedOrders": list(failed),
    }
    return answer(status, {**found, **more})


def successes(count: int) -> list[Response]:
    return [batch(count), batch(0, count, status=202), batch(count - 1, 1)]


def sent(response: Response, *references: str) -> Response:
    return replace(response, sent=[{"orderReference": reference} for reference in references])


REJECTED = (State.REJECTED, "commissionGroups")
BAD = {"order": {"orderReference": "ORD-1"}, "errors": [{"field": "commissionGroups", "message": "unknown group"}]}
OK = [State.ACCEPTED] * 2
ANSWERS = [
    Answer("success", batch(2), Kind.SETTLED, outcomes=OK),
    Answer("one is pending", batch(1, 1), Kind.SETTLED, outcomes=OK),
    Answer("still at work", batch(0, 2, status=202), Kind.SETTLED, outcomes=OK),
    Answer("still at work, without lists", answer(202, {"batchId": "b-1"}), Kind.SETTLED, outcomes=OK),
    Answer("what is not named was sent", batch(1), Kind.SETTLED, outcomes=OK),
    Answer("a test counts nothing", batch(2), Kind.SETTLED, outcomes=[(State.WITHHELD, "test_mode")] * 2,
           config={"is_test": True}),
    *(
        Answer(f"one failed, of {references}", sent(batch(1, 0, BAD, status=206), *references), Kind.SETTLED, outcomes=outcomes)
        for references, outcomes in (
            (("ORD-1", "ORD-2"), [REJECTED, State.ACCEPTED]), (("ORD-0", "ORD-1"), [State.ACCEPTED, REJECTED])
        )
    ),
    Answer("one failed in a test", sent(batch(1, 0, BAD, status=206), "ORD-1", "ORD-2"), Kind.SETTLED,
           outcomes=[REJECTED, (State.WITHHELD, "test_mode")], config={"is_test": True}, words="unknown group"),
    *(
        Answer(f"one failed, and which one is not sure: {references}", sent(batch(1, 0, BAD, status=206), *references),
               Kind.REFUSED, code="commissionGroups", words="unknown group", maybe_stored=True)
        for references in ((), ("ORD-1", "ORD-1"), ("ORD-2", "ORD-3"))
    ),
    Answer("one failed, in a 200", batch(1, 0, BAD), Kind.REFUSED, maybe_stored=True),
    Answer("one failed, of one", batch(0, 0, BAD, status=206), Kind.REFUSED, 1, code="commissionGroups", maybe_stored=True),
    Answer("a failure without words", batch(1, 0, {}), Kind.REFUSED, code="failedOrders", maybe_stored=True),
    Answer("more orders than were sent", batch(3), Kind.TRANSIENT, maybe_stored=True),
    Answer("no batch id", batch(2, batchId=None), Kind.TRANSIENT, maybe_stored=True),
    Answer("no lists", answer(200, {"batchId": "b-1"}), Kind.TRANSIENT, maybe_stored=True),
    *(Answer(f"lists that are none: {value!r}", batch(2, failedOrders=value), Kind.TRANSIENT, maybe_stored=True)
      for value in ({}, "none", [1], None)),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    *(Answer(f"the envelope {s}", answer(s, {"message": "orders: required"}), Kind.REFUSED, code=f"http_{s}",
             words="orders: required") for s in (400, 406, 422)),
    *(Answer(f"credentials {s}", answer(s), Kind.AUTH, code=f"http_{s}") for s in (401, 403)),
    Answer("another advertiser", answer(404), Kind.CONFIGURATION, code="http_404"),
    Answer("too many calls", answer(429), Kind.RATE_LIMITED, wait=minutes(1)),
    Answer("too many calls, with the wait", answer(429, retry_after="30"), Kind.RATE_LIMITED, wait=minutes(0.5)),
    *(Answer(f"{s}", answer(s, HTML), Kind.TRANSIENT, maybe_stored=True, code=f"http_{s}") for s in (500, 502, 503, 504)),
    *(Answer(f"{s}", answer(s), Kind.TRANSIENT, maybe_stored=True) for s in (204, 302, 405)),
]  # fmt: skip

AT_SANDBOX = [
    Struck("one bad order, by its reference", [{"kind": "reject_event", "match": "\"7\"", "code": "commissionGroups"}],
           {State.REJECTED: 1}, "commissionGroups"),
    Struck("a group that the programme does not have", want={State.REJECTED: 12}, code="commissionGroups",
           account={"commission_groups": {"purchase": "NO_SUCH_GROUP"}}),
    Struck("another advertiser", want={State.RETRY: 12}, code="http_404", failed=True, account={"advertiser_id": 99999}),
    Struck("a revoked key", [{"kind": "revoked_token"}], {State.RETRY: 12}, "http_401", failed=True),
    Struck("too many calls", [{"kind": "rate_limit"}], {State.RETRY: 12}, "http_429", failed=True),
    Struck("a test", want={State.WITHHELD: 12}, code="test_mode", account={"is_test": True}),
]  # fmt: skip
