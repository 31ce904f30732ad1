"""When things run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from sqlalchemy import text

from capi_pipeline.defs.automation import hours_of_tick
from capi_pipeline.delivery.ledger import Item, Ledger, Settlement
from capi_pipeline.delivery.queries import due
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.platforms.outcomes import State
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


@pytest.fixture
def left(ledger_url: str) -> Ledger:
    """One hour each: to retry, accepted, to retry in two hours, in the middle of sending, to retry before the start."""
    ledger = Ledger.open(ledger_url)
    later = datetime.now(UTC) + timedelta(hours=2)
    states: list[tuple[State | None, datetime | None]] = [
        (State.RETRY, None), (State.ACCEPTED, None), (State.RETRY, later), (None, None), (State.RETRY, None),
    ]  # fmt: skip
    for number, (state, not_before) in enumerate(states):
        item = Item("purchase", f"e{number}", 0, 0)
        start = HOUR + timedelta(hours=number if number < 4 else -1)
        with ledger.hour("meta", start, "run") as hour:
            hour.claim([item])
            if state:
                hour.settle([Settlement(item.key, state, not_before=not_before)])
    return ledger


def test_hours_with_conversions_left_or_in_doubt_are_run_again(left: Ledger) -> None:
    assert due(left, ["meta"], HOUR) == []  # a moment ago: the step's own repetitions come first
    with left.engine.begin() as connection:
        connection.execute(text("update capi.deliveries set settled_at = settled_at - interval '20 minutes'"))
        connection.execute(text("update capi.deliveries set claimed_at = claimed_at - interval '20 minutes'"))
    assert [(name, hour) for name, hour, _ in due(left, ["meta"], HOUR)] == [
        ("meta", HOUR),
        ("meta", HOUR + timedelta(hours=3)),
    ]
    assert due(left, ["another"], HOUR) == []


def test_a_wait_that_a_wrong_clock_noted_does_not_hold_an_hour_up(left: Ledger) -> None:
    with left.engine.begin() as connection:
        connection.execute(text("update capi.deliveries set settled_at = settled_at - interval '20 minutes'"))
        connection.execute(text("update capi.deliveries set not_before = not_before + interval '7 days'"))
    assert ("meta", HOUR + timedelta(hours=2)) in [(name, hour) for name, hour, _ in due(left, ["meta"], HOUR)]


def test_the_sensor_asks_for_each_such_hour_once(
    left: Ledger, monkeypatch: pytest.MonkeyPatch, ledger_url: str
) -> None:
    from capi_pipeline.definitions import defs

    with left.engine.begin() as connection:
        connection.execute(text("update capi.deliveries set settled_at = settled_at - interval '20 minutes'"))
    monkeypatch.setenv("CAPI_LEDGER_URL", ledger_url)
    repository = defs().get_repository_def()
    context = dg.build_sensor_context(repository_def=repository)
    requests = repository.get_sensor_def("unfinished_hours").evaluate_tick(context).run_requests or []
    assert {(r.job_name, r.partition_key) for r in requests} == {
        ("destination_meta", key_of(HOUR)),
        ("destination_meta", key_of(HOUR - timedelta(hours=1))),
    }
    assert len({r.run_key for r in requests}) == 2


def test_the_ledger_is_pruned_by_its_own_job_with_the_numbers(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from capi_pipeline.definitions import defs

    ledger = Ledger.open(ledger_url)
    long_ago = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=500)
    for start, id_ in ((long_ago, "old"), (HOUR, "new")):
        with ledger.hour("meta", start, "run") as hour:
            hour.claim([Item("purchase", id_, 0, 0)])
            hour.settle([Settlement(("purchase", id_), State.ACCEPTED)])
    ledger.query("update capi.deliveries set settled_at = hour")
    monkeypatch.setenv("CAPI_LEDGER_URL", ledger_url)
    result = defs().get_repository_def().get_job("prune_ledger").execute_in_process()
    (output,) = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    metadata = {key: entry.value for key, entry in output.step_output_data.metadata.items()}
    assert (metadata["rows"], metadata["rows_meta"], metadata["hours"], metadata["busy_hours"]) == (1, 1, 1, 0)
    assert ledger.query("select event_id from capi.deliveries") == [("new",)]


def test_a_retention_that_a_platform_outlasts_stops_the_code_location(monkeypatch: pytest.MonkeyPatch) -> None:
    from capi_pipeline.definitions import defs

    monkeypatch.setenv("CAPI_LEDGER_DAYS", "119")
    with pytest.raises(ConfigurationError, match="CAPI_LEDGER_DAYS is 119"):
        defs()
