"""How well conversions can be matched to people: per destination coverage of identifiers and a score from 0 to 10, before and
after identity resolution. Pure; one pass over the conversions, one small integer per event.

The score of an event: 10 times the chance that at least one of its identifiers finds the person, if each found it on its own
with the chance of its rank. Platforms publish an order of their parameters and no numbers (docs/match_quality.md), so the order
is theirs and the four chances are ours; they make that a second identifier adds less than the first, as platforms say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from operator import attrgetter
from typing import Any

from capi_pipeline.conversions.conversion import Conversion

DECISIVE, STRONG, GOOD, HELPFUL, NOTHING = 1.0, 0.5, 0.2, 0.05, 0.0
FRESH = timedelta(hours=24)  # what landed later is of less use to bidding; several platforms ask for data within a day
# A browser has none, and in an app the person decides: nobody can be asked for more.
NOT_OURS_TO_ADD = ("advertising_id",)

WORDS = {
    "click_id": "click id", "cookie": "cookie", "emails": "e-mail", "phones": "phone", "user_id": "customer id",
    "anonymous_id": "first-party id", "first_name": "first name", "last_name": "last name", "gender": "gender",
    "date_of_birth": "birth date", "street_address": "street", "city": "city", "region": "region",
    "postal_code": "postal code", "country": "country", "ip_address": "IP address", "user_agent": "user agent",
    "advertising_id": "advertising id",
}  # fmt: skip


@dataclass(frozen=True)
class Signal:
    """One kind of identifier that a platform can use. `name`: a column of the contract or click_id, cookie, advertising_id;
    `weight`: the chance of its rank; `recipes`: by which it is stored; `clicks`, `cookies`: keys of click and browser ids."""

    name: str
    weight: float
    recipes: tuple[str, ...] = ()
    clicks: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return WORDS[self.name]

    def has(self) -> Callable[[Conversion], Any]:
        """A function that is true of a conversion with this identifier: called for each event, so as plain as can be."""
        recipes, clicks, cookies = self.recipes, self.clicks, self.cookies
        if len(recipes) == 1:
            (only,) = recipes
            return lambda c: c.identifiers.get(only)
        if recipes:
            return lambda c: any(c.identifiers.get(name) for name in recipes)
        if clicks:
            return lambda c: (c.click_ids and c.click_id(*clicks)) or any(map(c.browser_ids.get, cookies))
        if cookies:
            return lambda c: any(map(c.browser_ids.get, cookies))
        if self.name == "advertising_id":
            return lambda c: c.device and c.advertising_id
        return attrgetter(self.name)

    def is_new(self, c: Conversion) -> bool:
        """Whether this conversion, which has it, owes it to identity resolution alone (`enriched`)."""
        if not self.clicks:
            return (self.name if self.name != "user_agent" else "ip_address") in c.enriched
        if any(c.browser_ids.get(name) for name in self.cookies):
            return False
        return not any(c.click_id(name) and f"click_ids.{name}" not in c.enriched for name in self.clicks)


@dataclass(frozen=True)
class Coverage:
    """How many events have one identifier; `gain`: by how much the average score would rise if all had it."""

    signal: Signal
    before: int
    after: int
    gain: float


@dataclass
class MatchQuality:
    """What a destination's conversions of one hour hold. `counts`: (identifiers before, after, fresh) -> events, identifiers
    as bits in the order of `signals`."""

    signals: tuple[Signal, ...]
    counts: Counter[tuple[int, int, bool]] = field(default_factory=Counter)

    @property
    def events(self) -> int:
        return self.counts.total()

    def score(self, before: bool = False) -> float | None:
        """The average score, 0 to 10; None without events."""
        if not self.counts:
            return None
        total = sum(n * score(self.signals, old if before else new) for (old, new, _), n in self.counts.items())
        return total / self.events

    def share(self, holds: Callable[[int, bool], bool]) -> float | None:
        """The share of events whose (identifiers, fresh) hold."""
        if not self.counts:
            return None
        return sum(n for (_, bits, fresh), n in self.counts.items() if holds(bits, fresh)) / self.events

    @property
    def with_click_id(self) -> float | None:
        return self.share(lambda bits, _: bool(bits & self._bits(lambda s: s.name == "click_id")))

    @property
    def with_two_strong(self) -> float | None:
        strong = self._bits(lambda s: s.weight >= STRONG)
        return self.share(lambda bits, _: (bits & strong).bit_count() >= 2)

    @property
    def fresh(self) -> float | None:
        return self.share(lambda _, fresh: fresh)

    def coverage(self) -> list[Coverage]:
        """Every identifier that the platform can use, in its order."""
        found, events, base = [], max(1, self.events), self.score() or 0.0
        for place, signal in enumerate(self.signals):
            bit = 1 << place
            before = sum(n for (old, _, _), n in self.counts.items() if old & bit)
            after = sum(n for (_, new, _), n in self.counts.items() if new & bit)
            if signal.name in NOT_OURS_TO_ADD:
                found.append(Coverage(signal, before, after, 0.0))
                continue
            with_it = sum(n * score(self.signals, new | bit) for (_, new, _), n in self.counts.items()) / events
            found.append(Coverage(signal, before, after, with_it - base))
        return found

    def missing(self, most: int = 3) -> list[Coverage]:
        """The identifiers that would raise the score most if every event had them."""
        gains = [c for c in self.coverage() if c.gain > 0.005]
        return sorted(gains, key=lambda c: -c.gain)[:most]

    def histogram(self) -> list[int]:
        """Events by score: ten steps of one, the last with 10."""
        steps = [0] * 10
        for (_, bits, _), n in self.counts.items():
            steps[min(9, int(score(self.signals, bits)))] += n
        return steps

    def _bits(self, chosen: Callable[[Signal], bool]) -> int:
        return sum(1 << place for place, signal in enumerate(self.signals) if chosen(signal))


class Tally:
    """Counts conversions into a MatchQuality. `oldest`: the platform's age limit, which is stricter than FRESH for some."""

    def __init__(self, signals: Sequence[Signal], oldest: timedelta | None = None) -> None:
        self.quality = MatchQuality(tuple(signals))
        self._has = [(signal.has(), 1 << place, signal) for place, signal in enumerate(signals)]
        self._fresh = int(min(FRESH, oldest or FRESH) / timedelta(microseconds=1))

    def add(self, conversions: Iterable[Conversion]) -> None:
        has, limit = self._has, self._fresh
        found = []
        for c in conversions:
            after = 0
            for one, bit, _ in has:
                if one(c):
                    after |= bit
            before = after
            if c.enriched:
                before -= sum(bit for _, bit, signal in has if after & bit and signal.is_new(c))
            found.append((before, after, c.recorded_at - c.event_time <= limit))
        self.quality.counts.update(found)


@cache
def score(signals: tuple[Signal, ...], bits: int) -> float:
    """The score of an event with these identifiers: 10 x the chance that at least one of them finds the person."""
    missed = 1.0
    for place, signal in enumerate(signals):
        if bits >> place & 1:
            missed *= 1 - signal.weight
    return 10 * (1 - missed)
