"""Returns that a platform takes as differences: each of them counts, none of an order that it does not have."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.transform import transform
from capi_pipeline.platforms import all_recipes
from capi_pipeline.platforms.outcomes import Reason, State
from capi_pipeline.rendering import to_batch
from tests.delivery import site as sites
from tests.delivery.site import HOUR, Site, purchase

LINE = {"id": "SKU-1", "name": "Shoe", "quantity": 1, "price": 9.95}


def refund(number: int, order: int, value: str, left: str, quantity: int = 1) -> dict[str, Any]:
    bought = purchase(order)
    return {
        **bought, "event_id": f"refund-{number}", "event_name": "refund", "value": value, "remaining_value": left,
        "event_time": HOUR + timedelta(minutes=30 + number), "recorded_at": HOUR + timedelta(minutes=50),
        "contents": [{**LINE, "quantity": quantity}], "original_event_id": bought["event_id"],
        "original_event_time": bought["event_time"],
    }  # fmt: skip


def test_two_partial_returns_both_count_and_an_unknown_order_is_not_billed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [
        purchase(0),
        purchase(1),
        refund(1, 0, "9.95", "9.95"),
        refund(2, 0, "9.95", "0"),
        refund(3, 9, "19.90", "0", 2),
    ]
    hashed = transform(to_batch(events), all_recipes(), ConsentPolicy())
    monkeypatch.setattr(sites, "hashed", lambda *_: hashed)
    for _ in range(2):
        report = site.deliver("rakuten", 0)
        assert report.error is None
        assert report.count(State.ACCEPTED) == 4
        assert report.withheld == {Reason.ORIGINAL_NOT_SENT.value: 1}
    stored = requests.get(f"{site.address}/_sandbox/events", {"platform": "rakuten"}, timeout=10).json()
    assert sum(event["value"] for event in stored) == pytest.approx(19.90)  # 2 x 19.90 less 2 x 9.95
