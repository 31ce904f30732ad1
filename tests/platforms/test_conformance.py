"""What every platform keeps, whatever its case file says. A new platform needs `cases/<name>.py` and nothing here."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from capi_pipeline.conversions import identifiers
from capi_pipeline.conversions.contract import COLUMNS
from capi_pipeline.conversions.identifiers import Recipe
from capi_pipeline.destinations import is_secret
from capi_pipeline.platforms import NAMES, all_recipes, platform
from capi_pipeline.platforms.base import NEVER, Platform
from capi_pipeline.platforms.outcomes import Kind, Reason, State
from tests.platforms.fuzz import READ
from tests.platforms.support import HTML, NOW, answer, cases, event, made, prepared, rendered, sent, usual, withheld

pytestmark = pytest.mark.parametrize("name", NAMES)
ONE = timedelta(seconds=1)
PURE = {  # what a platform may use: nothing of it touches the network, a file or a clock
    "__future__", "collections", "csv", "dataclasses", "datetime", "decimal", "email", "functools", "hashlib", "hmac",
    "io", "itertools", "json", "orjson", "pydantic", "re", "typing", "urllib", "uuid", "xml",
}  # fmt: skip


# --- what it says of itself -----------------------------------------------------------------------------------------


def test_a_platform_introduces_itself(name: str) -> None:
    kind = platform(name)
    assert kind.name == name
    assert kind.title
    assert kind.__doc__
    assert kind.documentation in kind.__doc__
    assert kind.documentation.startswith("https://")
    assert kind.host.startswith("https://")
    assert not kind.host.endswith("/")


def test_limits_are_possible(name: str) -> None:
    limits = platform(name).limits
    assert limits.events >= 1
    assert limits.concurrency >= 1
    assert limits.newest >= timedelta(0)
    assert limits.oldest is None or limits.oldest > timedelta(0)
    assert limits.bytes is None or limits.bytes > 10_000
    assert not limits.atomic or limits.events > 1  # with one event a request, none suffers for another


def test_deduplication_has_keys_exactly_if_it_has_a_window(name: str) -> None:
    deduplication = platform(name).deduplication
    assert bool(deduplication.keys) == (deduplication.window is not None)


def test_what_the_platform_would_count_again_is_told_by_its_payload(name: str) -> None:
    """`COUNTED_AGAIN` of a case file: changes that make an event one that its platform does not know again."""
    deduplication, counted_again = platform(name).deduplication, getattr(cases(name), "COUNTED_AGAIN", None)
    assert made(name).deduplication_of(prepared(name, usual(name))) == deduplication
    assert bool(deduplication.only) == (counted_again is not None)
    if counted_again:
        assert made(name).deduplication_of(prepared(name, {**usual(name), **counted_again})) == NEVER


def test_every_key_of_the_account_is_documented_and_secrets_are_kept_apart(name: str) -> None:
    for key, field in platform(name).Config.model_fields.items():
        assert field.description, key
        if key.endswith(("token", "secret", "password")):
            assert is_secret(field), key
    config = made(name).config
    shown = repr(config) + str(config)
    for key, value in config:
        if isinstance(value, SecretStr):
            assert value.get_secret_value() not in shown, key


def test_an_unknown_key_of_the_account_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        made(name, {"no_such_key": "x"})


def test_recipes_are_shared_ones_on_stored_columns(name: str) -> None:
    defined = {value for holder in vars(identifiers).values() if isinstance(holder, type)
               for value in vars(holder).values() if isinstance(value, Recipe)}  # fmt: skip
    columns = {column.name for column in COLUMNS}
    for recipe in platform(name).recipes():
        assert recipe in defined
        assert recipe in all_recipes()
        assert recipe.source in columns


def test_a_platform_that_only_queues_says_how_to_ask(name: str) -> None:
    made_one = made(name)
    if made_one.verdicts is None:
        assert all(outcome.state is not State.PENDING for success in READ[name].successes(2)
                   for outcome in made_one.read(success, 2).outcomes)  # fmt: skip
        return
    request = made_one.status_request("trace-1")
    assert request.method == "GET"
    assert "trace-1" in json.dumps([request.url, dict(request.params), request.json])
    rules = made_one.verdicts
    assert timedelta(0) < rules.first <= rules.longest < rules.give_up
    assert rules.factor >= 1


def test_a_platform_with_a_refresh_token_has_its_grant(name: str) -> None:
    made_one = made(name)
    if made_one.oauth:
        grant = made_one.grant()
        assert grant.client_id
        assert grant.refresh_token
        assert made_one.oauth.host.startswith("https://")
    assert not (made_one.probe() and made_one.probe().json)  # type: ignore[union-attr]  # a probe sends no event


def test_a_test_mode_says_whether_its_events_count(name: str) -> None:
    """`TESTING` of a case file: the account in its test mode; None where its events count all the same."""
    mode = platform(name).test_mode
    assert bool(mode) == hasattr(cases(name), "TESTING")
    if not mode:
        return
    assert mode in platform(name).Config.model_fields
    testing = made(name, cases(name).TESTING or {})
    assert (getattr(testing.config, mode) != getattr(made(name).config, mode)) == (cases(name).TESTING is not None)


def test_a_platform_file_stands_alone_and_is_read_in_one_sitting(name: str) -> None:
    """No I/O, no clock, no other platform; what is shared has a module of its own."""
    source = Path(sys.modules[platform(name).__module__].__file__ or "").read_text()
    assert source.count("\n") <= 400
    assert not re.search(r"\b(open|now|today|utcnow)\(", source)
    imported: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            imported += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
    ours = [module for module in imported if module.startswith("capi_pipeline.")]
    assert {module.split(".")[0] for module in imported} - {"capi_pipeline"} <= PURE
    assert {module.split(".")[1] for module in ours} <= {"platforms", "conversions"}
    assert not {module.split(".")[2] for module in ours if module.split(".")[1] == "platforms"} & set(NAMES)


# --- requests -------------------------------------------------------------------------------------------------------


def test_requests_stay_within_the_limits_and_hold_each_event_once(name: str) -> None:
    limits, usual_one = platform(name).limits, usual(name)
    count = limits.events * 2 + 1 if limits.events < 500 else limits.events + 1
    result = rendered(name, *({**usual_one, "event_id": f"e{n}", "transaction_id": f"o{n}"} for n in range(count)))
    assert result["withheld"] == []
    assert [id_ for request in result["requests"] for id_ in request["event_ids"]] == [f"e{n}" for n in range(count)]
    for request in result["requests"]:
        assert 1 <= len(request["event_ids"]) <= limits.events
        assert limits.bytes is None or len(orjson.dumps(request.get("json"))) <= limits.bytes + 10_000


def test_a_request_goes_to_the_platform_or_to_the_configured_address(name: str) -> None:
    request = sent(name, usual(name))
    assert request["url"].startswith("https://")
    elsewhere = sent(name, usual(name), config={"base_url": "http://127.0.0.1:1/sandbox/"})
    assert elsewhere["url"].startswith("http://127.0.0.1:1/sandbox/")
    assert "//" not in elsewhere["url"].removeprefix("http://")
    assert {key: value for key, value in elsewhere.items() if key != "url"} == {
        key: value for key, value in request.items() if key != "url"
    }


def test_the_token_travels_in_a_header_only(name: str) -> None:
    request = sent(name, usual(name))
    secrets = [v.get_secret_value() for _, v in made(name).config if isinstance(v, SecretStr)]
    where = set(getattr(cases(name), "TOKEN_IN", ()))  # a few platforms want it elsewhere
    for part in {"url", "params", "json", "form"} - where:
        assert not any(secret in json.dumps(request.get(part)) for secret in secrets), part


def test_the_same_event_makes_the_same_request(name: str) -> None:
    """Sending again is only safe if the platform sees the same keys."""
    assert rendered(name, usual(name)) == rendered(name, usual(name))


def test_a_payload_holds_nothing_empty(name: str) -> None:
    def leaves(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and value:
            for member in value.values():
                yield from leaves(member)
        else:
            yield value

    request = sent(name, usual(name))
    for part in ("json", "params", "form"):
        assert not any(leaf in (None, "", [], {}) for leaf in leaves(request.get(part) or {"": 1}))


def test_no_raw_identifier_leaves(name: str) -> None:
    text = json.dumps(sent(name, usual(name))).lower()
    clear = getattr(cases(name), "CLEAR", ())  # ids of the advertiser that the platform takes as they are
    for raw in {"jane", "4155552671", "cust-42", "anon-9f2c"} - set(clear):
        assert raw not in text


# --- what is withheld -----------------------------------------------------------------------------------------------


def test_an_event_is_taken_up_to_its_age_and_not_a_second_longer(name: str) -> None:
    limits = made(name).limits
    for source, oldest in {"website": limits.oldest, **limits.oldest_for}.items():
        if oldest is None:
            clicks = {
                key: {**click, "clicked_at": "2000-01-01T00:00:00Z"} for key, click in event()["click_ids"].items()
            }
            long_ago = {"event_time": NOW - timedelta(days=3650), "click_ids": clicks}
            assert withheld(name, {**usual(name), **long_ago}) is None
            continue
        of_age = {**usual(name), "action_source": source}
        for column in ("click_ids", "browser_ids"):  # a click is older than what it led to
            of_age[column] = {
                key: {**click, "clicked_at": None} if isinstance(click, dict) else click
                for key, click in of_age.get(column, {}).items()
            }
        assert withheld(name, {**of_age, "event_time": NOW - oldest}) is None, source
        assert withheld(name, {**of_age, "event_time": NOW - oldest - ONE}) == Reason.TOO_OLD, source


def test_an_event_of_the_future_waits(name: str) -> None:
    newest = platform(name).limits.newest
    assert withheld(name, {**usual(name), "event_time": NOW + newest}) is None
    assert withheld(name, {**usual(name), "event_time": NOW + newest + ONE}) == Reason.IN_FUTURE
    assert withheld(name, {**usual(name), "event_time": "1969-12-31T23:59:59Z"}) == Reason.TOO_OLD


def test_consent_withholds_before_anything_else(name: str) -> None:
    denied = {"consent_ad_user_data": "denied", "event_time": NOW + timedelta(days=1), "action_source": "other"}
    assert withheld(name, event("custom", custom_event_name="Nothing configured", **denied)) == Reason.CONSENT_DENIED
    assert withheld(name, event("purchase", consent_ad_storage=None, country="DE")) == Reason.CONSENT_UNKNOWN


def test_an_opt_out_of_sale_is_flagged_or_withheld(name: str) -> None:
    plain, opted_out = event(region="CA"), event(region="CA", opt_out_of_sale=True)
    if not platform(name).limited_data:
        assert withheld(name, opted_out) == Reason.OPTED_OUT
        return
    assert sent(name, opted_out) != sent(name, plain)
    assert sent(name, event(region="CA", opt_out_of_sale=False)) == sent(name, plain)
    assert sent(name, event(region="CA", opt_out_of_sale=None)) == sent(name, plain)


def test_a_refund_is_a_new_total_or_is_withheld(name: str) -> None:
    if not platform(name).takes_refunds():
        assert withheld(name, event("refund")) == Reason.UNSUPPORTED_EVENT
        return
    if not platform(name).restates:  # an event of its own, by its case file
        assert withheld(name, event("refund", **getattr(cases(name), "REFUND", {}))) is None
        return
    if getattr(cases(name), "ONLY_WHOLE_REFUNDS", False):
        assert withheld(name, event("refund", remaining_value="0")) is None
        assert withheld(name, event("refund", remaining_value="98.5")) == Reason.UNSUPPORTED_EVENT
    else:
        refund = sent(name, event("refund", value="49.97", remaining_value="98.5"))
        assert "98.5" in json.dumps(refund)
        assert "49.97" not in json.dumps(refund)
        assert withheld(name, event("refund", value=None, currency=None)) == Reason.MISSING_FIELD
    assert withheld(name, event("refund", remaining_value=None)) == Reason.MISSING_FIELD
    assert withheld(name, event("refund", remaining_value="-1")) == Reason.INVALID_VALUE
    oldest = platform(name).limits.oldest
    if oldest:
        assert withheld(name, event("refund", original_event_time=NOW - oldest - ONE)) == Reason.TOO_OLD


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_event_of_nothing_but_required_columns_has_its_reason(name: str, nothing: str | None) -> None:
    required = {column.name for column in COLUMNS if column.required} | {"consent_ad_storage", "consent_ad_user_data"}
    bare = {key: value for key, value in event("purchase").items() if key in required} | {"country": "US"}
    texts = (
        "source_url", "referrer_url", "transaction_id", "coupon", "search_term", "user_id", "anonymous_id", "first_name",
        "last_name", "street_address", "city", "region", "postal_code", "ip_address", "user_agent", "privacy_region",
    )  # fmt: skip
    assert withheld(name, {**bare, **dict.fromkeys(texts, nothing)}) == cases(name).MINIMAL


# --- answers --------------------------------------------------------------------------------------------------------

GARBAGE = [
    b"", b"null", b"[]", b"{}", b"0", b'"ok"', b"true", HTML, b"\xff\xfe\x00", b'{"code":', b'{"error": null}',
    b'{"error": {}}', b'{"code": "0"}', b'{"code": true}', b'{"events_received": "1"}', b'{"requestId": 5}',
    b'{"requestId": ""}', b'{"PartialErrors": {}}', b'{"PartialErrors": "none"}', b'{"success": true}', b"[" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("status", [200, 202, 204, 400, 401, 403, 404, 429, 500, 503])
def test_an_answer_outside_the_documentation_never_accepts(name: str, status: int) -> None:
    made_one = made(name)
    for body in GARBAGE:
        response = answer(status, body, content_type="text/html")
        if READ[name].says(response, 2).taken:
            continue  # a platform whose status is all that it says
        verdict = made_one.read(response, 2)
        assert not any(outcome.state in (State.ACCEPTED, State.PENDING) for outcome in verdict.outcomes), body
        if made_one.verdicts:
            later = made_one.read_status(response, 2)
            assert not any(outcome.state is State.ACCEPTED for outcome in later.outcomes), body


def test_a_5xx_is_not_the_end(name: str) -> None:
    made_one: Platform = made(name)
    for status in (500, 502, 503, 504):
        assert made_one.read(answer(status, HTML), 2).kind is Kind.TRANSIENT
    assert made_one.read(answer(429, b""), 2).kind is Kind.RATE_LIMITED
