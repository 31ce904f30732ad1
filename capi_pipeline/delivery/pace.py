"""How fast one destination may be asked: one pace for all its threads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable


class Pace:
    """Keeps requests to `per_second` on average with bursts of up to `burst`, and holds all of them back while the
    platform asks to wait."""

    def __init__(
        self,
        per_second: float | None = None,
        burst: int = 10,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._gap = 1.0 / per_second if per_second else 0.0
        self._slack = self._gap * (burst - 1)
        self._clock, self._wait = clock, wait
        self._due = 0.0  # when the next request would be due if all had been evenly spaced
        self._held_until = 0.0
        self._lock = threading.Lock()

    def turn(self) -> None:
        """Block until this thread may start a request, or until the wait ends early because the run stops."""
        while True:
            with self._lock:
                now = self._clock()
                start = max(self._due - self._slack, self._held_until)
                if now >= start:
                    self._due = max(self._due, now) + self._gap
                    return
            if self._wait(start - now):
                return

    def hold(self, seconds: float) -> None:
        """No request of this destination starts for so many seconds."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + seconds)


def backoff(attempt: int, base: float = 0.5, longest: float = 20.0) -> float:
    """Seconds to wait after the `attempt`-th failure (from 1): exponential with full jitter, so that many runs that
    failed together do not come back together."""
    return random.uniform(0, min(longest, base * 2.0 ** min(attempt, 30)))
