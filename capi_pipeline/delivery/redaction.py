"""Nothing secret and nothing personal in words that are kept or shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from pydantic import BaseModel, SecretStr

LONGEST = 400
_EMAIL = re.compile(r"[^\s@\"'<>()]+(?:@|%40)[^\s@\"'<>()]+", re.I)
_DIGEST = re.compile(r"\b[0-9a-fA-F]{64}\b")
_BEARER = re.compile(
    r"""(?i)\b(bearer|access_token|refresh_token|client_secret|authorization)(["']?\s*[:= ]\s*["']?)[^\s"'&,;}]+"""
)
_PHONE = re.compile(r"(?<![\w.:-])\+\d[\d ().-]{6,}\d")
_MARKUP = re.compile(r"<[^>]*>")


class Redactor:
    """Removes the destination's secrets, e-mail addresses, phone numbers and digests from a text, and shortens it."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True)

    def add(self, *secrets: str) -> None:
        """Also hide these from now on (tokens that were granted meanwhile)."""
        self._secrets = sorted({*self._secrets, *(s for s in secrets if len(s) >= 4)}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _MARKUP.sub(" ", text)
        text = _BEARER.sub(r"\1\2***", text)
        text = _DIGEST.sub("(digest)", _EMAIL.sub("(e-mail)", _PHONE.sub("(phone)", text)))
        text = " ".join(text.split())
        return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


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
    if not isinstance(payload, str):
        return payload
    if _DIGEST.fullmatch(payload):
        return payload[:6] + "…"
    if any(text in payload for text in hidden):
        return "***"
    return payload if len(payload) <= 80 else payload[:79] + "…"
