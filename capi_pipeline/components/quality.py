"""Match quality, lags and pixel agreement as Dagster shows them: numbers that it plots over time, tables, two checks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import dagster as dg

from capi_pipeline.conversions.match_quality import Coverage, MatchQuality
from capi_pipeline.delivery.report import Report
from capi_pipeline.delivery_log import percentiles
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.errors import CapiError
from capi_pipeline.pixels import Agreement, agreements, pixel_of
from capi_pipeline.platforms import platform as platform_class
from capi_pipeline.platforms.times import span
from capi_pipeline.settings import Settings
from capi_pipeline.warehouse import Warehouse

DEFAULT_LEAST = 2.0  # warns: below it, most events have no good identifier at all
BAR = 20  # characters of a bar in a table

CHECKS = {
    "match_quality": "The average match quality (0 to 10) is at least `min_match_quality`.",
    "pixel_deduplication": "The browser's pixel and the server send the same events under the same ids.",
}


def of_quality(report: Report, platform: str) -> dict[str, Any]:
    """Metadata of one hour: numbers by which the UI plots, and the tables that explain them."""
    out: dict[str, Any] = {}
    if report.lags:
        out |= {f"minutes_{name}": round(seconds / 60, 1) for name, seconds in percentiles(report.lags).items()}
        oldest = platform_class(platform).limits.oldest
        out["oldest_event_taken"] = span(oldest) if oldest else "any"
    quality = report.quality
    if quality is None or not quality.events:
        return out
    numbers = {
        "match_quality": quality.score(), "match_quality_before": quality.score(before=True),
        "click_id_share": quality.with_click_id, "two_strong_share": quality.with_two_strong, "fresh_share": quality.fresh,
    }  # fmt: skip
    coverage = quality.coverage()
    out |= {name: round(value, 4) for name, value in numbers.items() if value is not None}
    out |= {f"coverage_{one.signal.name}": round(one.after / quality.events, 4) for one in coverage}
    out["identifiers"] = dg.MetadataValue.md(_coverage(coverage, quality.events))
    out["events_by_score"] = dg.MetadataValue.md(_histogram(quality))
    if missing := quality.missing():
        out["missing_identifiers"] = dg.MetadataValue.md(_missing(missing, quality.events))
    return out


def quality_check(report: Report, config: DestinationConfig) -> dg.AssetCheckResult:
    """Warns below the default; an error below what the destination's document wants."""
    chosen = config.min_match_quality
    least = DEFAULT_LEAST if chosen is None else chosen
    quality = report.quality
    score = quality.score() if quality else None
    if quality is None or score is None:
        return _result("match_quality", True, "No conversion of this hour is for this platform.", {})
    before = quality.score(before=True) or 0.0
    words = f"{score:.1f} of 10 ({before:.1f} without identity resolution); at least {least:g} is wanted."
    missing = quality.missing(1)
    if missing:
        words += f" Most would add: {_gain(missing[0], quality.events)}."
    severity = dg.AssetCheckSeverity.WARN if chosen is None else dg.AssetCheckSeverity.ERROR
    return _result("match_quality", score >= least, words, {"match_quality": round(score, 4)}, severity)


def pixel_check(settings: Settings, config: DestinationConfig, hour: datetime, until: datetime) -> dg.AssetCheckResult:
    """What the warehouse's model says of this platform's pixel in this hour."""
    pixel = config.pixel or pixel_of(config.platform)
    try:
        found = agreements(Warehouse(settings.require("warehouse_url"), settings.conversions_table), hour, until)
    except CapiError as error:
        return _result("pixel_deduplication", True, f"Not known: {error}", {})
    if found is None:
        return _result("pixel_deduplication", True, "Not known: the warehouse has no `delivery.pixel_agreement`.", {})
    one = found.get(pixel)
    if one is None:
        return _result("pixel_deduplication", True, f"The pixel `{pixel}` sent nothing in this hour.", {})
    problem = one.problem(config.min_pixel_agreement)
    return _result("pixel_deduplication", not problem, problem or _agrees(one), _numbers(one))


def _agrees(one: Agreement) -> str:
    share = f"{one.share:.0%}" if one.share is not None else "none"
    return f"The pixel sent {one.agreed} of {one.server} server events under their id ({share})."


def _numbers(one: Agreement) -> dict[str, Any]:
    out: dict[str, Any] = {
        "server_events": one.server, "agreed": one.agreed, "pixel_events": one.pixel, "pixel_only": one.pixel_only,
        "other_ids": one.other_ids,
    }  # fmt: skip
    if one.share is not None:
        out["pixel_agreement"] = round(one.share, 4)
    if one.examples:
        rows = "\n".join(f"| `{pixel}` | `{server}` |" for pixel, server in one.examples)
        out["examples"] = dg.MetadataValue.md(f"| the pixel's id | the server's id |\n|---|---|\n{rows}")
    return out


def _result(
    name: str,
    passed: bool,
    words: str,
    metadata: dict[str, Any],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(check_name=name, passed=passed, severity=severity, description=words, metadata=metadata)


def _coverage(coverage: list[Coverage], events: int) -> str:
    rows = [
        f"| {one.signal.title} | {one.before / events:.0%} | {one.after / events:.0%} | `{_bar(one.after / events)}` |"
        for one in coverage
    ]
    head = "| identifier | without identity resolution | with it | |\n|---|---:|---:|---|"
    return "\n".join([head, *rows])


def _missing(missing: list[Coverage], events: int) -> str:
    rows = [f"| {one.signal.title} | {events - one.after:,} of {events:,} | +{one.gain:.1f} |" for one in missing]
    return "\n".join(["| missing | events that would gain | average score |", "|---|---:|---:|", *rows])


def _gain(one: Coverage, events: int) -> str:
    return f"{one.signal.title} (+{one.gain:.1f}; {events - one.after:,} of {events:,} events lack it)"


def _histogram(quality: MatchQuality) -> str:
    steps = quality.histogram()
    most = max(steps)
    rows = [f"| {step} to {step + 1} | {n:,} | `{_bar(n / most)}` |" for step, n in enumerate(steps)]
    return "\n".join(["| score | events | |", "|---|---:|---|", *rows])


def _bar(share: float) -> str:
    full = round(share * BAR)
    return "█" * full + "░" * (BAR - full)
