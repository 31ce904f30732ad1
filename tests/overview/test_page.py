"""The page that `capi report` writes: what is on it, and that it needs nothing else."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from capi_pipeline.delivery.queries import Lags
from capi_pipeline.overview import plots
from capi_pipeline.overview.collect import Destination, Missing, Quality, Week, quality
from capi_pipeline.overview.page import page
from capi_pipeline.pixels import Agreement

UNTIL = datetime(2026, 10, 8, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=7)
HOUR = SINCE + timedelta(hours=30)
CLOSED = {"meta", "br", "img", "input", "link", "line", "rect"}


def destination(**changes: object) -> Destination:
    known = Destination("meta_de", "Meta <Germany>", timedelta(days=7), "meta")
    known.outcomes = Counter(accepted=1200, rejected=3, withheld=40, held=2)
    known.reasons = Counter({("withheld", "consent_denied"): 40, ("rejected", "2804003"): 3, ("held", "no_verdict"): 2})
    known.quality = Quality(
        1203, 7.24, 6.1, 0.25, 0.5, 0.99, [Missing("click id", 900, 1.84), Missing("phone", 100, 0.2)],
        [(HOUR, 7.0), (UNTIL, 7.5)],
    )  # fmt: skip
    known.lags = Lags((60.0, 600.0), (3000.0, 5000.0), (3600.0, 7200.0))
    for name, value in changes.items():
        setattr(known, name, value)
    return known


def week(*destinations: Destination, **changes: object) -> Week:
    by_time = {HOUR: Counter(accepted=1200, withheld=40)} if destinations else {}
    made = Week(SINCE, UNTIL, timedelta(hours=1), list(destinations), by_time, [], None, [])
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def text(made: Week) -> str:
    return page(made, UNTIL)


class Nesting(HTMLParser):
    """Fails on tags that are not closed in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in CLOSED and tag != "polyline":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in CLOSED and tag != "polyline":
            assert self.open.pop() == tag


def test_the_page_shows_outcomes_reasons_quality_freshness_pixels_and_what_is_held() -> None:
    held = [("meta_de", HOUR, "no_verdict", 2)]
    shown = text(week(destination(), held=held, pixels={"meta": Agreement(100, 80, 90, 10, 2)}))
    plain = " ".join(re.sub(r"<style>.*</style>|<[^>]*>", " ", shown, flags=re.DOTALL).split())
    for words in (
        "1,200 sent", "3 rejected by platforms", "consent denied withheld 40", "2804003 rejected 3", "7.2 (+1.1)",
        "25% click id", "click id +1.8 900 events", "limit 7 days", "meta Meta &lt;Germany&gt; 100 80% 20 10 2",
        "the platform queued it and never said what became of it", "Fri 02 Oct, 06:00",
    ):  # fmt: skip
        assert words in plain, (words, plain)


def test_the_page_needs_nothing_else_and_is_well_formed() -> None:
    shown = text(week(destination(), pixels={"meta": Agreement(1, 1, 1)}))
    assert not re.search(r"https?://|<script|<link|@import|url\(|src=", shown)
    nesting = Nesting()
    nesting.feed(shown)
    assert nesting.open == []
    assert 'name="viewport"' in shown
    assert "<Germany>" not in shown


def test_a_week_without_deliveries_says_so() -> None:
    assert "Nothing was delivered" in text(week())
    assert "match quality" in text(week(destination(quality=None, lags=None)))


def test_what_could_not_be_read_is_said() -> None:
    assert "No match quality: no rights &amp; no schema" in text(
        week(destination(), notes=["No match quality: no rights & no schema"])
    )


def test_quality_of_several_hours_is_weighted_by_their_conversions() -> None:
    def hour(judged: int, score: float, lacking: int) -> dict[tuple[str, str | None], float]:
        return {
            ("judged", None): judged, ("score", None): score, ("score_before", None): score - 1, ("click_id_share", None): 0.5,
            ("covered", "emails"): judged - lacking, ("gain", "emails"): lacking / judged,
        }  # fmt: skip

    found = quality({HOUR: hour(10, 5.0, 5), UNTIL: hour(30, 9.0, 0), SINCE: {("judged", None): 0.0}})
    assert found is not None
    assert (found.judged, found.score, found.before) == (40, 8.0, 7.0)
    assert [(m.title, m.lacking, m.gain) for m in found.missing] == [("e-mail", 5, pytest.approx(0.125))]
    assert [score for _, score in found.over_time] == [5.0, 9.0]
    assert quality({HOUR: {("judged", None): 0.0}}) is None


@pytest.mark.parametrize(("most", "end"), [(0, 4), (3, 4), (7, 8), (12, 20), (430, 500), (900, 1000), (25000, 40000)])
def test_an_axis_ends_on_a_round_number(most: float, end: float) -> None:
    assert plots.nice(most) == end


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "5 s"), (90, "1.5 min"), (3600, "60 min"), (7200, "2 h"), (86400, "24 h"), (86400 * 30, "30 d")],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert plots.duration(seconds) == words


def test_a_place_of_every_hour_lies_within_the_drawing() -> None:
    by_time = {SINCE: {"accepted": 5}, UNTIL - timedelta(hours=1): {"accepted": 7, "held": 1}}
    drawn = plots.stacked(by_time, SINCE, UNTIL, timedelta(hours=1))
    for width, svg in zip(plots.WIDTHS.values(), drawn.split("<svg")[1:], strict=True):
        for x, wide, y in re.findall(r'x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="([\d.]+)"', svg):
            assert plots.LEFT <= float(x) <= float(x) + float(wide) <= width
            assert 0 < float(y) <= plots.HEIGHT
