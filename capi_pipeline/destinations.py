"""A destination: one platform, one account, the events to send. One YAML document each, secrets by environment variable."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from capi_pipeline.conversions.contract import ACTION_SOURCES, COUNTRIES, EVENT_NAMES
from capi_pipeline.conversions.conversion import Conversion
from capi_pipeline.delivery.decide import OnUnknown
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.platforms import platform as platform_class
from capi_pipeline.platforms.base import Platform
from capi_pipeline.platforms.outcomes import Reason
from capi_pipeline.rendering import problems

TYPE = "capi_pipeline.components.Destination"
NAME = r"^[a-z][a-z0-9_]{0,49}$"


class Filter(BaseModel):
    """Send only conversions that match every given line. Nothing here identifies a person."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    country: list[str] | None = Field(None, description="ISO codes.")
    action_source: list[str] | None = Field(None, description=f"Any of {', '.join(ACTION_SOURCES)}.")
    currency: list[Annotated[str, Field(pattern="^[A-Z]{3}$")]] | None = Field(None, description="ISO codes.")
    customer_type: list[Literal["new", "returning"]] | None = Field(None, description="`new`, `returning`.")
    custom_event_name: list[str] | None = Field(None, description="Your own event names.")
    min_value: float | None = Field(
        None, description="Least `value`, in the conversion's own currency.", allow_inf_nan=False
    )

    @field_validator("country", "action_source")
    @classmethod
    def _known(cls, value: list[str] | None, field: ValidationInfo) -> list[str] | None:
        known, words = (
            (COUNTRIES, "ISO 3166-1 alpha-2 codes (the United Kingdom is GB)")
            if field.field_name == "country"
            else (ACTION_SOURCES, ", ".join(ACTION_SOURCES))
        )
        if value and (unknown := set(value) - set(known)):
            raise ValueError(f"{', '.join(sorted(unknown))}: known are {words}")
        return value

    def keeps(self, c: Conversion) -> bool:
        for name in ("country", "action_source", "currency", "customer_type", "custom_event_name"):
            allowed = getattr(self, name)
            if allowed is not None and getattr(c, name) not in allowed:
                return False
        return self.min_value is None or (c.value is not None and c.value >= self.min_value)


class DestinationConfig(BaseModel):
    """The `attributes` of a destination's document."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(description="Name of the asset `destinations/<name>`.", pattern=NAME)
    platform: str = Field(description="The platform's slug, see `capi destinations --platforms`.")
    account: dict[str, Any] = Field(description="Keys of the platform; secrets as {env: VARIABLE}.")
    events: list[str] | None = Field(
        None, description="Canonical event names to send; default: all that the platform takes.", min_length=1
    )
    filter: Filter | None = Field(None, description="Send only these conversions.")
    base_url: str | None = Field(None, description="Send to this address instead of the platform's (sandbox, proxy).")
    on_unknown: OnUnknown = Field(
        OnUnknown.AUTO, description="`auto`, `hold` or `resend`: events that may have arrived."
    )
    max_rejected_share: float = Field(0.05, description="Warn above this share of rejected events.", ge=0, le=1)
    min_match_quality: float | None = Field(
        None,
        description="Least average match quality, 0 to 10; below it the check `match_quality` fails. Default: warns below 2.",
        ge=0,
        le=10,
    )
    min_pixel_agreement: float = Field(
        0.0,
        description="Warn below this share of server events that the browser's pixel sent under the same id.",
        ge=0,
        le=1,
    )
    pixel: str | None = Field(
        None, description="This platform's pixel in `web_events.pixels`; default: the platform's usual name."
    )
    concurrency: int | None = Field(None, description="Requests in flight; default: the platform's.", ge=1, le=64)

    @field_validator("events")
    @classmethod
    def _canonical(cls, value: list[str] | None) -> list[str] | None:
        if value and (unknown := set(value) - set(EVENT_NAMES)):
            raise ValueError(f"{', '.join(sorted(unknown))}: canonical names are {', '.join(EVENT_NAMES)}")
        return value

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        try:
            good = value is None or (
                re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value) and urlsplit(value).port != 0
            )
        except ValueError:  # not a port
            good = False
        if not good:
            raise ValueError("not an address such as https://host/path (without a name, password or query)")
        return value

    def select(self, c: Conversion) -> Reason | None:
        """Why a conversion is not this destination's business."""
        if self.events is not None and c.event_name not in self.events:
            return Reason.NOT_SELECTED
        return Reason.FILTERED if self.filter and not self.filter.keeps(c) else None

    @property
    def variables(self) -> dict[str, str]:
        """Account key -> environment variable."""
        return {key: value["env"] for key, value in self.account.items() if _is_reference(value)}

    def check(self) -> None:
        """Raise ConfigurationError for an unknown platform, unknown, missing or misplaced keys. Reads no secret."""
        kind = platform_class(self.platform)
        fields = kind.Config.model_fields
        for key, value in self.account.items():
            if key not in fields or key == "base_url":
                known = ", ".join(name for name in fields if name != "base_url")
                raise ConfigurationError(f"account.{key}: {kind.title} has no such key.", f"Known keys: {known}.")
            if _is_reference(value) and not _is_variable(value["env"]):
                raise ConfigurationError(
                    f"account.{key}: what stands in `env:` is not the name of an environment variable.",
                    f"Write a name, e.g. `{key}: {{env: {self.name.upper()}_{key.upper()}}}`, and set that variable.",
                )
            if is_secret(fields[key]) and not _is_reference(value):
                raise ConfigurationError(
                    f"account.{key}: a secret may not stand in a file.",
                    f"Put it into the environment and write `{key}: {{env: {self.name.upper()}_{key.upper()}}}`.",
                )
        values = {key: _stand_in(fields[key]) if _is_reference(value) else value for key, value in self.account.items()}
        try:
            kind.Config.model_validate(values)
        except ValidationError as error:
            own = [e for e in error.errors() if str((*e["loc"], "")[0]) not in self.variables]
            if own:
                words = "; ".join(f"{'.'.join(map(str, ('account', *e['loc'])))}: {e['msg']}" for e in own)
                raise ConfigurationError(
                    f"{words}.", f"See {kind.documentation} and `capi destinations --platforms`."
                ) from None

    def resolve(self, environment: Mapping[str, str] = os.environ) -> Platform:
        """The platform with its account's secrets. Raises ConfigurationError naming the variable that is not set."""
        kind = platform_class(self.platform)
        values = dict(self.account)
        for key, variable in self.variables.items():
            if not environment.get(variable):
                raise ConfigurationError(
                    f"Destination `{self.name}`: the environment variable {variable} (account.{key}) is not set.",
                    "Set it where the run is started (see `capi doctor`), then rerun this partition. Nothing was sent.",
                )
            values[key] = environment[variable]
            if is_mapping(kind.Config.model_fields[key]):
                with suppress(ValueError):  # what is no JSON is reported below
                    values[key] = json.loads(values[key])
        try:
            return kind(kind.Config.model_validate({**values, "base_url": self.base_url}))
        except ValidationError as error:
            raise ConfigurationError(
                f"Destination `{self.name}`: account is not usable: {problems(error)}.",
                "Correct the document or the variable.",
            ) from None


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"env"}


def _is_variable(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) is not None


def is_secret(field: FieldInfo) -> bool:
    """Whether a platform's configuration key holds a secret."""
    return "SecretStr" in str(field.annotation)


def is_mapping(field: FieldInfo) -> bool:
    """Whether a platform's configuration key holds names and values; in the environment such a key is a JSON object."""
    return "dict[" in str(field.annotation)


def _stand_in(field: FieldInfo) -> Any:
    return SecretStr("x") if is_secret(field) else "0"


# --- documents --------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Scalars stay as they are written (an account id is not a number), and a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key `{key.value}` stands twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(folder: Path) -> list[DestinationConfig]:
    """Every destination under `folder` (`<name>/defs.yaml` or `<name>.yaml`; several documents with `---`), by name.

    Raises ConfigurationError naming file, key and remedy.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"There is no folder {folder}.", "Set CAPI_DESTINATIONS to the folder of your documents."
        )
    found: dict[str, tuple[Path, DestinationConfig]] = {}
    for path in sorted({*folder.glob("*.yaml"), *folder.glob("*/defs.yaml")}):
        for config in documents(path):
            if config.name in found:
                raise ConfigurationError(
                    f"{path}: the name `{config.name}` is already taken by {found[config.name][0]}.",
                    "Give one of them another `name`: the ledger keeps destinations apart by it.",
                )
            found[config.name] = (path, config)
    return [config for _, (_, config) in sorted(found.items())]


def documents(path: Path) -> list[DestinationConfig]:
    """The destinations of one file. Raises ConfigurationError naming file, key and remedy."""
    try:
        found = [d for d in yaml.load_all(path.read_text("utf-8"), _Loader) if d is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(
            f"{path}{line}: not YAML: {getattr(error, 'problem', None) or error}.", "Correct this line."
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text.", "Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}.", "Make it a file that you may read.") from None
    out = []
    for document in found:
        attributes = document.get("attributes") if isinstance(document, dict) else None
        if not isinstance(attributes, dict) or document.get("type") != TYPE:
            raise ConfigurationError(
                f"{path}: a destination is a document with `type: {TYPE}` and `attributes:`.",
                "See docs/destinations.md, or start from `capi destinations add`.",
            )
        if astray := set(document) - {"type", "attributes"}:  # a lost indent would silently send every event
            raise ConfigurationError(
                f"{path}: {', '.join(sorted(map(str, astray)))}: no such key beside `type` and `attributes`.",
                "Indent it, so that it stands under `attributes:`.",
            )
        if path.name == "defs.yaml":
            attributes = {"name": path.parent.name, **attributes}
        try:
            config = DestinationConfig.model_validate(attributes)
            config.check()
        except ValidationError as error:
            raise ConfigurationError(f"{path}: {problems(error)}.", "Correct this key.") from None
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error.message}", error.remedy) from None
        out.append(config)
    return out
