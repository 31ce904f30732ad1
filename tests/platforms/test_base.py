"""What platforms share: plain values, waits, the statuses of HTTP, and the cutting of batches."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capi_pipeline.errors import ConfigurationError
from capi_pipeline.platforms import NAMES, all_recipes, platform
from capi_pipeline.platforms.amounts import not_negative
from capi_pipeline.platforms.answers import by_status, by_table, dicts, is_page, retry_after, trace, unreadable
from capi_pipeline.platforms.base import Limits, compact
from capi_pipeline.platforms.batching import batches
from capi_pipeline.platforms.outcomes import Kind, Withhold
from capi_pipeline.platforms.times import age_of, days, iso, minutes, seconds, span
from capi_pipeline.platforms.wire import Response

NOON = "Thu, 01 Oct 2026 12:00:00 GMT"


def test_an_unknown_platform_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        platform("myspace")
    assert caught.value.message == "There is no platform `myspace`."
    assert caught.value.remedy == f"Known platforms: {', '.join(NAMES)}."


def test_each_recipe_is_computed_once_for_all_platforms() -> None:
    assert len({recipe.name for recipe in all_recipes()}) == len(all_recipes())


def test_compact_drops_what_is_empty_at_any_depth_and_nothing_else() -> None:
    kept = {"zero": 0, "false": False, "texts": ["", "a"], "items": [{"id": "a"}]}
    empty: dict[str, Any] = {"a": None, "b": "", "c": [], "d": {}, "e": {"f": {"g": None}}, "h": [{"i": None}, {}]}
    assert compact({**kept, **empty, "items": [{"id": "a", "name": None}, {"id": ""}]}) == kept


@pytest.mark.parametrize(
    ("time", "decimals", "text"),
    [
        (1790864585_750_999, 0, "2026-10-01T14:23:05Z"),
        (1790864585_750_999, 3, "2026-10-01T14:23:05.750Z"),
        (1790864585_999_999, 6, "2026-10-01T14:23:05.999999Z"),
        (0, 3, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_cut_and_never_rounded(time: int, decimals: int, text: str) -> None:
    assert iso(time, decimals) == text
    assert seconds(time) == time // 1_000_000


def test_any_64_bit_time_has_an_age() -> None:
    now = datetime(2026, 10, 1, tzinfo=UTC)
    assert age_of(0, now) == now - datetime(1970, 1, 1, tzinfo=UTC)
    assert age_of(2**63 - 1, now) < timedelta(0) < age_of(-(2**63), now)


@pytest.mark.parametrize(
    ("time", "text"),
    [(minutes(1), "1 min"), (minutes(60), "1 h"), (days(2), "48 h"), (days(3), "3 days"), (days(28), "28 days")],
)
def test_a_span_of_time_is_written_in_its_own_unit(time: timedelta, text: str) -> None:
    assert span(time) == text


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "0"}, timedelta(0)),
        ({"retry-after": " 120 "}, minutes(2)),
        ({"retry-after": "99999999999"}, days(1)),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "Thu, 01 Oct 2026 12:01:00 GMT", "date": NOON}, minutes(1)),
        ({"retry-after": "Thu, 01 Oct 2026 11:00:00 GMT", "date": NOON}, timedelta(0)),
        ({"retry-after": "Fri, 01 Oct 2027 12:00:00 GMT", "date": NOON}, days(1)),
        ({"retry-after": "Thu, 01 Oct 2026 12:01:00 GMT"}, None),  # our own clock does not count
        ({"retry-after": "Thu, 01 Oct 2026 12:01:00 -0000", "date": NOON}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(headers: dict[str, str], wait: timedelta | None) -> None:
    assert retry_after(Response(429, headers)) == wait


@pytest.mark.parametrize(
    ("status", "kind", "maybe_stored"),
    [
        (200, None, False), (302, None, False), (400, None, False), (409, None, False),
        (404, Kind.CONFIGURATION, False), (401, Kind.AUTH, False), (403, Kind.AUTH, False), (429, Kind.RATE_LIMITED, False),
        (408, Kind.TRANSIENT, True),
        (500, Kind.TRANSIENT, True), (502, Kind.TRANSIENT, True), (599, Kind.TRANSIENT, True),
    ],
)  # fmt: skip
def test_the_statuses_that_every_api_shares(status: int, kind: Kind | None, maybe_stored: bool) -> None:
    verdict = by_status(Response(status, {"retry-after": "60"}), message="words", trace_id="t")
    if verdict is None:
        assert kind is None
        return
    assert (verdict.kind, verdict.maybe_stored) == (kind, maybe_stored)
    assert (verdict.code, verdict.message, verdict.trace_id) == (f"http_{status}", "words", "t")
    assert verdict.wait == (None if kind in (Kind.AUTH, Kind.CONFIGURATION) else minutes(1))


def test_a_404_that_is_a_page_is_a_gateway_s() -> None:
    assert by_status(Response(404, {}, b"<html>nothing here</html>")) is None


def test_a_rate_limit_that_names_no_wait_asks_for_the_platform_s_usual_one() -> None:
    for headers, wait in (({}, minutes(2)), ({"retry-after": "0"}, minutes(0)), ({"retry-after": "60"}, minutes(1))):
        verdict = by_status(Response(429, headers), wait=minutes(2))
        assert verdict is not None
        assert verdict.wait == wait


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Kind.REFUSED), (404, Kind.CONFIGURATION), (408, Kind.RATE_LIMITED), (429, Kind.RATE_LIMITED),
     (500, Kind.TRANSIENT), (599, Kind.TRANSIENT), (200, Kind.TRANSIENT), (302, Kind.TRANSIENT), (600, Kind.TRANSIENT)],
)  # fmt: skip
def test_a_table_of_statuses_is_read_row_by_row(status: int, kind: Kind) -> None:
    verdict = by_table(Response(status), {400: Kind.REFUSED, 404: Kind.CONFIGURATION}, "Acme")
    assert (verdict.kind, verdict.code) == (kind, f"http_{status}")
    assert verdict.maybe_stored == (kind is Kind.TRANSIENT)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""), (b"<html>", ""), (b"{}", ""), (b'{"message": "no value"}', ": no value"), (b'{"error": "no"}', ": no"),
        (b'{"error": {"field": "ts"}}', ': {"field": "ts"}'), (b'{"errors": ["ts"]}', ': ["ts"]'), (b'{"detail": 5}', ": 5"),
    ],
)  # fmt: skip
def test_the_words_of_an_error_are_kept_whatever_its_shape(body: bytes, words: str) -> None:
    assert by_table(Response(400, {}, body), {400: Kind.REFUSED}, "Acme").message == f"Acme answered HTTP 400{words}"


@pytest.mark.parametrize("body", [b"<html>", b"\n <!DOCTYPE html>", b"\xef\xbb\xbf<?xml"])
def test_a_page_is_known_by_its_first_character(body: bytes) -> None:
    assert is_page(Response(200, {}, body))
    assert not is_page(Response(200, {"content-type": "text/html"}, b"OK"))
    assert not any(is_page(Response(200, {}, other)) for other in (b"", b"GIF89a", b"{}", b"(function(){})()"))


def test_an_amount_below_zero_is_withheld_where_none_is_documented() -> None:
    assert [not_negative(amount) for amount in (None, 0, 1.5)] == [None, 0, 1.5]
    with pytest.raises(Withhold, match="invalid_value: a negative value"):
        not_negative(-0.01)


def test_an_unreadable_answer_is_described_without_its_text() -> None:
    verdict = unreadable(Response(200, {"content-type": "text/html"}, b"<html>jane@example.com</html>"))
    assert verdict.message == "answer outside the documentation: HTTP 200, text/html, 29 bytes"
    assert (verdict.kind, verdict.maybe_stored, verdict.outcomes) == (Kind.TRANSIENT, True, ())


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"1", b"<html>", b"\xff", b'{"a":', b"[" * 100_000, b"9" * 5000])
def test_a_body_that_is_no_object_reads_as_an_empty_one(body: bytes) -> None:
    assert Response(200, {}, body).json() == {}


@pytest.mark.parametrize(
    "body",
    [b'{"n": 0, "n": 2}', b'{"a": {"n": 2, "n": 2}}', b'{"n": NaN}', b'{"n": -Infinity}', '{"n": 2}'.encode("utf-16"),
     '{"n": 2}'.encode("utf-32-be"), b'{"n": "\xfc"}', b'{"n": "\xed\xa0\x80"}', b'{"n": 2}{"n": 2}', b'{"n": 2}\x00'],
)  # fmt: skip
def test_a_body_that_only_some_parsers_would_read_reads_as_an_empty_one(body: bytes) -> None:
    assert Response(200, {}, body).json() == {}


def test_a_byte_order_mark_is_ignored() -> None:
    assert Response(200, {}, b'\xef\xbb\xbf{"n": 2}').json() == {"n": 2}


@pytest.mark.parametrize(
    "value", [None, 5, True, [], "", " ", "a b", "a\n", "\x00", "é", "jane@example.com", "x" * 201]
)
def test_what_cannot_be_a_request_id_is_none(value: Any) -> None:
    assert trace(value) == ""


@pytest.mark.parametrize("value", ["126365e1-16d0-4c81", "AbC_-9dEfGh", "2026/10|a=b:c+d.e~", "x" * 200])
def test_a_request_id_is_one_word(value: str) -> None:
    assert trace(value) == value


def test_dicts_keeps_the_objects_of_a_list() -> None:
    assert dicts([{"a": 1}, None, "x", [], {}]) == [{"a": 1}, {}]
    assert dicts({"a": 1}) == dicts(None) == dicts("ab") == []


# --- batches --------------------------------------------------------------------------------------------------------

READY = st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=30)), max_size=60)


@given(ready=READY, events=st.integers(1, 9), size=st.none() | st.integers(1, 120))
@settings(deadline=None)
def test_batches_keep_groups_apart_order_and_limits(
    ready: list[tuple[str, str]], events: int, size: int | None
) -> None:
    triples = [(number, group, {"text": text}) for number, (group, text) in enumerate(ready)]
    out = list(batches(triples, Limits(events=events, bytes=size)))
    assert sorted(key for _, members in out for key, _ in members) == [key for key, _, _ in triples]
    for group in "abc":
        assert [m for g, members in out if g == group for m in members] == [(k, p) for k, g, p in triples if g == group]
    for _, members in out:
        assert 1 <= len(members) <= events
        if size and len(members) > 1:
            assert (
                sum(len(json.dumps(p, ensure_ascii=False, separators=(",", ":")).encode()) + 1 for _, p in members)
                <= size
            )


def test_a_full_batch_leaves_at_once() -> None:
    """The delivery streams: a request may go before the last row of the hour is read."""

    def ready() -> Any:
        yield from ((number, None, {}) for number in range(2))
        raise AssertionError("read further than the first full batch")

    assert next(batches(ready(), Limits(events=2))) == (None, [(0, {}), (1, {})])


def test_an_event_larger_than_a_request_travels_alone() -> None:
    big = {"text": "x" * 100}
    out = list(batches([(1, None, {}), (2, None, big), (3, None, {})], Limits(events=9, bytes=50)))
    assert [[key for key, _ in members] for _, members in out] == [[1], [2], [3]]
