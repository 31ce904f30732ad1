"""Quora Conversion API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of, objects, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

CONFIG = {"account_id": "527745581653587", "api_token": "quora-token"}
E = "json.data[0]"
U, V, C = f"{E}.user", f"{E}.device", f"{E}.conversion"
NAME_AT = f"{C}.event_name"
NAMES: dict[str, str | Reason] = {
    **dict.fromkeys(EVENT_NAMES, "Generic"), "search": "Search", "find_location": "Search", "add_to_wishlist": "AddToWishlist",
    "add_to_cart": "AddToCart", "begin_checkout": "InitiateCheckout", "add_payment_info": "AddPaymentInfo",
    "purchase": "Purchase", "generate_lead": "GenerateLead", "contact": "GenerateLead", "submit_application": "GenerateLead",
    "subscribe": "GenerateLead", "sign_up": "CompleteRegistration", "app_install": "AppInstall",
    "refund": Reason.UNSUPPORTED_EVENT,
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER


def only(**known: Any) -> dict[str, Any]:
    return event(**{**NOBODY, "country": "US", **known})


CASES = [
    Case("everything", event(referrer_url="https://x.example/", device={"language": "en-US"}), {
        "method": "POST", "url": "https://api.quora.com/ads/v0/conversions", "params": {},
        "headers": {"Authorization": "Bearer quora-token", "Content-Type": "application/json"},
        "json": {"account_id": 527745581653587, "data": [{
            "user": {"email": DIGEST, "ip": "203.0.113.7"},
            "device": {"user_agent": "Mozilla/5.0", "language": "en-US", "referer": "https://x.example/"},
            "conversion": {"event_name": "Purchase", "timestamp": 1790863200000000, "event_id": "evt-1",
                           "click_id": "click-qclid", "value": 149.97}}]}}),
    Case("item views by another name", event("view_item"), {NAME_AT: "ViewContent"},
         {"event_names": {"view_item": "ViewContent"}}),
    Case("an own event by another name", event("custom"), {NAME_AT: "GenerateLead"},
         {"event_names": {"Demo Booked": "GenerateLead"}}),
    Case("a refund by another name", event("refund"), Reason.UNSUPPORTED_EVENT, {"event_names": {"refund": "Generic"}}),
    Case("microseconds", event(event_time="2026-10-01T13:59:59.123456Z"), {f"{C}.timestamp": 1790863199123456}),
    Case("a value of nothing is a value", event(value=0), {f"{C}.value": 0}),
    Case("no value", event(value=None, currency=None), {f"{C}.value": GONE}),
    Case("no value in another currency", event(value=12000, currency="JPY"), {f"{C}.value": GONE, f"{C}.event_id": "evt-1"}),
    Case("an account in yen", event(value=12000, currency="JPY"), {f"{C}.value": 12000}, {"account_currency": "JPY"}),
    Case("an account in dinars", event(value="12.345", currency="KWD"), {f"{C}.value": 12.345}, {"account_currency": "KWD"}),
    Case("the highest value", event(value="214748.36"), {f"{C}.value": 214748.36}),
    Case("a higher one would cost the event", event(value="214748.37"), {f"{C}.value": GONE, f"{C}.event_name": "Purchase"}),
    Case("no negative value", event(value=-1), Reason.INVALID_VALUE),
    # the person
    Case("the best valid e-mail, as Quora wants it", event(emails=["nobody", " J.a.ne+1@GMail.com", "a@x.com"]),
         {f"{U}.email": sha("jane@gmail.com")}),
    Case("dots stay elsewhere", event(emails=["j.a.ne+1@googlemail.com"]), {f"{U}.email": sha("j.a.ne@googlemail.com")}),
    Case("already hashed", event(emails=[DIGEST.upper()]), {f"{U}.email": DIGEST}),
    Case("IPv6", event(ip_address="2001:DB8::1"), {f"{U}.ip": "2001:db8::1"}),
    Case("no address", event(ip_address="unknown"), {f"{U}.ip": GONE}),
    Case("nothing else of the person",
         event(first_name="Jane", last_name="Doe", city="Bonn", region="NW", postal_code="53111", date_of_birth="1988-02-09"),
         {U: {"email": DIGEST, "ip": "203.0.113.7"}}),
    Case("a click alone, and the objects are there", only(click_ids={"qclid": click("Ab-1")}),
         {U: {}, V: {}, f"{C}.click_id": "Ab-1"}),
    Case("the pixel's cookie", only(browser_ids={"quora_qclid": "c-1"}), {f"{C}.click_id": "c-1"}),
    Case("the address before the cookie", event(browser_ids={"quora_qclid": "c-1"}), {f"{C}.click_id": "click-qclid"}),
    Case("an e-mail alone", only(emails=["jane.doe@example.com"]), {U: {"email": DIGEST}, f"{C}.click_id": GONE}),
    Case("phone, address and own id are not enough",
         only(phones=["+14155552671"], ip_address="203.0.113.7", user_agent="UA", user_id="u"), Reason.NO_IDENTIFIER),
    Case("a device", event(device={"os": "iOS", "advertising_id": "AEBE52E7"}), {f"{V}.mobile_device_id": "AEBE52E7"}),
    Case("tracking limited", event(device={"advertising_id": "0000-0000"}), {f"{V}.mobile_device_id": GONE}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "Purchase"}),
    *(Case(f"from {source}", event(action_source=source), {NAME_AT: "Purchase"})
      for source in ("app", "physical_store", "other")),
]  # fmt: skip


REFUSED = {"error_code": "VALUE_OUT_OF_RANGE", "error_message": "words"}


def results(*statuses: Any, status: int = 200, **numbers: Any) -> Response:
    """`OK`, `ERROR`, or an entry as it stands."""
    entries = [
        {"index": index, "status": entry, **(REFUSED if entry == "ERROR" else {})} if isinstance(entry, str) else entry
        for index, entry in enumerate(statuses)
    ]
    errored = sum(entry == "ERROR" for entry in statuses)
    return answer(status, {"events_received": len(statuses), "events_errored": errored, "events": entries, **numbers})


def says(response: Response, count: int) -> Said:
    """200 `{"events_received": 2, "events_errored": 1, "events": [{"index": 0, "status": "OK"}, ...]}`: by index, and what
    is not listed is taken. 400 and 413 refuse the request."""
    if response.status != 200:
        return Said(refused=response.status in (400, 413))
    body = object_of(response.body)
    listed = body.get("events")
    if not objects(listed) or not whole(body.get("events_received")) or not whole(body.get("events_errored")):
        return NOTHING
    places = [entry.get("index") for entry in listed]
    if not all(whole(place) and 0 <= place < count for place in places) or len(set(places)) < len(places):
        return NOTHING
    if any(entry.get("status") not in ("OK", "ERROR") for entry in listed):
        return NOTHING
    blamed = frozenset(entry["index"] for entry in listed if entry["status"] == "ERROR")
    if body["events_received"] != count or body["events_errored"] != len(blamed):
        return NOTHING
    return Said(every(count) - blamed, blamed)


def successes(count: int) -> list[Response]:
    return [results(*["OK"] * count), answer(200, {"events_received": count, "events_errored": 0, "events": []})]


OK, BAD = State.ACCEPTED, (State.REJECTED, "VALUE_OUT_OF_RANGE")
ANSWERS = [
    Answer("success", results("OK", "OK"), Kind.SETTLED, outcomes=[OK, OK]),
    Answer("one is refused", results("OK", "ERROR"), Kind.SETTLED, outcomes=[OK, BAD]),
    Answer("its words", results("ERROR", "OK"), Kind.SETTLED, outcomes=[BAD, OK], words="words"),
    Answer("an index that is not listed", answer(200, {"events_received": 2, "events_errored": 1, "events": [
        {"index": 1, "status": "ERROR", "error_code": "VALUE_OUT_OF_RANGE"}]}), Kind.SETTLED, outcomes=[OK, BAD]),
    Answer("an error without a code", results("OK", {"index": 1, "status": "ERROR"}, events_errored=1), Kind.SETTLED,
           outcomes=[OK, (State.REJECTED, "ERROR")]),
    Answer("warnings", results("OK", {"index": 1, "status": "OK", "warnings": ["CLICK_ID_MISSING"]}), Kind.SETTLED,
           outcomes=[OK, OK]),
    *(Answer(f"an entry {e!r}", results("OK", e), Kind.TRANSIENT, maybe_stored=True)
      for e in (None, {"index": 2, "status": "OK"}, {"index": 0, "status": "OK"}, {"index": 1, "status": "LATER"},
                {"index": "1", "status": "OK"}, {"index": True, "status": "OK"}, {"status": "OK"})),
    *(Answer(f"numbers that do not agree: {n}", results("OK", "OK", **n), Kind.TRANSIENT, maybe_stored=True)
      for n in ({"events_errored": 1}, {"events_received": 1}, {"events_received": "2"}, {"events_errored": False},
                {"events_errored": None}, {"events": None})),
    Answer("the single form's text", answer(200, b"OK"), Kind.TRANSIENT, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    *(Answer(f"{s}", answer(s), Kind.REFUSED, code=f"http_{s}") for s in (400, 413)),
    Answer("a 400 with words", answer(400, {"message": "Invalid account_id"}), Kind.REFUSED, words="Invalid account_id"),
    *(Answer(f"{s}", answer(s), Kind.AUTH, code=f"http_{s}") for s in (401, 403)),
    *(Answer(f"{s}", answer(s), Kind.TRANSIENT, maybe_stored=True, code=f"http_{s}") for s in (408, 423, 500, 502, 503, 504)),
    Answer("too many events in a minute", answer(429), Kind.RATE_LIMITED, wait=minutes(1), code="http_429"),
    Answer("too many with a hint", answer(429, retry_after="120"), Kind.RATE_LIMITED, wait=minutes(2)),
    Answer("results in a 500", results("OK", "OK", status=500), Kind.TRANSIENT, maybe_stored=True),
]  # fmt: skip

EUROS = {"account_currency": "EUR"}
AT_SANDBOX = [
    Struck("each event has its own result", [{"kind": "reject_event", "match": "order-00007"}], {State.REJECTED: 1},
           "VALUE_OUT_OF_RANGE", account=EUROS),
    Struck("a bad request is halved", [{"kind": "reject_event", "match": "order-00007", "code": 400}], {State.REJECTED: 1},
           "http_400"),
    Struck("too big is halved", [{"kind": "reject_event", "code": 413, "times": 3}]),
    Struck("the token of another account", [{"kind": "reject_event", "code": 403}], {State.RETRY: 12}, "http_403", failed=True),
    Struck("an expired token", [{"kind": "expired_token"}], {State.RETRY: 12}, "http_401", failed=True),
    Struck("a locked account passes", [{"kind": "reject_event", "code": 423, "times": 1}]),
    Struck("more than 1,000 events in a minute wait for a rerun", [{"kind": "rate_limit"}], {State.RETRY: 12}, "http_429",
           failed=True),
]  # fmt: skip
