"""Rokt through mParticle: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

import re
from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of, objects
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

CONFIG = {"pod": "us2", "api_key": "rokt-key", "api_secret": "rokt-secret"}
D = "json[0].events[0].data"
A = f"{D}.custom_attributes"
NAME_AT = f"{A}.conversiontype"
TESTING = {"environment": "development"}
SAME = (
    "page_view", "view_item", "view_item_list", "search", "add_to_wishlist", "add_to_cart", "begin_checkout",
    "add_payment_info", "purchase", "qualify_lead", "close_convert_lead", "start_trial", "contact", "schedule",
    "submit_application", "find_location", "customize_product", "donate", "download", "app_install", "app_open",
)  # fmt: skip
NAMES: dict[str, str | Reason] = {
    **{name: name for name in SAME}, "generate_lead": "lead", "sign_up": "signup", "subscribe": "subscription",
    "custom": "Demo Booked", "refund": Reason.UNSUPPORTED_EVENT,
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER
CLEAR = ("cust-42",)

P, U, V = "json[0].user_identities", "json[0].user_attributes", "json[0].device_info"
APP: dict[str, Any] = {**NOBODY, "action_source": "app"}


def phone(system: str | None, **device: Any) -> dict[str, Any]:
    return event(**APP, device={"os": system, **device})


CASES = [
    Case("everything", event(click_ids={"rtid": click("R-1"), "rclid": click("R-2")}), {
        "method": "POST", "url": "https://s2s.us2.mparticle.com/v2/bulkevents",
        "headers": {"Content-Type": "application/json", "Authorization": "Basic cm9rdC1rZXk6cm9rdC1zZWNyZXQ="},
        "json": [{
            "environment": "production",
            "user_identities": {"other": DIGEST, "customerid": "cust-42", "other2": "R-1"},
            "user_attributes": {"mobilesha256": sha("+14155552671")},
            "device_info": {"http_header_user_agent": "Mozilla/5.0"},
            "ip": "203.0.113.7",
            "integration_attributes": {"1277": {"passbackconversiontrackingid": "R-1"}},
            "events": [{"event_type": "custom_event", "data": {
                "event_name": "conversion", "custom_event_type": "transaction", "source_message_id": "evt-1",
                "timestamp_unixtime_ms": 1790863200000,
                "custom_attributes": {"conversiontype": "purchase", "confirmationref": "ORD-1", "amount": "149.97",
                                      "currency": "USD"}}}],
        }]}),
    *(
        Case(f"pod {pod}", event(), {"url": f"https://s2s.{pod}.mparticle.com/v2/bulkevents"}, {"pod": pod})
        for pod in ("us1", "eu1", "au1")
    ),
    Case("milliseconds, cut", event(event_time="2026-10-01T13:59:59.9996Z"), {f"{D}.timestamp_unixtime_ms": 1790863199999}),
    *(
        Case(f"value {value}", event(value=value, currency=currency), {f"{A}.amount": text, f"{A}.currency": currency})
        for value, currency, text in (
            (12000, "JPY", "12000"), ("12.345", "KWD", "12.345"), ("149.9000", "USD", "149.9"), (0, "EUR", "0"),
        )
    ),
    Case("no value and no order", event(value=None, currency=None, transaction_id=None),
         {A: {"conversiontype": "purchase"}}),
    Case("a custom event keeps its name", event("custom", custom_event_name="Démo Ö 2"), {NAME_AT: "Démo Ö 2"}),
    # the person
    Case("the first valid e-mail, without a rule for Gmail",
         event(emails=["nobody", "  Jürgen.Müller+News@GoogleMail.com ", "a@x.com"]),
         {f"{P}.other": sha("jürgen.müller+news@googlemail.com")}),
    Case("already hashed", event(emails=[DIGEST.upper()], first_name=DIGEST, user_id=DIGEST),
         {f"{P}.other": DIGEST, f"{U}.firstnamesha256": DIGEST, f"{P}.customerid": GONE}),
    Case("an own id keeps its case", event(user_id=" CUST 42 "), {f"{P}.customerid": "CUST 42"}),
    Case("names and postal codes keep theirs",
         event(first_name=" Jürgen ", last_name="O'BRIEN", postal_code=" EC1A 1bb", gender="female", country="GB"),
         {f"{U}.firstnamesha256": sha("Jürgen"), f"{U}.lastnamesha256": sha("O'BRIEN"), f"{U}.gender": "f",
          f"{U}.billingzipsha256": sha("EC1A 1bb")}),
    Case("no birth date, no city", event(date_of_birth="1988-02-09", city="Bath"), {f"{U}.dob": GONE, f"{U}.city": GONE}),
    Case("empty texts are nothing", event(user_id="", first_name=" ", transaction_id=""),
         {f"{P}.customerid": GONE, f"{U}.firstnamesha256": GONE, f"{A}.confirmationref": GONE}),
    Case("the older click id", event(click_ids={"rclid": click("R-2")}), {f"{P}.other2": "R-2",
         "json[0].integration_attributes": {"1277": {"passbackconversiontrackingid": "R-2"}}}),
    Case("no click", event(click_ids={}), {f"{P}.other2": GONE, "json[0].integration_attributes": GONE}),
    Case("an iPhone", phone("iOS", advertising_id="AEBE-1", vendor_id="V-1"),
         {V: {"ios_advertising_id": "AEBE-1", "ios_idfv": "V-1"}, P: GONE, U: GONE}),
    Case("an Android phone", phone("Android", advertising_id="cdda-1", vendor_id="V-2"),
         {V: {"android_advertising_id": "cdda-1", "android_uuid": "V-2"}}),
    Case("a vendor id is enough", phone("iOS", advertising_id="0000-00", vendor_id="V-1"), {V: {"ios_idfv": "V-1"}}),
    Case("of another system", phone("Windows", advertising_id="AEBE-1", vendor_id="V-1"), Reason.NO_IDENTIFIER),
    Case("a click is enough", event(**{**NOBODY, "click_ids": {"rtid": click("R")}}), {f"{P}.other2": "R"}),
    Case("an own id is enough", event(**{**NOBODY, "user_id": "u"}), {P: {"customerid": "u"}}),
    Case("a phone and an address are not", event(**{**NOBODY, "phones": ["+14155552671"], "ip_address": "203.0.113.7"}),
         Reason.NO_IDENTIFIER),
    Case("an anonymous id is not", event(**{**NOBODY, "anonymous_id": "a"}), Reason.NO_IDENTIFIER),
    Case("an event of more than 128 KB", event(transaction_id="x" * 131_072), Reason.INVALID_VALUE),
    # privacy and tests
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "purchase"}),
    Case("opted out", event(opt_out_of_sale=True), Reason.OPTED_OUT),
    Case("development", event(), {"json[0].environment": "development"}, {"environment": "development"}),
]  # fmt: skip


def said(*errors: Any, status: int = 202) -> Response:
    return answer(status, {"errors": list(errors)})


def error(path: Any = None, code: Any = "bad", **more: Any) -> dict[str, Any]:
    return {"code": code, "message": f"{code} words", **({} if path is None else {"Path": path}), **more}


def says(response: Response, count: int) -> Said:
    """202 (200) with an empty body or `{}`; with `errors` all but the events that they name as `[3]`."""
    body, status = object_of(response.body), response.status
    if status in (400, 413):
        return Said(refused=True)
    if status not in (200, 202):
        return NOTHING
    if response.body.strip() in (b"", b"{}"):
        return Said(every(count))
    errors = body.get("errors")
    if set(body) != {"errors"} or not objects(errors):
        return NOTHING
    found = [re.match(r"\[([0-9]{1,6})\]", str(some.get("Path") or some.get("path"))) for some in errors]
    blamed = frozenset(int(one[1]) for one in found if one)
    if not all(found) or not blamed <= every(count):
        return NOTHING
    return Said(taken=every(count) - blamed, blamed=blamed)


def successes(count: int) -> list[Response]:
    return [answer(202), answer(202, {}), answer(200, b"{}\n"), answer(202, {"errors": []})]


BOTH, TAKEN = [State.ACCEPTED] * 2, State.ACCEPTED
LOST: dict[str, Any] = {"kind": Kind.TRANSIENT, "maybe_stored": True}
ANSWERS = [
    *(Answer(f"success {body!r}", answer(status, body), Kind.SETTLED, outcomes=BOTH) for status, body in
      ((202, b""), (202, {}), (200, b""), (202, {"errors": []}))),
    Answer("one event is refused", said(error("[1]")), Kind.SETTLED, outcomes=[TAKEN, (State.REJECTED, "bad")]),
    Answer("by a member of it", said(error("[0].events[0].data")), Kind.SETTLED, outcomes=[(State.REJECTED, "bad"), TAKEN],
           words="bad words"),
    Answer("both are refused", said(error("[0]"), error("[1]", 7)), Kind.SETTLED,
           outcomes=[(State.REJECTED, "bad"), (State.REJECTED, "7")]),
    *(Answer(f"an error of nothing that was sent: {path!r}", said(error(path)), **LOST) for path in ("[2]", "[-1]", "", None,
         "1")),
    Answer("an error that is none", said("bad"), **LOST),
    Answer("errors of another type", answer(202, {"errors": {}}), **LOST),
    Answer("something else", answer(202, {"ok": True}), **LOST),
    Answer("HTML", answer(202, HTML), **LOST),
    Answer("a development event does not count", answer(202), Kind.SETTLED, outcomes=[(State.WITHHELD, "test_mode")] * 2,
           config={"environment": "development"}),
    Answer("a malformed request", said(error(), status=400), Kind.REFUSED, code="bad", words="bad words"),
    Answer("without words", answer(400, HTML), Kind.REFUSED, code="http_400"),
    Answer("too large", answer(413), Kind.REFUSED, code="http_413"),
    *(Answer(f"{status}", said(error(), status=status), Kind.AUTH, code="bad") for status in (401, 403)),
    *(Answer(f"{status}", answer(status), Kind.CONFIGURATION, code=f"http_{status}") for status in (404, 405)),
    Answer("too many", answer(429, b"", retry_after="60"), Kind.RATE_LIMITED, wait=minutes(1)),
    Answer("too many, and no wait", answer(429), Kind.RATE_LIMITED),
    *(Answer(f"{status}", answer(status, HTML), Kind.TRANSIENT, maybe_stored=True) for status in (500, 503)),
    Answer("a redirect", answer(302), **LOST),
]  # fmt: skip
COUNTED_AGAIN = {"transaction_id": None}

AT_SANDBOX = [
    Struck("one event is refused, the others are taken", [{"kind": "reject_event", "match": '"order-00007"'}],
           {State.REJECTED: 1}, "INVALID_EVENT"),
    Struck("all are refused, by another code", [{"kind": "reject_event", "code": "SCHEMA"}], {State.REJECTED: 12}, "SCHEMA"),
    Struck("an expired key", [{"kind": "expired_token"}], {State.RETRY: 12}, "UNAUTHORIZED", failed=True),
    Struck("development", account={"environment": "development"}, want={State.WITHHELD: 12}, code="test_mode"),
]  # fmt: skip
