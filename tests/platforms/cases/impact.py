"""impact.com conversions and actions: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

import re
from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import days, minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event

TYPES = {name: 7001 + n for n, name in enumerate(sorted(set(EVENT_NAMES) - {"refund", "custom"}))}
CONFIG: dict[str, Any] = {
    "account_sid": "IRexampleSID00001", "auth_token": "impact-token", "campaign_id": 3641,
    "event_types": {**TYPES, "custom:Demo Booked": 7999},
}  # fmt: skip
NAME_AT, REFUND_NAME_AT = "form.EventTypeId", "form.ActionTrackerId"
PURCHASE = str(TYPES["purchase"])
NAMES: dict[str, str | Reason] = {
    **{name: str(id_) for name, id_ in TYPES.items()},
    "custom": "7999", "refund": PURCHASE, "app_install": Reason.NO_IDENTIFIER, "app_open": Reason.NO_IDENTIFIER,
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER
CLEAR = ("cust-42",)
F = "form"
ITEM = {"id": "SKU-1", "name": "Shoe", "price": 9.5, "quantity": 2}
APP: dict[str, Any] = {"action_source": "app", "click_ids": {}, "user_id": None}
IDFA = "AEBE52E7-03EE-455A-B3C4-E57283966239"
BACK: dict[str, Any] = {"value": "19", "contents": [ITEM], "remaining_value": "130.97"}
TOTALS = {"refunds": "totals"}


def clicks(value: str | None, **changes: Any) -> dict[str, Any]:
    return event(click_ids={"irclickid": click(value)} if value else {}, **changes)


CASES = [
    Case("everything", event(event_time="2026-10-01T14:00:00.9Z", coupon=" AUTUMN ", customer_type="returning", tax="1.25",
         shipping=5, city=" Köln ", region="NW", postal_code="50667"), {
        "method": "POST", "url": "https://api.impact.com/Advertisers/IRexampleSID00001/Conversions",
        "headers.Authorization": "Basic SVJleGFtcGxlU0lEMDAwMDE6aW1wYWN0LXRva2Vu", "headers.Accept": "application/json",
        "headers.Content-Type": "application/x-www-form-urlencoded", F: {
            "CampaignId": "3641", "EventTypeId": PURCHASE, "EventDate": "2026-10-01T14:00:00Z", "OrderId": "ORD-1",
            "ClickId": "click-irclickid", "CustomerId": "cust-42",
            "CustomerEmail": "a3caddb38202511eab803116294dc020f7c4f8a2", "CustomerStatus": "EXISTING",
            "CustomerCity": "Köln", "CustomerRegion": "NW", "CustomerPostCode": "50667", "CustomerCountry": "US",
            "CurrencyCode": "USD", "OrderPromoCode": "AUTUMN", "OrderTax": "1.25", "OrderShipping": "5",
            "IpAddress": "203.0.113.7", "UserAgent": "Mozilla/5.0", "ItemSku1": "SKU-1", "ItemName1": "Shoe",
            "ItemCategory1": "Shoes", "ItemBrand1": "Acme", "ItemQuantity1": "2", "ItemPrice1": "50"}}),
    # what credits a partner
    Case("the longest click id", clicks("c" * 64), {f"{F}.ClickId": "c" * 64}),
    Case("a longer one is never cut", clicks("c" * 65), {f"{F}.ClickId": GONE}),
    Case("a click alone", event(**{**NOBODY, "click_ids": {"irclickid": click("AbC")}}),
         {f"{F}.ClickId": "AbC", f"{F}.CustomerId": GONE, f"{F}.CustomerEmail": GONE}),
    Case("a customer alone", event(**{**NOBODY, "user_id": " Cust 42 "}), {f"{F}.CustomerId": "Cust 42"}),
    Case("a promo code alone", event(**{**NOBODY, "coupon": "AUTUMN"}), {f"{F}.OrderPromoCode": "AUTUMN"}),
    Case("an e-mail is no key", event(**{**NOBODY, "emails": ["jane.doe@example.com"], "coupon": " "}), Reason.NO_IDENTIFIER),
    Case("nor is a visitor's own cookie", event(**{**NOBODY, "anonymous_id": "anon-9f2c"}), Reason.NO_IDENTIFIER),
    Case("a customer id that is too long", event(user_id="c" * 256), {f"{F}.CustomerId": GONE}),
    Case("the longest", event(user_id="c" * 255), {f"{F}.CustomerId": "c" * 255}),
    Case("a customer id that is an address", event(user_id="jane@example.com"), {f"{F}.CustomerId": GONE}),
    # devices
    Case("an iPhone", event("app_install", **APP, device={"os": "iOS", "model": "iPhone17,1", "app_id": "1", "app_version": "2.0",
         "advertising_id": IDFA, "vendor_id": "V-1"}), {f"{F}.AppleIfa": IDFA, f"{F}.AppleIfv": "V-1", f"{F}.GoogAId": GONE,
         f"{F}.DeviceModel": "iPhone17,1", f"{F}.AppPackage": "1", f"{F}.AppVer": "2.0"}),
    Case("an Android phone", event("app_open", **APP, device={"os": "Android", "advertising_id": "aB-1", "vendor_id": "V-1"}),
         {f"{F}.GoogAId": "aB-1", f"{F}.AppleIfa": GONE, f"{F}.AppleIfv": GONE}),
    Case("tracking limited", event(**APP, device={"os": "iOS", "advertising_id": "00000000-0000-0000-0000-000000000000"}),
         Reason.NO_IDENTIFIER),
    Case("a device in the web", event(device={"os": "iOS", "vendor_id": "V-1", "model": "m"}),
         {f"{F}.AppleIfv": GONE, f"{F}.DeviceModel": GONE}),
    # the order
    Case("an order id that is too long", event(transaction_id="x" * 65), Reason.INVALID_VALUE),
    Case("the longest order id", event(transaction_id="x" * 64), {f"{F}.OrderId": "x" * 64}),
    *(Case(f"no order: {text!r}", event(transaction_id=text), {f"{F}.OrderId": "evt-1"}) for text in (None, "")),
    *(
        Case(f"{value} {currency}", event(value=value, currency=currency, contents=[]),
             {f"{F}.OrderSubTotalPostDiscount": text, f"{F}.CurrencyCode": currency, f"{F}.ItemSku1": GONE})
        for value, currency, text in (
            (12000, "JPY", "12000"), ("12.345", "KWD", "12.345"), (0, "EUR", "0"), ("9.90", "EUR", "9.9")
        )
    ),
    Case("no negative value", event(value="-0.01"), Reason.INVALID_VALUE),
    Case("no value: no money at all", event("sign_up", value=None, currency=None, tax=1, shipping=1), {
        f"{F}.OrderSubTotalPostDiscount": GONE, f"{F}.CurrencyCode": GONE, f"{F}.OrderTax": GONE, f"{F}.OrderShipping": GONE,
        f"{F}.ItemPrice1": GONE, f"{F}.OrderId": "ORD-1"}),
    # items, or the value, never both
    Case("items", event(contents=[ITEM, {**ITEM, "id": 7, "price": "1.5", "quantity": 1}], value="20.5"), {
        f"{F}.ItemSku2": "7", f"{F}.ItemPrice2": "1.5", f"{F}.ItemQuantity2": "1", f"{F}.ItemSku3": GONE,
        f"{F}.OrderSubTotalPostDiscount": GONE, f"{F}.OrderDiscount": GONE}),
    Case("a discount of the whole order", event(contents=[ITEM], value="17.9"), {f"{F}.OrderDiscount": "1.1"}),
    Case("exact decimals", event(contents=[{**ITEM, "price": 0.1, "quantity": 3}], value="0.3"), {f"{F}.OrderDiscount": GONE}),
    *(
        Case(f"a line without its {key} ({value!r})", event(contents=[ITEM, {**ITEM, key: value}]),
             {f"{F}.ItemSku1": GONE, f"{F}.OrderSubTotalPostDiscount": "149.97", f"{F}.OrderDiscount": GONE})
        for key, value in (("id", None), ("id", ""), ("price", None), ("price", -1), ("quantity", None), ("quantity", 0),
                           ("quantity", 1.5))
    ),
    # event types
    Case("no event type", event("donate"), Reason.NOT_CONFIGURED, {"event_types": {"purchase": 7001}}),
    Case("no event type of an own event", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("an own event of a canonical name", event("custom", custom_event_name="purchase"), Reason.NOT_CONFIGURED),
    # the person
    Case("the first e-mail that is valid", event(emails=["nobody", " Jane.Doe@Example.com", "a@x.com"]),
         {f"{F}.CustomerEmail": "a3caddb38202511eab803116294dc020f7c4f8a2"}),
    Case("hashed by another rule", event(emails=[DIGEST]), {f"{F}.CustomerEmail": GONE}),
    Case("a new customer", event(customer_type="new"), {f"{F}.CustomerStatus": "NEW"}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: PURCHASE}),
    # refunds
    Case("a return of one line", event("refund", **BACK), {
        "method": "PUT", "url": "https://api.impact.com/Advertisers/IRexampleSID00001/Actions", F: {
            "ActionTrackerId": PURCHASE, "OrderId": "ORD-1", "Reason": "ITEM_RETURNED", "Sku": "SKU-1",
            "ItemSubTotalDelta": "-19"}}),
    Case("as a new total", event("refund", **BACK), {F: {
        "ActionTrackerId": PURCHASE, "OrderId": "ORD-1", "Reason": "ITEM_RETURNED", "Amount": "130.97"}}, TOTALS),
    *(
        Case(f"a refund of {words}", event("refund", **{**BACK, "contents": contents}),
             {f"{F}.Amount": "130.97", f"{F}.ItemSubTotalDelta": GONE, f"{F}.Sku": GONE})
        for words, contents in (
            ("nothing in particular", []), ("two lines", [ITEM, ITEM]), ("a part of its line", [{**ITEM, "quantity": 3}]),
            ("a line without a price", [{**ITEM, "price": None}]), ("a line without a product", [{**ITEM, "id": None}]),
        )
    ),
    Case("a whole refund", event("refund", **{**BACK, "contents": [], "remaining_value": 0}), {f"{F}.Amount": "0"}),
    Case("the last return of an order leaves nothing, whatever came before", event("refund", **{**BACK, "remaining_value": 0}),
         {f"{F}.Amount": "0", f"{F}.ItemSubTotalDelta": GONE}),
    Case("one line needs no total", event("refund", **{**BACK, "remaining_value": None}), {f"{F}.ItemSubTotalDelta": "-19"}),
    Case("a new total does", event("refund", **{**BACK, "remaining_value": None}), Reason.MISSING_FIELD, TOTALS),
    Case("no refund below zero", event("refund", **{**BACK, "value": "-19"}), Reason.INVALID_VALUE),
    Case("another reason", event("refund"), {f"{F}.Reason": "ORDER_UPDATE"}, {"refund_reason": "ORDER_UPDATE"}),
    Case("of an order without a number", event("refund", transaction_id=None), {f"{F}.OrderId": "evt-0"}),
    Case("of another event", event("refund", properties={"original_event_name": "subscribe"}),
         {REFUND_NAME_AT: str(TYPES["subscribe"])}),
    Case("of an event without a type", event("refund"), Reason.NOT_CONFIGURED, {"event_types": {"donate": 1}}),
    Case("by nobody in particular", event("refund", **NOBODY), {f"{F}.OrderId": "ORD-1"}),
]  # fmt: skip

URI = "/Advertisers/IRexampleSID00001/APISubmissions/A-1"


def says(response: Response, count: int) -> Said:
    """200 `{"Status": "QUEUED", "QueuedUri": ".../APISubmissions/A-..."}` has queued it; an error of 400, 402, 404 or 405
    with its own words refuses it."""
    body = object_of(response.body)
    if response.status == 200 and body.get("Status") == "QUEUED":
        uri = body.get("QueuedUri")
        known = isinstance(uri, str) and re.fullmatch(r"/Advertisers/[^/]+/APISubmissions/[A-Za-z0-9_.-]{1,100}", uri)
        return Said(every(count)) if known else NOTHING
    return Said(refused=response.status in (400, 402, 404, 405) and "ERROR" in (body.get("Status"), body.get("status")))


def says_later(response: Response, count: int) -> Said:
    """200 with `Status` Complete: counted, or failed for its `ErrorType`; a duplicate is there already."""
    body = object_of(response.body)
    status, error = body.get("Status", body.get("status")), body.get("ErrorType", body.get("errorType"))
    if response.status != 200 or not isinstance(status, str) or status.lower() != "complete":
        return NOTHING
    if error is None or error == "":
        return Said(every(count))
    if not isinstance(error, str):
        return NOTHING
    return Said(every(count)) if "duplicate" in error.lower() else Said(blamed=every(count))


def queued(status: int = 200, **changes: Any) -> Response:
    return answer(status, {"Status": "QUEUED", "QueuedUri": URI, **changes})


def successes(count: int) -> list[Response]:
    return [queued(), queued(QueuedUri="/Advertisers/IR2/APISubmissions/A-b1.2_c")]


def later_successes(count: int) -> list[Response]:
    return [answer(200, {"Status": "Complete"}), answer(200, {"status": "COMPLETE", "ErrorType": ""}),
            answer(200, {"Status": "Complete", "ErrorType": "DUPLICATE_ACTION"})]  # fmt: skip


ERROR = {"Status": "ERROR", "Message": "Validation Failed", "Errors": [{"Field": "OrderId", "Message": "too long"}]}
SMALL = {"status": "ERROR", "message": "Validation Failed", "errors": [{"field": "OrderId", "message": "too long"}]}
PENDING = [State.PENDING]
CHANGE = [{"Reason": "ITEM_RETURNED"}]


def of_change(response: Response) -> Response:
    return Response(response.status, response.headers, response.body, CHANGE)


ANSWERS = [
    Answer("queued", queued(), Kind.SETTLED, 1, PENDING),
    *(
        Answer(f"queued, where nobody can ask: {uri!r:.60}", queued(QueuedUri=uri), Kind.TRANSIENT, 1, maybe_stored=True)
        for uri in (None, 5, "", "A-1", "/Advertisers/IR1/APISubmissions/", f"{URI}/x", f"{URI} x", f"https://x.example{URI}")
    ),
    Answer("another word", queued(Status="OK"), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("queued in a 202", queued(202), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("an error in a 200", answer(200, ERROR), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, 1, maybe_stored=True),
    *(Answer(f"refused {s}", answer(s, ERROR), Kind.REFUSED, 1, code="OrderId", words="too long") for s in (400, 402, 404, 405)),
    Answer("in small letters", answer(400, SMALL), Kind.REFUSED, 1, code="OrderId", words="too long"),
    Answer("refused without a field", answer(400, {"Status": "ERROR", "Message": "No"}), Kind.REFUSED, 1, code="http_400",
           words="No"),
    Answer("an account that is not there", answer(404, {"Status": "ERROR", "Message": "Not found"}), Kind.CONFIGURATION, 1,
           code="http_404"),
    Answer("an action that is not there", of_change(answer(404, {"Status": "ERROR", "Message": "Not found"})), Kind.REFUSED, 1,
           code="http_404"),
    *(Answer(f"a gateway's {s}", answer(s, HTML), Kind.TRANSIENT, 1, maybe_stored=True) for s in (400, 402, 405)),
    Answer("a gateway's 404", answer(404, HTML), Kind.CONFIGURATION, 1),
    *(Answer(f"credentials {s}", answer(s, ERROR), Kind.AUTH, 1, code=f"http_{s}") for s in (401, 403)),
    Answer("quota", answer(429, x_ratelimit_reset="1800"), Kind.RATE_LIMITED, 1, wait=minutes(30)),
    Answer("quota, with the usual header", answer(429, retry_after="60", x_ratelimit_reset="1800"), Kind.RATE_LIMITED, 1,
           wait=minutes(1)),
    *(Answer(f"quota, with {text!r}", answer(429, x_ratelimit_reset=text), Kind.RATE_LIMITED, 1) for text in ("", "soon", "-1")),
    Answer("quota of a very long time", answer(429, x_ratelimit_reset="9" * 9), Kind.RATE_LIMITED, 1, wait=days(1)),
    *(Answer(f"{s}", answer(s, HTML), Kind.TRANSIENT, 1, maybe_stored=True, code=f"http_{s}") for s in (500, 502, 503, 504)),
    *(Answer(f"{s}", answer(s), Kind.TRANSIENT, 1, maybe_stored=True) for s in (204, 302, 410)),
]  # fmt: skip


def submission(**body: Any) -> Response:
    return answer(200, {"Status": "Complete", **body})


STATUS_ANSWERS = [
    Answer("counted", submission(), Kind.SETTLED, 1, [State.ACCEPTED]),
    Answer("counted, in small letters", answer(200, {"status": "complete"}), Kind.SETTLED, 1, [State.ACCEPTED]),
    *(Answer(f"no error: {error!r}", submission(ErrorType=error), Kind.SETTLED, 1, [State.ACCEPTED]) for error in (None, "")),
    *(
        Answer(error, submission(ErrorType=error), Kind.SETTLED, 1, [(State.REJECTED, error)])
        for error in ("Contract Error", "CONTRACT_NOT_FOUND", "RESTRICTED_PROMOCODE")
    ),
    Answer("there already", submission(ErrorType="DUPLICATE_ACTION"), Kind.SETTLED, 1, [(State.ACCEPTED, "DUPLICATE_ACTION")]),
    *(Answer(f"an error that is none: {error!r}", submission(ErrorType=error), Kind.TRANSIENT, 1, maybe_stored=True)
      for error in (5, True, {}, ["X"])),
    *(Answer(f"{word}", answer(200, {"Status": word}), Kind.WAITING, 1) for word in ("Queued", "QUEUED")),
    *(Answer(f"a word of tomorrow: {word!r}", answer(200, {"Status": word}), Kind.TRANSIENT, 1, maybe_stored=True)
      for word in ("Sleeping", None, 5)),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("credentials", answer(401), Kind.AUTH, 1),
    Answer("quota", answer(429, x_ratelimit_reset="60"), Kind.RATE_LIMITED, 1, wait=minutes(1)),
    Answer("404", answer(404, ERROR), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("503", answer(503, HTML), Kind.TRANSIENT, 1, maybe_stored=True),
]  # fmt: skip

COUNTED_AGAIN = {
    "event_name": "refund", "original_event_id": "evt-0", "original_event_time": "2026-09-30T16:00:00Z",
    "remaining_value": "49.97", "value": "100", "contents": [{"id": "SKU-1", "quantity": 2, "price": 50}],
}  # fmt: skip

AT_SANDBOX = [
    Struck("a bad conversion", [{"kind": "reject_event", "match": "irclickid-7"}], {State.PENDING: 11, State.REJECTED: 1},
           "OrderId"),
    Struck("another programme", want={State.REJECTED: 12}, code="CampaignId", account={"campaign_id": 1}),
    Struck("another account", want={State.RETRY: 12}, code="http_401", failed=True, account={"account_sid": "IRother"}),
    Struck("a revoked token", [{"kind": "revoked_token"}], {State.RETRY: 12}, "http_401", failed=True),
    Struck("an empty quota", [{"kind": "rate_limit", "regain_minutes": 30}], {State.RETRY: 12}, "http_429", failed=True),
    Struck("a lost answer, where a repetition is known", [{"kind": "reset_after", "times": 1}], {State.PENDING: 12}),
]  # fmt: skip
