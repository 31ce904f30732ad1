"""Two hours of a shop's conversions for a schedule, and what ought to become of each. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests import table
from tests.chaos.schedule import Schedule

CLICKS = ("fbclid", "gclid", "ttclid", "msclkid", "ob_click_id")


@dataclass(frozen=True)
class Event:
    """One conversion of the input. `hours`: those that it stands in; `sendable`: the person agreed to it."""

    name: str
    id: str
    hours: tuple[datetime, ...]
    value: float
    sendable: bool = True
    original: str | None = None  # of a refund
    remaining: float | None = None
    time: datetime | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.id


def shop(schedule: Schedule, hours: Sequence[datetime]) -> tuple[list[dict[str, Any]], list[Event]]:
    """Rows of the conversions table for two hours, and the events in them."""
    dice = random.Random(f"rows {schedule.seed}")
    rows: list[dict[str, Any]] = []
    events: list[Event] = []

    def add(hour: datetime, number: int, **changes: Any) -> dict[str, Any]:
        id_ = changes.pop("event_id", f"e{number:05d}")
        changes = {"transaction_id": id_, "value": f"{10 + number / 100:.2f}", **changes}
        clicked = (hour - timedelta(hours=5)).isoformat()
        ids = {name: {"value": f"{name}-{changes['transaction_id']}", "clicked_at": clicked} for name in CLICKS}
        row = table.row(number, hour, event_id=id_, country="US", click_ids=ids, **changes)
        rows.append(row)
        return row

    def keep(row: dict[str, Any], hour: datetime, **more: Any) -> None:
        sendable = row["consent_ad_user_data"] == "granted"
        times = {"value": float(row["value"]), "sendable": sendable, "time": row["event_time"]}
        events.append(Event(row["event_name"], row["event_id"], (hour,), **{**times, **more}))

    number = 0
    for hour, count in ((hours[0], schedule.rows * 3 // 4), (hours[1], schedule.rows // 4)):
        for _ in range(count):
            number += 1
            name = dice.choices(["purchase", "generate_lead", "sign_up", "add_to_cart"], [6, 2, 1, 1])[0]
            answer = "denied" if dice.random() < 0.05 else "granted"
            row = add(hour, number, event_name=name, consent_ad_user_data=answer, consent_ad_storage=answer)
            row["event_time"] = hour + timedelta(seconds=dice.randint(0, 1500))
            keep(row, hour)
            if name != "purchase" or answer == "denied":
                continue
            left = float(row["value"])
            for turn in range(dice.choices([0, 1, 2], [8, 2, 1])[0]):
                left = 0.0 if turn and dice.random() < 0.4 else round(left - 2.5, 2)
                when = hour + timedelta(seconds=1600 + 900 * turn)
                refund = add(
                    hour, number, event_id=f"r{turn}{number:05d}", event_name="refund", event_time=when,
                    transaction_id=row["event_id"], original_event_id=row["event_id"],
                    original_event_time=row["event_time"], value="2.50", remaining_value=f"{left:.2f}",
                )  # fmt: skip
                keep(refund, hour, original=row["event_id"], remaining=left)
    refunded = {event.original for event in events}
    alone = [i for i, e in enumerate(events) if e.hours == (hours[0],) and not e.original and e.id not in refunded]
    twice = dice.sample(alone, schedule.in_both_hours)
    for index in twice:
        first = events[index]
        row = next(row for row in rows if row["event_id"] == first.id)
        rows.append({**row, "recorded_at": hours[1] + timedelta(minutes=10)})
        events[index] = Event(**{**first.__dict__, "hours": tuple(hours)})
    return rows, events


def expected(events: Sequence[Event], names: Sequence[str]) -> list[Event]:
    """The events that are the business of a destination which takes these event names."""
    return [event for event in events if event.name in names]
