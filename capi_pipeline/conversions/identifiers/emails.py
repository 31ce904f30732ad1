"""E-mail addresses."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from capi_pipeline.conversions import streets
from capi_pipeline.conversions.identifiers import words
from capi_pipeline.conversions.identifiers.recipe import Recipe


def _valid(email: str) -> str | None:
    return email if words.EMAIL.fullmatch(email) else None


def _email_trimmed(value: str, _: str | None) -> str | None:
    return _valid(value.lower())


def _email_google(value: str, _: str | None) -> str | None:
    email = _valid(words.without_space(value).lower())
    if email is None:
        return None
    local, domain = email.split("@")
    if domain in ("gmail.com", "googlemail.com"):
        local = local.split("+", 1)[0].replace(".", "")
    return f"{local}@{domain}" if local else None


def _email_gmail(value: str, _: str | None) -> str | None:
    email = _valid(value.lower())
    if email is None or not email.endswith("@gmail.com"):
        return email
    local = email.removesuffix("@gmail.com").split("+", 1)[0].replace(".", "")
    return f"{local}@gmail.com" if local else None


def _email_quora(value: str, _: str | None) -> str | None:
    email = _email_untagged(value, _)
    if email is None or not email.endswith("@gmail.com"):
        return email
    return _valid(email.removesuffix("@gmail.com").replace(".", "") + "@gmail.com")


def _email_microsoft(value: str, _: str | None) -> str | None:
    plain = "".join(c for c in unicodedata.normalize("NFKD", value.lower()) if not unicodedata.combining(c))
    email = _valid(words.without_space(plain))
    if email is None:
        return None
    local, domain = email.split("@")
    local = local.split("+", 1)[0].replace(".", "")
    return f"{local}@{domain}" if local else None


def _email_reddit(value: str, _: str | None) -> str | None:
    email = _valid(value.lower())
    if email is None:
        return None
    local, domain = email.split("@")
    local = "".join(c for c in local.split("+", 1)[0] if c.isalnum())
    return f"{local}@{domain}" if local else None


def _email_amazon(value: str, _: str | None) -> str | None:
    return _valid(streets.kept(value.lower(), ".@_-"))


def _email_untagged(value: str, _: str | None) -> str | None:
    email = _valid(value.lower())
    if email is None:
        return None
    local, domain = email.split("@")
    local = local.split("+", 1)[0]
    return f"{local}@{domain}" if local else None


class email:
    untagged = Recipe(
        "email_untagged", "emails", _email_untagged,
        "trim, lower case; before the @ of any domain: cut from `+`; dots stay",
    )  # fmt: skip
    md5 = Recipe(
        "email_md5", "emails", _email_trimmed, "trim, lower case; gmail dots and plus parts stay", digest="MD5"
    )
    sha1 = replace(md5, name="email_sha1", digest="SHA-1")
    sha256_md5 = replace(md5, name="email_sha256_md5", digest="SHA-256 of the MD5")
    amazon = Recipe(
        "email_amazon",
        "emails",
        _email_amazon,
        "lower case, keep a-z 0-9 . @ _ - only: `+` and accented letters vanish",
    )
    trimmed = Recipe("email_trimmed", "emails", _email_trimmed, "trim, lower case; gmail dots and plus parts stay")
    google = Recipe(
        "email_google", "emails", _email_google,
        "drop all white space, lower case; gmail.com and googlemail.com: cut from `+`, drop dots before the @",
    )  # fmt: skip
    gmail = Recipe(
        "email_gmail", "emails", _email_gmail,
        "trim, lower case; gmail.com (not googlemail.com): cut from `+`, drop dots before the @",
    )  # fmt: skip
    microsoft = Recipe(
        "email_microsoft", "emails", _email_microsoft,
        "lower case, drop accents and white space; before the @ of any domain: cut from `+`, drop dots",
    )  # fmt: skip
    quora = Recipe(
        "email_quora", "emails", _email_quora,
        "trim, lower case; before the @ of any domain: cut from `+`; gmail.com (not googlemail.com): drop dots there",
    )  # fmt: skip
    reddit = Recipe(
        "email_reddit", "emails", _email_reddit,
        "trim, lower case; before the @ of any domain: cut from `+`, keep letters and digits only",
    )  # fmt: skip
