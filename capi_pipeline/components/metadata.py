"""Reports as Dagster metadata: numbers are plotted by the UI, tables tell why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from capi_pipeline.conversions.contract import COLUMNS, Kind
from capi_pipeline.delivery.report import Report
from capi_pipeline.platforms.outcomes import State
from capi_pipeline.steps import Profile, numbers


def of_report(report: Report) -> dict[str, Any]:
    """Metadata of one destination's hour."""
    out: dict[str, Any] = {"dagster/partition_row_count": report.rows, **numbers(report)}
    for reason, count in report.withheld.items():
        out[f"withheld_{reason}"] = count
    for name, sample in (("request_seconds", report.latency), ("lag_minutes", report.lag)):
        for share in (50, 95):
            value = sample.percentile(share / 100)
            if value is not None:
                out[f"{name}_p{share}"] = round(value / 60, 1) if name == "lag_minutes" else round(value, 4)
    told = {code for code, _ in report.rejections}
    earlier = {
        (code, ""): count
        for (state, code), count in report.outcomes.items()
        if state is State.REJECTED and code not in told  # rejected in an earlier run: its words are in the ledger
    }
    rejections = {**report.rejections, **earlier}
    if rejections:
        out["rejections"] = table(
            ("code", "platform_says", "events"),
            ((code, words, count) for (code, words), count in sorted(rejections.items(), key=lambda x: -x[1])[:20]),
        )
    if report.withheld:
        out["withheld_by_reason"] = table(("reason", "events"), report.withheld.items())
    held = [(reason, count) for (state, reason), count in report.outcomes.items() if state is State.HELD]
    if held:
        out["held_by_reason"] = table(("reason", "events"), held)
    if report.example is not None:
        out["example_payload_redacted"] = dg.MetadataValue.json(report.example)
    return out


def of_profile(profile: Profile) -> dict[str, Any]:
    """Metadata of the hour's hashed conversions."""
    out: dict[str, Any] = {
        "dagster/partition_row_count": profile.rows,
        "staged_bytes": profile.bytes,
        "purged_hours": profile.purged,
        "seconds": round(profile.seconds, 3),
    }
    for reason, count in profile.withheld.items():
        out[f"withheld_{reason}"] = count
    out["consent_strings_unreadable"] = profile.unreadable.total()
    if profile.unreadable:
        out |= of_unreadable(profile)
    if profile.rows:
        out["identifier_coverage"] = table(
            ("identifier", "conversions", "share"),
            ((name, n, round(n / profile.rows, 4)) for name, n in sorted(profile.coverage.items())),
        )
    return out


def of_unreadable(profile: Profile) -> dict[str, Any]:
    """What is wrong with consent strings, and some conversions that have such."""
    return {
        "unreadable_by_cause": table(("cause", "conversions"), profile.unreadable.most_common()),
        "unreadable_examples": table(("event_name", "event_id", "cause"), profile.unreadable_events),
    }


def table(columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> dg.TableMetadataValue:
    """A metadata table."""
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows], schema=_schema(columns)
    )


def _schema(columns: tuple[str, ...]) -> dg.TableSchema:
    counts = {"events", "conversions", "requests"}
    return dg.TableSchema(
        [
            dg.TableColumn(name, "int" if name in counts else "float" if name == "share" else "string")
            for name in columns
        ]
    )


def contract_schema() -> dg.TableSchema:
    """The contract as column schema; columns that hold raw identifiers are tagged."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                {Kind.OBJECT: "json", Kind.ARRAY: "json"}.get(column.kind, column.kind.value),
                constraints=dg.TableColumnConstraints(nullable=not column.required),
                tags={"pii": "raw"} if column.personal else {},
            )
            for column in COLUMNS
        ]
    )
