"""People who asked to be forgotten, known by keyed digests only: nobody without the key can tell who they are.

A token is HMAC-SHA256 of the column and of the identifier's SHA-256, so that an identifier that comes already hashed is
recognised as well.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from capi_pipeline.conversions.identifiers import Recipe, email, phone, user_id

# By which normalisation a row's identifiers are looked up: Gmail's spellings of one mailbox are one person.
LOOKED_UP = (email.google, phone.e164, user_id.trimmed)
# In which forms a person's identifiers are kept: the above, and those in which other tools hash them beforehand.
_KEPT = (*LOOKED_UP, email.trimmed, email.gmail, phone.digits, user_id.lower)
_OTHER = {"@gmail.com": "@googlemail.com", "@googlemail.com": "@gmail.com"}
_MAILBOX = re.compile(r"@(gmail|googlemail)\.com$", re.IGNORECASE)


@dataclass(frozen=True)
class Person:
    """The identifiers by which a person asks to be forgotten; phone numbers in international form."""

    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()

    def values(self, column: str) -> tuple[str, ...]:
        """The person's identifiers of a contract column; a Google mailbox has two domains."""
        if column == "emails":
            others = (_MAILBOX.sub(lambda found: _OTHER[found[0].lower()], address) for address in self.emails)
            return tuple(dict.fromkeys([*self.emails, *others]))
        return {"phones": self.phones, "user_id": self.user_ids}.get(column, ())

    def digests(self, recipe: Recipe) -> set[str]:
        """What this recipe makes of the person's identifiers."""
        return {made for value in self.values(recipe.source) if (made := recipe(value, None))}

    def known_by(self, column: str) -> set[str]:
        """All SHA-256 by which the person can stand in a contract column."""
        return {digest for recipe in _KEPT if recipe.source == column for digest in self.digests(recipe)}


class Suppressed:
    """Tokens of forgotten people, and the key (any bytes) by which they are made."""

    def __init__(self, key: bytes, tokens: frozenset[str]) -> None:
        self._key, self.tokens = key, tokens

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """By which a row's identifiers are to be looked up; none while nobody is forgotten."""
        return LOOKED_UP if self.tokens else ()

    def has(self, column: str, digest: str) -> bool:
        return token(self._key, column, digest) in self.tokens


def tokens_of(key: bytes, person: Person) -> set[str]:
    """The tokens of each form of each of the person's identifiers."""
    columns = {recipe.source for recipe in LOOKED_UP}
    return {token(key, column, digest) for column in columns for digest in person.known_by(column)}


def token(key: bytes, column: str, digest: str) -> str:
    return hmac.new(key, f"{column}:{digest}".encode(), hashlib.sha256).hexdigest()


NOBODY = Suppressed(b"", frozenset())
