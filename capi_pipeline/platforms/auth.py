"""How a platform lets its advertisers in, beyond a token in a header."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field


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


@dataclass(frozen=True)
class OAuth1:
    """The keys of an OAuth 1.0a signature (RFC 5849). The delivery signs each attempt when it leaves, for a signature
    holds the time and a random word, which a platform does not have."""

    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    token: str = field(repr=False)
    token_secret: str = field(repr=False)


def basic(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
