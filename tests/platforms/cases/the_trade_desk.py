"""The Trade Desk: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.conversions.strings import ALL_VENDORS, NOT_OPTED_OUT
from tests.platforms.documented import NO_EVENT, NOTHING, Said, every, object_of, objects, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event

CONFIG = {
    "advertiser_id": "abc1234",
    "tracker_id": "trk5678",
    "event_names": {"generate_lead": "lead", "Demo Booked": "demo"},
    "max_event_age_minutes": 1440,
}
NAME_AT = "json.data[0].event_name"
UNNAMED = (
    "add_payment_info", "qualify_lead", "close_convert_lead", "sign_up", "start_trial", "subscribe", "schedule",
    "submit_application", "customize_product", "donate", "download", "app_install", "app_open",
)  # fmt: skip
NAMES: dict[str, str | Reason] = {
    "page_view": "sitevisit", "view_item": "viewitem", "view_item_list": "searchcategory", "search": "searchitem",
    "add_to_wishlist": "wishlistitem", "add_to_cart": "addtocart", "begin_checkout": "startcheckout",
    "purchase": "purchase", "contact": "messagebusiness", "find_location": "direction", "generate_lead": "lead",
    "custom": "demo", "refund": Reason.UNSUPPORTED_EVENT, **dict.fromkeys(UNNAMED, Reason.NOT_CONFIGURED),
}  # fmt: skip
MINIMAL = Reason.MISSING_FIELD

E = "json.data[0]"
TDID = "3f2b9a52-2d1b-4f5e-9d1c-0a1b2c3d4e5f"
BARE: dict[str, Any] = {**NOBODY, "ip_address": "203.0.113.7"}
PIXEL = {"tracker_id": None, "upixel_id": "up12345"}
COOKIES = {"tdid": TDID, "uid2": "U" * 43 + "=", "euid": "E-1", "idl": "XY-1"}


def known(*names: str, **changes: Any) -> dict[str, Any]:
    return event(**{**NOBODY, "browser_ids": {name: COOKIES[name] for name in names}, **changes})


def phone(system: str | None, device_id: str = "AEBE-1") -> dict[str, Any]:
    return event(**NOBODY, action_source="app", device={"os": system, "advertising_id": device_id})


def opted_out(**changes: Any) -> dict[str, Any]:
    return event(opt_out_of_sale=True, **changes)


def limited(state: str) -> dict[str, Any]:
    return {f"{E}.data_processing_option": {"policies": ["LDU"], "region": f"US-{state}"}}


CASES = [
    Case("everything", event(tcf_string=ALL_VENDORS, gpp_string=NOT_OPTED_OUT, browser_ids={"tdid": TDID}), {
        "method": "POST", "url": "https://insight.adsrvr.org/track/realtimeconversion",
        "headers": {"Content-Type": "application/json"},
        "json": {"data": [{
            "adv": "abc1234", "tracker_id": "trk5678", "event_name": "purchase", "adid": TDID, "adid_type": "TDID",
            "referrer_url": "https://shop.example.com/thanks", "client_ip": "203.0.113.7", "imp": "click-ttd_imp",
            "order_id": "ORD-1", "value": "149.97", "currency": "USD",
            "items": [{"item_code": "SKU-1", "name": "Shoe", "qty": "2", "price": "50", "cat": "Shoes"}],
            "privacy_settings": [{"privacy_type": "GDPR", "is_applicable": 1, "consent_string": ALL_VENDORS},
                                 {"privacy_type": "GPP", "is_applicable": 1, "consent_string": NOT_OPTED_OUT}],
        }]}}),
    # names
    Case("an own name wins over the table", event(), {NAME_AT: "sale"}, {"event_names": {"purchase": "sale"}}),
    Case("a custom event without a name", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("a refund that has one", event("refund"), Reason.UNSUPPORTED_EVENT, {"event_names": {"refund": "r"}}),
    # account and tag
    Case("a merchant", event(), {f"{E}.merchant_id": "mer999", f"{E}.adv": GONE}, {"advertiser_id": None,
         "merchant_id": "mer999"}),
    Case("a universal pixel counts by page", event("donate"), {f"{E}.upixel_id": "up12345", f"{E}.tracker_id": GONE,
         f"{E}.event_name": GONE, f"{E}.referrer_url": "https://shop.example.com/thanks"}, PIXEL),
    *(Case(f"and needs one: {page!r}", event(source_url=page), Reason.MISSING_FIELD, PIXEL) for page in (None, "")),
    Case("a tracker needs none", event(source_url=None), {f"{E}.referrer_url": GONE}),
    # money: text with a point, no exponent, no trailing zeros
    *(
        Case(f"value {value}", event(value=value, currency=currency), {f"{E}.value": text, f"{E}.currency": currency})
        for value, currency, text in (
            (12000, "JPY", "12000"), ("12.345", "KWD", "12.345"), ("149.9000", "USD", "149.9"), (0, "EUR", "0"),
            ("0.0001", "EUR", "0.0001"), ("12345678901234.5", "EUR", "12345678901234.5"),
        )
    ),
    Case("a purchase has a currency", event(value=None, currency=None), Reason.MISSING_FIELD),
    Case("so has what is sent as one", event("generate_lead", value=None, currency=None), Reason.MISSING_FIELD,
         {"event_names": {"generate_lead": "purchase"}}),
    Case("a lead needs none", event("generate_lead", value=None, currency=None), {f"{E}.value": GONE, f"{E}.currency": GONE}),
    Case("items", event(contents=[{"id": 7, "quantity": 2, "price": "9.50"}, {"name": "no id"}, {"id": "Ü"}]),
         {f"{E}.items": [{"item_code": "7", "qty": "2", "price": "9.5"}, {"item_code": "Ü"}]}),
    Case("no items", event(contents=[]), {f"{E}.items": GONE}),
    # ids, best first, one of them
    Case("the cookie id first", known("idl", "euid", "uid2", "tdid"), {f"{E}.adid": TDID, f"{E}.adid_type": "TDID"}),
    Case("then UID2", known("idl", "euid", "uid2"), {f"{E}.adid": "U" * 43 + "=", f"{E}.adid_type": "UID2"}),
    Case("then EUID", known("idl", "euid"), {f"{E}.adid": "E-1", f"{E}.adid_type": "EUID"}),
    Case("then RampID", known("idl", device={"os": "iOS", "advertising_id": "A"}), {f"{E}.adid_type": "IDL"}),
    *(
        Case(f"a device: {system}", phone(system), {f"{E}.adid": "AEBE-1", f"{E}.adid_type": kind})
        for system, kind in (("iOS", "IDFA"), ("iPadOS", "IDFA"), ("Android", "AAID"), ("Windows", "NAID"), ("tvOS", "DAID"),
             (None, "DAID"))
    ),
    Case("a device that limits tracking", phone("iOS", "00000000-0000-0000-0000-000000000000"), Reason.NO_IDENTIFIER),
    Case("a hashed e-mail is no id", event(**{**NOBODY, "browser_ids": {"uid2": DIGEST, "tdid": DIGEST.upper()}}),
         Reason.NO_IDENTIFIER),
    Case("nor is an empty one", event(**{**NOBODY, "browser_ids": {"tdid": "", "euid": "E"}}), {f"{E}.adid_type": "EUID"}),
    Case("an impression is enough", event(**{**NOBODY, "click_ids": {"ttd_imp": click("I-1")}}), {f"{E}.imp": "I-1",
         f"{E}.adid": GONE}),
    Case("an address is not", event(**BARE), Reason.NO_IDENTIFIER),
    Case("unless it is said so", event(**BARE), {f"{E}.client_ip": "203.0.113.7", f"{E}.adid": GONE}, {"allow_ip_only": True}),
    Case("IPv6", event(**{**BARE, "ip_address": "2001:db8::1"}), {f"{E}.client_ip": "2001:db8::1"}, {"allow_ip_only": True}),
    Case("and no address", event(**NOBODY), Reason.NO_IDENTIFIER, {"allow_ip_only": True}),
    Case("e-mail and phone are no use", event(**{**NOBODY, "emails": ["jane.doe@example.com"], "phones": ["+14155552671"]}),
         Reason.NO_IDENTIFIER),
    # privacy
    Case("limited in California", opted_out(region="California"), limited("CA")),
    Case("limited by where the choice was made", opted_out(country="DE", privacy_country="US", privacy_region="US-RI"),
         limited("RI")),
    Case("in no state", opted_out(region=None), Reason.OPTED_OUT),
    Case("in an unknown one", opted_out(region="Bavaria"), Reason.OPTED_OUT),
    Case("in another country", opted_out(country="CA", region="ON"), Reason.OPTED_OUT),
    Case("who chose elsewhere", opted_out(region="CA", privacy_country="FR"), Reason.OPTED_OUT),
    Case("nobody opted out", event(), {f"{E}.data_processing_option": GONE, f"{E}.privacy_settings": GONE}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "purchase"}),
    # age
    Case("two hours by default", event(), {NAME_AT: "purchase"}, {"max_event_age_minutes": 120}),
    Case("a minute too old", event(), Reason.TOO_OLD, {"max_event_age_minutes": 119}),
]  # fmt: skip


def entry(index: Any = 0, code: str = "", **more: Any) -> dict[str, Any]:
    errors = [{"Error": code, "ErrorMessage": f"no {code}"}] if code else []
    return {"EventIndex": index, "EventErrors": errors, "EventWarnings": [], "Successful": not code, **more}


def said(status: int, *entries: Any, message: Any = None) -> Response:
    return answer(status, {"Message": message, "EventResponses": list(entries)})


def says(response: Response, count: int) -> Said:
    """200 without `EventResponses`, or all of them `Successful`. `EventErrors` name the bad events, whatever the status;
    400 (and a body that is too large) refuses them all."""
    body, status = object_of(response.body), response.status
    entries = body.get("EventResponses")
    bad = (
        [some for some in entries if isinstance(some, dict) and some.get("EventErrors")]
        if isinstance(entries, list)
        else []
    )
    if bad:
        named = [some.get("EventIndex") for some in bad]
        ours = all(whole(index) and 0 <= index < count for index in named) and len(set(named)) == len(named)
        return Said(blamed=frozenset(named) if ours else NO_EVENT, refused=ours or status == 400 or status == 413)
    fine = entries is None or (objects(entries) and all(some.get("Successful") is True for some in entries))
    if (
        status == 200
        and fine
        and body.keys() & {"Message", "EventResponses"}
        and isinstance(body.get("Message"), str | None)
    ):
        return Said(every(count))
    return Said(refused=True) if status in (400, 413) else NOTHING


def successes(count: int) -> list[Response]:
    return [said(200), said(200, *(entry(index) for index in range(count))), answer(200, {"Message": None})]


BOTH = [State.ACCEPTED] * 2
BAD = "InvalidPrivacySetting"
WARNED = entry(1, EventWarnings=[{"Warning": "NoMatch", "WarningMessage": "nobody"}])
ANSWERS = [
    Answer("success", said(200), Kind.SETTLED, outcomes=BOTH),
    Answer("no list at all", answer(200, {"Message": None}), Kind.SETTLED, outcomes=BOTH),
    Answer("each is successful", said(200, entry(0), entry(1)), Kind.SETTLED, outcomes=BOTH),
    Answer("a warning is no error", said(200, WARNED), Kind.SETTLED, 1, [State.ACCEPTED]),
    Answer("a warning stays with its event", said(200, entry(0, EventWarnings=[{"Warning": "NoMatch"}])), Kind.SETTLED,
           outcomes=BOTH, words="NoMatch"),
    Answer("one is not successful, and nobody says why", said(200, entry(0, Successful=False)), Kind.TRANSIENT,
         maybe_stored=True),
    Answer("success of another type", said(200, entry(0, Successful="true")), Kind.TRANSIENT, maybe_stored=True),
    Answer("a list of something else", said(200, "fine"), Kind.TRANSIENT, maybe_stored=True),
    Answer("an empty object", answer(200, {}), Kind.TRANSIENT, maybe_stored=True),
    Answer("nothing", answer(200), Kind.TRANSIENT, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("a redirect", answer(302), Kind.TRANSIENT, maybe_stored=True),
    *(
        Answer(f"one event is refused in a {status}", said(status, entry(1, BAD)), Kind.REFUSED, culprits={1: BAD}, code=BAD,
               words=f"{BAD}: no {BAD}")
        for status in (200, 400, 402, 500)
    ),
    Answer("both are refused", said(400, entry(0, BAD), entry(1, "InvalidCurrency")), Kind.REFUSED,
           culprits={0: BAD, 1: "InvalidCurrency"}),
    Answer("one that was not sent", said(400, entry(7, BAD)), Kind.REFUSED, code=BAD),
    Answer("one without its place", said(400, entry(None, BAD)), Kind.REFUSED, code=BAD),
    Answer("one that was not sent, in a 200", said(200, entry(7, BAD)), Kind.TRANSIENT, maybe_stored=True),
    Answer("400 without events", said(400, message="Bad request"), Kind.REFUSED, code="http_400", words="Bad request"),
    Answer("400 without words", answer(400, HTML), Kind.REFUSED, code="http_400"),
    Answer("too large", answer(413, HTML), Kind.REFUSED, code="http_413"),
    Answer("an undefined tag or event", said(402), Kind.CONFIGURATION, code="http_402"),
    *(Answer(f"{status}", answer(status), Kind.CONFIGURATION, code=f"http_{status}") for status in (401, 403, 404, 405)),
    Answer("too many requests", answer(429), Kind.RATE_LIMITED, code="http_429"),
    Answer("with a wait", answer(429, retry_after="60"), Kind.RATE_LIMITED, wait=minutes(1)),
    *(Answer(f"{status}", answer(status, HTML), Kind.TRANSIENT, maybe_stored=True, code=f"http_{status}") for status in (500,
         503)),
]  # fmt: skip
COUNTED_AGAIN = {"transaction_id": None}

AT_SANDBOX = [
    Struck("one event is refused", [{"kind": "reject_event", "match": '"order_id":"7"'}], {State.REJECTED: 1}, BAD),
    Struck("all are refused, by another code", [{"kind": "reject_event", "code": "InvalidAdId"}], {State.REJECTED: 12},
         "InvalidAdId"),
    Struck("a tracker that is not defined", account={"tracker_id": "trk0000"}, want={State.RETRY: 12}, code="http_402",
         failed=True),
    Struck("events that are too old", account={"max_event_age_minutes": "5"}, want={State.WITHHELD: 12}, code="too_old"),
]  # fmt: skip
