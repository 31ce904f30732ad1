"""Errors that a person reads: what is wrong, where, and the remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import URL


class CapiError(Exception):
    """Base of every error of this package; `str()` is what happened and, after it, what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}\n{remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


_ROWS = re.compile(r"^.*\b(?:DETAIL|CONTEXT):.*(?:\n|$)", re.MULTILINE)
_VALUE = re.compile(
    r"""(: ?(?=")|\b(?:value|zone|token|literal|string|convert|parse|parsing|scalar):? )("[^"\n]*"?|'[^'\n]*'?)"""
    r"""|"[^"\n]*@[^"\n]*"|\bcontains \(.*""",
    re.I,
)


def without_values(words: str) -> str:
    """What a database says of a failure, without the values that it quotes: they can be a person's, or half a password.
    https://www.postgresql.org/docs/current/protocol-error-fields.html"""
    return _VALUE.sub(lambda found: f"{found[1] or ''}(value)", _ROWS.sub("", words))


def first_line(error: BaseException) -> str:
    """What a database driver or library says, without the lines below that hold statements and addresses, or values."""
    words = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
    return without_values(words[0])


def address(url: URL) -> str:
    """A database's URL for messages: no password, nor what of it may have ended up elsewhere."""
    host = (url.host or "").rpartition("@")[2]  # an @ in a password must be written %40
    known = {key: value for key, value in url.query.items() if key in ("host", "port")}
    return url.set(host=host or None, query=known).render_as_string(hide_password=True)


class ConfigurationError(CapiError):
    """A setting, a document or a secret is missing or wrong: nothing was sent."""


class ContractError(CapiError):
    """The warehouse's table breaks the contract of canonical conversions: nothing was sent."""


class DeliveryError(CapiError):
    """An hour could not be delivered whole; what is left is in the ledger and a rerun sends it."""


class AuthenticationError(DeliveryError):
    """The platform refused the credentials or the account: a person must renew a key."""
