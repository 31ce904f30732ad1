"""One pace for all threads of a destination."""

from __future__ import annotations

import threading
import time

import pytest

from capi_pipeline.delivery.pace import Pace, backoff

from .support import Clock


def test_requests_are_spaced_by_the_allowed_rate() -> None:
    clock = Clock()
    pace = Pace(4, 1, clock.monotonic, clock.forward)
    starts = []
    for _ in range(9):
        pace.turn()
        starts.append(clock.monotonic())
    assert starts == pytest.approx([n * 0.25 for n in range(9)])


def test_a_burst_does_not_raise_the_rate() -> None:
    clock = Clock()
    pace = Pace(4, 10, clock.monotonic, clock.forward)
    for _ in range(10):
        pace.turn()
    assert clock.monotonic() == 0
    for _ in range(100):
        pace.turn()
    assert clock.monotonic() == pytest.approx(25)
    clock.forward(3600)  # a long pause saves up no more than one burst
    for _ in range(20):
        pace.turn()
    assert clock.monotonic() == pytest.approx(3625 + 2.5, abs=0.3)


def test_without_a_rate_nobody_waits() -> None:
    clock = Clock()
    pace = Pace(None, 10, clock.monotonic, clock.forward)
    for _ in range(100):
        pace.turn()
    assert clock.monotonic() == 0


def test_a_hold_holds_every_thread_back() -> None:
    pace, begun, started = Pace(), threading.Barrier(5), []

    def one() -> None:
        begun.wait()
        pace.turn()
        started.append(time.monotonic())

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    held = time.monotonic()
    pace.hold(0.2)
    begun.wait()
    for thread in threads:
        thread.join()
    assert min(started) - held >= 0.2


def test_a_shorter_hold_does_not_shorten_a_longer_one() -> None:
    clock = Clock()
    pace = Pace(None, 10, clock.monotonic, clock.forward)
    pace.hold(60)
    pace.hold(1)
    pace.turn()
    assert clock.monotonic() == 60


def test_a_stopped_run_does_not_sit_out_a_hold() -> None:
    stop = threading.Event()
    pace = Pace(wait=stop.wait)
    pace.hold(3600)
    waiting = threading.Thread(target=pace.turn, daemon=True)
    waiting.start()
    stop.set()
    waiting.join(2)
    assert not waiting.is_alive()


def test_backoff_grows_to_a_ceiling_with_full_jitter() -> None:
    for attempt, most in ((1, 1.0), (2, 2.0), (3, 4.0), (6, 20.0), (500, 20.0)):
        drawn = [backoff(attempt) for _ in range(200)]
        assert all(0 <= delay <= most for delay in drawn)
        assert max(drawn) > most / 2 > min(drawn)


def test_backoff_survives_any_number_of_attempts() -> None:
    assert 0 <= backoff(5000) <= 20
