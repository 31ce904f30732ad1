"""Fault injection: which request goes wrong, how, and how often."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_plus

# Each kind with its parameters and their defaults. `stored`: whether the events of the request are kept although the
# answer is lost or spoiled.
KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "latency": {"seconds": 1.0},
    "slow_drip": {"seconds": 2.0},
    "rate_limit": {
        "retry_after": None, "as_date": False, "status": None, "code": None, "regain_minutes": None, "stored": False,
    },
    "server_error": {"status": 503, "html": False, "retry_after": None, "as_date": False, "stored": False},
    "reset_before": {},
    "reset_after": {},
    "timeout_after": {"seconds": 30.0},
    "html": {"stored": False},
    "echo": {"status": 400, "html": False, "stored": False},  # the error answer holds the whole request, secrets included
    "empty": {"stored": False},
    "truncated": {"stored": False},
    "wrong_content_type": {"media_type": "text/html", "stored": True},
    "redirect": {"location": "/_sandbox/elsewhere", "status": 302, "stored": False},
    "reject_event": {"code": None},
    "expired_token": {},
    "revoked_token": {},
    "bad_verdict": {"indices": False, "reason": "PROCESSING_ERROR_REASON_INVALID_GCLID"},
}  # fmt: skip
TOKEN_KINDS: Final = {"expired_token", "revoked_token"}
COMPOSED: Final = {"latency", "slow_drip", "reject_event", "bad_verdict", *TOKEN_KINDS}  # go along with other faults
NOT_STORED: Final = {"reset_before"}
STORED: Final = {"reset_after", "timeout_after"}
# What a parameter may be; those that default to None may also be left out by giving null.
TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "seconds": (int, float), "status": (int,), "retry_after": (int, float, str), "regain_minutes": (int,),
    "code": (int, str), "as_date": (bool,), "html": (bool,), "stored": (bool,), "indices": (bool,),
    "media_type": (str,), "location": (str,), "reason": (str,), "match": (str,), "path": (str,), "seed": (int,),
    "times": (int,), "probability": (int, float),
}  # fmt: skip
COMMON: Final = {"platform", "kind", "times", "match", "path", "probability", "seed"}


def check_types(data: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """ValueError names the first parameter of a posted fault that is of the wrong type."""
    for name, value in data.items():
        if name in ("platform", "kind") or (value is None and defaults.get(name) is None):
            continue
        wanted = TYPES[name]
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            raise ValueError(f"{name} must be of type {' or '.join(item.__name__ for item in wanted)}")
        if isinstance(value, int | float) and value < 0:
            raise ValueError(f"{name} must not be negative")


@dataclass(slots=True)
class Fault:
    """One injected fault; `times` counts down with each request it strikes, None: until it is cleared."""

    id: int
    platform: str
    kind: str
    parameters: Mapping[str, Any]
    times: int | None = None
    match: str | None = None
    path: str | None = None
    probability: float | None = None
    seed: int | None = None
    struck: int = 0
    tokens_up_to: int = 0  # expired_token: tokens issued until then have stopped working
    dice: random.Random = field(default_factory=random.Random)

    @property
    def stored(self) -> bool:
        """Whether the events of a struck request are kept."""
        return self.kind not in NOT_STORED and (self.kind in STORED or bool(self.parameters.get("stored")))

    def strikes(self, platform: str, endpoint: str, path: str, body: bytes, query: str) -> bool:
        if self.platform not in ("*", platform) or self.times == 0:
            return False
        if self.path is not None:
            if self.path not in path:
                return False
        elif endpoint != "delivery" and self.kind not in TOKEN_KINDS:
            return False
        if self.match and self.match.encode() not in body and self.match not in query:
            return False
        return self.probability is None or self.dice.random() < self.probability

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id, "platform": self.platform, "kind": self.kind, "times": self.times, "match": self.match,
            "path": self.path, "probability": self.probability, "seed": self.seed, "struck": self.struck,
            **self.parameters,
        }  # fmt: skip


class Faults:
    """The injected faults, in the order in which they were posted."""

    def __init__(self, platforms: Sequence[str]) -> None:
        self._platforms = {*platforms, "*"}
        self._faults: list[Fault] = []
        self._last = 0

    def add(self, data: Mapping[str, Any], tokens_up_to: int) -> Fault:
        """Adds a fault as posted to /_sandbox/faults; ValueError says what does not fit."""
        kind, platform = data.get("kind"), data.get("platform", "*")
        if not isinstance(kind, str) or kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}; there are {', '.join(KINDS)}")
        if not isinstance(platform, str) or platform not in self._platforms:
            raise ValueError(f"unknown platform {platform!r}; there are {', '.join(sorted(self._platforms))}")
        defaults = KINDS[kind]
        unknown = set(data) - COMMON - set(defaults)
        if unknown:
            raise ValueError(f"{kind} has no parameter {', '.join(sorted(unknown))}; it has {', '.join(defaults)}")
        check_types(data, defaults)
        times, probability = data.get("times"), data.get("probability")
        if times is not None and times < 1:
            raise ValueError("times must be a positive integer, or null: until cleared")
        if probability is not None and not 0 <= probability <= 1:
            raise ValueError("probability must lie between 0 and 1")
        self._last += 1
        seed = data.get("seed")
        fault = Fault(
            self._last, platform, kind, {**defaults, **{name: data[name] for name in defaults if name in data}},
            times, data.get("match"), data.get("path"), probability, seed,
            tokens_up_to=tokens_up_to, dice=random.Random(seed),
        )  # fmt: skip
        self._faults.append(fault)
        return fault

    def all(self) -> list[dict[str, Any]]:
        return [fault.as_dict() for fault in self._faults]

    def clear(self, platform: str | None = None, fault: int | None = None) -> int:
        """Removes the faults that fit and says how many."""
        keep = [
            item
            for item in self._faults
            if (platform is not None and item.platform != platform) or (fault is not None and item.id != fault)
        ]
        removed = len(self._faults) - len(keep)
        self._faults = keep
        return removed

    def striking(self, platform: str, endpoint: str, path: str, body: bytes, query: str) -> list[Fault]:
        """The faults that this request meets: all that go along with others, and the first of the rest."""
        struck: list[Fault] = []
        taken = False
        text = unquote_plus(query)
        for fault in self._faults:
            if fault.kind not in COMPOSED and taken:
                continue
            if fault.strikes(platform, endpoint, path, body, text):
                taken = taken or fault.kind not in COMPOSED
                fault.struck += 1
                if fault.times is not None:
                    fault.times -= 1
                struck.append(fault)
        return struck
