"""Yandex Metrica offline conversions: what the golden requests leave out, and every documented answer, also the later ones."""

from __future__ import annotations

from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import hours, minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NOTHING, Said, every, object_of, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, Struck, answer, click, event


def sheet(*rows: str, columns: str = "UserId,Yclid,Target,DateTime,Price,Currency") -> str:
    return "\n".join([columns, *rows, ""])


def of(goal: str) -> str:
    """The file of one usual event."""
    return sheet(f"cust-42,click-yclid,{goal},1790863200,149.97,USD")


GOALS = {name: f"goal_{name}" for name in EVENT_NAMES if name not in ("refund", "custom")}
CONFIG: dict[str, Any] = {
    "counter_id": "44147844", "oauth_token": "ya-oauth-token", "goals": {**GOALS, "custom:Demo Booked": "демо"},
    "send_user_id": True,
}  # fmt: skip
NAME_AT = "multipart.file.content"
ORDER = "UserId,Yclid,PurchaseId,Target,DateTime,Price,Currency"
NAMES: dict[str, str | Reason] = {
    **{name: of(goal) for name, goal in GOALS.items()},
    "purchase": sheet("cust-42,click-yclid,ORD-1,goal_purchase,1790863200,149.97,USD", columns=ORDER),
    "custom": of("демо"),
    "refund": Reason.UNSUPPORTED_EVENT,
}
MINIMAL = Reason.NO_IDENTIFIER
CLEAR = ("cust-42",)
QUIET = {"send_user_id": False}


def lead(**changes: Any) -> dict[str, Any]:
    """A lead without money, of nobody but those given."""
    return event("generate_lead", **{**NOBODY, "value": None, "currency": None, **changes})


def one(column: str, value: str) -> dict[str, str]:
    """The file of that lead with one identifier."""
    return {NAME_AT: sheet(f"{value},goal_generate_lead,1790863200", columns=f"{column},Target,DateTime")}


CASES = [
    Case("the request", event(), {
        "method": "POST",
        "url": "https://api-metrika.yandex.net/management/v1/counter/44147844/offline_conversions/upload",
        "headers": {"Authorization": "OAuth ya-oauth-token"}, "params": {"type": "BASIC"}, "json": GONE,
        "multipart.file.filename": "conversions.csv", "multipart.file.content_type": "text/csv"}),
    Case("calls", event(), {"params.type": "CALLS"}, {"type": "CALLS"}),
    Case("no goal for it", event("donate"), Reason.NOT_CONFIGURED, {"goals": {"purchase": "p"}}),
    Case("no goal for an own event", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("an own event is not named like a canonical one", event("custom", custom_event_name="purchase"), Reason.NOT_CONFIGURED),
    Case("a refund that has one", event("refund"), Reason.UNSUPPORTED_EVENT, {"goals": {"refund": "r"}}),
    # identifiers
    Case("nobody", lead(), Reason.NO_IDENTIFIER),
    Case("contact data is nobody", lead(emails=["jane.doe@example.com"], phones=["+14155552671"]), Reason.NO_IDENTIFIER),
    Case("the site's user", lead(user_id=" Cust 42 "), one("UserId", "Cust 42")),
    Case("whom the site does not tell Metrica", lead(user_id="cust-42"), Reason.NO_IDENTIFIER, QUIET),
    Case("an e-mail address is no user", lead(user_id="jane.doe@example.com"), Reason.NO_IDENTIFIER),
    Case("nor is a digest", lead(user_id=DIGEST), Reason.NO_IDENTIFIER),
    Case("the cookie of Metrica", lead(browser_ids={"_ym_uid": "1759200000123456789"}), one("ClientId", "1759200000123456789")),
    Case("a cookie of anything else", lead(browser_ids={"_ym_uid": "GA1.2.3"}), Reason.NO_IDENTIFIER),
    Case("digits of another script", lead(browser_ids={"_ym_uid": "١٢٣"}), Reason.NO_IDENTIFIER),
    Case("a click", lead(click_ids={"yclid": click("Ab-1")}), one("Yclid", "Ab-1")),
    Case("another click", lead(click_ids={"ysclid": click("Ab-1"), "ymclid": click("Ab-1")}), Reason.NO_IDENTIFIER),
    Case("an order is none of a lead", lead(transaction_id="ORD-1"), Reason.NO_IDENTIFIER),
    Case("an order of a purchase is one", event(**NOBODY),
         {NAME_AT: sheet("ORD-1,goal_purchase,1790863200,149.97,USD", columns="PurchaseId,Target,DateTime,Price,Currency")}),
    # the file
    Case("commas, quotes, lines and letters", lead(user_id='Ä "42",\nб'), one("UserId", '"Ä ""42"",\nб"')),
    Case("a fraction of a second is cut", lead(user_id="u", event_time="2026-10-01T13:59:59.999Z"),
         {NAME_AT: sheet("u,goal_generate_lead,1790863199", columns="UserId,Target,DateTime")}),
    *(
        Case(f"{value} {currency}", lead(user_id="u", value=value, currency=currency), {NAME_AT: sheet(
            f"u,goal_generate_lead,1790863200,{text},{currency}", columns="UserId,Target,DateTime,Price,Currency")})
        for value, currency, text in ((12000, "JPY", "12000"), ("12.345", "KWD", "12.345"), ("0.1000", "EUR", "0.1"),
                                      (0, "RUB", "0"), ("12345678.9", "RUB", "12345678.9"))
    ),
    Case("no negative price", event(value="-0.01"), Reason.INVALID_VALUE),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: NAMES["purchase"]}),
    Case("opted out", event(opt_out_of_sale=True), Reason.OPTED_OUT),
]  # fmt: skip


def uploaded(id_: Any = 123, status: Any = "UPLOADED", **more: Any) -> Response:
    upload = {
        "id": id_, "create_time": "2026-10-01T16:00:00+00:00", "source_quantity": 2, "line_quantity": 2, "comment": "",
        "type": "BASIC", "client_id_type": "CLIENT_ID", "status": status, "goal_not_found_quantity": 0,
        "user_not_found_quantity": 0, "linked_quantity": 0,
    }  # fmt: skip
    return answer(200, {"uploading": {**upload, **more}})


def refusal(status: int, kind: Any, **headers: str) -> Response:
    error = {"error_type": kind, "message": "words", "location": "file"}
    return answer(status, {"errors": [error], "code": status, "message": "words"}, **headers)


def upload_of(response: Response) -> dict[str, Any]:
    body = object_of(response.body)
    found = body.get("uploading")
    return found if response.status == 200 and isinstance(found, dict) and "errors" not in body else {}


def refused(response: Response) -> Said:
    """400 with an error type, and 413: the file was not taken because of what stands in it."""
    errors = object_of(response.body).get("errors")
    typed = isinstance(errors, list) and any(
        isinstance(error, dict) and isinstance(error.get("error_type"), str) for error in errors
    )
    return Said(refused=response.status == 413 or (response.status == 400 and typed))


def says(response: Response, count: int) -> Said:
    """200 with the upload's id: queued."""
    number = upload_of(response).get("id")
    if whole(number) and 0 < number < 10**200:
        return Said(every(count))
    return refused(response)


def successes(count: int) -> list[Response]:
    return [uploaded(1), uploaded(987654321, source_quantity=count, line_quantity=count)]


def says_later(response: Response, count: int) -> Said:
    """200, PROCESSED: what is linked has come to the goals; of which rows, it does not say. Nothing linked, and each row
    without its goal or its visitor: none has."""
    upload = upload_of(response)
    numbers = [upload.get(f"{name}_quantity") for name in ("linked", "goal_not_found", "user_not_found")]
    if not upload:
        return refused(response)
    if upload.get("status") != "PROCESSED" or not all(whole(n) and 0 <= n <= count for n in numbers):
        return NOTHING
    good, *others = numbers
    if good:
        return Said(every(count))
    return Said(blamed=every(count)) if sum(others) >= count else NOTHING


def later_successes(count: int) -> list[Response]:
    return [uploaded(1, "PROCESSED", linked_quantity=count, source_quantity=count, line_quantity=count)]


LOST: dict[str, Any] = {"kind": Kind.TRANSIENT, "maybe_stored": True}
ERRORS = [
    *(Answer(f"refused: {kind}", refusal(400, kind), Kind.REFUSED, code=kind, words="words")
      for kind in ("invalid_parameter", "missing_parameter")),
    Answer("a 400 of somebody else", answer(400, HTML), **LOST),
    Answer("a type that is none", refusal(400, 5), **LOST),
    Answer("no token", refusal(401, "unauthorized"), Kind.AUTH, code="unauthorized"),
    *(Answer(kind, refusal(403, kind), Kind.AUTH, code=kind) for kind in ("invalid_token", "access_denied")),
    Answer("no such counter", refusal(404, "not_found"), Kind.CONFIGURATION, code="not_found"),
    Answer("a gateway's 404", answer(404, HTML), **LOST),
    Answer("too large", answer(413, HTML), Kind.REFUSED, code="http_413"),
    *(Answer(f"too many a second: {status}", refusal(status, "quota_requests_by_ip"), Kind.RATE_LIMITED,
             wait=minutes(1 / 60), code="quota_requests_by_ip") for status in (420, 429)),
    Answer("too many a day", refusal(429, "quota_requests_by_uid", date="Thu, 01 Oct 2026 22:30:00 GMT"), Kind.RATE_LIMITED,
           wait=minutes(90)),
    Answer("too many a day, elsewhere", refusal(429, "quota_requests_by_uid", date="Fri, 02 Oct 2026 01:30:00 +0300"),
           Kind.RATE_LIMITED, wait=minutes(90)),
    Answer("too many a day, whatever day it is", refusal(420, "quota_requests_by_counter_id"), Kind.RATE_LIMITED, wait=hours(1)),
    Answer("too many, with a wait", refusal(429, "quota_requests_by_uid", retry_after="60"), Kind.RATE_LIMITED, wait=minutes(1)),
    Answer("too many, without words", answer(429), Kind.RATE_LIMITED, wait=minutes(1 / 60), code="http_429"),
    Answer("a failure", refusal(503, "backend_error"), code="backend_error", **LOST),
    *(Answer(f"a gateway's {status}", answer(status, HTML), code=f"http_{status}", **LOST) for status in (500, 502, 504)),
    Answer("HTML", answer(200, HTML), **LOST),
    Answer("nothing", answer(200), **LOST),
    Answer("an upload and errors", answer(200, {"uploading": {"id": 1, "status": "PROCESSED"}, "errors": []}), **LOST),
    Answer("an upload that is none", answer(200, {"uploading": [1]}), **LOST),
]  # fmt: skip
ANSWERS = [
    Answer("queued", uploaded(), Kind.SETTLED, outcomes=[State.PENDING] * 2),
    *(Answer(f"an id that is none: {id_!r:.20}", uploaded(id_), **LOST) for id_ in ("123", None, 0, -1, 1.0, True, 10**300)),
    Answer("another success", answer(201, {"uploading": {"id": 1}}), **LOST),
    *ERRORS,
]  # fmt: skip


def processed(linked: Any, no_goal: Any = 0, no_visitor: Any = 0) -> Response:
    return uploaded(
        status="PROCESSED", linked_quantity=linked, goal_not_found_quantity=no_goal, user_not_found_quantity=no_visitor
    )


PARTLY = (State.ACCEPTED, "partly_linked")
STATUS_ANSWERS = [
    Answer("all linked", processed(2), Kind.SETTLED, outcomes=[(State.ACCEPTED, "")] * 2),
    Answer("one without a visitor: nobody says which", processed(1, 0, 1), Kind.SETTLED, outcomes=[PARTLY] * 2,
           words="of 2 rows 1 linked, 0 without a goal, 1 without a visitor"),
    Answer("one without a goal", processed(1, 1), Kind.SETTLED, outcomes=[PARTLY] * 2),
    Answer("no goal", processed(0, 2), Kind.SETTLED, outcomes=[(State.REJECTED, "goal_not_found")] * 2),
    Answer("no visitor", processed(0, 0, 2), Kind.SETTLED, outcomes=[(State.REJECTED, "user_not_found")] * 2),
    Answer("a goal here, a visitor there", processed(0, 1, 1), Kind.SETTLED, outcomes=[(State.REJECTED, "user_not_found")] * 2),
    Answer("none, and nobody says why", processed(0, 0, 1), **LOST),
    *(Answer(f"a number that is none: {number!r}", processed(number), **LOST) for number in ("2", None, 3, -1, 2.0, True)),
    Answer("it failed", uploaded(status="LINKAGE_FAILURE"), Kind.SETTLED, outcomes=[(State.HELD, "LINKAGE_FAILURE")] * 2),
    *(Answer(f"still at work: {status}", uploaded(status=status), Kind.WAITING) for status in ("UPLOADED", "PREPARED")),
    *(Answer(f"a word of tomorrow: {status}", uploaded(status=status), Kind.TRANSIENT) for status in ("SLEEPING", None)),
    *ERRORS,
]  # fmt: skip

AT_SANDBOX = [
    Struck("nothing wrong", want={State.PENDING: 12}),
    *(Struck(f"one row refused: {code}", [{"kind": "reject_event", "match": "customer-7", "code": code}],
             {State.PENDING: 11, State.REJECTED: 1}, code) for code in ("invalid_parameter", "missing_parameter")),
    Struck("another counter", want={State.RETRY: 12}, code="not_found", failed=True, account={"counter_id": "1"}),
    Struck("too many a second", [{"kind": "rate_limit", "times": 1, "status": 420}], {State.PENDING: 12}),
    Struck("too many a day", [{"kind": "rate_limit", "code": "quota_requests_by_uid"}], {State.RETRY: 12},
           "quota_requests_by_uid", failed=True),
    Struck("a failure: a repetition would count twice", [{"kind": "server_error", "status": 503}], {State.HELD: 12},
           "unknown_without_deduplication"),

]  # fmt: skip
