"""Nothing secret and nothing personal in words that are kept or shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import quote

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
_MARKUP = re.compile(r"<[^<>]*>")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


class Redactor:
    """Removes the destination's secrets, e-mail addresses, phone numbers and digests from a text, and shortens it."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Also hide these from now on (tokens that were granted meanwhile)."""
        forms = {form for secret in secrets if len(secret) >= 4 for form in _written(secret)}
        self._secrets = sorted({*self._secrets, *forms}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        if not text:
            return text
        if len(text) > READ:
            text = text[:READ].rsplit(None, 1)[0]  # a word that is cut in two would not be recognised
        text = clean(text)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _MARKUP.sub(" ", text)
        text = _BEARER.sub(r"\1***", text)
        text = _DIGEST.sub("(digest)", _EMAIL.sub("(e-mail)", _PHONE.sub("(phone)", text)))
        text = " ".join(text.split())
        return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def clean(text: str) -> str:
    """Without what no database and no terminal should get: control characters and halves of surrogate pairs."""
    return _CONTROL.sub(" ", text.encode("utf-8", "replace").decode())


def _written(secret: str) -> set[str]:
    """A secret as it is, in a URL, and in JSON."""
    return {secret, quote(secret), quote(secret, safe=""), secret.replace("/", "\\/")}


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
    return payload if len(payload) <= 80 else payload[:79] + "…"
