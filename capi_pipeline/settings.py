"""Settings from the environment, typed. An error names the key and the remedy."""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from functools import cached_property
from pathlib import Path

from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from capi_pipeline.conversions.consent import OPT_IN_COUNTRIES, ConsentPolicy
from capi_pipeline.conversions.contract import COUNTRIES
from capi_pipeline.errors import ConfigurationError

DBT_PROJECT = Path(__file__).parents[1] / "dbt_project"
DESTINATIONS = Path(__file__).parent / "defs" / "destinations"
EXAMPLE_URL = "postgresql+psycopg2://user:password@host:5432/database"


class Settings(BaseSettings):
    """Every setting is an environment variable `CAPI_<NAME>`; none is needed for the built-in demo."""

    model_config = SettingsConfigDict(env_prefix="CAPI_", frozen=True, extra="ignore", env_ignore_empty=True)

    home: Path = Field(Path(".capi"), description="Folder of the embedded PostgreSQL, keys, staging and logs.")
    warehouse_url: str | None = Field(
        None, description="SQLAlchemy URL of the warehouse; default: embedded PostgreSQL."
    )
    ledger_url: str | None = Field(None, description="SQLAlchemy URL of the ledger's PostgreSQL.")
    dagster_url: str | None = Field(None, description="SQLAlchemy URL of Dagster's own storage (PostgreSQL).")
    conversions_table: str = Field(
        "marts.conversions", description="The table that keeps the contract, schema-qualified."
    )
    dbt_project: Path | None = Field(DBT_PROJECT, description="The dbt project; `off` if you model elsewhere.")
    destinations: Path = Field(DESTINATIONS, description="Folder with one document per destination.")
    staging_url: str | None = Field(
        None, description="Where hashed conversions rest: a folder or s3://, gs://, az:// URL."
    )
    staging_key: SecretStr | None = Field(None, description="Key of the encrypted staging files (32 bytes, base64).")
    token_key: SecretStr | None = Field(None, description="Key of stored OAuth tokens (32 bytes, base64).")
    suppression_key: SecretStr | None = Field(
        None,
        description="Key of the digests of forgotten people (32 bytes, base64). Never change it: they would be unknown.",
    )
    staging_days: int = Field(14, description="Days that hashed conversions are kept.", ge=1)
    ledger_days: int = Field(
        400,
        description="Days that the ledger remembers what is settled; far more than any platform takes.",
        ge=1,
        le=36500,
    )
    delivery_log: bool = Field(
        True, description="Write counts and match quality of each delivery into the warehouse's schema `delivery_log`."
    )
    identity_quarantined: float = Field(
        0.05,
        description="Share of all ids that may be nobody's own before the check `identity_quarantine` warns.",
        ge=0,
    )
    identity_jump: float = Field(
        0.01,
        description="Share of ids that one build may quarantine, or of persons that it may merge, before it warns.",
        ge=0,
    )
    patience: float = Field(
        60.0, description="Seconds that one request is retried in place before the hour fails.", ge=0
    )
    step_retries: int = Field(2, description="How often Dagster repeats a failed destination step.", ge=0)
    step_retry_delay: float = Field(30.0, description="Seconds before the first of these repeats.", ge=0)
    opt_in_countries: str | None = Field(
        None, description="ISO codes where unknown consent withholds; default EEA, UK, CH."
    )
    opt_in_if_unknown: bool = Field(True, description="Whether an unknown country counts as one of them.")
    start: str = Field("2026-01-01-00:00", description="First hourly partition, UTC.")
    cron: str = Field("10 * * * *", description="When the hourly schedule runs, UTC.")
    sandbox_port: int = Field(8765, description="Port of the local sandbox on 127.0.0.1.", ge=1, le=65535)

    @field_validator("warehouse_url", "ledger_url", "dagster_url")
    @classmethod
    def _database(cls, value: str | None) -> str | None:
        """A PostgreSQL URL without a driver gets the installed one: SQLAlchemy's own choice would be another."""
        if value is None:
            return None
        try:
            url = make_url(value)
        except (ArgumentError, ValueError):
            raise ValueError(f"not a URL; write e.g. {EXAMPLE_URL}") from None
        plain = url.drivername in ("postgresql", "postgres")
        return url.set(drivername="postgresql+psycopg2").render_as_string(False) if plain else value

    @field_validator("opt_in_countries")
    @classmethod
    def _countries(cls, value: str | None) -> str | None:
        """A country that is spelled otherwise would not be protected."""
        if value is not None and (unknown := set(_codes(value)) - set(COUNTRIES)):
            raise ValueError(f"{', '.join(sorted(unknown))}: not ISO 3166-1 alpha-2 (the United Kingdom is GB)")
        return value

    @field_validator("start")
    @classmethod
    def _hour(cls, value: str) -> str:
        try:
            if datetime.strptime(value, "%Y-%m-%d-%H:%M").strftime("%Y-%m-%d-%H:00") == value:
                return value
        except ValueError:
            pass
        raise ValueError(f"`{value}` is not an hour; write e.g. 2026-01-01-00:00")

    @field_validator("dbt_project", mode="before")
    @classmethod
    def _project(cls, value: object) -> object:
        if value == "off":
            return None
        if not (Path(str(value)) / "dbt_project.yml").exists():
            raise ValueError(f"{value} holds no dbt_project.yml (write `off` if you model elsewhere)")
        return value

    @cached_property
    def consent(self) -> ConsentPolicy:
        codes = self.opt_in_countries
        countries = OPT_IN_COUNTRIES if codes is None else frozenset(_codes(codes))
        return ConsentPolicy(countries, self.opt_in_if_unknown)

    def require(self, key: str) -> str:
        """The value of a database setting. Raises ConfigurationError when it is not set."""
        value = getattr(self, key)
        if not value:
            raise ConfigurationError(
                f"CAPI_{key.upper()} is not set.",
                "Start everything with `capi up` (it brings the embedded PostgreSQL), or set it to a URL such as "
                f"{EXAMPLE_URL}.",
            )
        return str(value)

    def key(self, name: str) -> bytes:
        """One of the three keys (`staging_key`, …): from the environment, else made once under `home` (mode 0600)."""
        given: SecretStr | None = getattr(self, name)
        path = self.home.resolve() / "keys" / name
        try:
            text = given.get_secret_value().encode() if given else self._kept_key(path)
            Fernet(text)
        except ValueError:
            raise ConfigurationError(
                f"{f'CAPI_{name.upper()}' if given else path} is not a key: 32 bytes in URL-safe base64 are needed.",
                'Make one: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"',
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"The key {path} cannot be kept: {error.strerror}.",
                f"Set CAPI_HOME to a folder that you may write to, or CAPI_{name.upper()} to a key.",
            ) from None
        return text

    def _kept_key(self, path: Path) -> bytes:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
            draft.touch(mode=0o600)
            draft.write_bytes(Fernet.generate_key())
            try:
                os.link(draft, path)  # of two processes that race, the first one's key stays
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_bytes().strip()

    @property
    def staging(self) -> str:
        return self.staging_url or str((self.home / "staging").resolve())


def _codes(text: str) -> list[str]:
    return text.upper().replace(",", " ").split()


def settings() -> Settings:
    """The settings of this process, read from the environment anew. Raises ConfigurationError."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"CAPI_{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        )
        raise ConfigurationError(
            f"The environment is not usable: {wrong}.", "Correct or unset these variables (docs/settings.md)."
        ) from None
