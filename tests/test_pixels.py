"""What is wrong between a browser's pixel and the server, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from capi_pipeline.pixels import PIXELS, Agreement, agreements, pixel_of
from capi_pipeline.platforms import NAMES
from capi_pipeline.warehouse import Warehouse
from tests import table

HOUR = datetime(2026, 10, 1, 14, tzinfo=UTC)
DAY = (HOUR, HOUR + timedelta(hours=24))


@pytest.mark.parametrize(
    ("found", "least", "words"),
    [
        (Agreement(10, 10, 10), 1.0, ""),
        (Agreement(), 1.0, ""),
        (Agreement(10, 0, 0), 0.0, ""),
        (Agreement(10, 7, 9), 0.8, "70% of the 10"),
        (Agreement(100, 100, 100, 1, 1), 0.0, ""),
        (Agreement(100, 100, 100, 2, 2), 0.0, "2 of 100"),
    ],
)
def test_a_problem_is_too_little_agreement_or_what_counts_twice(found: Agreement, least: float, words: str) -> None:
    assert words in found.problem(least)
    assert bool(words) == bool(found.problem(least))


def test_a_pixel_has_the_platforms_name_or_that_of_its_house() -> None:
    assert set(PIXELS) <= set(NAMES)
    assert (pixel_of("meta"), pixel_of("ga4")) == ("meta", "google")


def test_hours_and_names_are_summed_by_pixel_and_few_examples_kept(warehouse_url: str) -> None:
    warehouse = Warehouse(warehouse_url, "marts.conversions")
    assert agreements(warehouse, *DAY) is None
    table.sql(
        warehouse_url,
        """create schema delivery; create table delivery.pixel_agreement (recorded_at timestamptz, pixel text, event_name text,
            server_events bigint, agreed bigint, pixel_events bigint, pixel_only bigint, other_ids bigint, examples jsonb);
        insert into delivery.pixel_agreement select timestamptz '2026-10-01 14:00+00' + n * interval '1 hour', 'meta', 'purchase',
            10, 8, 9, 1, 1, jsonb_build_array(jsonb_build_object('pixel', 'P' || n, 'server', 'S' || n))
            from generate_series(0, 29) n;
        insert into delivery.pixel_agreement values ('2026-10-01 14:00+00', 'meta', 'sign_up', 5, 5, 5, 0, 0, null)""",
    )
    found = agreements(warehouse, *DAY)
    assert found is not None
    meta = found["meta"]
    assert (meta.server, meta.agreed, meta.pixel, meta.pixel_only, meta.other_ids) == (245, 197, 221, 24, 24)
    assert meta.examples == [(f"P{n}", f"S{n}") for n in range(5)]
