"""Ids that the advertiser gives, and those of devices."""

from __future__ import annotations

import re
from dataclasses import replace

from capi_pipeline.conversions.identifiers import words
from capi_pipeline.conversions.identifiers.recipe import Recipe


def _clear_id(value: str, _: str | None) -> str | None:
    return None if words.EMAIL.fullmatch(value) else value


def _alphanumeric_id(value: str, _: str | None) -> str | None:
    return value if re.fullmatch("[A-Za-z0-9]{1,100}", value) else None


class user_id:
    as_is = Recipe("user_id_as_is", "user_id", words.as_is, "trim, case kept; not hashed", hashed=False)
    clear = Recipe(
        "user_id_clear",
        "user_id",
        _clear_id,
        "trim, case kept; an e-mail address is left out; not hashed",
        hashed=False,
    )
    alphanumeric = Recipe(
        "user_id_alphanumeric", "user_id", _alphanumeric_id,
        "trim; left out unless 1 to 100 of A-Z a-z 0-9; not hashed", hashed=False,
    )  # fmt: skip
    lower = Recipe("user_id_lower", "user_id", words.lower, "trim, lower case")
    compact = Recipe("user_id_compact", "user_id", words.compact, "drop all white space, lower case")
    trimmed = Recipe("user_id_trimmed", "user_id", lambda value, _: value, "trim, case kept")


class anonymous_id:
    as_is = Recipe("anonymous_id_as_is", "anonymous_id", words.as_is, "trim, case kept; not hashed", hashed=False)
    clear = replace(user_id.clear, name="anonymous_id_clear", source="anonymous_id")
    lower = Recipe("anonymous_id_lower", "anonymous_id", words.lower, "trim, lower case")
    compact = Recipe("anonymous_id_compact", "anonymous_id", words.compact, "drop all white space, lower case")
    trimmed = Recipe("anonymous_id_trimmed", "anonymous_id", lambda value, _: value, "trim, case kept")


class advertising_id:
    """Applied at encoding: it is one field of the `device` object, which some platforms want raw."""

    idfa = Recipe("idfa", "device.advertising_id", lambda value, _: value.lower(), "lower case")
    upper = Recipe("advertising_id_upper", "device.advertising_id", lambda value, _: value.upper(), "upper case")
    gaid = Recipe("gaid", "device.advertising_id", lambda value, _: value, "as it is")
