"""Pinterest API for Conversions: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

CONFIG = {"ad_account_id": "549755885175", "conversion_token": "pina_TOKEN"}
NAME_AT = "json.data[0].event_name"
TESTING = {"test": True}
NAMES: dict[str, str | Reason] = {
    "page_view": "page_visit", "view_item": "page_visit", "view_item_list": "view_category", "search": "search",
    "add_to_wishlist": "add_to_wishlist", "add_to_cart": "add_to_cart", "begin_checkout": "initiate_checkout",
    "add_payment_info": "add_payment_info", "purchase": "checkout", "refund": Reason.UNSUPPORTED_EVENT,
    "generate_lead": "lead", "sign_up": "signup", "start_trial": "start_trial", "subscribe": "subscribe",
    "contact": "contact", "schedule": "schedule", "submit_application": "submit_application",
    "find_location": "find_location", "customize_product": "customize_product", "app_install": "app_install",
    "app_open": "app_open",
    **dict.fromkeys(("qualify_lead", "close_convert_lead", "donate", "download", "custom"), "custom"),
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER

E = "json.data[0]"
U, D = f"{E}.user_data", f"{E}.custom_data"
PHONE = {"os": "iOS", "os_version": "18.5", "model": "iPhone15,2", "app_id": "123456", "app_version": "2.0",
         "language": "pt-BR", "screen_width": 390, "screen_height": 844, "att_status": "authorized",
         "advertising_id": "AEBE52E7-03EE-455A-B3C4-E57283966239"}  # fmt: skip
MAP = {"custom_event_map": {"Demo Booked": "demo-booked_1", "donate": "gift", "refund": "refund"}}


def app(device: Any = PHONE, **changes: Any) -> dict[str, Any]:
    return event("app_open", action_source="app", device=device, **changes)


def only(**known: Any) -> dict[str, Any]:
    return event("contact", **{**NOBODY, **known})


CASES = [
    Case("where it goes", event(), {"method": "POST", "url": "https://api.pinterest.com/v5/ad_accounts/549755885175/events",
         "params": {}, "headers.Authorization": "Bearer pina_TOKEN", f"{E}.event_id": "evt-1"}),
    Case("a fraction of a second is cut", event(event_time="2026-10-01T13:59:59.999Z"), {f"{E}.event_time": 1790863199}),
    *(
        Case(f"value {value}", event(value=value, currency=currency), {f"{D}.value": text, f"{D}.currency": currency})
        for value, currency, text in (
            (12000, "JPY", "12000"), ("12.345", "KWD", "12.345"), ("149.9000", "USD", "149.9"), (0, "EUR", "0"),
            ("12345678901234", "EUR", "12345678901234"), ("0.0001", "EUR", "0.0001"),
        )
    ),
    Case("no negative value", event(value=-1), Reason.INVALID_VALUE),
    Case("no value", event(value=None, currency=None), {f"{D}.value": GONE, f"{D}.currency": GONE}),
    # names
    Case("an own name from the map", event("custom"), {NAME_AT: "demo-booked_1"}, MAP),
    Case("a canonical one, too", event("donate"), {NAME_AT: "gift"}, MAP),
    Case("an own name without one", event("custom", custom_event_name="Öther & more"), {NAME_AT: "custom"}, MAP),
    Case("a refund never", event("refund"), Reason.UNSUPPORTED_EVENT, MAP),
    # sources
    Case("web", event(), {f"{E}.action_source": "web", f"{E}.event_source_url": "https://shop.example.com/thanks",
         f"{E}.app_info": GONE, f"{E}.device_info": GONE, f"{E}.language": GONE}),
    Case("a web event needs no page", event(source_url=None), {f"{E}.event_source_url": GONE}),
    *(
        Case(f"{source} is offline", event(action_source=source),
             {f"{E}.action_source": "offline", f"{E}.event_source_url": GONE})
        for source in ("physical_store", "phone_call", "chat", "email", "system_generated", "other")
    ),
    Case("an app on iOS", app(), {f"{E}.action_source": "app_ios", f"{E}.language": "pt", f"{E}.event_source_url": GONE,
         f"{E}.app_info": {"app_id": "123456", "app_version": "2.0"},
         f"{E}.device_info": {"os_family": "ios", "os_version": "18.5", "model": "iPhone15,2", "locale": "pt-BR",
                              "screen_width": 390, "screen_height": 844},
         f"{U}.hashed_maids": [sha("aebe52e7-03ee-455a-b3c4-e57283966239")], f"{E}.opt_out": GONE}),
    Case("an app on Android", app({"os": "Android", "advertising_id": "AB-1"}),
         {f"{E}.action_source": "app_android", f"{U}.hashed_maids": [sha("ab-1")], f"{E}.device_info": {"os_family": "android"}}),
    Case("an iPad", app({**PHONE, "os": "iPadOS"}), {f"{E}.action_source": "app_ios"}),
    Case("an app needs a system", app({}), Reason.MISSING_FIELD),
    Case("of these two", app({"os": "Windows"}), Reason.INVALID_VALUE),
    *(
        Case(f"language {language!r}", event(device={"language": language}), {f"{E}.language": want})
        for language, want in (("en-US", "en"), ("DE", "de"), ("pt_BR", "pt"), ("zho", GONE), ("1", GONE), ("", GONE))
    ),
    # the person
    Case(
        "every e-mail and phone, best first, invalid ones dropped",
        event(emails=[" B.b+1@x.com", "nobody", "a@x.com"], phones=["0", "(415) 555-2671", "+49 30 901820"]),
        {f"{U}.em": [sha("b.b+1@x.com"), sha("a@x.com")], f"{U}.ph": [sha("14155552671"), sha("4930901820")]},
    ),
    Case("already hashed", event(emails=[DIGEST.upper()], region=DIGEST), {f"{U}.em": [DIGEST], f"{U}.st": [DIGEST]}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]), {f"{U}.em": GONE, f"{U}.ph": GONE}),
    Case("unicode and the rest of the person",
         event(first_name=" Mary Ann", last_name="O'Brien-Ñ", gender="male", date_of_birth="1988-02-09",
               city="Bad Homburg v. d. Höhe", region="Hessen", country="DE", postal_code="61 348", user_id=" Cust 42 "),
         {f"{U}.fn": [sha("mary ann")], f"{U}.ln": [sha("o'brien-ñ")], f"{U}.ge": [sha("m")], f"{U}.db": [sha("19880209")],
          f"{U}.ct": [sha("badhomburgvdhöhe")], f"{U}.st": GONE, f"{U}.country": [sha("de")], f"{U}.zp": [sha("61348")],
          f"{U}.external_id": [sha("cust 42"), sha("anon-9f2c")]}),
    Case("a state by its name", event(region="New York"), {f"{U}.st": [sha("ny")]}),
    Case("a code with letters is left out", event(postal_code="M1 1AE", country="GB"), {f"{U}.zp": GONE}),
    Case("the click id as it is", event(click_ids={"epik": click("dj0yJnU9-_A")}, browser_ids={"epik": "cookie"}),
         {f"{U}.click_id": "dj0yJnU9-_A", f"{U}.client_ip_address": "203.0.113.7", f"{U}.client_user_agent": "Mozilla/5.0"}),
    Case("or out of the cookie", event(click_ids={}, browser_ids={"epik": "dj0C"}), {f"{U}.click_id": "dj0C"}),
    Case("an e-mail is enough", only(emails=["a@x.com"]), {f"{U}.em": [sha("a@x.com")]}),
    Case("so are an address and a browser", only(ip_address="2001:db8::1", user_agent="UA"), {NAME_AT: "contact"}),
    Case("and a device", app({"os": "Android", "advertising_id": "AB-1"}, **NOBODY), {f"{U}.hashed_maids": [sha("ab-1")]}),
    Case("an address alone is not", only(ip_address="203.0.113.7"), Reason.NO_IDENTIFIER),
    Case("a phone alone is not", only(phones=["+14155552671"], last_name="Doe", user_id="u"), Reason.NO_IDENTIFIER),
    Case("a click alone is not", only(click_ids={"epik": click("c")}), Reason.NO_IDENTIFIER),
    # contents
    Case("items", event(contents=[{"id": 7, "quantity": 2, "price": "9.50"}, {"name": "no id"}, {"id": "B"}]),
         {f"{D}.contents": [{"id": "7", "quantity": 2, "item_price": "9.5"}, {"id": "B"}],
          f"{D}.content_ids": ["7", "B"], f"{D}.num_items": 3, f"{D}.order_id": "ORD-1"}),
    Case("a search", event("search", search_term="shoe", contents=[]), {f"{D}.search_string": "shoe", f"{D}.num_items": GONE}),
    Case("nothing to say", event("page_view", value=None, currency=None, transaction_id=None, contents=[]), {D: GONE}),
    Case("what Pinterest has no field for", event(tax=1, shipping=2, coupon="C", referrer_url="https://x.example/"),
         {f"{D}.tax": GONE, f"{D}.coupon": GONE, f"{E}.referrer_url": GONE}),
    # privacy
    Case("nobody opted out", event(), {f"{E}.opt_out": GONE, f"{D}.opt_out_type": GONE}),
    Case("opted out of sale", event(opt_out_of_sale=True), {f"{D}.opt_out_type": "LDP", f"{E}.opt_out": GONE}),
    Case("opted out in a store", event(opt_out_of_sale=True, action_source="physical_store"), {f"{D}.opt_out_type": "LDP"}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {f"{E}.opt_out": True, f"{D}.opt_out_type": GONE}),
    Case("tracking refused in an app", app({**PHONE, "att_status": "denied"}), {f"{E}.opt_out": True}),
    Case("tracking limited", app({"os": "Android", "advertising_id": "00000000-0000-0000-0000-000000000000"}),
         {f"{E}.opt_out": True, f"{U}.hashed_maids": GONE}),
    Case("a partner, a test", event(), {f"{E}.partner_name": "ss-acme", "params": {"test": "true"}},
         {"partner_name": "ss-acme", "test": True}),
]  # fmt: skip


def rows(*statuses: str, **more: Any) -> dict[str, Any]:
    """An answer of the 200-form."""
    events = [{"status": status, "error_message": "" if status == "processed" else "words", "warning_message": ""}
              for status in statuses]  # fmt: skip
    done = statuses.count("processed")
    return {"num_events_received": len(statuses), "num_events_processed": done, "events": events, **more}


def error(status: int, code: Any, **more: Any) -> Response:
    return answer(status, {"code": code, "message": "words", **more})


PARTIAL = {"code": 4182, "message": "Not all events were successfully processed."}


def lists(value: Any, count: int) -> list[list[str]]:
    """The states in every list `events` of so many events, wherever it stands."""
    found = []
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        states = [one.get("status") for one in inner if isinstance(one, dict)] if isinstance(inner, list) else []
        if key == "events" and states and len(states) == len(inner) == count:
            found += [states] if all(state in ("processed", "failed") for state in states) else []
        found += lists(inner, count)
    return found


def says(response: Response, count: int) -> Said:
    """200 with `num_events_received`, `num_events_processed` and the state of each event; 422 with one such list somewhere
    takes and blames by event, without one it refuses; 400 with code 1 or 4196 stored nothing."""
    body = object_of(response.body)
    if response.status == 400:
        return Said(refused=whole(body.get("code")) and body["code"] in (1, 4196))
    if response.status == 422:
        found = lists(body, count)
        if len(found) != 1:
            return Said(refused=bool(body))
    elif response.status == 200:
        found = lists({"events": body.get("events")}, count)
        received, done = body.get("num_events_received"), body.get("num_events_processed")
        if not (
            found and whole(received) and received == count and whole(done) and done == found[0].count("processed")
        ):
            return NOTHING
    else:
        return NOTHING
    taken = frozenset(index for index, state in enumerate(found[0]) if state == "processed")
    return Said(taken=taken, blamed=every(count) - taken)


def successes(count: int) -> list[Response]:
    warned = rows(*["processed"] * count)
    warned["events"][0]["warning_message"] = "few match keys"
    return [answer(200, rows(*["processed"] * count)), answer(200, warned)]


BOTH = [State.ACCEPTED] * 2
MIXED: list[Any] = [State.ACCEPTED, (State.REJECTED, "failed")]
ANSWERS = [
    Answer("success", successes(2)[0], Kind.SETTLED, outcomes=BOTH),
    Answer("with a warning", successes(2)[1], Kind.SETTLED, outcomes=BOTH, words="few match keys"),
    Answer("one failed in a 200", answer(200, rows("processed", "failed")), Kind.SETTLED, outcomes=MIXED),
    Answer("one failed, in details", answer(422, {**PARTIAL, "details": rows("processed", "failed")}), Kind.SETTLED,
           outcomes=MIXED),
    Answer("one failed, at the root", answer(422, rows("failed", "processed", **PARTIAL)), Kind.SETTLED,
           outcomes=MIXED[::-1], words="words"),
    Answer("all failed", answer(422, {**PARTIAL, "details": [rows("failed", "failed")]}), Kind.SETTLED,
           outcomes=[(State.REJECTED, "failed")] * 2),
    Answer("some failed, and none is named", answer(422, {**PARTIAL, "details": {}}), Kind.REFUSED, code="4182",
           maybe_stored=True),
    Answer("a list of another length", answer(422, {**PARTIAL, "details": rows("failed")}), Kind.REFUSED,
           maybe_stored=True),
    Answer("an unknown state", answer(422, {**PARTIAL, "details": rows("failed", "odd")}), Kind.REFUSED,
           maybe_stored=True),
    Answer("two lists", answer(422, rows("failed", "processed", **PARTIAL, details=rows("processed", "failed"))), Kind.REFUSED,
           maybe_stored=True),
    Answer("one that failed", answer(422, {**PARTIAL, "details": {}}), Kind.REFUSED, count=1),
    Answer("422 without words", answer(422, HTML), Kind.TRANSIENT, maybe_stored=True),
    *(
        Answer(f"success with {change}", answer(200, {**rows("processed", "processed"), **change}), Kind.TRANSIENT,
               maybe_stored=True)
        for change in ({"num_events_received": 3}, {"num_events_received": "2"}, {"num_events_processed": 1},
                       {"num_events_processed": None}, {"events": []}, {"events": rows("processed")["events"]},
                       {"events": rows("processed", "queued")["events"]}, {"events": ["processed"] * 2})
    ),
    Answer("a test does not count", successes(2)[0], Kind.SETTLED, outcomes=[(State.WITHHELD, "test_mode")] * 2,
           config={"test": True}),
    Answer("a test judges, too", answer(422, {**PARTIAL, "details": rows("processed", "failed")}), Kind.SETTLED,
           outcomes=[(State.WITHHELD, "test_mode"), (State.REJECTED, "failed")], config={"test": True}),
    *(Answer(f"the schema, {code}", error(400, code), Kind.REFUSED, code=str(code), words="words") for code in (1, 4196)),
    *(Answer(f"400 with {code!r}", error(400, code), Kind.TRANSIENT, maybe_stored=True) for code in (3, "1", True, None)),
    Answer("a wrong token", error(401, 2), Kind.AUTH, code="2"),
    Answer("no right to the account", error(403, 29), Kind.AUTH, code="29"),
    Answer("no such account", error(404, 50), Kind.CONFIGURATION, code="50"),
    Answer("no such path", answer(404), Kind.CONFIGURATION, code="http_404"),
    Answer("a gateway's 404", answer(404, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("too many", error(429, 8), Kind.RATE_LIMITED, code="8"),
    Answer("with its wait", Response(429, {"retry-after": "30", "x-ratelimit-reset": "7"}), Kind.RATE_LIMITED,
           wait=minutes(0.5)),
    Answer("with its reset", Response(429, {"x-ratelimit-reset": "7"}), Kind.RATE_LIMITED, wait=timedelta(seconds=7)),
    Answer("a reset of nonsense", Response(429, {"x-ratelimit-reset": "soon"}), Kind.RATE_LIMITED),
    Answer("a reset of years", Response(429, {"x-ratelimit-reset": "9" * 17}), Kind.RATE_LIMITED, wait=timedelta(days=1)),
    Answer("closed for now", error(503, 4197), Kind.TRANSIENT, maybe_stored=True, code="4197"),
    *(Answer(f"{status}", answer(status, HTML), Kind.TRANSIENT, maybe_stored=True) for status in (500, 502, 504)),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
]  # fmt: skip

COUNTED_AGAIN = {"action_source": "physical_store"}

AT_SANDBOX = [
    Struck("one bad event", [{"kind": "reject_event", "match": "order-00007", "code": "Invalid em"}], {State.REJECTED: 1},
           "failed"),
    Struck("one bad event that nobody names", [{"kind": "reject_event", "match": "order-00007", "code": 422}],
           {State.REJECTED: 1}, "4182"),
    Struck("one event against the schema", [{"kind": "reject_event", "match": "order-00007", "code": 4196}],
           {State.REJECTED: 1}, "4196"),
    Struck("an unknown account", want={State.RETRY: 12}, code="50", failed=True, account={"ad_account_id": "1"}),
    Struck("an account of others", want={State.RETRY: 12}, code="29", failed=True, account={"ad_account_id": "549755885999"}),
    Struck("an expired token", [{"kind": "expired_token"}], {State.RETRY: 12}, "2", True),
    Struck("a test", want={State.WITHHELD: 12}, code="test_mode", account={"test": True}),
    Struck("throttled once", [{"kind": "rate_limit", "times": 1, "retry_after": 1}]),
    Struck("closed once", [{"kind": "server_error", "times": 1}]),
]  # fmt: skip
