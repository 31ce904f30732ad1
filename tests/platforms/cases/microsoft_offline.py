"""Microsoft Advertising offline conversions: what the golden requests leave out, and every documented answer."""

from __future__ import annotations

from typing import Any

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from capi_pipeline.platforms.times import hours, minutes
from capi_pipeline.platforms.wire import Response
from tests.platforms.documented import NO_EVENT, NOTHING, Said, every, object_of, objects, whole
from tests.platforms.support import DIGEST, GONE, HTML, NOBODY, Answer, Case, answer, click, event, sha

GOALS = {name: f"Goal {name}" for name in EVENT_NAMES if name not in ("refund", "custom")}
CONFIG: dict[str, Any] = {
    "client_id": "11111111-2222-3333-4444-555555555555", "client_secret": "app-secret", "refresh_token": "refresh-0",
    "developer_token": "dev-token", "customer_id": "1234567", "customer_account_id": "7654321",
    "conversion_names": {**GOALS, "Demo Booked": "Démo"}, "enhanced_conversions": True,
}  # fmt: skip
NAMES: dict[str, str | Reason] = {**GOALS, "custom": "Démo", "refund": "Goal purchase"}
MINIMAL = Reason.NO_IDENTIFIER

E, A = "json.OfflineConversions[0]", "json.OfflineConversionAdjustments[0]"
NAME_AT, REFUND_NAME_AT = f"{E}.ConversionName", f"{A}.ConversionName"
CLICK_ONLY = {"enhanced_conversions": False}
PHONE = sha("+14155552671")


def clicks(value: str | None) -> dict[str, Any]:
    return {"click_ids": {"msclkid": click(value)} if value else {}}


CASES = [
    Case("headers and address", event(), {
        "url": "https://campaign.api.bingads.microsoft.com/CampaignManagement/v13/OfflineConversions/Apply",
        "headers.DeveloperToken": "dev-token", "headers.CustomerId": "1234567", "headers.CustomerAccountId": "7654321",
        "headers.Content-Type": "application/json", "headers.Authorization": "Bearer ms-access-token"}),
    Case("the sandbox", event(),
         {"url": "https://campaign.api.sandbox.bingads.microsoft.com/CampaignManagement/v13/OfflineConversions/Apply"},
         {"environment": "sandbox"}),
    Case("three decimals of a second, cut", event(event_time="2026-10-01T14:00:00.750999+02:00"),
         {f"{E}.ConversionTime": "2026-10-01T12:00:00.750Z"}),
    Case("also of a whole one", event(event_time="2026-10-01T12:00:00Z"), {f"{E}.ConversionTime": "2026-10-01T12:00:00.000Z"}),
    Case("yen have no decimals", event(value=12000, currency="JPY"),
         {f"{E}.ConversionValue": 12000, f"{E}.ConversionCurrencyCode": "JPY"}),
    Case("dinars have three", event(value="12.345", currency="KWD"), {f"{E}.ConversionValue": 12.345}),
    Case("never four", event(value="12.3456"), {f"{E}.ConversionValue": 12.346}),
    Case("rounded to a whole", event(value="11.9999"), {f"{E}.ConversionValue": 12}),
    Case("a value of nothing is a value", event(value=0), {f"{E}.ConversionValue": 0}),
    Case("no negative value", event(value="-0.01"), Reason.INVALID_VALUE),
    Case("the highest value", event(value=999999999999), {f"{E}.ConversionValue": 999999999999}),
    Case("and no higher", event(value=1000000000000), Reason.INVALID_VALUE),
    Case("no value", event(value=None, currency=None), {f"{E}.ConversionValue": GONE, f"{E}.ConversionCurrencyCode": GONE}),
    Case("no goal", event("donate"), Reason.NOT_CONFIGURED, {"conversion_names": {"purchase": "P"}}),
    Case("no goal of an own event", event("custom", custom_event_name="Other"), Reason.NOT_CONFIGURED),
    Case("nothing that Microsoft has no field for", event(), {E: {
        "MicrosoftClickId": "click-msclkid", "ConversionName": "Goal purchase", "ConversionTime": "2026-10-01T14:00:00.000Z",
        "ConversionValue": 149.97, "ConversionCurrencyCode": "USD", "HashedEmailAddress": sha("janedoe@example.com"),
        "HashedPhoneNumber": PHONE}}),
    # the person
    Case("the first that is valid", event(emails=["nobody", " Zoë.B+1@X.com ", "a@x.com"], phones=["0", "030 901820",
         "+14155552671"],
         country="DE"), {f"{E}.HashedEmailAddress": sha("zoeb@x.com"), f"{E}.HashedPhoneNumber": sha("+4930901820")}),
    Case("already hashed", event(emails=[DIGEST.upper()], phones=[DIGEST]),
         {f"{E}.HashedEmailAddress": DIGEST, f"{E}.HashedPhoneNumber": DIGEST}),
    Case("the digest of nothing", event(emails=[sha("")], phones=[""]),
         {f"{E}.HashedEmailAddress": GONE, f"{E}.HashedPhoneNumber": GONE}),
    Case("the click id as it is", event(**clicks("AbC123")), {f"{E}.MicrosoftClickId": "AbC123"}),
    Case("the cookie's prefix is cut", event(**clicks("_uetAbC123")), {f"{E}.MicrosoftClickId": "AbC123"}),
    Case("hashes alone", event(**clicks(None)), {f"{E}.MicrosoftClickId": GONE, f"{E}.HashedPhoneNumber": PHONE}),
    Case("a click alone", event(**{**NOBODY, **clicks("c")}), {f"{E}.MicrosoftClickId": "c", f"{E}.HashedEmailAddress": GONE}),
    Case("nobody", event(**NOBODY), Reason.NO_IDENTIFIER),
    Case("goals that want a click: no hashes", event(),
         {f"{E}.MicrosoftClickId": "click-msclkid", f"{E}.HashedEmailAddress": GONE, f"{E}.HashedPhoneNumber": GONE}, CLICK_ONLY),
    Case("and none without", event(**clicks(None)), Reason.NO_CLICK_ID, CLICK_ONLY),
    Case("an empty one is none", event(**clicks("_uet")), Reason.NO_CLICK_ID, CLICK_ONLY),
    Case("no personalisation", event(consent_ad_personalization="denied"), {NAME_AT: "Goal purchase"}),
    # refunds
    Case("a refund restates", event("refund", event_time="2026-10-01T12:00:00.5Z"), {
        "url": "https://campaign.api.bingads.microsoft.com/CampaignManagement/v13/OfflineConversionAdjustments/Apply",
        A: {"AdjustmentType": "Restate", "AdjustmentValue": 100, "AdjustmentCurrencyCode": "USD",
            "AdjustmentTime": "2026-10-01T12:00:00.500Z", "ConversionTime": "2026-09-30T16:00:00.000Z",
            "ConversionName": "Goal purchase", "MicrosoftClickId": "click-msclkid",
            "HashedEmailAddress": sha("janedoe@example.com"), "HashedPhoneNumber": PHONE}}),
    *(
        Case(f"a whole refund retracts ({left})", event("refund", remaining_value=left),
             {f"{A}.AdjustmentType": "Retract", f"{A}.AdjustmentValue": GONE, f"{A}.AdjustmentCurrencyCode": GONE})
        for left in (0, "0.0004")
    ),
    Case("of another event", event("refund", properties={"original_event_name": "subscribe"}),
         {f"{A}.ConversionName": "Goal subscribe"}),
    Case("of an event without a goal", event("refund"), Reason.NOT_CONFIGURED, {"conversion_names": {"donate": "D"}}),
    Case("without its click", event("refund", **clicks(None)), Reason.NO_CLICK_ID, CLICK_ONLY),
]  # fmt: skip


def rows(*errors: Any, status: int = 200) -> Response:
    return answer(status, {"PartialErrors": list(errors)}, trackingid="Trace")


def bad(code: Any, index: Any, name: str | None = None) -> dict[str, Any]:
    return {
        "Code": code,
        "ErrorCode": name,
        "Message": "words",
        "Index": index,
        "FieldPath": None,
        "Details": None,
        "Type": "BatchError",
    }


def fault(code: Any, status: int = 400, key: str = "Errors", **more: Any) -> Response:
    found = {"Code": code, "ErrorCode": f"Error{code}", "Message": "words", "Detail": None, **more}
    return answer(status, {"TrackingId": "Trace", "Type": "AdApiFaultDetail", key: [found]})


FAULTS = ("Errors", "OperationErrors", "BatchErrors")
NOT_THE_ROW = {0, 105, 106, 109, 117, 1029, 5612, 5613, 5615}  # passes by itself, or is about the account


def says(response: Response, count: int) -> Said:
    """200 `{"PartialErrors": [{"Code": 5604, "Index": 3, ...}]}` takes every row that is not named; a fault stores
    nothing and may name rows."""
    body = object_of(response.body)
    rows = body.get("PartialErrors")
    if rows is not None and response.status == 200:
        if any(key in body for key in FAULTS) or not objects(rows):
            return NOTHING
        if not all(whole(row.get("Index")) and 0 <= row["Index"] < count and whole(row.get("Code")) for row in rows):
            return NOTHING
        named = {row["Index"] for row in rows}
        final = {row["Index"] for row in rows if row["Code"] not in NOT_THE_ROW}
        return Said(every(count) - named, frozenset(final))
    faults = [f for key in FAULTS if isinstance(body.get(key), list) for f in body[key] if isinstance(f, dict)]
    if not faults or not all(whole(f.get("Code")) and (f["Code"] == 201 or 5600 <= f["Code"] < 5700) for f in faults):
        return NOTHING
    positions = [f["Index"] for f in faults if f.get("Index") is not None]
    there = all(whole(position) and 0 <= position < count for position in positions)
    return Said(blamed=frozenset(positions) if there else NO_EVENT, refused=True)


def successes(count: int) -> list[Response]:
    return [answer(200, {"PartialErrors": []}), answer(200, {"PartialErrors": []}, trackingid="f2b1c7de-0000")]


OK = State.ACCEPTED
PERMANENT = (
    5602, 5603, 5604, 5605, 5606, 5607, 5608, 5609, 5610, 5611, 5614, 5616, 5618, 5619, 5620, 5621, 5622, 5623, 5624,
         5625, 5626, 5627,
)  # fmt: skip
ANSWERS = [
    Answer("success", rows(), Kind.SETTLED, outcomes=[OK, OK]),
    *(
        Answer(f"row refused {code}", rows(bad(code, 1)), Kind.SETTLED, outcomes=[OK, (State.REJECTED, str(code))])
        for code in PERMANENT
    ),
    *(
        Answer(f"row refused {name}", rows(bad(9999, 0, name)), Kind.SETTLED, outcomes=[(State.REJECTED, name), OK])
        for name in ("ConversionEmailAddressIsNotHashed", "ConversionPhoneNumberIsNotHashed", "NotEligibleForEnhancedConversions")
    ),
    Answer("row to try again", rows(bad(5612, 0), bad(5615, 1)), Kind.SETTLED,
           outcomes=[(State.RETRY, "5612", minutes(5)), (State.RETRY, "5615", hours(2))]),
    Answer("a row with two errors", rows(bad(5604, 0), bad(5612, 0)), Kind.SETTLED, outcomes=[(State.REJECTED, "5604"), OK]),
    Answer("in the other order", rows(bad(5612, 0), bad(5604, 0)), Kind.SETTLED, outcomes=[(State.REJECTED, "5604"), OK]),
    Answer("passes by itself", rows(bad(0, 0), bad(117, 1)), Kind.SETTLED,
           outcomes=[(State.RETRY, "0"), (State.RETRY, "117", minutes(1))]),
    *(
        Answer(f"the account, said of a row: {code}", rows(bad(code, 0, "Account")), Kind.CONFIGURATION, code="Account",
               maybe_stored=True)
        for code in (105, 106, 109, 1029, 5613)
    ),
    *(Answer(f"a row that was not sent: {n}", rows(bad(5604, n)), Kind.TRANSIENT, maybe_stored=True) for n in (2, -1, True)),
    Answer("a row without an index", rows(bad(5604, None)), Kind.TRANSIENT, maybe_stored=True),
    *(
        Answer(f"a row's code of another type: {code!r}", rows(bad(code, 0)), Kind.TRANSIENT, maybe_stored=True)
        for code in ([1], "5604", None, True)
    ),
    *(
        Answer(f"{entry!r} in the list", rows(bad(5604, 0), entry), Kind.TRANSIENT, maybe_stored=True)
        for entry in (None, 5604, [])
    ),
    *(
        Answer(f"rows and {key}", answer(200, {"PartialErrors": [], key: [{"Code": code, "Index": 0}]}), Kind.TRANSIENT,
               maybe_stored=True)
        for key, code in (("Errors", 201), ("OperationErrors", 5601), ("BatchErrors", 5604))
    ),
    Answer("no list", answer(200, {"PartialErrors": None}), Kind.TRANSIENT, maybe_stored=True),
    Answer("HTML", answer(200, HTML), Kind.TRANSIENT, maybe_stored=True),
    Answer("a list in a 500", rows(status=500), Kind.TRANSIENT, maybe_stored=True),
    Answer("internal error", fault(0, 500), Kind.TRANSIENT, maybe_stored=True),
    Answer("internal error in a 400", fault(0), Kind.TRANSIENT, maybe_stored=True),
    *(Answer(f"credentials {code}", fault(code, 401), Kind.AUTH, code=f"Error{code}") for code in (105, 106, 109, 1029)),
    Answer("an expired token in a 500", fault(109, 500), Kind.AUTH),
    Answer("an expired token in a 200", fault(109, 200), Kind.AUTH),
    Answer("too many calls", fault(117), Kind.RATE_LIMITED, wait=minutes(1)),
    Answer("too many calls by status", answer(429), Kind.RATE_LIMITED),
    Answer("unreadable input", fault(201), Kind.REFUSED, code="Error201"),
    *(Answer(f"the list {code}", fault(code, key="OperationErrors"), Kind.REFUSED) for code in (5600, 5601)),
    Answer("a fault that names its row", fault(5604, key="BatchErrors", Index=1), Kind.REFUSED, culprits={1: "Error5604"}),
    Answer("a fault that names a row of ours and one of nobody",
           answer(400, {"BatchErrors": [{"Code": 5604, "Index": 1}, {"Code": 5604, "Index": 2}]}), Kind.REFUSED),
    Answer("a fault that names a row of nobody", fault(5604, key="BatchErrors", Index=9), Kind.REFUSED),
    Answer("feature not enabled, as a fault", fault(5613), Kind.CONFIGURATION, words="words"),
    Answer("a goal that does not accept yet, as a fault", fault(5615, key="BatchErrors"), Kind.TRANSIENT, wait=hours(2),
           maybe_stored=True),
    Answer("a code of tomorrow", fault(4242), Kind.CONFIGURATION, code="Error4242"),
    Answer("a code of tomorrow in a 500", fault(4242, 500), Kind.TRANSIENT, maybe_stored=True),
    Answer("401", answer(401, HTML), Kind.AUTH),
    Answer("403", answer(403, HTML), Kind.AUTH),
    Answer("a gateway's page", answer(502, HTML), Kind.TRANSIENT, maybe_stored=True),
]  # fmt: skip
