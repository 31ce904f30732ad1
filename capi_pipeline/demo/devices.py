"""People's devices, and what their browsers do to ids: cookies that expire, tags that are blocked, clocks that are slow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from capi_pipeline.demo.rows import HOUR

BLOCKED = 0.06  # of browsers: no tag of the shop ever loads there
SLOW_CLOCK = 0.01  # of devices: up to 25 minutes behind, always
COOKIE_LIFE = 7 * 24 * HOUR  # of cookies set by scripts in Safari (Intelligent Tracking Prevention), in seconds

_SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15"
_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 "
    "Mobile/15E148 Safari/604.1"
)
_ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36"
)
AGENTS = {
    "laptop": (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36",
        _SAFARI,
        "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
    ),
    "phone": (_IPHONE, _ANDROID),
    "tablet": (_SAFARI, _ANDROID),  # an iPad says that it is a Mac
}


@dataclass(frozen=True, slots=True)
class Device:
    """One browser. `key` is 32 hex digits; `behind` the seconds that its clock is slow."""

    key: str
    agent: str
    expires: bool
    blocked: bool
    behind: float
    shared: bool = False

    def cookie(self, at: float) -> str:
        """The first-party id that this browser holds in that second."""
        if not self.expires:
            return self.key
        week = (int(at) + int(self.key[:5], 16)) // COOKIE_LIFE  # each on a weekday of its own
        return hashlib.md5(f"{self.key}:{week}".encode(), usedforsecurity=False).hexdigest()


def device_id(seed: int, owner: int, which: int) -> str:
    """The key of one device of a person."""
    return hashlib.md5(f"{seed}:{owner}:{which}".encode(), usedforsecurity=False).hexdigest()


def browser(key: str, kind: str, shared: bool = False) -> Device:
    """The browser of this key: always the same. `kind`: laptop, phone or tablet."""
    agent = AGENTS[kind][int(key[-4:], 16) % len(AGENTS[kind])]
    luck, clock = int(key[10:14], 16) % 1000, int(key[14:18], 16) % 1000
    behind = 300.0 + clock * 100 if clock < SLOW_CLOCK * 1000 else 0.0
    return Device(key, agent, agent in (_SAFARI, _IPHONE), luck < BLOCKED * 1000 and not shared, behind, shared)
