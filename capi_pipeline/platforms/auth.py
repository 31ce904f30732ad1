"""How a platform lets its advertisers in, beyond a token in a header."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass


@dataclass(frozen=True)
class OAuth:
    """A refresh-token grant: where, the scope, whether each answer brings a new refresh token, and a stand-in that is
    shown where a rendered request has no access token yet."""

    host: str
    path: str
    scope: str | None = None
    rotates: bool = False
    placeholder: str = "ACCESS-TOKEN"


@dataclass(frozen=True)
class Grant:
    """The advertiser's part of a refresh-token grant."""

    client_id: str
    client_secret: str | None
    refresh_token: str


def basic(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
