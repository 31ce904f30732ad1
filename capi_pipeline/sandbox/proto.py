"""Reading JSON as Google's APIs do: unknown names and wrong types are refused before anything else is looked at.

https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

from capi_pipeline.sandbox import rules


class Scalar(Enum):
    """Types of fields, named as the errors name them."""

    STRING = "TYPE_STRING"
    DOUBLE = "TYPE_DOUBLE"
    BOOL = "TYPE_BOOL"
    INT64 = "TYPE_INT64"  # a JSON string by rule, a number is taken too
    TIMESTAMP = "type.googleapis.com/google.protobuf.Timestamp"
    ANY = "google.protobuf.Struct"

    def fits(self, value: object) -> bool:
        match self:
            case Scalar.STRING:
                return isinstance(value, str)
            case Scalar.DOUBLE:
                return rules.is_number(value)
            case Scalar.BOOL:
                return isinstance(value, bool)
            case Scalar.INT64:
                return rules.is_integer(value) or (isinstance(value, str) and _INTEGER.fullmatch(value) is not None)
            case Scalar.TIMESTAMP:
                return rules.parse_rfc3339(value) is not None
        return True


@dataclass(frozen=True, slots=True)
class Choice:
    """An enum; `values` without the unspecified one."""

    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Many:
    """A repeated field."""

    of: Type


Type: TypeAlias = "Scalar | Choice | Many | Mapping[str, Type]"

_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
_CAPITAL = re.compile(r"[A-Z]")


@lru_cache(maxsize=1000)
def snake(name: str) -> str:
    """Field names in error paths are in snake case."""
    return _CAPITAL.sub(lambda letter: "_" + letter[0].lower(), name)


def misfits(expected: Type, value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every place where the JSON does not fit: field path and description. null stands for an absent field."""
    if isinstance(expected, Scalar):
        if not expected.fits(value):
            yield path, f"Invalid value at '{path}' ({expected.value})"
    elif isinstance(expected, Choice):
        if not isinstance(value, str) or value not in expected.values:
            yield path, f"Invalid value at '{path}' (TYPE_ENUM)"
    elif isinstance(expected, Many):
        if not isinstance(value, list):
            yield path, f"Invalid value at '{path}', expected a list."
        else:
            for index, item in enumerate(value):
                yield from misfits(expected.of, item, f"{path}[{index}]")
    elif not isinstance(value, dict):
        yield path, f"Invalid value at '{path}', expected an object."
    else:
        for name, item in value.items():
            field = expected.get(name)
            if field is None:
                where = f" at '{path}'" if path else ""
                yield path, f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
            elif item is not None:
                yield from misfits(field, item, f"{path}.{snake(name)}" if path else snake(name))
