"""X Conversion API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of, objects, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

NOT_HERE = ("refund", "app_install", "app_open")
MAPPED = {name: f"tw-o8z6j-o{number}" for number, name in enumerate(EVENT_NAMES) if name != "custom"}
CONFIG = {
    "pixel_id": "o8z6j",
    "consumer_key": "X-CONSUMER-KEY",
    "consumer_secret": "X-CONSUMER-SECRET",
    "access_token": "X-ACCESS-TOKEN",
    "access_token_secret": "X-ACCESS-TOKEN-SECRET",
    "events": {**MAPPED, "Demo Booked": "o87ni"},
}
PIXEL_TOKEN = {"auth": "pixel_token", "pixel_token": "X-PIXEL-TOKEN"}
NAME_AT = "json.conversions[0].event_id"
NAMES: dict[str, str | Reason] = {
    **MAPPED, "custom": "o87ni", **dict.fromkeys(NOT_HERE, Reason.UNSUPPORTED_EVENT)
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER

E = "json.conversions[0]"
PURCHASE = MAPPED["purchase"]
MAIL, PHONE = {"hashed_email": DIGEST}, {"hashed_phone_number": sha("+14155552671")}
TWCLID, NETWORK = {"twclid": "click-twclid"}, {"ip_address": "203.0.113.7", "user_agent": "Mozilla/5.0"}


def only(**known: Any) -> dict[str, Any]:
    return event(**{**NOBODY, "country": "US", **known})


CASES = [
    Case("everything", event(), {
        "method": "POST", "url": "https://ads-api.x.com/12/measurement/conversions/o8z6j", "params": {},
        "json": {"conversions": [{
            "conversion_time": "2026-10-01T14:00:00.000Z", "event_id": PURCHASE, "conversion_id": "evt-1",
            "identifiers": [TWCLID, MAIL, PHONE, NETWORK], "value": "149.97", "price_currency": "USD", "number_items": 2,
            "contents": [{"content_id": "SKU-1", "content_name": "Shoe", "content_type": "Shoes", "content_price": "50.00",
                          "num_items": 2}],
            "event_source_url": "https://shop.example.com/thanks"}]}}),
    Case("a signature is made when the request leaves", event(), {"headers": {"Content-Type": "application/json"}}),
    Case("a pixel token is a header and nothing else", event(),
         {"headers": {"Content-Type": "application/json", "X-Pixel-Token": "X-PIXEL-TOKEN"}}, PIXEL_TOKEN),
    Case("no X event configured", event("donate"), Reason.NOT_CONFIGURED, {"events": {"purchase": "o87ne"}}),
    Case("an own event without one", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    *(Case(f"sent from {source}", event(action_source=source), {NAME_AT: PURCHASE})
      for source in ("website", "phone_call", "chat", "email", "system_generated", "other")),
    *(Case(f"not from {source}", event(action_source=source), Reason.UNSUPPORTED_EVENT) for source in ("app", "physical_store")),
    Case("milliseconds are cut and always there", event(event_time="2026-10-01T15:59:59.9999+02:00"),
         {f"{E}.conversion_time": "2026-10-01T13:59:59.999Z"}),
    *(
        Case(f"{value} {currency}", event(value=value, currency=currency), {f"{E}.value": text, f"{E}.price_currency": currency})
        for value, currency, text in (
            (12000, "JPY", "12000.00"), ("12.345", "KWD", "12.345"), ("149.9", "USD", "149.90"), (0, "EUR", "0.00"),
            ("12345678901234.5", "EUR", "12345678901234.50"),
        )
    ),
    Case("no value", event(value=None, currency=None), {f"{E}.value": GONE, f"{E}.price_currency": GONE}),
    Case("unknown quantities and prices",
         event(contents=[{"id": 7, "price": "9.5"}, {"name": "no id"}, {"id": "b", "quantity": 3}]),
         {f"{E}.number_items": 4, f"{E}.contents": [{"content_id": "7", "content_price": "9.50"},
                                                    {"content_id": "b", "num_items": 3}]}),
    Case("no contents", event(contents=[]), {f"{E}.number_items": GONE, f"{E}.contents": GONE}),
    Case("no number of items below one", event(contents=[{"id": "a", "quantity": -2}]), {f"{E}.number_items": GONE}),
    Case("a search", event("search", search_term="rote Schuhe"), {f"{E}.search_string": "rote Schuhe"}),
    Case("an address of a page is encoded, once", event(source_url="https://müller.example/ä b?q=%20&x=(1)#~"),
         {f"{E}.event_source_url": "https://m%C3%BCller.example/%C3%A4%20b?q=%20&x=(1)#~"}),
    Case("no page", event(source_url=""), {f"{E}.event_source_url": GONE}),
    # the person
    Case("the best valid e-mail and phone",
         event(emails=["nobody", " B.b+1@Gmail.com", "a@x.com"], phones=["0", "(415) 555-2671", "+49 30 901820"]),
         {f"{E}.identifiers": [TWCLID, {"hashed_email": sha("b.b+1@gmail.com")}, PHONE, NETWORK]}),
    Case("already hashed", event(emails=[DIGEST.upper()]), {f"{E}.identifiers[1]": MAIL}),
    Case("X's own check values", event(emails=["test-email@test.com"], phones=["+11234567890"]), {
        f"{E}.identifiers[1].hashed_email": "e586883b2b4faf78d48300a79e0e15138d664cdf796ffb86e533170a9893eda8",
        # +1 123 456 7890 is no number that anybody can have, so it is not sent
        f"{E}.identifiers[2]": NETWORK}),
    Case("a click alone", only(click_ids={"twclid": click("Ab-1")}), {f"{E}.identifiers": [{"twclid": "Ab-1"}]}),
    Case("an address without a browser rides along", only(emails=["jane.doe@example.com"], ip_address=" 203.0.113.7 "),
         {f"{E}.identifiers": [{**MAIL, "ip_address": "203.0.113.7"}]}),
    Case("so does a browser", only(phones=["+14155552671"], user_agent=" UA "),
         {f"{E}.identifiers": [{**PHONE, "user_agent": "UA"}]}),
    Case("an address of IPv6 is no address", only(emails=["jane.doe@example.com"], ip_address="2001:db8::1", user_agent="UA"),
         {f"{E}.identifiers": [{**MAIL, "user_agent": "UA"}]}),
    Case("address and browser are not enough", only(ip_address="203.0.113.7", user_agent="UA"), Reason.NO_IDENTIFIER),
    Case("an own id is none", only(user_id="cust-42", anonymous_id="anon"), Reason.NO_IDENTIFIER),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: PURCHASE}),
]  # fmt: skip


def processed(count: Any, status: int = 200, **data: Any) -> Response:
    said = {"conversions_processed": count, "debug_id": "7d9e0a0e-5f0c-4c1b-8a52-0d3a8ac8f1de", **data}
    return answer(status, {"request": {"params": {"account_id": "18ce54d4x5t"}}, "data": said})


def quoting(parameter: Any, value: Any) -> Response:
    """A refusal of one of two conversions, told by a value."""
    error = {"code": "INVALID_PARAMETER", "message": f"{parameter} ({value}) is not valid", "parameter": parameter}
    people = [[{"hashed_email": "abc"}, {"twclid": "t"}], [{"hashed_email": "abcd", "user_agent": "UA"}]]
    sent = [{"conversion_id": f"e{n}", "identifiers": ids, "value": "1.00"} for n, ids in enumerate(people)]
    return replace(answer(400, {"errors": [error]}), sent=sent)


def refusal(status: int, code: Any, message: Any = "words", **headers: str) -> Response:
    error = {"code": code, "message": message, "parameter": "hashed_email"}
    return answer(status, {"errors": [error], "request": {"params": {}}}, **headers)


def says(response: Response, count: int) -> Said:
    """200 `{"data": {"conversions_processed": 2, "debug_id": "..."}}` takes all; 400 `{"errors": [{...}]}` refuses the
    request because of events that it does not name, unless the event id of the account is wrong."""
    body = object_of(response.body)
    errors, data = body.get("errors"), body.get("data")
    if response.status == 200 and errors is None and isinstance(data, dict):
        fits = whole(data.get("conversions_processed")) and 1 <= data["conversions_processed"] <= count
        return Said(every(count)) if fits and isinstance(data.get("debug_id", ""), str) else NOTHING
    if response.status != 400 or not errors or not objects(errors):
        return NOTHING
    account = "(?i)is not a single event tag|event id was not found"
    return Said(refused=not any(re.search(account, str(error.get("message"))) for error in errors))


def successes(count: int) -> list[Response]:
    return [processed(count)]


BOTH = [State.ACCEPTED] * 2
DATE, RESET = "Thu, 01 Oct 2026 16:00:00 GMT", 1790870400  # the same moment
ANSWERS = [
    Answer("success", processed(2), Kind.SETTLED, outcomes=BOTH),
    Answer("another number is a warning", processed(1), Kind.SETTLED, outcomes=BOTH, words="processed 1 of 2"),
    *(Answer(f"{n!r} processed", processed(n), Kind.TRANSIENT, maybe_stored=True) for n in (0, 3, "2", True, None, -2)),
    Answer("a success in a 201", processed(2, 201), Kind.TRANSIENT, maybe_stored=True),
    Answer("a success with errors", answer(200, {"data": {"conversions_processed": 2}, "errors": [{"code": "X"}]}),
           Kind.TRANSIENT, maybe_stored=True),
    Answer("a debug id of another type", processed(2, debug_id=[1]), Kind.TRANSIENT, maybe_stored=True),
    Answer("a bad value", refusal(400, "INVALID_PARAMETER", "hashed_email (abc) is not a valid SHA-256 hash"), Kind.REFUSED,
           code="INVALID_PARAMETER"),
    Answer("an identifier that is quoted", quoting("hashed_email", "abc"), Kind.REFUSED, culprits={0: "INVALID_PARAMETER"}),
    Answer("a value that both have", quoting("value", "1.00"), Kind.REFUSED,
           culprits={0: "INVALID_PARAMETER", 1: "INVALID_PARAMETER"}),
    Answer("a value that none has", quoting("hashed_email", "x"), Kind.REFUSED),
    Answer("a parameter that none has", quoting("price_currency", "USD"), Kind.REFUSED),
    Answer("a parameter of another type", quoting(["value"], "1.00"), Kind.REFUSED),
    Answer("too many", refusal(400, "INVALID_PARAMETER", "Conversion count limit is 500"), Kind.REFUSED),
    Answer("no event of the pixel", refusal(400, "INVALID_PARAMETER", "event_id (zz) is not a single event tag (SET)"),
           Kind.CONFIGURATION),
    Answer("an event that is not there", refusal(400, "INVALID_PARAMETER", "Event ID was not found"), Kind.CONFIGURATION),
    Answer("another account's event", refusal(404, "NOT_FOUND", "event_id zz does not belong to provided account"),
           Kind.CONFIGURATION, code="NOT_FOUND"),
    Answer("a wrong path", refusal(404, "ROUTE_NOT_FOUND"), Kind.CONFIGURATION, code="ROUTE_NOT_FOUND"),
    Answer("a page for a 400", answer(400, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("errors of another type", answer(400, {"errors": ["bad"]}), Kind.TRANSIENT, maybe_stored=True),
    Answer("keys, clock or signature", refusal(401, "UNAUTHORIZED_ACCESS"), Kind.AUTH, code="UNAUTHORIZED_ACCESS"),
    Answer("an app without access", refusal(403, "UNAUTHORIZED_CLIENT_APPLICATION"), Kind.AUTH,
           code="UNAUTHORIZED_CLIENT_APPLICATION"),
    *(Answer(f"{s}", refusal(s, "LATER"), Kind.TRANSIENT, maybe_stored=True) for s in (408, 423)),
    Answer("too many requests", refusal(429, "TOO_MANY_REQUESTS"), Kind.RATE_LIMITED, code="TOO_MANY_REQUESTS"),
    Answer("until the later reset", refusal(429, "TOO_MANY_REQUESTS", date=DATE, **{
        "x-rate-limit-reset": str(RESET + 60), "x-account-rate-limit-reset": str(RESET + 300)}),
           Kind.RATE_LIMITED, wait=minutes(5)),
    Answer("a reset that has passed", refusal(429, "TOO_MANY_REQUESTS", date=DATE, **{"x-rate-limit-reset": str(RESET - 1)}),
           Kind.RATE_LIMITED),
    Answer("a reset without a date", refusal(429, "TOO_MANY_REQUESTS", retry_after="60", **{"x-rate-limit-reset": str(RESET)}),
           Kind.RATE_LIMITED, wait=minutes(1)),
    Answer("their server", refusal(500, "INTERNAL_ERROR"), Kind.TRANSIENT, maybe_stored=True, code="INTERNAL_ERROR"),
    Answer("over capacity", refusal(503, "OVER_CAPACITY", retry_after="60"), Kind.TRANSIENT, maybe_stored=True, wait=minutes(1)),
    Answer("a gateway's page", answer(502, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
]  # fmt: skip

AT_SANDBOX = [
    Struck("one bad conversion is found by the value that is quoted", [{"kind": "reject_event", "match": "order-00007"}],
           {State.REJECTED: 1}, "INVALID_PARAMETER"),
    Struck("or by halving", [{"kind": "reject_event", "match": "order-00007", "code": "UNQUOTED"}],
           {State.REJECTED: 1}, "UNQUOTED"),
    Struck("the pixel token instead of four keys", account={"auth": "pixel_token", "pixel_token": "sandbox-x-pixel-token"}),
    Struck("a wrong pixel token", want={State.RETRY: 12}, code="UNAUTHORIZED_ACCESS", failed=True,
           account={"auth": "pixel_token", "pixel_token": "another-token"}),
    Struck("a wrong secret signs wrongly", want={State.RETRY: 12}, code="UNAUTHORIZED_ACCESS", failed=True,
           account={"access_token_secret": "another-secret"}),
    Struck("an app without access to the Ads API", [{"kind": "reject_event", "code": "UNAUTHORIZED_CLIENT_APPLICATION"}],
           {State.RETRY: 12}, "UNAUTHORIZED_CLIENT_APPLICATION", failed=True),
    Struck("an event of another pixel", want={State.RETRY: 12}, code="NOT_FOUND", failed=True,
           account={"events": {"purchase": "o99zz"}}),
    Struck("another pixel", want={State.RETRY: 12}, code="NOT_FOUND", failed=True, account={"pixel_id": "zzzzz"}),
    Struck("too many requests for ten minutes", [{"kind": "rate_limit", "regain_minutes": 10}], {State.RETRY: 12},
           "TOO_MANY_REQUESTS", failed=True),
]  # fmt: skip
