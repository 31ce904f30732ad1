"""Amazon Ads Events API: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import minutes
from capi_pipeline.platforms.wire import Response
from tests.conversions.strings import ALL_VENDORS, NOT_OPTED_OUT
from tests.platforms.documented import NOTHING, Said, object_of, objects, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, NOW, Answer, Case, Struck, answer, click, event, sha

CONFIG: dict[str, Any] = {
    "region": "NA", "client_id": "amzn1.application-oa2-client.example", "client_secret": "lwa-secret",
    "refresh_token": "Atzr|refresh", "account_id": "amzn1.ads-account.g.example",
}  # fmt: skip
NAME_AT = "json.events[0].eventDescription.conversionType"
NAMES: dict[str, str | Reason] = {
    "page_view": "PAGE_VIEW", "view_item": "PAGE_VIEW", "view_item_list": "PAGE_VIEW", "search": "SEARCH",
    "add_to_wishlist": "OTHER", "add_to_cart": "ADD_TO_SHOPPING_CART", "begin_checkout": "CHECKOUT",
    "add_payment_info": "OTHER", "purchase": "OFF_AMAZON_PURCHASES", "refund": Reason.UNSUPPORTED_EVENT,
    "generate_lead": "LEAD", "qualify_lead": "OTHER", "close_convert_lead": "OTHER", "sign_up": "SIGN_UP",
    "start_trial": "OTHER", "subscribe": "SUBSCRIBE", "contact": "CONTACT", "schedule": "OTHER",
    "submit_application": "APPLICATION", "find_location": "OTHER", "customize_product": "OTHER", "donate": "OTHER",
    "download": "OTHER", "app_install": "MOBILE_APP_FIRST_START", "app_open": "OTHER", "custom": "OTHER",
}  # fmt: skip
MINIMAL = Reason.NO_IDENTIFIER

E = "json.events[0]"
D, K, C = f"{E}.eventDescription", f"{E}.matchKeys", f"{E}.consent"
CONTACT = [("EMAIL", sha("jane.doe@example.com")), ("PHONE", sha("14155552671"))]
FIP = ("FIP", "203.0.113.7")
PERSON = {
    "first_name": " Jürgen", "last_name": "O'Brien", "street_address": "1 Market Street", "city": " San Francisco",
    "region": "California", "postal_code": "94105-1234",
}  # fmt: skip
SILENT = {"consent_ad_user_data": None, "consent_ad_storage": None}


def keys(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"type": kind, "values": [value]} for kind, value in pairs]


def alone(**changes: Any) -> dict[str, Any]:
    return event(**{**NOBODY, "country": "US", **changes})


def clicked(token: str, at: str | None = "2026-09-30T08:00:00Z") -> dict[str, Any]:
    return event(click_ids={"aref": click(token, at)})


CASES = [
    Case("headers and address", event(), {
        "url": "https://advertising-api.amazon.com/adsApi/v1/create/events", "headers.Authorization": "Bearer Atza|access",
        "headers.Amazon-Ads-ClientId": "amzn1.application-oa2-client.example", "headers.Content-Type": "application/json",
        "headers.Amazon-Ads-AccountId": "amzn1.ads-account.g.example", "headers.Amazon-Ads-Manager-AccountId": GONE}),
    Case("a manager's account", event(), {"headers.Amazon-Ads-Manager-AccountId": "m", "headers.Amazon-Ads-AccountId": GONE},
         {"account_id": None, "manager_account_id": "m"}),
    *(Case(f"region {region}", event(), {"url": f"https://{host}/adsApi/v1/create/events"}, {"region": region})
      for region, host in (("EU", "advertising-api-eu.amazon.com"), ("FE", "advertising-api-fe.amazon.com"))),
    # names
    Case("the name of an event is ours", event("add_to_cart"), {D: {
        "name": "add_to_cart", "conversionType": "ADD_TO_SHOPPING_CART", "eventSource": "WEBSITE",
        "eventIngestionMethod": "SERVER_TO_SERVER"}}),
    Case("a data set", event(), {f"{D}.dataSetName": "capi_pipeline"}, {"data_set_name": "capi_pipeline"}),
    Case("an own name", event("custom"), {f"{D}.name": "Demo Booked"}),
    Case("without what Amazon does not take", event("custom", custom_event_name="Démo (50% off)/new;`"),
         {f"{D}.name": "Démo  50  off  new `"}),
    Case("a name of nothing else", event("custom", custom_event_name="!?"), Reason.INVALID_VALUE),
    Case("a long name", event("custom", custom_event_name="x" * 300), {f"{D}.name": "x" * 256}),
    *(Case(f"from {source}", event(action_source=source), {f"{D}.eventSource": "OFFLINE"})
      for source in ("physical_store", "phone_call", "chat", "email", "system_generated", "other", "app")),
    *(Case(f"an app on {system}", event(action_source="app", device={"os": system}), {f"{D}.eventSource": wire})
      for system, wire in (("iOS", "IOS"), ("iPadOS", "IOS"), ("Android", "ANDROID"), ("Fire OS", "FIRE_TV"), ("X", "OFFLINE"))),
    Case("a website on a phone", event(device={"os": "iOS"}), {f"{D}.eventSource": "WEBSITE"}),
    # times, countries and money
    Case("whole seconds of UTC, cut", event(event_time="2026-10-01T14:00:00.999+02:00"),
         {f"{E}.eventTime": "2026-10-01T12:00:00Z"}),
    Case("the country", event(privacy_country="CA"), {f"{E}.countryCode": "US"}, {"default_country": "MX"}),
    Case("that of the choice", event(country=None, privacy_country="CA"), {f"{E}.countryCode": "CA"}, {"default_country": "MX"}),
    Case("that of the account", event(country=None), {f"{E}.countryCode": "MX"}, {"default_country": "MX"}),
    Case("none", event(country=None), Reason.MISSING_FIELD),
    Case("yen have no decimals", event(value=12000, currency="JPY"), {f"{E}.value": 12000, f"{E}.currencyCode": "JPY"}),
    Case("dinars have two here", event(value="12.347", currency="KWD"), {f"{E}.value": 12.35, f"{E}.currencyCode": "KWD"}),
    Case("rounded to a whole", event(value="11.999"), {f"{E}.value": 12}),
    Case("a value of nothing is a value", event(value=0), {f"{E}.value": 0}),
    Case("no negative value", event(value="-0.01"), Reason.INVALID_VALUE),
    Case("no value", event(value=None, currency=None), {f"{E}.value": GONE, f"{E}.currencyCode": GONE, f"{E}.unitsSold": 2}),
    Case("money is of purchases only", event("generate_lead"),
         {f"{E}.value": 149.97, f"{E}.currencyCode": GONE, f"{E}.unitsSold": GONE}),
    Case("pieces", event(contents=[{"id": "a", "quantity": 2}, {"id": "b"}, {"quantity": 9}]), {f"{E}.unitsSold": 3}),
    Case("no items", event(contents=[]), {f"{E}.unitsSold": GONE}),
    # the person
    Case("in Amazon's order", event(**PERSON, user_id="Cust42", device={"os": "iOS", "advertising_id": "aB-1"}), {K: keys(
        *CONTACT, ("FIRST_NAME", sha("jrgen")), ("LAST_NAME", sha("obrien")), ("ADDRESS", sha("1marketst")),
        ("CITY", sha("sanfrancisco")), ("STATE", sha("ca")), ("POSTAL", sha("94105")), ("MAID", "aB-1"),
        ("MATCH_ID", "Cust42"), FIP)}),
    Case("the first valid e-mail and phone", event(emails=["nobody", "Jürgen.Müller+News@GoogleMail.com", "a@x.com"],
         phones=["0", "030 901820", "+14155552671"], country="DE"),
         {K: keys(("EMAIL", sha("jrgen.mllernews@googlemail.com")), ("PHONE", sha("4930901820")), FIP)}),
    Case("already hashed", event(emails=[DIGEST.upper()], city=DIGEST),
         {K: keys(("EMAIL", DIGEST), CONTACT[1], ("CITY", DIGEST), FIP)}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]), {K: keys(FIP)}),
    Case("another country's region", event(region="Hessen", country="DE"), {f"{K}[2]": keys(("STATE", sha("he")))[0]}),
    Case("nobody", alone(), Reason.NO_IDENTIFIER),
    Case("a browser is nobody", alone(user_agent="UA"), Reason.NO_IDENTIFIER),
    Case("a click is nobody", alone(click_ids={"aref": click("click-aref")}), Reason.NO_IDENTIFIER),
    Case("a customer id with a hyphen is nobody", alone(user_id="cust-42"), Reason.NO_IDENTIFIER),
    Case("one without", alone(user_id=" Cust42 "), {K: keys(("MATCH_ID", "Cust42"))}),
    Case("an address alone", alone(ip_address="2001:db8::1"), {K: keys(("FIP", "2001:db8::1"))}),
    Case("a text that is no address is nobody", alone(ip_address="unknown"), Reason.NO_IDENTIFIER),
    Case("tracking limited", alone(device={"os": "iOS", "advertising_id": "0000-00"}), Reason.NO_IDENTIFIER),
    Case("a long browser", event(user_agent="x" * 600), {f"{E}.deviceInfo.userAgent": "x" * 512}),
    Case("none at all", event(user_agent=""), {f"{E}.deviceInfo": GONE}),
    # clicks
    Case("a click and its time", clicked("click-aref"), {f"{E}.arefMeasurementTokens": "click-aref.1790755200000"}),
    Case("a click of no time", clicked("click-aref", None), {f"{E}.arefMeasurementTokens": GONE}),
    Case("a click before time began", clicked("click-aref", "0001-01-01T00:00:00+14:00"), {f"{E}.arefMeasurementTokens": GONE}),
    *(Case(f"a token of another length: {token}", clicked(token), {f"{E}.arefMeasurementTokens": GONE})
      for token in ("click-are", "click-aref1")),
    # privacy
    Case("what the person said", event(), {C: {"amazonConsent": {"amznUserData": "GRANTED", "amznAdStorage": "GRANTED"}}}),
    Case("of one thing only", event(consent_ad_storage=None), {C: {"amazonConsent": {"amznUserData": "GRANTED"}}}),
    Case("of the other only", event(consent_ad_user_data=None), {C: GONE}),
    Case("a TCF string goes first", event(tcf_string=ALL_VENDORS, gpp_string=NOT_OPTED_OUT), {C: {"tcf": ALL_VENDORS}}),
    Case("then a GPP string", event(gpp_string=NOT_OPTED_OUT), {C: {"gpp": NOT_OPTED_OUT}}),
    Case("nobody asked, where nobody has to", event(**SILENT), {C: GONE}),
    *(Case(f"nobody asked a person of {country} in the US", event(**SILENT, country=country, privacy_country="US"),
           Reason.CONSENT_UNKNOWN) for country in ("DE", "GB", "IS")),
    Case("nor one of Switzerland", event(**SILENT, country="CH", privacy_country="US"), {C: GONE, f"{E}.countryCode": "CH"}),
    Case("opted out", event(opt_out_of_sale=True), {f"{E}.dataProcessingOptions": {"options": "LIMITED_DATA_USE"}}),
    Case("not opted out", event(), {f"{E}.dataProcessingOptions": GONE}),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "OFF_AMAZON_PURCHASES"}),
    Case("three weeks", event(event_time=NOW - timedelta(days=21)), {NAME_AT: "OFF_AMAZON_PURCHASES"}),
]  # fmt: skip


def error(index: Any, *codes: Any) -> dict[str, Any]:
    return {"index": index, "errors": [{"code": code, "fieldLocation": "f", "message": "words"} for code in codes]}


def multi(good: Any, bad: Any, status: int = 207) -> Response:
    return answer(status, {"success": good, "error": bad})


def taken(*indices: Any) -> list[dict[str, Any]]:
    return [{"index": index, "event": {}} for index in indices]


def refusal(status: int, code: Any, **headers: str) -> Response:
    return answer(status, {"code": code, "message": "words"}, **headers)


def says(response: Response, count: int) -> Said:
    """207 with an entry for each event, by its index, in `success` or in `error`; INTERNAL_ERROR and THROTTLED pass. 400 in
    Amazon's shape and 413 refuse the request."""
    body = object_of(response.body)
    if response.status != 207:
        typed = isinstance(body.get("code"), str) and body["code"] != ""
        return Said(refused=response.status == 413 or (response.status == 400 and typed))
    good, bad = body.get("success", []), body.get("error", [])
    if not objects(good) or not objects(bad):
        return NOTHING
    indices = [entry.get("index") for entry in [*good, *bad]]
    if not all(map(whole, indices)) or sorted(indices) != list(range(count)):
        return NOTHING
    final = set()
    for entry in bad:
        errors = entry.get("errors")
        codes = [e.get("code") for e in errors] if isinstance(errors, list) and objects(errors) else []
        if any(code and code not in ("INTERNAL_ERROR", "THROTTLED") for code in codes):
            final.add(entry["index"])
    return Said(frozenset(entry["index"] for entry in good), frozenset(final))


def successes(count: int) -> list[Response]:
    return [multi(taken(*range(count)), []), answer(207, {"success": taken(*reversed(range(count)))})]


LOST: dict[str, Any] = {"kind": Kind.TRANSIENT, "maybe_stored": True}
OK, BAD = State.ACCEPTED, (State.REJECTED, "BAD_REQUEST")
ANSWERS = [
    Answer("success", multi(taken(0, 1), []), Kind.SETTLED, outcomes=[OK, OK]),
    Answer("in another order", multi(taken(1, 0), []), Kind.SETTLED, outcomes=[OK, OK]),
    Answer("one bad", multi(taken(1), [error(0, "BAD_REQUEST")]), Kind.SETTLED, outcomes=[BAD, OK], words="f: words"),
    Answer("all bad is a 207, too", multi([], [error(0, "BAD_REQUEST"), error(1, "X")]), Kind.SETTLED,
           outcomes=[BAD, (State.REJECTED, "X")]),
    *(Answer(f"one that passes: {code}", multi(taken(0), [error(1, code)]), Kind.SETTLED, outcomes=[OK, (State.RETRY, code)])
      for code in ("INTERNAL_ERROR", "THROTTLED")),
    Answer("two errors: the final one counts", multi(taken(0), [error(1, "THROTTLED", "BAD_REQUEST")]), Kind.SETTLED,
           outcomes=[OK, BAD]),
    Answer("an error without a reason", multi(taken(0), [error(1)]), Kind.SETTLED, outcomes=[OK, (State.RETRY, "no_reason")]),
    Answer("an error that cannot be read", multi(taken(0), [{"index": 1, "errors": [[], {"code": "X"}]}]), Kind.SETTLED,
           outcomes=[OK, (State.RETRY, "no_reason")]),
    *(Answer(f"not each event once: {good} {bad}", multi(taken(*good), [error(index, "X") for index in bad]), **LOST)
      for good, bad in (((0,), ()), ((0, 0), ()), ((0, 1), (1,)), ((0, 2), ()), ((0, -1), ()), ((0, "1"), ()), ((0, True), ()),
                        ((0, 1, 2), ()), ((), ()))),
    Answer("lists that are none", multi({"index": 0}, []), **LOST),
    Answer("entries that are none", multi([0, 1], []), **LOST),
    *(Answer(f"another success: {status}", multi(taken(0, 1), [], status), **LOST) for status in (200, 202)),
    Answer("HTML", answer(207, HTML), **LOST),
    Answer("a malformed body", refusal(400, "BAD_REQUEST"), Kind.REFUSED, code="BAD_REQUEST", words="words"),
    Answer("a gateway's 400", answer(400, HTML), **LOST),
    Answer("a 400 of no code", refusal(400, 5), **LOST),
    Answer("401", refusal(401, "UNAUTHORIZED"), Kind.AUTH, code="UNAUTHORIZED"),
    Answer("403", refusal(403, "FORBIDDEN"), Kind.AUTH, code="FORBIDDEN", words="words"),
    Answer("404", refusal(404, "NOT_FOUND"), Kind.CONFIGURATION, code="NOT_FOUND"),
    Answer("a gateway's 404", answer(404, HTML), **LOST),
    Answer("413", answer(413, HTML), Kind.REFUSED, code="http_413"),
    Answer("429", refusal(429, "THROTTLED", retry_after="60"), Kind.RATE_LIMITED, wait=minutes(1), code="THROTTLED"),
    Answer("429 without a wait", answer(429), Kind.RATE_LIMITED, code="http_429"),
    *(Answer(f"{status}", refusal(status, "INTERNAL_ERROR"), code="INTERNAL_ERROR", **LOST) for status in (500, 502, 503, 504)),
    Answer("a gateway's page", answer(503, HTML), code="http_503", **LOST),
]  # fmt: skip

AT_SANDBOX = [
    Struck("one event refused", [{"kind": "reject_event", "match": "order-00007"}], {State.REJECTED: 1}, "BAD_REQUEST"),
    *(Struck(f"one event that passes: {code}", [{"kind": "reject_event", "match": "order-00007", "code": code, "times": 1}],
             {State.RETRY: 1}, code) for code in ("INTERNAL_ERROR", "THROTTLED")),
    Struck("all refused", [{"kind": "reject_event"}], {State.REJECTED: 12}, "BAD_REQUEST"),
    Struck("another account", want={State.RETRY: 12}, code="FORBIDDEN", failed=True, account={"account_id": "another"}),
    Struck("an expired token is renewed", [{"kind": "expired_token", "times": 1}]),
    Struck("too many requests", [{"kind": "rate_limit"}], {State.RETRY: 12}, "THROTTLED", failed=True),
    Struck("down", [{"kind": "server_error", "status": 500}], {State.RETRY: 12}, "INTERNAL_ERROR", failed=True),
]  # fmt: skip
