"""Meta Conversions API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of, trace, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, answer, click, event, sha

CONFIG = {"pixel_id": "123456789012345", "access_token": "META-TOKEN"}
NAME_AT = "json.data[0].event_name"
TESTING = None  # events of its test mode count
NAMES: dict[str, str | Reason] = {
    "page_view": "PageView", "view_item": "ViewContent", "view_item_list": "ViewCategory", "search": "Search",
    "add_to_wishlist": "AddToWishlist", "add_to_cart": "AddToCart", "begin_checkout": "InitiateCheckout",
    "add_payment_info": "AddPaymentInfo", "purchase": "Purchase", "refund": Reason.UNSUPPORTED_EVENT,
    "generate_lead": "Lead", "qualify_lead": "QualifiedLead", "close_convert_lead": "ConvertedLead",
    "sign_up": "CompleteRegistration", "start_trial": "StartTrial", "subscribe": "Subscribe", "contact": "Contact",
    "schedule": "Schedule", "submit_application": "SubmitApplication", "find_location": "FindLocation",
    "customize_product": "CustomizeProduct", "donate": "Donate", "download": "Download",
    "app_install": "MobileAppInstall", "app_open": "AppOpen", "custom": "Demo Booked",
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER

E = "json.data[0]"
U, D, A = f"{E}.user_data", f"{E}.custom_data", f"{E}.app_data"
CALL: dict[str, Any] = {"action_source": "phone_call", "source_url": None, **NOBODY}
APP: dict[str, Any] = {"action_source": "app", "source_url": None}
IOS = {
    "os": "iOS", "os_version": "18.5", "model": "iPhone15,2", "app_id": "com.acme", "app_version": "1.2",
    "language": "en-US", "screen_width": 390, "screen_height": 844, "vendor_id": "V-1", "att_status": "authorized",
    "advertising_id": "AEBE52E7-03EE-455A-B3C4-E57283966239",
}  # fmt: skip


def fbc(cookie: str | None, value: str | None, clicked_at: str | None = "2026-09-30T08:00:00Z") -> dict[str, Any]:
    clicks = {"fbclid": click(value, clicked_at)} if value else {}
    return event(click_ids=clicks, browser_ids={"fbc": cookie} if cookie else {})


def opted_out(**changes: Any) -> dict[str, Any]:
    return event(opt_out_of_sale=True, **changes)


def limited(country: int, state: int) -> dict[str, Any]:
    return {
        f"{E}.data_processing_options": ["LDU"], f"{E}.data_processing_options_country": country,
        f"{E}.data_processing_options_state": state,
    }  # fmt: skip


CASES = [
    Case("a fraction of a second is cut", event(event_time="2026-10-01T13:59:59.999Z"), {f"{E}.event_time": 1790863199}),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{D}.value": 12000, f"{D}.currency": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{D}.value": 12.345, f"{D}.currency": "KWD"}),
    Case("a value of nothing is a value", event(value=0), {f"{D}.value": 0}),
    Case("a purchase has a value", event(value=None, currency=None), Reason.MISSING_FIELD),
    Case(
        "a custom event of that name is one too",
        event("custom", custom_event_name="Purchase", value=None, currency=None), Reason.MISSING_FIELD,
    ),
    Case("no negative value", event("subscribe", value=-1), Reason.INVALID_VALUE),
    Case("a lead needs none", event("generate_lead", value=None, currency=None), {f"{D}.value": GONE, D + ".currency": GONE}),
    Case("a website event has a page", event(source_url=None), Reason.MISSING_FIELD),
    Case("and a browser", event(user_agent=None), Reason.MISSING_FIELD),
    Case("an empty page is none", event(source_url=""), Reason.MISSING_FIELD),
    Case("a custom event keeps its name", event("custom", custom_event_name=" Démo Booked 2"), {NAME_AT: " Démo Booked 2"}),
    # the person
    Case(
        "every e-mail and phone, best first, invalid ones dropped",
        event(emails=[" B@x.com", "nobody", "a@x.com"], phones=["0", "(415) 555-2671", "+49 30 901820"]),
        {f"{U}.em": [sha("b@x.com"), sha("a@x.com")], f"{U}.ph": [sha("14155552671"), sha("4930901820")]},
    ),
    Case("already hashed", event(emails=[DIGEST.upper()], phones=[DIGEST]), {f"{U}.em": [DIGEST], f"{U}.ph": [DIGEST]}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]), {f"{U}.em": GONE, f"{U}.ph": GONE}),
    Case(
        "unicode and the rest of the person",
        event(first_name="Jürgen", last_name="O'Brien-Ñ", gender="male", date_of_birth="1988-02-09",
             city="Bad Homburg v. d. Höhe",
              region="Hessen", postal_code=" 61348-1 ", country="DE", user_id=" Cust 42 ", anonymous_id="A1"),
        {f"{U}.fn": [sha("jürgen")], f"{U}.ln": [sha("obrienñ")], f"{U}.ge": [sha("m")], f"{U}.db": [sha("19880209")],
         f"{U}.ct": [sha("badhomburgvdhöhe")], f"{U}.st": [sha("hessen")], f"{U}.zp": [sha("61348")],
         f"{U}.country": [sha("de")], f"{U}.external_id": [sha("cust42"), sha("a1")], f"{U}.client_user_agent": "Mozilla/5.0"},
    ),
    Case("a state by its name", event(region="New York"), {f"{U}.st": [sha("ny")]}),
    Case("IPv6 and cookies as they are", event(ip_address="2001:db8::1", browser_ids={"fbp": "fb.1.1.AbC"}),
         {f"{U}.client_ip_address": "2001:db8::1", f"{U}.fbp": "fb.1.1.AbC"}),
    Case("nobody", event("contact", **CALL), Reason.NO_IDENTIFIER),
    Case("an address is too little", event("contact", **{**CALL, "city": "Berlin", "country": "DE", "region": "BE",
         "postal_code": "10115", "gender": "male", "user_agent": "UA"}), Reason.NO_IDENTIFIER),
    Case("a birth date is too little", event("contact", **{**CALL, "date_of_birth": "1988-02-09"}), Reason.NO_IDENTIFIER),
    Case("a name and a gender are too little", event("contact", **{**CALL, "last_name": "Doe", "gender": "female"}),
         Reason.NO_IDENTIFIER),
    Case("two names are enough", event("contact", **{**CALL, "last_name": "Doe", "first_name": "Jane"}), {NAME_AT: "Contact"}),
    Case("an IP address is enough", event("contact", **{**CALL, "ip_address": "203.0.113.7"}), {NAME_AT: "Contact"}),
    # fbc
    Case("fbc is built from the click", fbc(None, "IwAR-Ab"), {f"{U}.fbc": "fb.1.1790755200000.IwAR-Ab"}),
    Case("the cookie alone", fbc("fb.1.5.Old", None), {f"{U}.fbc": "fb.1.5.Old"}),
    Case("a cookie of the same click", fbc("fb.1.5.IwAR-Ab", "IwAR-Ab"), {f"{U}.fbc": "fb.1.5.IwAR-Ab"}),
    Case("a newer click", fbc("fb.1.1790755199999.Old", "New"), {f"{U}.fbc": "fb.1.1790755200000.New"}),
    Case("a newer cookie", fbc("fb.1.1790755200000.Newer", "Old"), {f"{U}.fbc": "fb.1.1790755200000.Newer"}),
    Case("a broken cookie", fbc("fb.1.soon", "New"), {f"{U}.fbc": "fb.1.1790755200000.New"}),
    Case("a click of unknown time cannot make one", fbc(None, "New", None), {f"{U}.fbc": GONE}),
    # contents
    Case("items", event(contents=[{"id": 7, "quantity": 2, "price": "9.5", "variant": "blue"}, {"name": "no id"}]),
         {f"{D}.contents": [{"id": "7", "quantity": 2, "item_price": 9.5}], f"{D}.content_ids": ["7"],
          f"{D}.content_type": "product", f"{D}.num_items": 2}),
    Case("the number of items of a checkout", event("begin_checkout"), {f"{D}.num_items": 2}),
    Case("and of no other event", event("add_to_cart"), {f"{D}.num_items": GONE, f"{D}.content_ids": ["SKU-1"]}),
    Case("no items", event(contents=[]), {f"{D}.contents": GONE, f"{D}.content_type": GONE, f"{D}.content_ids": GONE}),
    Case("search and customer", event("search", search_term="shoe", customer_type="returning"),
         {f"{D}.search_string": "shoe", f"{D}.customer_segmentation": "existing_customer_to_business"}),
    Case("what Meta has no field for", event(tax=1, shipping=2, coupon="C"), {f"{D}.tax": GONE, f"{D}.coupon": GONE}),
    # privacy
    Case("nobody opted out", event(), {f"{E}.data_processing_options": GONE, f"{E}.opt_out": GONE}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {f"{E}.opt_out": True}),
    Case("limited in California", opted_out(region="California"), limited(1, 1000)),
    Case("limited by where the choice was made", opted_out(country="DE", privacy_country="US", privacy_region="US-RI"),
         limited(1, 1013)),
    Case("a state without a law: Meta geolocates", opted_out(region="NY"), limited(0, 0)),
    Case("another country: Meta geolocates", opted_out(country="DE", region="CA"), limited(0, 0)),
    Case("no state and no address", opted_out(region=None, ip_address=None), Reason.OPTED_OUT),
    # CRM and app
    Case("a CRM event", event("qualify_lead", action_source="system_generated",
         click_ids={"fb_lead_id": click("123456789012345")}),
         {f"{D}.event_source": "crm", f"{D}.lead_event_source": "Acme CRM", f"{U}.lead_id": 123456789012345},
         {"lead_event_source": "Acme CRM"}),
    Case("a lead id of another length", event(click_ids={"fb_lead_id": click("12345")}), {f"{U}.lead_id": GONE},
         {"lead_event_source": "Acme CRM"}),
    Case("no CRM configured", event("qualify_lead", action_source="system_generated"), {f"{D}.event_source": GONE}),
    Case("an app on iOS", event("app_open", **APP, device=IOS),
         {f"{A}.advertiser_tracking_enabled": 1, f"{A}.application_tracking_enabled": 1, f"{A}.vendor_id": "V-1",
          f"{A}.extinfo": ["i2", "com.acme", "1.2", "1.2", "18.5", "iPhone15,2", "en-US", "", "", "390", "844", "", "",
               "", "", ""],
          f"{U}.madid": "aebe52e7-03ee-455a-b3c4-e57283966239"}),
    Case("tracking refused", event("app_open", **APP, device={**IOS, "att_status": "denied"}),
         {f"{A}.advertiser_tracking_enabled": 0, f"{A}.application_tracking_enabled": 0}),
    Case("an app on Android", event("app_install", **APP, device={"os": "Android", "os_version": "15", "advertising_id": "AB-1"}),
         {f"{A}.advertiser_tracking_enabled": 1, f"{A}.extinfo[0]": "a2", f"{U}.madid": "ab-1"}),
    Case("Android with limited tracking", event("app_open", **APP, device={"os": "Android", "os_version": "15",
         "advertising_id": "00000000-0000-0000-0000-000000000000"}), {f"{A}.advertiser_tracking_enabled": 0, f"{U}.madid": GONE}),
    Case("an app needs a system", event("app_open", **APP), Reason.MISSING_FIELD),
    Case("of these two", event("app_open", **APP, device={"os": "Windows", "os_version": "11"}), Reason.INVALID_VALUE),
    # envelope
    Case("test code, partner and proof", event(),
         {"json.test_event_code": "TEST1", "json.partner_agent": "acme-1",
          "params.appsecret_proof": "a3eea40872d92cdbbf6453a813220d38a8c3c4a42fcf697c36b2a82981f11e13"},
         {"test_event_code": "TEST1", "partner_agent": "acme-1", "app_secret": "s3cret"}),
]  # fmt: skip


def error(code: int, status: int = 400, **more: Any) -> Response:
    return answer(status, {"error": {"code": code, "message": "words", "fbtrace_id": "Trace", **more}})


def says(response: Response, count: int) -> Said:
    """200 `{"events_received": n, "messages": [], "fbtrace_id": "..."}`; an error decides by its code: 100 is about the
    events, "reduce the amount of data" about the size; no field names an event reliably."""
    body = object_of(response.body)
    if "error" not in body:
        received = body.get("events_received")
        good = response.status == 200 and whole(received) and received == count
        good = good and trace(body.get("fbtrace_id")) and isinstance(body.get("messages", []), list)
        return Said(every(count)) if good else NOTHING
    error = body["error"]
    if not isinstance(error, dict) or not whole(error.get("code")):
        return NOTHING
    words = f"{error.get('message')} {error.get('error_user_msg')}".lower()
    return Said(refused=error["code"] == 100 or "reduce the amount of data" in words)


def successes(count: int) -> list[Response]:
    plain = {"events_received": count, "messages": [], "fbtrace_id": "AbC_-9dEfGh"}
    return [answer(200, plain), answer(200, {**plain, "messages": ["Some words of warning"]})]


OK = {"events_received": 2, "messages": [], "fbtrace_id": "Trace"}
USAGE = '{"1": [{"type": "ads_management", "estimated_time_to_regain_access": 7}]}'
BOTH = [State.ACCEPTED] * 2
ANSWERS = [
    Answer("success", answer(200, OK), Kind.SETTLED, outcomes=BOTH),
    Answer("a warning is no error", answer(200, {**OK, "messages": ["check em"]}), Kind.SETTLED, outcomes=BOTH, words="check em"),
    Answer("another number of events", answer(200, {**OK, "events_received": 1}), Kind.TRANSIENT, maybe_stored=True),
    *(
        Answer(f"no trace: {trace!r:.20}", answer(200, {**OK, "fbtrace_id": trace}), Kind.TRANSIENT, maybe_stored=True)
        for trace in (None, "", " ", 5, "a b", "a\n", "jane@example.com", "x" * 201)
    ),
    *(
        Answer(f"a number that is none: {number!r}", answer(200, {**OK, "events_received": number}), Kind.TRANSIENT,
               maybe_stored=True)
        for number in ("2", 2.0, [2], None, -2, 3)
    ),
    *(
        Answer(f"success and an error: {error}", answer(200, {**OK, "error": error}), Kind.TRANSIENT, maybe_stored=True)
        for error in (None, "words", {}, {"code": "190"}, {"message": "words"})
    ),
    Answer("a number twice", answer(200, b'{"events_received": 0, "events_received": 2, "fbtrace_id": "T"}'), Kind.TRANSIENT,
           maybe_stored=True),
    Answer("an error in a 200", error(190, 200), Kind.AUTH, code="190"),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("nothing", answer(200), Kind.TRANSIENT, maybe_stored=True),
    Answer("a gateway's page", answer(502, HTML), Kind.TRANSIENT, maybe_stored=True, code="http_502"),
    Answer("is_transient", error(100, is_transient=True), Kind.TRANSIENT, maybe_stored=True),
    *(Answer(f"temporary {code}", error(code), Kind.TRANSIENT, maybe_stored=True) for code in (1, 2, 368, 5000, 21009)),
    Answer("500 with another code", error(100, 500), Kind.TRANSIENT, maybe_stored=True),
    *(
        Answer(f"call limit {code}", error(code), Kind.RATE_LIMITED, wait=minutes(1))
        for code in (4, 17, 32, 341, 613, 80000, 80004, 80014)
    ),
    Answer("call limit, with its header", Response(400, {"x-business-use-case-usage": USAGE}, error(80004).body),
           Kind.RATE_LIMITED, wait=minutes(7)),
    Answer("call limit by status", answer(429, HTML, retry_after="30"), Kind.RATE_LIMITED, wait=minutes(0.5)),
    *(Answer(f"token {sub}", error(190, 401, error_subcode=sub), Kind.AUTH, code=f"190/{sub}") for sub in (460, 463, 467)),
    *(Answer(f"permission {code}", error(code, 403), Kind.AUTH, code=str(code)) for code in (3, 10, 102, 104, 200, 294)),
    Answer("a token in a 500", error(190, 500), Kind.AUTH),
    Answer("403 without words", answer(403, HTML), Kind.AUTH),
    Answer("dataset missing", error(100, error_subcode=33), Kind.CONFIGURATION, code="100/33"),
    *(
        Answer(f"event refused {sub}", error(100, error_subcode=sub), Kind.REFUSED, code=f"100/{sub}")
        for sub in (2804001, 2804003, 2804007, 2804009, 2804016, 2804017, 2804019, 2804048, 2804050)
    ),
    Answer("any other 100", error(100), Kind.REFUSED, code="100", words="words"),
    Answer("words for people", error(100, error_user_msg="Event 3 has no value"), Kind.REFUSED, words="Event 3 has no value"),
    Answer("too much at once", error(1, message="Please reduce the amount of data you're asking for"), Kind.REFUSED),
    Answer("one event that is too much", error(1, message="Please reduce the amount of data"), Kind.TRANSIENT, count=1,
           maybe_stored=True),
    Answer("a code of tomorrow", error(999), Kind.CONFIGURATION, code="999"),
]  # fmt: skip
