"""Schedules: the same from the same seed, and wide."""

from __future__ import annotations

from datetime import timedelta

from tests.chaos.rows import shop
from tests.chaos.schedule import DAGSTER_EVERY, FAULTS, POINTS, WORLD, schedule
from tests.chaos.test_chaos import SEEDS
from tests.chaos.test_reconcile import HOUR


def test_a_seed_always_gives_the_same_schedule_and_the_same_rows() -> None:
    for seed in (0, 7, 9):
        assert schedule(seed) == schedule(seed)
        assert shop(schedule(seed), (HOUR, HOUR + timedelta(hours=1))) == shop(
            schedule(seed), (HOUR, HOUR + timedelta(hours=1))
        )
        assert "\n".join(schedule(seed).lines())
    assert schedule(1) != schedule(2)


def test_a_share_goes_through_dagster() -> None:
    assert sum(schedule(seed).dagster for seed in range(200)) == 200 // DAGSTER_EVERY


def test_the_small_selection_has_every_fault_every_point_of_a_kill_and_every_accident() -> None:
    faults, points, accidents = set(), set(), set()
    for found in map(schedule, SEEDS):
        accidents |= {"other_hour"} | ({"same_hour"} if found.repeated else set())
        for round_ in found.rounds:
            kills = [round_.extract_kill, round_.verdict_kill, *(t.kill for t in round_.troubles)]
            points |= {kill.point for kill in kills if kill}
            faults |= {label for t in round_.troubles for label, _ in t.faults}
            accidents |= {what for what, _ in round_.world}
            clocks = [t.clock.seconds for t in round_.troubles if t.clock]
            happens = {
                "disk": round_.disk_full,
                "twins": any(t.twins for t in round_.troubles),
                "verdicts_meanwhile": round_.verdicts_meanwhile,
                "extract_again": round_.extract,
                "windows_close": round_.minutes_later > 48 * 60,
                "clock_forward": any(seconds > 0 for seconds in clocks),
                "clock_back": any(seconds < 0 for seconds in clocks),
            }
            accidents |= {what for what, does in happens.items() if does}
    assert faults == set(FAULTS)
    assert points == set(POINTS)
    assert accidents == set(WORLD)
