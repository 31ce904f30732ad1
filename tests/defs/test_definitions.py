"""The code location: what is deployed, and how it hangs together."""

from __future__ import annotations

import dagster as dg
import pytest

from capi_pipeline.components.destination import CHECKS
from capi_pipeline.conversions.contract import COLUMNS
from capi_pipeline.definitions import defs
from capi_pipeline.platforms import NAMES

RAW = ("consents", "customers", "erasures", "leads", "order_items", "orders", "refunds", "web_events")


@pytest.fixture(scope="module")
def loaded() -> dg.Definitions:
    return defs()


def test_it_loads(loaded: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(loaded)


def test_every_destination_descends_from_every_raw_table(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    for name in NAMES:
        above = graph.get_ancestor_asset_keys(dg.AssetKey(["destinations", name]))
        assert {dg.AssetKey(["raw", table]) for table in RAW} <= above
        assert {dg.AssetKey("conversions"), dg.AssetKey("hashed_conversions")} <= above
        assert dg.AssetKey(["warehouse", "conversions"]) in above


def test_everything_from_the_models_to_the_platforms_is_hourly(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    for key in graph.materializable_asset_keys - {dg.AssetKey("verdicts")}:
        partitions = graph.get(key).partitions_def
        assert isinstance(partitions, dg.TimeWindowPartitionsDefinition), key
        assert partitions.cron_schedule == "0 * * * *"
        assert partitions.timezone == "UTC"


def test_conversions_carry_the_contract_as_their_column_schema(loaded: dg.Definitions) -> None:
    (spec,) = [spec for spec in loaded.resolve_all_asset_specs() if spec.key == dg.AssetKey("conversions")]
    schema = spec.metadata["dagster/column_schema"]
    assert [column.name for column in schema.columns] == [column.name for column in COLUMNS]
    personal = {column.name for column in schema.columns if column.tags.get("pii")}
    assert {"emails", "phones", "first_name", "street_address"} <= personal


def test_each_asset_has_its_partitioned_checks(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    found = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    want = {("warehouse/identity_ids", "identity_quarantine")}
    want |= {("conversions", "contract"), ("conversions", "duplicates"), ("hashed_conversions", "no_empty_digest")}
    for name in NAMES:
        want |= {(f"destinations/{name}", c) for c in CHECKS}
    assert want <= found
    for key in graph.asset_check_keys:
        if (key.asset_key.to_user_string(), key.name) in want:
            assert graph.get(key).partitions_def is not None, key


def test_an_hour_and_a_build_of_the_models_check_what_leads_to_nobody(loaded: dg.Definitions) -> None:
    for job in ("hour", "models"):
        steps = {node.name for node in loaded.resolve_job_def(job).nodes}
        assert {"dbt_models", "warehouse__identity_ids_identity_quarantine"} <= steps


def test_each_destination_is_its_own_failure_domain(loaded: dg.Definitions) -> None:
    pools = set()
    for name in NAMES:
        op = loaded.resolve_job_def(f"destination_{name}").get_node_named(f"destinations__{name}").definition
        assert isinstance(op, dg.OpDefinition)
        assert op.retry_policy is not None
        pools.add(op.pool)
    assert len(pools) == len(NAMES)


def test_jobs_schedules_and_sensors_start_stopped(loaded: dg.Definitions) -> None:
    repository = loaded.get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs()}
    assert {
        "hour",
        "deliver",
        "models",
        "ask_verdicts",
        "prune_ledger",
        *(f"destination_{name}" for name in NAMES),
    } <= jobs
    assert {s.name for s in repository.schedule_defs} == {"hourly", "verdicts_every_ten_minutes", "prune_ledger_daily"}
    assert all(s.default_status is dg.DefaultScheduleStatus.STOPPED for s in repository.schedule_defs)
    assert all(s.default_status is dg.DefaultSensorStatus.STOPPED for s in repository.sensor_defs)
