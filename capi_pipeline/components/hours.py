"""The hourly partitions that every asset shares."""

from __future__ import annotations

from functools import cache

import dagster as dg

from capi_pipeline.settings import settings


@cache
def hourly() -> dg.HourlyPartitionsDefinition:
    """One partition per hour of `recorded_at`, UTC, from CAPI_START on."""
    return dg.HourlyPartitionsDefinition(start_date=settings().start, timezone="UTC")
