"""The ad platforms, one module each."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from capi_pipeline.conversions.identifiers import Recipe
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.platforms.base import Platform

SHARED = (
    "amounts",
    "answers",
    "auth",
    "base",
    "batching",
    "google",
    "outcomes",
    "privacy",
    "ranking",
    "times",
    "wire",
)  # what the platforms are made of
NAMES = tuple(sorted(module.name for module in iter_modules(__path__) if module.name not in SHARED))


@cache
def platform(name: str) -> type[Platform]:
    """The platform of that name. Raises ConfigurationError with the known names."""
    if name not in NAMES:
        raise ConfigurationError(f"There is no platform `{name}`.", f"Known platforms: {', '.join(NAMES)}.")
    module = import_module(f"{__name__}.{name}")
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Platform) and value.__module__ == module.__name__
    )
    return found


@cache
def all_recipes() -> tuple[Recipe, ...]:
    """Every recipe that any platform uses: what the transform computes and stores."""
    return tuple(dict.fromkeys(recipe for name in NAMES for recipe in platform(name).recipes()))
