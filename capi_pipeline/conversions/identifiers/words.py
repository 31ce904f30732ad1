"""Steps that several kinds of identifiers share."""

from __future__ import annotations

import re
import unicodedata

SPACE = re.compile(r"\s+")
EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(\.[^\s@.]+)+")
ASCII_PUNCTUATION = re.compile(r"""[!-/:-@\[-`{-~]""")


def without_space(text: str) -> str:
    return "".join(text.split())


def as_is(value: str, _: str | None) -> str | None:
    return value


def compact(value: str, _: str | None) -> str | None:
    return without_space(value.lower())


def is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def no_marks(value: str, _: str | None) -> str | None:
    return "".join(c for c in value.lower() if not c.isspace() and not is_mark(c))


def lower(value: str, _: str | None) -> str | None:
    return value.lower()


def without_marks(value: str, _: str | None) -> str | None:
    return "".join(c for c in value.lower() if not is_mark(c)).strip()


def without_digits(value: str, _: str | None) -> str | None:
    return "".join(c for c in value.lower() if unicodedata.category(c)[0] not in "NPS").strip()


def letters_only(value: str, _: str | None = None) -> str:
    return "".join(c for c in value.lower() if c.isalpha() or unicodedata.combining(c))
