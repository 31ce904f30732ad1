"""What people share: a home with its address and tablet, a company's mailbox, a phone number that changed hands.

Also what nobody owns: the till's e-mail address and number, which clerks type for whoever gives none, and the test account.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from capi_pipeline.demo.devices import Device, browser, device_id

NEIGHBOURS = 4  # people of consecutive numbers
HOUSEHOLD = 0.3  # of neighbours: the first two or three of them live together, on one IP address
TABLET = 0.4  # of households
TEAM = 0.05  # of neighbours: all but the first use their company's mailbox
REUSED_PHONE = 0.04  # of neighbours: the last one has a number that the one before had years ago

TEST_ACCOUNT = "C1"
TEST_EMAIL = "shopper-test@example.com"
TILL_EMAILS = ("till-1@shop.example.com", "till-2@shop.example.com")
TILL_PHONE = "+1 212 555 0100"
NO_ID = "undefined"  # what a broken script writes for an id
ROLES = ("info", "sales", "office")


@dataclass(frozen=True, slots=True)
class Circle:
    """What the neighbours of one block share. `household` is how many of them live together; `home` is the key of their line."""

    household: int
    home: str
    tablet: Device | None
    mailbox: str | None
    phone_passed_on: bool


@lru_cache(maxsize=50_000)
def circle(seed: int, number: int) -> Circle:
    """The circle of the person of this number."""
    block = number // NEIGHBOURS
    rng = Random(f"{seed}:circle:{block}")
    chance = rng.random
    household = rng.choice((2, 2, 3)) if chance() < HOUSEHOLD else 0
    tablet = browser(device_id(seed, block, 5), "tablet", shared=True) if household and chance() < TABLET else None
    mailbox = f"{rng.choice(ROLES)}@company{block}.example.com" if chance() < TEAM else None
    return Circle(household, device_id(seed, block, 6), tablet, mailbox, chance() < REUSED_PHONE)


def is_shared_email(email: str) -> bool:
    """Whether the address is several people's, or nobody's: role addresses, tills, the test account."""
    return email.partition("@")[0] in ROLES or email in TILL_EMAILS or email == TEST_EMAIL
