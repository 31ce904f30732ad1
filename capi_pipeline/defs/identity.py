"""What leads to nobody, as a check of the identity models: never a reason to stop, always told."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import dagster as dg

from capi_pipeline.components.hours import hourly
from capi_pipeline.defs.models import manifest
from capi_pipeline.errors import CapiError
from capi_pipeline.quarantine import Quarantine, read
from capi_pipeline.settings import Settings, settings
from capi_pipeline.warehouse import Warehouse

IDS = dg.AssetKey(["warehouse", "identity_ids"])


def defs(chosen: Settings) -> dg.Definitions:
    """The check `identity_quarantine`; nothing where the dbt project has no identity models, or is not used."""
    if chosen.dbt_project is None or not _has_identity(chosen):
        return dg.Definitions()

    @dg.asset_check(
        asset=IDS,
        name="identity_quarantine",
        description="Ids that are nobody's own are few, and no build quarantines or merges very many at once "
        "(CAPI_IDENTITY_QUARANTINED, CAPI_IDENTITY_JUMP). All of them: identity.identity_quarantine.",
        partitions_def=hourly(),
        blocking=False,
    )
    def identity_quarantine(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        now = settings()
        window = context.partition_time_window
        try:
            found = read(Warehouse(now.require("warehouse_url"), now.conversions_table), window.start, window.end)
        except CapiError as error:
            return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description=str(error))
        alarms = found.alarms(now.identity_quarantined, now.identity_jump)
        return dg.AssetCheckResult(
            passed=not alarms,
            severity=dg.AssetCheckSeverity.WARN,
            description=" ".join(alarms) or None,
            metadata=of_quarantine(found),
        )

    return dg.Definitions(asset_checks=[identity_quarantine])


def of_quarantine(found: Quarantine) -> dict[str, Any]:
    """Numbers that the UI plots, and the newest ids in a table."""
    out: dict[str, Any] = {
        "ids": found.ids,
        "persons": found.persons,
        "merges": found.merges,
        "quarantined": found.by_kind.total(),
        "quarantined_share": round(found.share, 6),
        "quarantined_new": found.new.total(),
        "rows_without_id": found.no_ids.total(),
    }
    for name, kinds in (("quarantined", found.by_kind), ("quarantined_new", found.new)):
        sums: Counter[str] = Counter()
        for kind, count in kinds.items():
            sums[f"{name}_{kind.reason}"] += count
            sums[f"{name}_{kind.id_type}"] += count
        out |= sums
    if found.newest:
        columns = ("id", "key", "why", "customers", "emails", "phones", "names", "links", "found")
        rows = (
            (row.id_type, f"`{row.key}`", *row[2:8], f"{row.found_at:%Y-%m-%d %H:%M}" if row.found_at else "")
            for row in found.newest
        )
        out["newest"] = _table(columns, rows)
    if found.no_ids:
        rows_without = ((*where, f"{count:,}") for where, count in found.no_ids.most_common())
        out["written_for_no_id"] = _table(("raw table", "id", "written", "rows"), rows_without)
    return out


def _table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> dg.MarkdownMetadataValue:
    """A Markdown table. Keys are what somebody else wrote: nothing in them can end a cell."""
    names = list(columns)
    lines = [
        names,
        ["---"] * len(names),
        *([str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows),
    ]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _has_identity(chosen: Settings) -> bool:
    assert chosen.dbt_project is not None
    nodes = json.loads(manifest(chosen.dbt_project).read_text("utf-8"))["nodes"].values()
    return any(node["resource_type"] == "model" and node["name"] == "identity_ids" for node in nodes)
