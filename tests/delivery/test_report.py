"""Numbers of one run: they add up, whoever counts at the same time."""

from __future__ import annotations

import threading

import pytest

from capi_pipeline.delivery.report import Report, Sample
from capi_pipeline.platforms.outcomes import State


def test_percentiles_of_a_small_sample_are_exact() -> None:
    sample = Sample()
    assert sample.percentile(0.5) is None
    for value in range(100, 0, -1):
        sample.add(value)
    assert [sample.percentile(share) for share in (0.0, 0.5, 0.95, 1.0)] == [1, 51, 96, 100]


def test_a_sample_stays_small_and_fair() -> None:
    sample = Sample(500)
    for value in range(100_000):
        sample.add(value)
    assert len(sample._values) == 500
    assert sample.percentile(0.5) == pytest.approx(50_000, rel=0.15)


def test_an_hour_reconciles_when_every_row_has_one_outcome() -> None:
    report = Report(rows=10)
    report.outcomes.update(
        {(State.ACCEPTED, ""): 3, (State.PENDING, ""): 1, (State.REJECTED, "bad"): 1, (State.HELD, "unknown"): 1,
         (State.RETRY, ""): 1, (State.SENDING, ""): 1, (State.WITHHELD, "too_old"): 1}
    )  # fmt: skip
    assert not report.reconciles
    report.skip("filtered")
    assert report.reconciles
    assert report.unfinished == 2
    assert report.count(State.ACCEPTED, State.PENDING) == 4
    report.rows = 9
    assert not report.reconciles


def test_what_was_withheld_is_one_list_by_reason_whoever_decided_it() -> None:
    report = Report()
    report.skip("duplicate", 2)
    report.skip("filtered", 0)
    report.outcomes.update({(State.WITHHELD, "duplicate"): 1, (State.WITHHELD, "too_old"): 5, (State.REJECTED, "x"): 9})
    assert report.withheld == {"too_old": 5, "duplicate": 3, "filtered": 0}


def test_kinds_of_rejections_are_kept_up_to_a_hundred() -> None:
    report = Report()
    for number in range(300):
        report.rejection(f"code {number}", "")
        report.rejection("known", "")
    assert len(report.rejections) == 100
    assert report.rejections[("known", "")] == 300


def test_threads_lose_no_number() -> None:
    report = Report()

    def work() -> None:
        for _ in range(500):
            report.request(0.1, 10, again=True)
            report.settled([State.ACCEPTED, State.RETRY], [5.0])
            report.skip("filtered")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (report.requests, report.retried, report.bytes) == (4000, 4000, 40_000)
    assert report.sent == {"accepted": 4000, "retry": 4000}
    assert report.skipped == {"filtered": 4000}
    assert report.lag.percentile(0.5) == 5.0
