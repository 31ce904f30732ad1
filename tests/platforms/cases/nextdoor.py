"""Nextdoor Conversion API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event, sha

CONFIG = {
    "data_source_id": "fe411d2f-0000-4000-8000-00000000abcd",
    "access_token": "ND-TOKEN",
    "custom_events": {"Demo Booked": "custom_conversion_2", "contact": "custom_conversion_10"},
}
NAME_AT = "json.event_name"
TESTING = {"test_event": "true"}
NAMES: dict[str, str | Reason] = {
    "page_view": "page_view", "view_item": "view_content", "view_item_list": "view_content", "search": "search",
    "add_to_wishlist": "add_to_wishlist", "add_to_cart": "add_to_cart", "begin_checkout": "initiate_checkout",
    "purchase": "purchase", "generate_lead": "lead", "sign_up": "sign_up", "subscribe": "subscribe",
    "contact": "custom_conversion_10", "custom": "custom_conversion_2", "refund": Reason.UNSUPPORTED_EVENT,
    **dict.fromkeys(
        ("add_payment_info", "qualify_lead", "close_convert_lead", "start_trial", "schedule", "submit_application",
         "find_location", "customize_product", "donate", "download", "app_install", "app_open"), Reason.NOT_CONFIGURED,
    ),
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER
CLEAR = ("cust-42",)

U, C, A = "json.customer", "json.custom", "json.app"
PHONE = {"os": "iOS", "app_id": "com.acme", "app_version": "2.0", "att_status": "authorized"}


def in_app(**device: Any) -> dict[str, Any]:
    return event(action_source="app", source_url=None, device={**PHONE, **device})


def opted_out(**changes: Any) -> dict[str, Any]:
    return event(opt_out_of_sale=True, **changes)


def person(**known: Any) -> dict[str, Any]:
    return event(**{**NOBODY, **known})


CASES = [
    Case("the envelope", event(), {"method": "POST", "url": "https://ads.nextdoor.com/v2/api/conversions/track",
         "json.event_id": "evt-1", "json.data_source_id": "fe411d2f-0000-4000-8000-00000000abcd",
         "json.action_source_url": "https://shop.example.com/thanks", "json.delivery_optimization": True,
         "json.test_event": GONE, "json.restricted_data_usage": GONE, A: GONE}),
    Case("a fraction of a second is cut", event(event_time="2026-10-01T13:59:59.999Z"), {"json.event_time_epoch": 1790863199}),
    Case("a slot is no other name", event("purchase"), {NAME_AT: "purchase"},
         {"custom_events": {"purchase": "custom_conversion_1"}}),
    Case("an own event without a slot", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("a refund that has a slot", event("refund"), Reason.UNSUPPORTED_EVENT,
         {"custom_events": {"refund": "custom_conversion_1"}}),
    # money: one text, the currency first, two decimals at most
    *(
        Case(f"{value} {currency}", event(value=value, currency=currency), {f"{C}.order_value": text})
        for value, currency, text in (
            (12000, "JPY", "JPY12000"), ("12.346", "KWD", "KWD12.35"), ("149.9", "USD", "USD149.9"), (0, "EUR", "EUR0"),
            ("1234567.8", "EUR", "EUR1234567.8"), (100, "EUR", "EUR100"),
        )
    ),
    Case("a purchase of no value", event(value=None, currency=None), Reason.MISSING_FIELD),
    Case("a lead of no value", event("generate_lead", value=None, currency=None), {f"{C}.order_value": GONE}),
    Case("a negative value", event(value=-1), Reason.INVALID_VALUE),
    # items
    Case("items", event(contents=[{"id": 7, "quantity": 2, "price": "9.5"}, {"name": "no id"}]),
         {f"{C}.product_context": [{"id": "7", "quantity": 2, "item_price": 9.5}], f"{C}.order_id": "ORD-1"}),
    Case("no items", event(contents=[]), {f"{C}.product_context": GONE}),
    Case("how it is delivered", event(properties={"delivery_category": "curbside"}), {f"{C}.delivery_category": "curbside"}),
    Case("delivered otherwise", event(properties={"delivery_category": ["drone"]}), {f"{C}.delivery_category": GONE}),
    Case("nothing to say", event("contact", value=None, currency=None, transaction_id=None, contents=[]), {C: GONE}),
    # sources
    Case("a website event has a page", event(source_url=None), Reason.MISSING_FIELD),
    Case("of the web", event(source_url="app://thanks"), Reason.INVALID_VALUE),
    *(
        Case(f"{source} has no page", event(action_source=source),
             {"json.action_source": source, "json.action_source_url": GONE})
        for source in ("physical_store", "phone_call", "chat", "email", "system_generated", "other")
    ),
    Case("a store event has an order", event(action_source="physical_store", transaction_id=None), Reason.MISSING_FIELD),
    Case("a call needs none", event(action_source="phone_call", transaction_id=None), {f"{C}.order_id": GONE}),
    Case("an iPhone", in_app(), {"json.action_source_url": GONE, A: {
        "app_id": "com.acme", "app_version": "2.0", "platform": "iOS", "app_tracking_enabled": True}}),
    Case("tracking refused", in_app(att_status="denied"), {f"{A}.app_tracking_enabled": False}),
    Case("Android", in_app(os="android", advertising_id="AB-1"),
         {f"{A}.platform": "Android", f"{A}.app_tracking_enabled": True}),
    *(Case(f"an app without {key}", in_app(**{key: None}), Reason.MISSING_FIELD) for key in ("os", "app_id", "app_version")),
    Case("another system", in_app(os="Windows"), Reason.MISSING_FIELD),
    # the person
    Case("the best e-mail and phone", event(emails=["nobody", " B.b+1@Gmail.com", "a@x.com"], phones=["0", "(415) 555-2671"]),
         {f"{U}.email": sha("b.b+1@gmail.com"), f"{U}.phone_number": sha("+14155552671")}),
    Case("already hashed", event(emails=[DIGEST.upper()], first_name=DIGEST, user_id=DIGEST),
         {f"{U}.email": DIGEST, f"{U}.first_name": DIGEST, f"{U}.external_id": GONE}),
    Case("the rest of the person",
         event(first_name=" Mary  Ann ", last_name="O'Brien-Ñ", city="Bad Homburg v. d. Höhe", region="Hessen", country="DE",
               postal_code="EC1A-1BB", street_address=" Straße  des 17. Juni", gender="female", date_of_birth="1988-02-09",
               user_id=" CUST 42 "),
         {f"{U}.first_name": sha("maryann"), f"{U}.last_name": sha("o'brien-ñ"), f"{U}.city": sha("badhomburgvdhöhe"),
          f"{U}.state": GONE, f"{U}.zip_code": sha("ec1a1bb"), f"{U}.street_address": sha("straße des 17. juni"),
          f"{U}.gender": sha("f"), f"{U}.date_of_birth": sha("19880209"), f"{U}.country": sha("de"),
          f"{U}.external_id": "CUST 42", f"{U}.client_ip_address": "203.0.113.7", f"{U}.client_user_agent": "Mozilla/5.0"}),
    Case("an American address", event(region="California", postal_code="94105-1234"),
         {f"{U}.state": sha("ca"), f"{U}.zip_code": sha("94105")}),
    Case("an address that is none", event(ip_address="localhost"), {f"{U}.client_ip_address": GONE}),
    Case("a click as it is", person(source_url="https://x.example", click_ids={"ndclid": click("AbC_-")}),
         {U: {"click_id": "AbC_-"}}),
    Case("an e-mail alone", person(emails=["a@x.com"]), {U: {"email": sha("a@x.com")}}),
    Case("a phone alone", person(phones=["+14155552671"]), {U: {"phone_number": sha("+14155552671")}}),
    Case("a browser and names are nobody", person(ip_address="203.0.113.7", user_agent="UA", first_name="Jane", user_id="u"),
         Reason.NO_IDENTIFIER),
    # privacy
    Case("opted out in California", opted_out(region="California"),
         {"json.restricted_data_usage": 1, "json.restricted_data_usage_country": 1, "json.restricted_data_usage_state": 1000,
          "json.delivery_optimization": False}),
    *(
        Case(f"opted out in {state}", opted_out(region="NY", privacy_country="US", privacy_region=state),
             {"json.restricted_data_usage_state": number})
        for state, number in (("US-CO", 1001), ("IA", 1003), ("nj", 1010), ("Utah", 1011), ("TN", 1014), ("Maryland", 1015))
    ),
    Case("opted out in a state without a number", opted_out(region="NY"),
         {"json.restricted_data_usage": 1, "json.restricted_data_usage_country": 1, "json.restricted_data_usage_state": GONE}),
    Case("opted out elsewhere", opted_out(country="BR", region="CA"),
         {"json.restricted_data_usage": 1, "json.restricted_data_usage_country": GONE,
          "json.restricted_data_usage_state": GONE}),
    Case("no personalisation", event(consent_ad_personalization="denied"),
         {"json.delivery_optimization": False, "json.restricted_data_usage": GONE}),
    # the account
    Case("a test", event(), {"json.test_event": "true"}, {"test_event": "true"}),
    Case("older than the account takes", event(), Reason.TOO_OLD, {"max_age_days": 0.05}),
    Case("older than Nextdoor credits", event(event_time="2026-09-20T00:00:00Z"), {NAME_AT: "purchase"}, {"max_age_days": 14}),
]  # fmt: skip


def says(response: Response, count: int) -> Said:
    """Any 2xx is the event's success, unless a page stands there; 400 and 422 refuse it."""
    page = response.body.removeprefix(b"\xef\xbb\xbf").strip()[:1] == b"<"
    if 200 <= response.status <= 299 and not page:
        return Said(every(count))
    return Said(refused=True) if response.status in (400, 422) else NOTHING


def successes(count: int) -> list[Response]:
    return [answer(200, {"status": "ok"}), answer(200), answer(202)]


TAKEN = [State.ACCEPTED]
ANSWERS = [
    *(Answer(f"{status}", answer(status, {}), Kind.SETTLED, 1, TAKEN) for status in (200, 201, 204)),
    Answer("a test does not count", answer(200), Kind.SETTLED, 1, [(State.WITHHELD, "test_mode")],
           config={"test_event": "true"}),
    Answer("a page in a 200", answer(200, HTML), Kind.TRANSIENT, 1, maybe_stored=True),
    Answer("400 names the field", answer(400, {"message": "event_name is required"}), Kind.REFUSED, 1, code="http_400",
           words="event_name is required"),
    Answer("400 in another shape", answer(400, {"errors": [{"field": "custom.order_value"}]}), Kind.REFUSED, 1,
           words="custom.order_value"),
    Answer("422", answer(422, HTML), Kind.REFUSED, 1, code="http_422", words="Nextdoor answered HTTP 422"),
    *(Answer(f"{status}", answer(status), Kind.AUTH, 1, code=f"http_{status}") for status in (401, 403)),
    Answer("an unknown data source", answer(404), Kind.CONFIGURATION, 1, code="http_404"),
    *(Answer(f"{status}", answer(status), Kind.RATE_LIMITED, 1, code=f"http_{status}") for status in (408, 429)),
    Answer("429 with its wait", answer(429, retry_after="60"), Kind.RATE_LIMITED, 1, wait=minutes(1)),
    *(Answer(f"{s}", answer(s, HTML), Kind.TRANSIENT, 1, code=f"http_{s}", maybe_stored=True) for s in (500, 502, 503, 504)),
    *(Answer(f"{status}", answer(status), Kind.TRANSIENT, 1, maybe_stored=True) for status in (0, 100, 302, 418, 600)),
]  # fmt: skip

AT_SANDBOX = [
    *(
        Struck(f"{code} refuses one event", [{"kind": "reject_event", "code": code, "match": '"order-00003"'}],
               {State.REJECTED: 1}, code=f"http_{code}")
        for code in (400, 422)
    ),
    Struck("a token that is gone", [{"kind": "expired_token"}], {State.RETRY: 12}, code="http_401", failed=True),
    Struck("another data source", [], {State.RETRY: 12}, code="http_404", failed=True,
           account={"data_source_id": "00000000-0000-4000-8000-000000000000"}),
    Struck("a page in a 200 is asked again", [{"kind": "html", "times": 1}]),
    Struck("a test", want={State.WITHHELD: 12}, code="test_mode", account={"test_event": "true"}),
]  # fmt: skip
