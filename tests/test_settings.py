"""Settings: what the environment may hold, and what it is told when it holds something else."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from capi_pipeline.conversions.consent import OPT_IN_COUNTRIES
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.settings import DBT_PROJECT, Settings, settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("CAPI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CAPI_HOME", str(tmp_path / "home"))


def test_nothing_has_to_be_set() -> None:
    chosen = settings()
    assert chosen.warehouse_url is None
    assert chosen.dbt_project == DBT_PROJECT
    assert chosen.consent.opt_in_countries == OPT_IN_COUNTRIES
    assert chosen.consent.opt_in_if_unknown


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPI_STAGING_DAYS", "")
    assert settings().staging_days == 14


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CAPI_DBT_PROJECT", "/nowhere", "holds no dbt_project.yml (write `off`"),
        ("CAPI_START", "2026-13-45-00:00", "is not an hour; write e.g. 2026-01-01-00:00"),
        ("CAPI_START", "2026-01-01", "is not an hour"),
        ("CAPI_START", "2026-01-01-00:30", "is not an hour"),
        ("CAPI_START", "2026-1-1-00:00", "is not an hour"),
        ("CAPI_SANDBOX_PORT", "99999", "less than or equal to 65535"),
        ("CAPI_SANDBOX_PORT", "http", "valid integer"),
        ("CAPI_STAGING_DAYS", "0", "greater than or equal to 1"),
        ("CAPI_PATIENCE", "-1", "greater than or equal to 0"),
        ("CAPI_WAREHOUSE_URL", "warehouse", "not a URL; write e.g. postgresql+psycopg2://"),
        ("CAPI_LEDGER_URL", "postgresql://host:port/ledger", "not a URL"),
        ("CAPI_DAGSTER_URL", "://", "not a URL"),
        ("CAPI_OPT_IN_COUNTRIES", "DE, UK", "UK: not ISO 3166-1 alpha-2 (the United Kingdom is GB)"),
        ("CAPI_OPT_IN_COUNTRIES", "Germany", "GERMANY: not ISO"),
        ("CAPI_OPT_IN_IF_UNKNOWN", "perhaps", "valid boolean"),
    ],
)
def test_a_wrong_value_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as error:
        settings()
    assert name in error.value.message
    assert words in error.value.message
    assert "docs/settings.md" in error.value.remedy


def test_all_wrong_values_are_named_at_once_and_no_password_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPI_START", "soon")
    monkeypatch.setenv("CAPI_LEDGER_URL", "postgresql://me:geheim@host:port/ledger")
    with pytest.raises(ConfigurationError) as error:
        settings()
    assert "CAPI_START" in error.value.message
    assert "CAPI_LEDGER_URL" in error.value.message
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_postgresql_url_without_a_driver_gets_the_installed_one(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("CAPI_DAGSTER_URL", f"{scheme}://me:p%40ss@host:5433/d?sslmode=require")
    assert settings().dagster_url == "postgresql+psycopg2://me:p%40ss@host:5433/d?sslmode=require"


def test_other_urls_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("postgresql+psycopg2://h/d", "snowflake://me@account/db?warehouse=w", "duckdb:////data/x.db"):
        monkeypatch.setenv("CAPI_WAREHOUSE_URL", url)
        assert settings().warehouse_url == url


def test_off_means_no_dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPI_DBT_PROJECT", "off")
    assert settings().dbt_project is None


def test_opt_in_countries_are_read_in_any_spelling_of_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPI_OPT_IN_COUNTRIES", "de, br\nGB")
    monkeypatch.setenv("CAPI_OPT_IN_IF_UNKNOWN", "false")
    assert settings().consent.opt_in_countries == {"DE", "BR", "GB"}
    assert not settings().consent.opt_in_if_unknown


def test_a_database_that_is_not_set_is_asked_for() -> None:
    with pytest.raises(ConfigurationError, match="CAPI_LEDGER_URL is not set") as error:
        settings().require("ledger_url")
    assert "capi up" in error.value.remedy


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_only_its_owner_may_read_it() -> None:
    first = settings().key("staging_key")
    assert settings().key("staging_key") == first
    assert settings().key("token_key") != first
    path = settings().home / "keys" / "staging_key"
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert oct(path.parent.stat().st_mode)[-3:] == "700"
    assert sorted(p.name for p in path.parent.iterdir()) == ["staging_key", "token_key"]  # no draft is left


def test_many_who_need_the_key_at_once_get_the_same() -> None:
    found: list[bytes] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        found.append(Settings().key("staging_key"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_key_from_the_environment_is_used_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Fernet.generate_key().decode()
    monkeypatch.setenv("CAPI_STAGING_KEY", key)
    assert settings().key("staging_key") == key.encode()
    assert not settings().home.exists()


def test_what_is_no_key_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPI_STAGING_KEY", "geheim")
    with pytest.raises(ConfigurationError, match="CAPI_STAGING_KEY is not a key") as error:
        settings().key("staging_key")
    assert "Fernet.generate_key()" in error.value.remedy
    assert "geheim" not in str(error.value)


def test_a_damaged_key_file_is_named() -> None:
    settings().key("token_key")
    path = settings().home / "keys" / "token_key"
    path.write_text("")
    with pytest.raises(ConfigurationError) as error:
        settings().key("token_key")
    assert str(path) in error.value.message


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CAPI_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError) as error:
        settings().key("token_key")
    assert str(tmp_path / "file") in error.value.message
    assert "CAPI_HOME" in error.value.remedy
