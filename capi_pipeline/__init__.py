"""capi_pipeline: the warehouse's conversions, delivered to every ad platform's conversion API, each exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capi_pipeline.rendering import render

__all__ = ["render"]


def __getattr__(name: str) -> Any:
    """`render` is loaded on first use: a process that only schedules must not pay for it."""
    if name == "render":
        from capi_pipeline.rendering import render

        return render
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
