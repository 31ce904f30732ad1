"""Nothing secret and nothing personal in words that are kept or shown."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, SecretStr

LONGEST = 400
READ = 8000  # characters of a text that are looked at: a platform can answer with megabytes
_EMAIL = re.compile(r"[^\s@\"'<>()]{1,400}(?:@|%40)[^\s@\"'<>()]+", re.I)
_DIGEST = re.compile(r"[0-9a-fA-F]{64,}")
_BEARER = re.compile(
    r"""(?i)\b((?:bearer|access_token|refresh_token|client_secret|authorization)["']?\s*[:= ]\s*["']?"""
    r"""(?:bearer\s+|basic\s+)?)[^\s"'&,;}]+"""
)
_PHONE = re.compile(r"(?:(?<![\w.-])\+|%2B)\d[\d ().-]{6,}\d", re.I)
# What a platform repeats of the request: values of a JSON body and of a query, the person's address and browser, and
# ids that nobody can read (tokens, click ids, cookies): 20 characters of three kinds, or 32 hex digits.
_MEMBER = re.compile(r"""((["'])[\w.-]{1,64}\2\s*:\s*\[?\s*)(["'])(?:(?!\3)[^\\]|\\.){6,}\3?""", re.DOTALL)
_QUERY = re.compile(r"""([?&][\w.-]{1,64}=)[^&\s"'<>]+""")
_BROWSER = re.compile(r"""Mozilla/\d[^"'<>\n]*""", re.I)
_ADDRESS = re.compile(
    r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)"
    r"|(?<![\w:])(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,6}:(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,5})?)(?![\w:])",
    re.I,
)
_OPAQUE = re.compile(
    r"(?<![\w~%+=-])(?:(?=[\w~%+=-]*\d)(?=[\w~%+=-]*[a-z])(?=[\w~%+=-]*[A-Z])[\w~%+=-]{20,}|(?=[0-9]*[a-f])[0-9a-f]{32,})"
)
_MARKUP = re.compile(r"<[^<>]*>")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


class Redactor:
    """Removes the destination's secrets and what a request says of a person (e-mail addresses, phone numbers, digests, IP
    addresses, browsers, click ids) from a text, and shortens it."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._any = re.compile("(?!)")
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Also hide these from now on (tokens that were granted meanwhile)."""
        forms = {form for secret in secrets if len(secret) >= 4 for form in _written(secret)}
        self._secrets = self._secrets | forms
        if self._secrets:
            longest_first = sorted(self._secrets, key=len, reverse=True)
            self._any = re.compile("|".join(map(re.escape, longest_first)), re.I)

    def hide(self, text: str) -> str:
        """The text as it is but for the destination's secrets and what no database can hold."""
        return self._any.sub("***", clean(text))

    def __call__(self, text: str) -> str:
        if not text:
            return text
        if len(text) > READ:
            text = text[:READ].rsplit(None, 1)[0]  # a word that is cut in two would not be recognised
        text = self.hide(text)
        text = _BROWSER.sub("(browser)", _MEMBER.sub(r"\1\3***\3", _MARKUP.sub(" ", html.unescape(text))))
        text = _QUERY.sub(r"\1***", _BEARER.sub(r"\1***", self.hide(text)))
        text = _DIGEST.sub("(digest)", _EMAIL.sub("(e-mail)", _PHONE.sub("(phone)", text)))
        text = _OPAQUE.sub("(id)", _ADDRESS.sub("(address)", text))
        text = " ".join(text.split())
        return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def clean(text: str) -> str:
    """Without what no database and no terminal should get: control characters and halves of surrogate pairs."""
    return _CONTROL.sub(" ", text.encode("utf-8", "replace").decode())


def _written(secret: str) -> set[str]:
    """A secret as it is, in a URL, in JSON, in HTML, and in base64 (as far as its place does not matter)."""
    data = secret.encode()
    return {
        secret, quote(secret), quote(secret, safe=""), quote_plus(secret), secret.replace("/", "\\/"),
        json.dumps(secret)[1:-1], html.escape(secret), b64encode(data).decode().rstrip("="),
        urlsafe_b64encode(data).decode().rstrip("="),
    }  # fmt: skip


def secrets_of(config: BaseModel) -> list[str]:
    """Every secret value of a platform's configuration."""
    return [value.get_secret_value() for value in dict(config).values() if isinstance(value, SecretStr)]


def example(payload: Any, hidden: Collection[str]) -> Any:
    """A payload for a person to look at: digests cut to their first characters, every text that holds one of `hidden`
    (addresses, click ids, cookies of the person) masked, long lists cut."""
    if isinstance(payload, dict):
        return {key: example(value, hidden) for key, value in payload.items()}
    if isinstance(payload, list):
        return [example(value, hidden) for value in payload[:3]]
    if isinstance(payload, str) and _DIGEST.fullmatch(payload):
        return payload[:6] + "…"
    words = str(payload).lower()
    if payload is not None and any(text.lower() in words for text in hidden):
        return "***"
    if not isinstance(payload, str):
        return payload
    shown = Redactor()(payload)  # an address of a page can hold anything
    return shown if len(shown) <= 80 else shown[:79] + "…"
