"""The figures of the report: out of the ledger, the delivery log and the pixel's agreement. Counts and measures only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from capi_pipeline.conversions.match_quality import STRONG, WORDS
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.delivery.queries import Lags, lags_since
from capi_pipeline.delivery.tables import SCHEMA
from capi_pipeline.delivery_log import DeliveryLog
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.errors import CapiError
from capi_pipeline.pixels import Agreement, agreements, pixel_of
from capi_pipeline.platforms import platform
from capi_pipeline.platforms.ranking import signals
from capi_pipeline.warehouse import Warehouse

STATES = ("accepted", "pending", "rejected", "withheld", "held", "retry")
NO_BUSINESS = ("not_selected", "filtered", "unsupported_event")  # never meant for the destination


@dataclass(frozen=True)
class Missing:
    """An identifier that would raise the average score by `gain` if all had it; `lacking` events do not."""

    title: str
    lacking: int
    gain: float


@dataclass
class Quality:
    """Match quality of some hours: averages over `judged` conversions."""

    judged: int
    score: float
    before: float
    click_ids: float
    two_strong: float
    fresh: float
    missing: list[Missing] = field(default_factory=list)
    over_time: list[tuple[datetime, float]] = field(default_factory=list)


@dataclass
class Destination:
    """One destination's week. `outcomes`: by state, without conversions that were never meant for it (`others`)."""

    name: str
    title: str
    oldest: timedelta | None = None
    pixel: str = ""
    clicks: bool = True  # it takes a click id
    strong: int = 2  # kinds of identifiers of the first rank that it takes
    outcomes: Counter[str] = field(default_factory=Counter)
    others: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)  # (state, reason or code)
    quality: Quality | None = None
    lags: Lags | None = None

    @property
    def sent(self) -> int:
        return self.outcomes["accepted"] + self.outcomes["pending"]


@dataclass
class Week:
    """Everything on the page. `by_time`: start of an hour or day -> events by state, of all destinations. `notes`: what could
    not be read, in words."""

    since: datetime
    until: datetime
    step: timedelta
    destinations: list[Destination]
    by_time: dict[datetime, Counter[str]]
    held: list[tuple[str, datetime, str, int]]
    pixels: dict[str, Agreement] | None
    notes: list[str]

    def total(self, *states: str) -> int:
        return sum(d.outcomes[state] for d in self.destinations for state in states)

    def score(self, before: bool = False) -> float | None:
        """Average over all destinations' conversions."""
        known = [d.quality for d in self.destinations if d.quality]
        events = sum(q.judged for q in known)
        return sum(q.judged * (q.before if before else q.score) for q in known) / events if events else None


def collect(
    ledger: Ledger, warehouse: Warehouse, configs: Sequence[DestinationConfig], since: datetime, until: datetime
) -> Week:
    """The hours [since, until). Raises DeliveryError when the ledger does not answer; the rest is noted where it is missing."""
    known = {config.name: _empty(config) for config in configs}
    step = timedelta(hours=1) if until - since <= timedelta(days=8) else timedelta(days=1)
    by_time: dict[datetime, Counter[str]] = {}
    held: Counter[tuple[str, datetime, str]] = Counter()
    query = f"""select destination, hour, state, coalesce(reason, code, '') as why, count(*) from {SCHEMA}.deliveries
        where hour >= :since and hour < :until group by 1, 2, 3, 4"""
    for name, hour, state, why, events in ledger.query(query, since=since, until=until):
        one = known.setdefault(name, Destination(name, name))  # its document is gone
        state, hour = "retry" if state == "sending" else state, hour.astimezone(UTC)
        if why in NO_BUSINESS:
            one.others += events
            continue
        one.outcomes[state] += events
        if state in ("withheld", "held", "rejected"):
            one.reasons[(state, why)] += events
        if state == "held":
            held[(name, hour, why)] += events
        start = hour.replace(hour=0) if step > timedelta(hours=1) else hour
        by_time.setdefault(start, Counter())[state] += events
    for name, lags in lags_since(ledger, since, until).items():
        known[name].lags = lags
    notes: list[str] = []
    try:
        outcomes, measures = DeliveryLog(warehouse).read(since, until)
        _log(known, outcomes, measures)
    except CapiError as error:
        notes.append(f"No match quality: {error.message}")
    pixels = None
    try:
        pixels = agreements(warehouse, since, until)
    except CapiError as error:
        notes.append(f"No pixel agreement: {error.message}")
    lines = sorted(((n, h, w, count) for (n, h, w), count in held.items()), key=lambda line: (line[1], line[0]))
    return Week(since, until, step, list(known.values()), by_time, lines, pixels, notes)


def _empty(config: DestinationConfig) -> Destination:
    kind = platform(config.platform)
    strong = sum(signal.weight >= STRONG for signal in signals(kind))
    pixel = config.pixel or pixel_of(config.platform)
    return Destination(config.name, kind.title, kind.limits.oldest, pixel, bool(kind.click_ids), strong)


def _log(
    known: Mapping[str, Destination], outcomes: Iterable[Mapping[str, Any]], measures: Iterable[Mapping[str, Any]]
) -> None:
    for row in outcomes:
        one = known.get(row["destination"])
        if one is None or row["in_ledger"]:
            continue
        if row["reason"] in NO_BUSINESS:
            one.others += row["events"]
        else:
            one.outcomes["withheld"] += row["events"]
            one.reasons[("withheld", row["reason"])] += row["events"]
    hours: dict[str, dict[datetime, dict[tuple[str, str | None], float]]] = {}
    for row in measures:
        hour = hours.setdefault(row["destination"], {}).setdefault(row["hour"], {})
        hour[(row["measure"], row["identifier"])] = row["value"]
    for name, found in hours.items():
        if name in known:
            known[name].quality = quality(found)


def quality(hours: Mapping[datetime, Mapping[tuple[str, str | None], float]]) -> Quality | None:
    """Averages of several hours' measures, each hour by its conversions. None where no conversion was judged."""
    weights = {hour: found.get(("judged", None), 0.0) for hour, found in hours.items()}
    judged = sum(weights.values())
    if not judged:
        return None

    def average(measure: str, identifier: str | None = None) -> float:
        return sum(weights[h] * found.get((measure, identifier), 0.0) for h, found in hours.items()) / judged

    names = {
        identifier for found in hours.values() for measure, identifier in found if measure == "gain" and identifier
    }
    missing = [
        Missing(
            WORDS.get(name, name),
            int(judged - sum(found.get(("covered", name), 0.0) for found in hours.values())),
            average("gain", name),
        )
        for name in names
    ]
    return Quality(
        int(judged),
        average("score"),
        average("score_before"),
        average("click_id_share"),
        average("two_strong_share"),
        average("fresh_share"),
        sorted((m for m in missing if m.gain >= 0.05 and m.lacking), key=lambda m: (-m.gain, m.title))[:3],
        sorted((h.astimezone(UTC), found[("score", None)]) for h, found in hours.items() if ("score", None) in found),
    )
