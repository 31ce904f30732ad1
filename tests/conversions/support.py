"""Contract rows for these tests, typed as the warehouse gives them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from capi_pipeline.conversions.contract import SCHEMA, Window

HOUR = datetime(2026, 10, 1, 14, tzinfo=UTC)
WINDOW = Window(HOUR, HOUR + timedelta(hours=1))


def row(**changes: Any) -> dict[str, Any]:
    """A valid purchase with consent."""
    return {
        "event_id": "e1",
        "event_name": "purchase",
        "event_time": HOUR,
        "recorded_at": HOUR + timedelta(minutes=20),
        "action_source": "website",
        "consent_ad_storage": "granted",
        "consent_ad_user_data": "granted",
        **changes,
    }


def batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=SCHEMA)
