"""The dbt models as assets: from raw tables to the mart `conversions`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from capi_pipeline import dbt
from capi_pipeline.components.failures import failure, retries
from capi_pipeline.components.hours import hourly
from capi_pipeline.settings import Settings, settings

MART = dg.AssetKey(["warehouse", "conversions"])
BUILT = ("model", "seed", "snapshot")  # resource types that become tables or views
Node = Mapping[str, Any]  # of dbt's manifest: https://schemas.getdbt.com/dbt/manifest/v12


def defs(chosen: Settings) -> dg.Definitions:
    """One asset per dbt model, hourly; nothing when CAPI_DBT_PROJECT is `off`."""
    project = chosen.dbt_project
    return dg.Definitions(assets=_assets(project, dbt.manifest(project), chosen)) if project else dg.Definitions()


def _assets(project: Path, manifest: Node, chosen: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    nodes = {**manifest["nodes"], **manifest["sources"]}
    models = {id_: node for id_, node in nodes.items() if _is_built(node)}
    tests = {id_: node for id_, node in nodes.items() if node["resource_type"] == "test"}
    checks = {
        id_: _check(node, models[of]) for id_, node in tests.items() if (of := node.get("attached_node")) in models
    }

    @dg.multi_asset(
        name="dbt_models",
        specs=[_spec(node, nodes, manifest["metadata"]["adapter_type"]) for node in models.values()],
        check_specs=list(checks.values()),
        partitions_def=hourly(),
        pool="dbt",
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=retries(chosen),
    )
    def dbt_models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        window = context.partition_time_window
        hours = {"CAPI_DBT_START": window.start.isoformat(), "CAPI_DBT_END": window.end.isoformat()}
        select = []
        if context.is_subset:
            select = [_path(node) for node in models.values() if key_of(node) in context.selected_asset_keys]
            select += [
                _path(tests[id_]) for id_, spec in checks.items() if spec.key in context.selected_asset_check_keys
            ]
        built = dbt.build(project, dbt.environment(settings().require("warehouse_url")) | hours, select)
        for result in built.results:
            id_ = result["unique_id"]
            if id_ in models and result["status"] == "success":
                yield dg.MaterializeResult(asset_key=key_of(models[id_]), metadata=_metadata(result))
            elif id_ in checks:
                yield _checked(result, checks[id_])
            elif id_ in tests:
                yield from _observed(result, [nodes[above] for above in tests[id_]["depends_on"]["nodes"]])
        if not built.ok:
            told = built.why()
            words = told or f"It could not even begin: {built.words}"
            raise failure(context, f"dbt could not build this hour. {words}", passing=not told)

    return [dbt_models, *(_raw(node) for node in manifest["sources"].values())]


def key_of(node: Node) -> dg.AssetKey:
    return dg.AssetKey(["raw" if node["resource_type"] == "source" else "warehouse", node["name"]])


def _is_built(node: Node) -> bool:
    return node["resource_type"] in BUILT and node["config"].get("materialized") != "ephemeral"


def _above(node: Node, nodes: Mapping[str, Node]) -> Iterator[dg.AssetKey]:
    """What a model reads; what an ephemeral model reads is read by those that use it."""
    for id_ in node.get("depends_on", {}).get("nodes", ()):
        if nodes[id_]["resource_type"] == "source" or _is_built(nodes[id_]):
            yield key_of(nodes[id_])
        else:
            yield from _above(nodes[id_], nodes)


def _spec(node: Node, nodes: Mapping[str, Node], adapter: str) -> dg.AssetSpec:
    sql = f"\n\n```sql\n{node['raw_code']}\n```" if node.get("raw_code") else ""
    columns = [
        dg.TableColumn(name, column.get("data_type") or "?", description=column["description"] or None)
        for name, column in node["columns"].items()
    ]
    return dg.AssetSpec(
        key_of(node),
        deps=sorted(set(_above(node, nodes))),
        description=f"{node['description']}{sql}".strip() or None,
        group_name=node["fqn"][1],
        kinds={"dbt", adapter},
        code_version=node["checksum"]["checksum"],
        metadata={
            **_table(node),
            **({"dagster/column_schema": dg.TableSchema(columns)} if columns else {}),
        },
    )


def _raw(source: Node) -> dg.AssetSpec:
    """A raw table, so that lineage begins where the data does."""
    return dg.AssetSpec(
        key_of(source),
        group_name="raw",
        description=source["description"] or None,
        kinds={"table"},
        metadata=_table(source),
    )


def _table(node: Node) -> dict[str, str]:
    return {"dagster/table_name": f"{node['schema']}.{node.get('identifier') or node['alias']}"}


def _check(test: Node, model: Node) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(test["name"], asset=key_of(model), description=test["description"] or None)


def _checked(result: Node, spec: dg.AssetCheckSpec) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=result["status"] == "pass",
        severity=dg.AssetCheckSeverity.WARN if result["status"] == "warn" else dg.AssetCheckSeverity.ERROR,
        description=result["message"],
        metadata=_metadata(result),
    )


def _observed(result: Node, above: list[Node]) -> Iterator[dg.AssetObservation]:
    """The outcome of a test that belongs to no one model, at each table that it reads."""
    for node in above:
        yield dg.AssetObservation(
            key_of(node),
            description=result["message"],
            metadata={"test": result["unique_id"].split(".", 2)[-1], "status": result["status"], **_metadata(result)},
        )


def _metadata(result: Node) -> dict[str, Any]:
    rows = (result.get("adapter_response") or {}).get("rows_affected", -1)
    return {
        "seconds": round(result["execution_time"], 3),
        **({"rows_written": rows} if rows >= 0 and result["failures"] is None else {}),
        **({"failures": result["failures"]} if result["failures"] is not None else {}),
    }


def _path(node: Node) -> str:
    return f"fqn:{'.'.join(node['fqn'])}"
