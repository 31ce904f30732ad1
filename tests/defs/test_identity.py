"""What leads to nobody, in Dagster: real dbt, a real warehouse, real runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import create_engine

from capi_pipeline.defs import identity, models
from capi_pipeline.settings import DBT_PROJECT, settings

pytestmark = pytest.mark.usefixtures("environment")

HOUR, NEXT = "2026-03-01-10:00", "2026-03-01-11:00"
RAW_SQL = Path(__file__).parents[1] / "dbt"
DESKS = 25  # addresses of a desk, each under two names
PHONE = "+1 212 555 0142"
COLUMNS = "order_id, customer_id, anonymous_id, status, email, phone, first_name, last_name, country, total, currency"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("dbt") / "project"
    shutil.copytree(DBT_PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs"))
    return copy


@pytest.fixture(scope="module")
def warehouse(module_database_url: str) -> str:
    """URL of a database with orders of desks, of two people on one phone, and of broken tags."""
    engine = create_engine(module_database_url, execution_options={"no_parameters": True})
    rows = [
        f"('d{n}-{who}', null, null, 'paid', 'info@company{n}.example', null, 'Ada', '{who}', 'US', 9, 'USD'"
        for n in range(DESKS)
        for who in ("One", "Two")
    ]
    rows += [f"('p{who}', 'c{who}', null, 'paid', null, '{PHONE}', 'Ada', 'N{who}', 'US', 9, 'USD'" for who in (1, 2)]
    rows += [f"('b{n}', '0', ' Undefined', 'paid', null, null, 'Ada', 'N{n}', 'US', 9, 'USD'" for n in (1, 2)]
    with engine.begin() as connection:
        connection.exec_driver_sql((RAW_SQL / "raw_tables.sql").read_text())
        for when, some in (
            ("10:05", rows),
            ("11:05", ["('late', null, null, 'paid', 'a@x.example', null, 'A', 'B', 'US', 9, 'USD'"]),
        ):
            at = f"'2026-03-01 {when}+00'"
            landed = ", ".join(f"{row}, {at}, {at})" for row in some)
            connection.exec_driver_sql(f"insert into raw.orders ({COLUMNS}, created_at, _loaded_at) values {landed}")
    engine.dispose()
    return module_database_url


def run(instance: dg.DagsterInstance, selection: dg.AssetSelection, **options: Any) -> dg.ExecuteInProcessResult:
    job = dg.define_asset_job("models", selection=selection)
    defs = dg.Definitions.merge(models.defs(settings()), identity.defs(settings()), dg.Definitions(jobs=[job]))
    return defs.resolve_job_def("models").execute_in_process(instance=instance, raise_on_error=False, **options)


def check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = [c for c in result.get_asset_check_evaluations() if c.check_name == "identity_quarantine"]
    assert found.asset_key == identity.IDS
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert not found.blocking
    return found


def test_every_build_counts_names_and_lists_what_leads_to_nobody(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPI_IDENTITY_QUARANTINED", "0.95")
    first = run(instance, dg.AssetSelection.key_prefixes("warehouse"), partition_key=HOUR)
    assert first.success
    found = check(first)
    assert found.passed
    assert found.partition == HOUR
    numbers = {key: entry.value for key, entry in found.metadata.items()}
    wanted = {
        "ids": DESKS + 3, "persons": 2, "merges": 0, "quarantined": DESKS + 1, "quarantined_new": DESKS + 1,
        "quarantined_role_address": DESKS, "quarantined_email": DESKS, "quarantined_new_email": DESKS,
        "quarantined_several_people": 1, "quarantined_phone": 1, "rows_without_id": 4,
    }  # fmt: skip
    assert {key: numbers[key] for key in wanted} == wanted
    lines = numbers["newest"].splitlines()
    assert len(lines) == 2 + 20
    assert {line.count("|") for line in lines} == {10}
    assert "info@" not in numbers["newest"]
    assert "2125550142" not in numbers["newest"]
    assert "| orders | anonymous_id | undefined | 2 |" in numbers["written_for_no_id"]
    assert "| orders | customer_id | 0 | 2 |" in numbers["written_for_no_id"]

    second = run(instance, dg.AssetSelection.key_prefixes("warehouse"), partition_key=NEXT)
    numbers = {key: entry.value for key, entry in check(second).metadata.items()}
    assert (numbers["quarantined"], numbers["quarantined_new"], numbers["rows_without_id"]) == (DESKS + 1, 0, 0)


def test_more_than_the_setting_warns_and_stops_nothing(instance: dg.DagsterInstance) -> None:
    checks = dg.AssetSelection.checks(dg.AssetCheckKey(identity.IDS, "identity_quarantine"))
    result = run(instance, checks, tags={"dagster/partition": HOUR})
    assert result.success
    assert not check(result).passed
    assert f"{DESKS + 1} of " in (check(result).description or "")


def test_a_range_of_hours_is_checked_as_one(instance: dg.DagsterInstance) -> None:
    checks = dg.AssetSelection.checks(dg.AssetCheckKey(identity.IDS, "identity_quarantine"))
    ends = {"dagster/asset_partition_range_start": HOUR, "dagster/asset_partition_range_end": NEXT}
    result = run(instance, checks, tags=ends)
    assert result.success
    assert {c.metadata["rows_without_id"].value for c in result.get_asset_check_evaluations()} == {4}


def test_models_that_cannot_be_read_are_said_and_stop_nothing(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPI_WAREHOUSE_URL", "postgresql+psycopg2://nobody@127.0.0.1:1/nowhere")
    checks = dg.AssetSelection.checks(dg.AssetCheckKey(identity.IDS, "identity_quarantine"))
    result = run(instance, checks, tags={"dagster/partition": HOUR})
    assert result.success
    assert not check(result).passed
    assert "cannot be read" in (check(result).description or "")


def test_without_identity_models_there_is_no_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAPI_DBT_PROJECT", "off")
    assert not list(identity.defs(settings()).asset_checks or [])
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "conversions.sql").write_text("select 1 as one")
    shutil.copy(DBT_PROJECT / "profiles.yml", tmp_path)
    (tmp_path / "dbt_project.yml").write_text("name: own\nprofile: capi_pipeline\nmodel-paths: [models]\n")
    monkeypatch.setenv("CAPI_DBT_PROJECT", str(tmp_path))
    assert not list(identity.defs(settings()).asset_checks or [])
