"""The dbt models as Dagster sees them: real dbt, a real warehouse, real runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import create_engine

from capi_pipeline.defs import models
from capi_pipeline.settings import DBT_PROJECT, settings

pytestmark = pytest.mark.usefixtures("environment")

HOUR = "2026-03-01-10:00"
RAW_SQL = Path(__file__).parents[1] / "dbt"
FAILING_TEST = "select 'a word that must be seen' as word"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's dbt project, with one test more: one that can be made to fail."""
    copy = tmp_path_factory.mktemp("dbt") / "project"
    shutil.copytree(DBT_PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs"))
    (copy / "tests" / "nothing_is_wrong.sql").write_text(f"{FAILING_TEST} where '{{{{ env_var('WRONG', '') }}}}' != ''")
    return copy


@pytest.fixture(scope="module")
def warehouse(module_database_url: str) -> str:
    """URL of a database that holds the raw tables of tests/dbt."""
    engine = create_engine(module_database_url, execution_options={"no_parameters": True})
    with engine.begin() as connection:
        for name in ("raw_tables.sql", "raw_rows.sql"):
            connection.exec_driver_sql((RAW_SQL / name).read_text())
    engine.dispose()
    return module_database_url


def build(instance: dg.DagsterInstance, selection: dg.AssetSelection | None = None) -> dg.ExecuteInProcessResult:
    job = dg.define_asset_job("models", selection=selection or dg.AssetSelection.key_prefixes("warehouse"))
    defs = dg.Definitions.merge(models.defs(settings()), dg.Definitions(jobs=[job]))
    return defs.resolve_job_def("models").execute_in_process(
        instance=instance, partition_key=HOUR, raise_on_error=False
    )


def built(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    return {event.materialization.asset_key.path[-1]: event for event in result.get_asset_materialization_events()}


def test_an_hour_builds_every_model_and_tells_every_test(instance: dg.DagsterInstance, project: Path) -> None:
    result = build(instance)
    assert result.success
    nodes = json.loads(models.manifest(project).read_text("utf-8"))["nodes"].values()
    assert set(built(result)) == {node["name"] for node in nodes if node["resource_type"] == "model"}
    assert {event.partition for event in built(result).values()} == {HOUR}
    checked = result.get_asset_check_evaluations()
    attached = {node["name"] for node in nodes if node.get("attached_node")}
    assert {check.check_name for check in checked} == attached
    assert all(check.passed for check in checked)
    seen = {e.asset_observation_data.asset_observation.asset_key.path[0] for e in result.get_asset_observation_events()}
    assert seen == {"raw", "warehouse"}  # tests of raw tables, and of several models


def test_a_selection_builds_only_what_it_names_with_its_tests(instance: dg.DagsterInstance) -> None:
    result = build(instance, dg.AssetSelection.assets(models.MART))
    assert result.success
    assert set(built(result)) == {"conversions"}
    assert {check.asset_key for check in result.get_asset_check_evaluations()} == {models.MART}


def test_a_test_that_fails_fails_the_step_with_its_name(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "yes")
    result = build(instance)
    assert not result.success
    assert set(built(result)) >= {"conversions"}, "what was built is told all the same"
    assert "nothing_is_wrong: Got 1 result, configured to fail if != 0" in words(result)


def test_a_warehouse_that_does_not_answer_is_said_in_the_databases_words(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPI_WAREHOUSE_URL", "postgresql+psycopg2://nobody@127.0.0.1:1/nowhere")
    result = build(instance)
    assert not result.success
    assert "It could not even begin" in words(result)
    assert "Connection refused" in words(result)


def words(result: dg.ExecuteInProcessResult) -> str:
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    return str(failure.step_failure_data.user_failure_data.description)


def test_a_step_inherits_the_code_location_of_its_forkserver() -> None:
    code = """
import capi_pipeline.defs.preloaded
from capi_pipeline import definitions
assert definitions.defs() is definitions.inherited is not None
import os, stat
open_files = (fd for fd in range(3, 256) if os.path.exists(f"/dev/fd/{fd}"))
assert not any(stat.S_ISSOCK(os.fstat(fd).st_mode) for fd in open_files), "a fork must not share a connection"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert not done.returncode, done.stderr
