"""GA4 Measurement Protocol: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, event, sha

CONFIG = {"measurement_id": "G-ABC1234567", "api_secret": "mp-secret", "client_id_fallback": "anonymous_id"}
NAME_AT = "json.events[0].name"
TESTING = {"validate_only": True}
NAMES: dict[str, str | Reason] = {
    **{name: name for name in EVENT_NAMES},
    "app_install": Reason.UNSUPPORTED_EVENT,
    "custom": "demo_booked",
}
MINIMAL = Reason.NO_IDENTIFIER
TOKEN_IN = ("params",)  # the API takes its secret in the address
CLEAR = ("cust-42", "anon-9f2c")
NO_TOKEN_ERROR = True

P, U = "json.events[0].params", "json.user_data"
GA = {"ga_client_id": "1166987786.1684617844", "ga_session_id": "1790863000"}
CHECK = {"validate_only": True}
NAME: dict[str, Any] = {"first_name": " Anne-Marie 2 ", "last_name": "O'Brien Ñandú"}
PHONE: dict[str, Any] = {"os": "iOS", "os_version": "18.5", "model": "iPhone15,2", "language": "en-US", "screen_width": 390,
                         "screen_height": 844}  # fmt: skip


def custom(name: str) -> dict[str, Any]:
    return event("custom", custom_event_name=name)


CASES = [
    Case("where it goes", event(), {"url": "https://www.google-analytics.com/mp/collect",
         "params": {"measurement_id": "G-ABC1234567", "api_secret": "mp-secret"}, "json.validation_behavior": GONE}),
    Case("servers in the EU", event(), {"url": "https://region1.google-analytics.com/mp/collect"}, {"region": "eu"}),
    Case("the debug server", event(), {"url": "https://www.google-analytics.com/debug/mp/collect"}, CHECK),
    Case("the debug server in the EU", event(), {"url": "https://region1.google-analytics.com/debug/mp/collect"},
         {"region": "eu", **CHECK}),
    # names
    Case("another name", event("subscribe"), {NAME_AT: "newsletter"}, {"event_names": {"subscribe": "newsletter"}}),
    Case("another name of an own event", event("custom"), {NAME_AT: "Demo"}, {"event_names": {"Demo Booked": "Demo"}}),
    Case("an own name becomes a legal one", custom("  Demo -- Bücher & more! "), {NAME_AT: "demo_b_cher_more"}),
    Case("forty characters of it", custom("A" * 60), {NAME_AT: "a" * 40}),
    *(Case(f"no event of the name {name!r}", custom(name), Reason.INVALID_VALUE)
      for name in ("2nd demo", "演示", "Session Start", "click", "video_start", "ga_x", "google_x", "firebase x",
                   "App Store Refund", "file download", "error")),
    Case("nor by configuration", event("subscribe"), Reason.INVALID_VALUE, {"event_names": {"subscribe": "scroll"}}),
    # who
    Case("the tag's client", event(browser_ids=GA), {"json.client_id": "1166987786.1684617844", f"{P}.session_id": "1790863000",
         f"{P}.engagement_time_msec": 1}),
    Case("else the own cookie", event(), {"json.client_id": "anon-9f2c", f"{P}.session_id": GONE,
         f"{P}.engagement_time_msec": GONE}),
    Case("only where it may", event(), Reason.NO_IDENTIFIER, {"client_id_fallback": "none"}),
    Case("nobody", event(**NOBODY), Reason.NO_IDENTIFIER),
    Case("the own customer id, trimmed", event(user_id=" CUST 42 "), {"json.user_id": "CUST 42"}),
    Case("never an e-mail address", event(user_id="jane@example.com"), {"json.user_id": GONE}),
    Case("256 characters of it", event(user_id="x" * 256), {"json.user_id": "x" * 256}),
    Case("none that is longer", event(user_id="x" * 257), {"json.user_id": GONE}),
    Case("three contacts of each kind, best first",
         event(emails=["J.a.n.e+1@gmail.com", "nobody", "a@x.com", "b@x.com", "c@x.com"], phones=["0", "+49 30 901820"]),
         {f"{U}.sha256_email_address": [sha("jane@gmail.com"), sha("a@x.com"), sha("b@x.com")],
          f"{U}.sha256_phone_number": [sha("+4930901820")]}),
    Case("already hashed", event(emails=[DIGEST.upper()], phones=[sha("")]),
         {f"{U}.sha256_email_address": [DIGEST], f"{U}.sha256_phone_number": GONE}),
    Case("the address", event(city=" Bad Homburg v. d. Höhe 3", region="Hessen", country="DE", postal_code=" 61.348 ",
         street_address=" Straße des 17. Juni 135 ", **NAME), {f"{U}.address": [{
             "sha256_first_name": sha("annemarie"), "sha256_last_name": sha("obrien ñandú"),
             "sha256_street": sha("straße des 17 juni 135"), "city": "bad homburg v d höhe", "region": "hessen",
             "postal_code": "61348", "country": "DE"}]}),
    *(Case(f"no address without {part}", event(**{**NAME, part: None}), {f"{U}.address": GONE}) for part in NAME),
    Case("no click ids", event(), {"json.gclid": GONE, f"{P}.gclid": GONE}),
    # when and where
    Case("microseconds", event(event_time="2026-10-01T14:00:00.123456Z"), {"json.timestamp_micros": 1790863200123456}),
    Case("the person's own address and browser", event(), {"json.ip_override": "203.0.113.7", "json.user_agent": "Mozilla/5.0",
         "json.device": GONE, "json.user_location": GONE}),
    Case("IPv6", event(ip_address=" 2001:DB8::1 "), {"json.ip_override": "2001:db8::1"}),
    Case("an address that is none", event(ip_address="shop"), {"json.ip_override": GONE}),
    Case("a browser comes before the device", event(device=PHONE), {"json.device": GONE}),
    Case("the device of whom no browser is known", event(user_agent=None, device=PHONE), {"json.user_agent": GONE,
        "json.device": {"language": "en-US", "screen_resolution": "390x844", "operating_system": "iOS",
                        "operating_system_version": "18.5", "model": "iPhone15,2"}}),
    Case("half a screen is none", event(user_agent="", device={"os": "iOS", "screen_width": 390}),
         {"json.device": {"operating_system": "iOS"}}),
    # parameters
    Case("a purchase", event(tax="11.25", shipping=5, coupon="AUTUMN", customer_type="new", referrer_url="https://x.example/"), {
        P: {"page_location": "https://shop.example.com/thanks", "page_referrer": "https://x.example/", "currency": "USD",
            "value": 149.97, "transaction_id": "ORD-1", "tax": 11.25, "shipping": 5, "coupon": "AUTUMN", "customer_type": "new",
            "items": [{"item_id": "SKU-1", "item_name": "Shoe", "item_brand": "Acme", "item_category": "Shoes", "price": 50,
                       "quantity": 2}]}}),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{P}.value": 12000, f"{P}.currency": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{P}.value": 12.345}),
    Case("a value of nothing is a value", event(value=0), {f"{P}.value": 0}),
    Case("no value", event(value=None, currency=None), {f"{P}.value": GONE, f"{P}.currency": GONE}),
    Case("a purchase without an order goes under its own id", event(transaction_id=None), {f"{P}.transaction_id": "evt-1"}),
    Case("a lead has no transaction", event("generate_lead", transaction_id=None), {f"{P}.transaction_id": GONE}),
    Case("an id that is too long is never cut", event(transaction_id="x" * 101), Reason.INVALID_VALUE),
    Case("the longest", event(transaction_id="x" * 100), {f"{P}.transaction_id": "x" * 100}),
    Case("a search", event("search", search_term="x" * 120), {f"{P}.search_term": "x" * 100}),
    Case("long addresses", event(source_url="https://x.example/" + "y" * 1000, referrer_url="https://x.example/" + "y" * 500),
         {f"{P}.page_location": "https://x.example/" + "y" * 982, f"{P}.page_referrer": "https://x.example/" + "y" * 402}),
    Case("items", event(contents=[{"id": 7, "variant": "blue", "price": "9.5"}, {"name": "Sock" * 30}, {"brand": "Acme"}]),
         {f"{P}.items": [{"item_id": "7", "item_variant": "blue", "price": 9.5}, {"item_name": ("Sock" * 30)[:100]}]}),
    Case("200 items", event(contents=[{"id": number} for number in range(201)]),
         {f"{P}.items": [{"item_id": str(number)} for number in range(200)]}),
    Case("none", event(contents=[]), {f"{P}.items": GONE}),
    Case("more than a request can hold", event(contents=[dict.fromkeys(("id", "name", "brand", "category", "variant"), "é" * 100)]
         * 200), Reason.INVALID_VALUE),
    # consent
    Case("consent", event(consent_ad_personalization="denied"),
         {"json.consent": {"ad_user_data": "GRANTED", "ad_personalization": "DENIED"}}),
    Case("nobody asked", event(consent_ad_storage=None, consent_ad_user_data=None), {"json.consent": GONE}),
    Case("opted out of sale", event(opt_out_of_sale=True, consent_ad_personalization="granted"),
         {"json.consent": {"ad_user_data": "DENIED", "ad_personalization": "DENIED"}, U: GONE, "json.client_id": "anon-9f2c"}),
    # refunds
    Case("a refund gives back its amount", event("refund", value="24.99", remaining_value=None, contents=[]),
         {NAME_AT: "refund", f"{P}.value": 24.99, f"{P}.transaction_id": "ORD-1", f"{P}.items": GONE}),
    Case("of a purchase that went under its own id", event("refund", transaction_id=None), {f"{P}.transaction_id": "evt-0"}),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """2xx: received, unless a proxy's page says so. 400 and 413 (and 414, 422) blame the event."""
    page = response.body.removeprefix(b"\xef\xbb\xbf").strip().startswith(b"<")
    if 200 <= response.status <= 299 and not page:
        return Said(every(count))
    return Said(blamed=every(count)) if response.status in (400, 413, 414, 422) else NOTHING


def successes(count: int) -> list[Response]:
    return [answer(204), answer(200)]


def is_clear_failure(response: Response) -> bool:
    """What a 5xx answers was not received."""
    return 500 <= response.status <= 599


def found(*codes: str) -> Response:
    messages = [{"fieldPath": "events[0].name", "description": "words", "validationCode": code} for code in codes]
    return answer(200, {"validationMessages": messages})


OK, REJECTED = [State.ACCEPTED], State.REJECTED
TESTED = [(State.WITHHELD, "test_mode")]
CODES = ("VALUE_INVALID", "VALUE_REQUIRED", "NAME_INVALID", "NAME_RESERVED", "VALUE_OUT_OF_BOUNDS", "EXCEEDED_MAX_ENTITIES",
         "NAME_DUPLICATED")  # fmt: skip
ANSWERS = [
    *(Answer(f"{status}", answer(status), Kind.SETTLED, 1, OK) for status in (200, 202, 204)),
    *(Answer(f"{s}", answer(s), Kind.SETTLED, 1, [(REJECTED, f"http_{s}")]) for s in (400, 413, 414, 422)),
    *(Answer(f"{s}", answer(s), Kind.CONFIGURATION, 1, code=f"http_{s}") for s in (401, 403, 404, 405)),
    *(Answer(f"{s}", answer(s), Kind.RATE_LIMITED, 1) for s in (408, 429)),
    Answer("429 with its wait", answer(429, retry_after="60"), Kind.RATE_LIMITED, 1, wait=minutes(1)),
    *(Answer(f"{s} was not received", answer(s, HTML), Kind.TRANSIENT, 1, code=f"http_{s}") for s in (500, 502, 503, 504)),
    *(Answer(f"{s}", answer(s), Kind.TRANSIENT, 1, maybe_stored=True) for s in (0, 100, 199, 301, 302, 307, 600)),
    Answer("a proxy's page", answer(200, HTML), Kind.TRANSIENT, 1, maybe_stored=True),
    # the debug server
    Answer("checked", found(), Kind.SETTLED, 1, TESTED, config=CHECK),
    *(Answer(f"checked: {code}", found(code), Kind.SETTLED, 1, [(REJECTED, code)], words="events[0].name: words", config=CHECK)
      for code in CODES),
    Answer("checked: two things", found("NAME_INVALID", "VALUE_REQUIRED"), Kind.SETTLED, 1,
           [(REJECTED, "NAME_INVALID VALUE_REQUIRED")], config=CHECK),
    *(Answer(f"not checked: {body!r:.30}", answer(status, body), Kind.TRANSIENT, 1, maybe_stored=True, config=CHECK)
      for status, body in ((200, b""), (200, HTML), (200, {"validationMessages": "none"}), (200, {"validationMessages": [5]}),
                           (204, b""), (302, b""))),
    Answer("the debug server fails", answer(503), Kind.TRANSIENT, 1, config=CHECK),
]  # fmt: skip

COUNTED_AGAIN = {"event_name": "add_to_cart"}

AT_SANDBOX = [
    *(Struck(f"refused with {code}", [{"kind": "reject_event", "match": '"transaction_id":"3"', "code": code}],
             {State.REJECTED: 1}, f"http_{code}") for code in (400, 413)),
    Struck("another path", [{"kind": "reject_event", "code": 404}], {State.RETRY: 12}, failed=True),
    Struck("too many requests", [{"kind": "rate_limit", "times": 1}]),
    Struck("an answer that was lost", [{"kind": "reset_after", "match": '"transaction_id":"3"', "times": 1}]),
    Struck("only checked", want={State.WITHHELD: 12}, code="test_mode", account={"validate_only": True}),
    Struck("a wrong secret is told nobody", account={"measurement_id": "G-OTHER"}),
]  # fmt: skip
