"""What a conversion's identifiers are worth to a platform, with and without identity resolution."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.conversion import Conversion, conversions
from capi_pipeline.conversions.match_quality import DECISIVE, GOOD, HELPFUL, STRONG, MatchQuality, Signal, Tally, score
from capi_pipeline.conversions.transform import transform
from capi_pipeline.platforms import platform
from capi_pipeline.platforms.ranking import signals
from capi_pipeline.rendering import to_batch

NOW = datetime(2026, 10, 1, 16, tzinfo=UTC)
META = platform("meta")
CLICK = {"fbclid": {"value": "IwAR1", "clicked_at": "2026-10-01T12:00:00Z"}}


def event(**changes: Any) -> Conversion:
    """A purchase in the United States of somebody of whom nothing is known."""
    base = {
        "event_id": "e", "event_name": "purchase", "event_time": NOW - timedelta(minutes=30), "recorded_at": NOW,
        "action_source": "website", "value": "1", "currency": "USD", "privacy_country": "US",
    }  # fmt: skip
    (made,) = conversions(transform(to_batch([{**base, **changes}]), META.recipes(), ConsentPolicy()))
    return made


def quality(*events: Conversion) -> MatchQuality:
    tally = Tally(signals(META), META.limits.oldest)
    tally.add(events)
    return tally.quality


def one_of(found: MatchQuality, name: str) -> tuple[int, int]:
    (coverage,) = [c for c in found.coverage() if c.signal.name == name]
    return coverage.before, coverage.after


@pytest.mark.parametrize(
    ("levels", "want"),
    [
        ((), 0.0), ((HELPFUL,), 0.5), ((GOOD,), 2.0), ((STRONG,), 5.0), ((STRONG, STRONG), 7.5), ((STRONG, GOOD), 6.0),
        ((DECISIVE,), 10.0), ((DECISIVE, STRONG), 10.0),
    ],
)  # fmt: skip
def test_a_score_is_ten_times_the_chance_that_one_identifier_finds_the_person(
    levels: tuple[float, ...], want: float
) -> None:
    known = tuple(Signal("emails", level) for level in levels)
    assert score(known, (1 << len(known)) - 1) == pytest.approx(want)


def test_nobody_scores_nothing_and_the_average_is_over_all_events() -> None:
    assert quality(event()).score() == 0
    assert quality(event(emails=["a@example.com"])).score() == pytest.approx(5)
    assert quality(event(emails=["a@example.com"]), event()).score() == pytest.approx(2.5)
    assert quality().score() is None
    assert quality().fresh is None


def test_what_is_no_address_does_not_count() -> None:
    assert quality(event(emails=["none", ""])).score() == 0


def test_without_consent_nothing_is_known() -> None:
    assert quality(event(emails=["a@example.com"], consent_ad_user_data="denied")).score() == 0


def test_before_is_without_what_identity_resolution_added() -> None:
    found = quality(event(emails=["a@example.com"], click_ids=CLICK, enriched=["emails", "click_ids.fbclid"]))
    assert found.score(before=True) == 0
    assert found.score() == pytest.approx(7.5)
    assert one_of(found, "emails") == one_of(found, "click_id") == (0, 1)


def test_more_of_what_the_row_had_changes_no_coverage() -> None:
    assert one_of(quality(event(emails=["a@example.com", "b@example.com"], enriched=["more_emails"])), "emails") == (
        1,
        1,
    )


def test_another_platforms_click_id_that_was_added_changes_nothing_here() -> None:
    clicks = {**CLICK, "gclid": {"value": "G", "clicked_at": "2026-10-01T12:00:00Z"}}
    assert one_of(quality(event(click_ids=clicks, enriched=["click_ids.gclid"])), "click_id") == (1, 1)


def test_a_click_in_the_pixels_cookie_is_no_merit_of_identity_resolution() -> None:
    cookie = {"fbc": "fb.1.1790000000000.IwAR1"}
    assert one_of(quality(event(browser_ids=cookie)), "click_id") == (1, 1)
    found = quality(event(browser_ids=cookie, click_ids=CLICK, enriched=["click_ids.fbclid"]))
    assert one_of(found, "click_id") == (1, 1)


def test_the_network_of_an_earlier_page_brings_address_and_agent() -> None:
    found = quality(event(ip_address="192.0.2.1", user_agent="Mozilla/5.0", enriched=["ip_address"]))
    assert one_of(found, "ip_address") == one_of(found, "user_agent") == (0, 1)


def test_shares_of_click_ids_of_two_strong_identifiers_and_of_fresh_data() -> None:
    late = NOW - timedelta(hours=25)
    found = quality(
        event(click_ids=CLICK), event(click_ids=CLICK, emails=["a@example.com"]), event(emails=["a@example.com"]),
        event(event_time=late),
    )  # fmt: skip
    assert (found.with_click_id, found.with_two_strong, found.fresh) == (0.5, 0.25, 0.75)


def test_data_is_fresh_within_the_platforms_own_limit_where_that_is_stricter() -> None:
    tally = Tally((), timedelta(hours=1))
    tally.add([event(event_time=NOW - timedelta(minutes=61)), event(event_time=NOW - timedelta(minutes=60))])
    assert tally.quality.fresh == 0.5


def test_the_most_valuable_missing_identifiers_are_those_that_would_raise_the_score_most() -> None:
    found = quality(event(emails=["a@example.com"]), event(emails=["b@example.com"], click_ids=CLICK), event())
    first, second, _ = found.missing()
    assert (first.signal.name, first.after) == ("click_id", 1)
    assert first.gain == pytest.approx((2.5 + 0 + 5) / 3)
    assert (second.signal.name, second.after) == ("emails", 2)
    decisive = Tally((Signal("click_id", DECISIVE, clicks=("fbclid",)), Signal("user_agent", STRONG)))
    decisive.add([event(click_ids=CLICK)])
    assert decisive.quality.missing() == []  # nothing could be better


def test_events_by_score() -> None:
    steps = quality(event(), event(), event(emails=["a@example.com"], click_ids=CLICK)).histogram()
    assert steps == [2, 0, 0, 0, 0, 0, 0, 1, 0, 0]
