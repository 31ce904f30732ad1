"""TC strings of IAB Europe's Transparency and Consent Framework, version 2 (all of 2.0 to 2.3): what was consented to.

https://github.com/InteractiveAdvertisingBureau/GDPR-Transparency-and-Consent-Framework, "Consent string and vendor list
formats v2". Legitimate interest is not read: the destinations here need consent. Checked against IAB Tech Lab's own vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from capi_pipeline.conversions.bits import Bits, MalformedString

STORAGE, PROFILE, PERSONALISED_ADS, MEASUREMENT = 1, 3, 4, 7  # purposes, by the number of the framework
_NOT_ALLOWED = 0  # type of a publisher restriction


@dataclass(frozen=True)
class Consents:
    """Sets of numbers, each as one integer (bit n is of number n): `purposes` and `vendors` with consent, and those vendors
    whom the publisher forbids storage or measurement. `storage_disclosed` is false where the publisher's country has the
    question of purpose 1 asked elsewhere."""

    purposes: int
    vendors: int
    forbidden: int
    storage_disclosed: bool

    def consents(self, *purposes: int) -> bool:
        """Whether all of these purposes have consent."""
        return all(self.purposes >> purpose & 1 for purpose in purposes)

    def allows(self, vendor: int) -> bool:
        """Whether this vendor (its number in the Global Vendor List) has consent, and the publisher's leave to measure."""
        return bool((self.vendors & ~self.forbidden) >> vendor & 1)


@lru_cache(maxsize=4096)  # many people agree to everything on the same day; their strings are equal
def decode(text: str) -> Consents:
    """The consents of a TC string. Raises MalformedString."""
    core, *segments = text.split(".")
    bits = Bits(core)
    version = bits.read(6)
    if version != 2:
        raise MalformedString(f"it is of version {version}, not 2")
    bits.read(36 + 36 + 12 + 12 + 6 + 12 + 12 + 6)  # created, updated, CMP, its version, screen, language, list, policy
    bits.read(1 + 1 + 12)  # service specific, non-standard texts, special features
    purposes = bits.places(24)
    bits.read(24)  # legitimate interests
    undisclosed = bits.flag()
    bits.read(12)  # the publisher's country
    vendors = _vendors(bits)
    _vendors(bits)  # legitimate interests
    forbidden = 0
    for _ in range(bits.read(12)):
        purpose, kind, concerned = bits.read(6), bits.read(2), _ranges(bits)
        if kind == _NOT_ALLOWED and purpose in (STORAGE, MEASUREMENT):
            forbidden |= concerned
    for segment in segments:
        if Bits(segment).read(3) > 3:
            raise MalformedString("it has a segment of an unknown type")
    return Consents(purposes, vendors, forbidden, not undisclosed)


def _vendors(bits: Bits) -> int:
    most, ranged = bits.read(16), bits.flag()
    return _ranges(bits) if ranged else bits.places(most)


def _ranges(bits: Bits) -> int:
    found = 0
    for _ in range(bits.read(12)):
        many, first = bits.flag(), bits.read(16)
        last = bits.read(16) if many else first
        if not 0 < first <= last:
            raise MalformedString("it names vendors from a higher number to a lower one")
        found |= (1 << (last + 1)) - (1 << first)
    return found
