"""What one run did with one hour at one destination: numbers for metadata, checks and tables."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from capi_pipeline.conversions.match_quality import MatchQuality
from capi_pipeline.delivery.queries import Lags
from capi_pipeline.platforms.outcomes import State

SAMPLE = 5000


class Sample:
    """A fair sample of a stream of numbers, of bounded size; its percentiles."""

    def __init__(self, size: int = SAMPLE) -> None:
        self._size, self._seen = size, 0
        self._values: list[float] = []
        self._random = random.Random(0)

    def add(self, value: float) -> None:
        self._seen += 1
        if len(self._values) < self._size:
            self._values.append(value)
        elif (place := self._random.randrange(self._seen)) < self._size:
            self._values[place] = value

    def percentile(self, share: float) -> float | None:
        """The value below which `share` (0 to 1) of the numbers lie."""
        if not self._values:
            return None
        ordered = sorted(self._values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Report:
    """Filled by the threads of one run (through its methods), read at the end.

    `rows`: conversions of the hour. `skipped`: (reason) -> conversions that were never this destination's business.
    `outcomes`: (state, reason or code) -> events of the hour as the ledger has them at the end. Latencies in seconds.
    """

    rows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[State, str]] = field(default_factory=Counter)
    quality: MatchQuality | None = None  # of the hour, whatever earlier runs have sent of it
    lags: Lags | None = None
    sent: Counter[str] = field(default_factory=Counter)  # settled in this run, by state
    requests: int = 0
    retried: int = 0
    bytes: int = 0
    seconds: float = 0.0
    latency: Sample = field(default_factory=Sample)
    lag: Sample = field(default_factory=Sample)
    example: Any = None
    rejections: Counter[tuple[str, str]] = field(default_factory=Counter)  # (code, words)
    error: Exception | None = None
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def request(self, seconds: float, size: int, again: bool) -> None:
        with self._mutex:
            self.requests += 1
            self.retried += again
            self.bytes += size
            self.latency.add(seconds)

    def skip(self, reason: str, number: int = 1) -> None:
        with self._mutex:
            self.skipped[reason] += number

    def settled(self, states: Iterable[State], lags: Iterable[float] = ()) -> None:
        """Events of one request that have an outcome; of those that the platform took, seconds since they landed."""
        with self._mutex:
            self.sent.update(state.value for state in states)
            for lag in lags:
                self.lag.add(lag)

    def rejection(self, code: str, words: str) -> None:
        with self._mutex:
            if (code, words) in self.rejections or len(self.rejections) < 100:
                self.rejections[(code, words)] += 1

    def count(self, *states: State) -> int:
        """Events of the hour in one of these states."""
        return sum(number for (state, _), number in self.outcomes.items() if state in states)

    @property
    def withheld(self) -> dict[str, int]:
        """By reason: those in the ledger and those that were never this destination's business."""
        found: Counter[str] = Counter(self.skipped)
        for (state, reason), number in self.outcomes.items():
            if state is State.WITHHELD:
                found[reason] += number
        return dict(found.most_common())

    @property
    def unfinished(self) -> int:
        return self.count(State.RETRY, State.SENDING)

    @property
    def reconciles(self) -> bool:
        """rows = accepted + pending + rejected + withheld + held + retry."""
        return self.rows == sum(self.outcomes.values()) + self.skipped.total()
