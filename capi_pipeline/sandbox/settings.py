"""What can be set while the sandbox runs (POST /_sandbox/settings); kept in its database."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """The defaults suit a demo: verdicts come at once and a lost rotated token can be recovered from."""

    strict_rotation: bool = False  # a rotated refresh token dies at once, not when its successor is first used
    verdict_delay: float = 0.0  # seconds for which a queued request answers PROCESSING
    record_indices: bool = False  # error counts name the positions of the failed events
    report_duplicates: bool = False  # adjustments appear in the verdict as duplicate transaction ids
    access_token_seconds: float = 0.0  # lifetime of new access tokens; 0: as the platform documents
    clock_offset: float = 0.0  # seconds added to the clock, so that windows can be crossed

    def changed(self, changes: dict[str, Any]) -> Settings:
        """A copy with some values changed; ValueError names a key or a value that does not fit."""
        types = {item.name: type(item.default) for item in fields(self)}
        checked: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in types:
                raise ValueError(f"unknown setting {name!r}; there are {', '.join(types)}")
            if types[name] is bool:
                if not isinstance(value, bool):
                    raise ValueError(f"{name} must be true or false")
                checked[name] = value
            else:
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise ValueError(f"{name} must be a number of seconds")
                checked[name] = float(value)
        return replace(self, **checked)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
