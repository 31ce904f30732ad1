"""What a recipe is: of which column, how it is normalised, and how the result is hashed."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

EMPTY_DIGEST = hashlib.sha256(b"").hexdigest()
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")

Normalise = Callable[[str, str | None], str | None]


@dataclass(frozen=True)
class Recipe:
    """One named normalisation: of which contract column, how, and whether its result is hashed.

    `normalise(value, country)` gets the raw text and the row's ISO country; None means "not a usable identifier".
    `digest`: which of DIGESTS.
    """

    name: str
    source: str
    normalise: Normalise
    rule: str
    hashed: bool = True
    by_country: bool = False
    digest: str = "SHA-256"

    def __call__(self, raw: str, country: str | None = None) -> str | None:
        """The value to send for one raw value (a 64-character hex digest, or normalised text), or None."""
        text = raw.strip()
        if len(text) == 64 and _DIGEST.fullmatch(text):  # hashed by the advertiser; useless where plain text is wanted
            ready = text.lower()
            return ready if self.hashed and self.digest == "SHA-256" and ready != EMPTY_DIGEST else None
        if not text:
            return None
        normal = self.normalise(text if text.isascii() else unicodedata.normalize("NFC", text), country)
        if not normal:
            return None
        return DIGESTS[self.digest](normal) if self.hashed else normal


def sha256(text: str) -> str:
    """SHA-256 of the UTF-8 text as 64 lower-case hex characters."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def md5(text: str) -> str:
    """MD5 of the UTF-8 text as 32 lower-case hex characters: what older identity graphs are keyed by."""
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def sha1(text: str) -> str:
    """SHA-1 of the UTF-8 text as 40 lower-case hex characters."""
    return hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


DIGESTS: dict[str, Callable[[str], str]] = {
    "SHA-256": sha256,
    "SHA-1": sha1,
    "MD5": md5,
    "SHA-256 of the MD5": lambda text: sha256(md5(text)),
}
