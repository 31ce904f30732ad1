"""The platforms of the sandbox: every module here with its one `Platform` subclass."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from capi_pipeline.sandbox.platform import Platform


def _platform(module: str) -> type[Platform]:
    names = vars(import_module(f"{__name__}.{module}")).values()
    (found,) = (
        value for value in names if isinstance(value, type) and issubclass(value, Platform) and value is not Platform
    )
    return found


PLATFORMS: tuple[type[Platform], ...] = tuple(_platform(module.name) for module in iter_modules(__path__))

# What a demo's destinations read from the environment, with the values that work here.
ENVIRONMENT: dict[str, str] = {name: value for platform in PLATFORMS for name, value in platform.environment.items()}
