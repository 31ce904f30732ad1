"""Markdown tables, and a word for a setting's default."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

MADE = "<!-- Made from the code by `python -m capi_pipeline.reference docs`. -->\n"


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(columns)
    lines = [heads, ["---"] * len(heads), *[[cell.replace("|", "\\|") for cell in row] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value == [] or value == {}:
        return ""
    if isinstance(value, Path):
        return f"`{value.name}`" if value.is_absolute() else f"`{value}`"
    return f"`{getattr(value, 'value', value)}`"
