"""When things run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from sqlalchemy import text

from capi_pipeline.defs.automation import due, hours_of_tick
from capi_pipeline.delivery.ledger import Item, Ledger, Settlement
from capi_pipeline.platforms.base import State
from capi_pipeline.steps import key_of

HOUR = datetime(2026, 10, 1, 14, tzinfo=UTC)


def at(hour: int, minute: int, day: int = 2) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "tick", "hours"),
    [
        ("10 * * * *", at(3, 10), [at(2, 0)]),
        ("10 * * * *", at(0, 10), [at(23, 0, day=1)]),
        ("*/30 * * * *", at(3, 30), [at(2, 0)]),  # asked for twice; the run key lets one through
        ("5 */6 * * *", at(6, 5), [at(h, 0) for h in range(6)]),
        ("5 6 * * *", at(6, 5), [at(6, 0, day=1) + timedelta(hours=n) for n in range(24)]),
    ],
)
def test_a_tick_is_for_the_hours_that_ended_since_the_tick_before(
    cron: str, tick: datetime, hours: list[datetime]
) -> None:
    assert hours_of_tick(cron, tick) == hours


def test_the_hourly_schedule_asks_for_the_last_complete_hour() -> None:
    from capi_pipeline.definitions import defs

    repository = defs().get_repository_def()
    schedule = repository.get_schedule_def("hourly")
    context = dg.build_schedule_context(scheduled_execution_time=at(3, 10), repository_def=repository)
    (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.partition_key == request.run_key == key_of(at(2, 0))


def test_hours_with_conversions_due_for_a_retry_are_found(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url)
    now = datetime.now(UTC)
    for number, (state, wait) in enumerate(
        [(State.RETRY, None), (State.ACCEPTED, None), (State.RETRY, timedelta(hours=2))]
    ):
        item = Item("purchase", f"e{number}", 0, 0)
        with ledger.hour("meta", HOUR + timedelta(hours=number), "run") as hour:
            hour.claim([item])
            hour.settle([Settlement(item.key, state, not_before=now + wait if wait else None)])
    assert due(ledger) == []  # a moment ago: the step's own retries come first
    with ledger.engine.begin() as connection:
        connection.execute(text("update capi.deliveries set settled_at = settled_at - interval '20 minutes'"))
    assert [(name, hour) for name, hour, _ in due(ledger)] == [("meta", HOUR)]
