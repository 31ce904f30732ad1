"""Errors that a person reads: what is wrong, where, and the remedy."""

from __future__ import annotations


class CapiError(Exception):
    """Base of every error of this package; `str()` is what happened and, after it, what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}\n{remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


def first_line(error: BaseException) -> str:
    """What a database driver or library says, without the lines below that hold statements and addresses."""
    return (str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__])[0]


class ConfigurationError(CapiError):
    """A setting, a document or a secret is missing or wrong: nothing was sent."""


class ContractError(CapiError):
    """The warehouse's table breaks the contract of canonical conversions: nothing was sent."""


class DeliveryError(CapiError):
    """An hour could not be delivered whole; what is left is in the ledger and a rerun sends it."""


class AuthenticationError(DeliveryError):
    """The platform refused the credentials or the account: a person must renew a key."""
