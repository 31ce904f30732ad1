"""What goes wrong in one run of the chaos tests, from a seed. Pure: a seed always gives the same schedule."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from capi_pipeline.demo import FIVE

ALL: Final = frozenset(FIVE)
OAUTH: Final = frozenset({"google_data_manager", "microsoft_offline"})
RECOGNISING: Final = ALL - {"outbrain"}  # platforms that recognise a repeated event
DAGSTER_EVERY: Final = 10  # each tenth seed goes through Dagster's real run worker

Posted = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A fault of a platform: where it can happen, and what is posted to the sandbox for it."""

    where: frozenset[str]
    make: Callable[[random.Random, bool], Posted]  # (dice, whether the platform recognises repetitions)


def _spoiled(kind: str, **more: Any) -> Callable[[random.Random, bool], Posted]:
    """The answer is spoiled; the events may or may not be stored. Outbrain's answer says nothing but its status, so
    there a spoiled success always was one (what else a 200 could mean cannot be told, see docs/reliability.md)."""
    return lambda dice, recognising: {"kind": kind, "stored": dice.random() < 0.5 or not recognising, **more}


def _limited(**more: Any) -> Callable[[random.Random, bool], Posted]:
    return lambda dice, recognising: {
        "kind": "rate_limit", "stored": recognising and dice.random() < 0.2, "times": dice.randint(1, 5), **more
    }  # fmt: skip


def _failed(html: bool) -> Callable[[random.Random, bool], Posted]:
    """A 5xx. Outbrain documents it as a clear failure, so there it never stored anything."""
    return lambda dice, recognising: {
        "kind": "server_error", "status": dice.choice([500, 502, 503, 504]), "html": html,
        "stored": recognising and dice.random() < 0.5,
    }  # fmt: skip


FAULTS: Final[dict[str, Kind]] = {
    "connection reset before the platform took it": Kind(ALL, lambda *_: {"kind": "reset_before"}),
    "connection reset after the platform took it": Kind(ALL, lambda *_: {"kind": "reset_after"}),
    "time-out after the platform took it": Kind(ALL, lambda *_: {"kind": "timeout_after", "seconds": 3}),
    "429 without Retry-After": Kind(ALL, _limited()),
    "429 with Retry-After in seconds": Kind(ALL, _limited(retry_after=1)),
    "429 with Retry-After as a date": Kind(ALL, _limited(retry_after=2, as_date=True)),
    "429 with a long Retry-After": Kind(ALL, _limited(retry_after=900)),
    "5xx": Kind(ALL, _failed(html=False)),
    "5xx with an HTML page": Kind(ALL, _failed(html=True)),
    "HTML page in a 200": Kind(ALL, _spoiled("html")),
    "truncated JSON": Kind(ALL, _spoiled("truncated")),
    "empty body": Kind(ALL, _spoiled("empty")),
    "wrong content type": Kind(ALL, lambda *_: {"kind": "wrong_content_type"}),
    "redirect": Kind(ALL, _spoiled("redirect")),
    "slow answer": Kind(ALL, lambda dice, _: {"kind": "latency", "seconds": dice.uniform(0.2, 0.6)}),
    "slow drip": Kind(ALL, lambda *_: {"kind": "slow_drip", "seconds": 0.4}),
    "slow drip without end": Kind(ALL, lambda *_: {"kind": "slow_drip", "seconds": 9}),
    "access token expired": Kind(ALL - {"outbrain"}, lambda *_: {"kind": "expired_token", "times": 1}),
    "token revoked": Kind(ALL - {"outbrain"}, lambda dice, _: {"kind": "revoked_token", "times": dice.randint(1, 3)}),
    "answer with the new token lost": Kind(OAUTH, lambda *_: {"kind": "reset_after", "path": "token", "times": 1}),
    "no answer about a verdict": Kind(
        frozenset({"google_data_manager"}), lambda *_: {"kind": "reset_after", "path": "requestStatus", "times": 1}
    ),
    "one poison event": Kind(ALL, lambda *_: {"kind": "reject_event", "poison": 1}),
    "many poison events": Kind(ALL, lambda dice, _: {"kind": "reject_event", "poison": dice.randint(3, 7)}),
    "verdict that names the bad event": Kind(
        frozenset({"google_data_manager"}), lambda *_: {"kind": "bad_verdict", "indices": True, "poison": 1}
    ),
    "verdict that only counts bad events": Kind(
        frozenset({"google_data_manager"}),
        lambda dice, _: {"kind": "bad_verdict", "indices": False, "poison": dice.randint(1, 2)},
    ),
}
POISON: Final = [label for label, kind in FAULTS.items() if "poison" in kind.make(random.Random(0), True)]

# Where a worker is killed (SIGKILL), see worker.py; `random` comes from outside, at any moment.
POINTS: Final = {
    "random": "at a random moment",
    "claim_uncommitted": "claim written, not committed",
    "before_send": "between claim and send",
    "in_flight": "while a request is in flight",
    "after_send": "after the answer, before it is recorded",
    "record_uncommitted": "between record and commit",
    "after_token": "new token received, not stored",
    "staging": "while an hour is staged",
    "after_verdict": "verdict received, not recorded",
    "verdict_uncommitted": "verdict recorded, not committed",
}
DELIVERY_POINTS: Final = ("random", "claim_uncommitted", "before_send", "in_flight", "after_send", "record_uncommitted")
STEPS: Final = (-3 * 86400, -7200, -300, 600, 7200, 49 * 3600, 8 * 86400)  # seconds that a worker's clock jumps
WORLD: Final = {
    "postgres": "PostgreSQL killed (kill -9) and started again",
    "backend": "one PostgreSQL process killed (kill -9)",
    "sandbox": "platforms killed (kill -9) and started again",
    "disk": "disk of the staging folder full",
    "clock_forward": "clock of a worker steps forward",
    "clock_back": "clock of a worker steps back",
    "windows_close": "two days pass (deduplication windows close)",
    "twins": "two runs of the same hour at once",
    "verdicts_meanwhile": "verdicts asked for while the hour is rerun",
    "extract_again": "the hour is extracted again while it is delivered",
    "same_hour": "an event stands twice in one hour of the warehouse",
    "other_hour": "an event stands in two hours of the warehouse",
}


@dataclass(frozen=True)
class Kill:
    """SIGKILL at the `nth` passage of a point, or for `random` so many seconds after the start."""

    point: str
    nth: int = 1
    after: float = 0.0


@dataclass(frozen=True)
class Clock:
    """A worker's clock jumps by `seconds`, so long after its start."""

    seconds: float
    after: float


@dataclass(frozen=True)
class Trouble:
    """What happens to one destination in one round. `faults`: (label, what is posted to the sandbox)."""

    destination: str
    faults: tuple[tuple[str, Posted], ...] = ()
    kill: Kill | None = None
    clock: Clock | None = None
    twins: bool = False


@dataclass(frozen=True)
class Round:
    """One attempt at the hours, and what goes wrong meanwhile. `world`: (key of WORLD, seconds after the start of the
    deliveries, or, with `early`, of the extraction)."""

    troubles: tuple[Trouble, ...]
    world: tuple[tuple[str, float], ...] = ()
    early: bool = False
    extract: bool = False
    disk_full: bool = False
    extract_kill: Kill | None = None
    verdict_kill: Kill | None = None
    verdicts_meanwhile: bool = False
    minutes_later: int = 5  # between this round and the one before


@dataclass(frozen=True)
class Schedule:
    """Everything that a seed decides."""

    seed: int
    dagster: bool
    rows: int
    batch: int  # events of a request
    hold: str | None  # a destination whose document says `on_unknown: hold`
    repeated: bool  # the warehouse holds an event twice in one hour, until a person repairs it
    in_both_hours: int  # events that the warehouse holds in two hours
    token_seconds: float  # lifetime of access tokens at the platforms; 0: as documented
    verdict_delay: float
    rounds: tuple[Round, ...]

    def lines(self) -> Iterator[str]:
        """The schedule in words."""
        yield (
            f"seed {self.seed}: {self.rows} rows, {self.batch} events a request, {self.in_both_hours} events in two hours"
            f"{', one event twice in an hour' * self.repeated}{', through Dagster' * self.dagster}"
            f"{f', {self.hold} holds what is unknown' if self.hold else ''}"
        )
        for number, round_ in enumerate(self.rounds, 1):
            yield f"  round {number}, {round_.minutes_later} minutes later"
            yield from (f"    {WORLD[what]} after {after:.2f} s" for what, after in round_.world)
            for what, kill in (("extract", round_.extract_kill), ("verdicts", round_.verdict_kill)):
                if kill:
                    yield f"    {what}: killed {POINTS[kill.point]} ({kill.nth}., {kill.after:.2f} s)"
            for flag in ("early", "extract", "disk_full", "verdicts_meanwhile"):
                if getattr(round_, flag):
                    yield f"    {flag}"
            for t in round_.troubles:
                words = [f"{label} {posted}" for label, posted in t.faults]
                words += [f"killed {POINTS[t.kill.point]} ({t.kill.nth}., {t.kill.after:.2f} s)"] if t.kill else []
                words += [f"clock {t.clock.seconds:+.0f} s after {t.clock.after:.2f} s"] if t.clock else []
                words += ["two runs at once"] if t.twins else []
                yield f"    {t.destination}: {'; '.join(words) or 'nothing'}"


def schedule(seed: int) -> Schedule:
    """The schedule of a seed."""
    dice = random.Random(seed)
    dagster = seed % DAGSTER_EVERY == DAGSTER_EVERY - 1
    used: set[str] = set()  # destinations of which a new token was lost: twice in a row is beyond what OAuth repairs
    rounds = [_round(dice, number, used) for number in range(dice.randint(2, 3))]
    if dice.random() < 0.25:
        rounds = [*map(_refused_for_good, rounds[:-1]), replace(rounds[-1], minutes_later=50 * 60)]
    return Schedule(
        seed,
        dagster,
        rows=dice.randint(60, 140),
        batch=dice.randint(4, 16),
        hold=dice.choice(sorted(ALL)) if dice.random() < 0.3 else None,
        repeated=dice.random() < 0.2,
        in_both_hours=dice.randint(1, 6),
        token_seconds=dice.choice([0.0, 0.0, 600.0]),
        verdict_delay=dice.choice([0.0, 0.0, 120.0]),
        rounds=tuple(rounds),
    )


def _refused_for_good(round_: Round) -> Round:
    """The same without a 429 that stored the events all the same. While the platform recognises a repetition that does no
    harm; two days later nobody could tell."""

    def plain(posted: Posted) -> Posted:
        return {**posted, "stored": False} if posted["kind"] == "rate_limit" else posted

    troubles = (
        replace(trouble, faults=tuple((label, plain(posted)) for label, posted in trouble.faults))
        for trouble in round_.troubles
    )
    return replace(round_, troubles=tuple(troubles))


def _round(dice: random.Random, number: int, used: set[str]) -> Round:
    world = [
        (what, round(dice.uniform(0.1, 1.6), 2))
        for what, share in (("postgres", 0.25), ("backend", 0.15), ("sandbox", 0.25))
        if dice.random() < share
    ]
    extract = number > 0 and dice.random() < 0.3
    troubles = tuple(_trouble(dice, name, number, used) for name in sorted(ALL))
    return Round(
        troubles,
        tuple(world),
        early=dice.random() < 0.25,
        extract=extract,
        disk_full=(number == 0 or extract) and dice.random() < 0.2,
        extract_kill=_kill(dice, ("random", "staging")) if dice.random() < 0.25 else None,
        verdict_kill=_kill(dice, ("after_verdict", "verdict_uncommitted")) if dice.random() < 0.35 else None,
        verdicts_meanwhile=dice.random() < 0.4,
        minutes_later=dice.randint(2, 30),
    )


def _kill(dice: random.Random, points: tuple[str, ...]) -> Kill:
    point = dice.choice(points)
    return Kill(point, dice.choice([1, 1, 1, 2, 3]), round(dice.uniform(0.0, 1.2), 3) if point == "random" else 0.0)


def _trouble(dice: random.Random, destination: str, number: int, used: set[str]) -> Trouble:
    if dice.random() < 0.1:
        return Trouble(destination)
    # A poison event is poison from the first attempt on: no platform takes an event and refuses it later.
    known = [
        label for label, kind in FAULTS.items() if destination in kind.where and (number == 0 or label not in POISON)
    ]
    faults, kill, clock = [], None, None
    for label in dice.sample(known, dice.choice([1, 1, 2, 2, 3])):
        if label == "answer with the new token lost":
            if destination in used:
                continue
            used.add(destination)
        posted = FAULTS[label].make(dice, destination in RECOGNISING)
        if "poison" not in posted:
            posted = {"times": dice.randint(1, 4), **posted}
        faults.append((label, {"platform": destination, **posted}))
    if dice.random() < 0.55:
        kill = _kill(dice, DELIVERY_POINTS)
    elif destination in OAUTH - used and dice.random() < 0.5:
        used.add(destination)
        kill = Kill("after_token")
    if kill and kill.point == "in_flight":  # so long that the kill finds it under way, before or after it was stored
        slow = dice.choice([{"kind": "latency", "seconds": 0.5}, {"kind": "timeout_after", "seconds": 3}])
        label = "slow answer" if slow["kind"] == "latency" else "time-out after the platform took it"
        faults.insert(0, (label, {"platform": destination, "times": 4, **slow}))
    if dice.random() < 0.2:
        clock = Clock(dice.choice(STEPS), round(dice.uniform(0.0, 0.6), 3))
    return Trouble(destination, tuple(faults), kill, clock, dice.random() < 0.25)
