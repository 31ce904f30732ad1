"""The Dagster face of one destination: asset, checks and job, made from its document by one plain factory."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any

import dagster as dg
from pydantic import ValidationError

from capi_pipeline.components.failures import failure, passes, retries
from capi_pipeline.components.hours import hourly
from capi_pipeline.components.metadata import of_report
from capi_pipeline.components.quality import CHECKS as OF_QUALITY
from capi_pipeline.components.quality import of_quality, pixel_check, quality_check
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.delivery.report import Report
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.errors import CapiError, ConfigurationError
from capi_pipeline.platforms import platform as platform_class
from capi_pipeline.platforms.outcomes import State
from capi_pipeline.platforms.times import span
from capi_pipeline.rendering import problems
from capi_pipeline.settings import settings
from capi_pipeline.steps import Line, log_delivery, numbers

HASHED = dg.AssetKey("hashed_conversions")


class Destination(dg.Component, dg.Model, dg.Resolvable):
    """Deliver each hour of conversions to one account of one ad platform, each exactly once."""

    platform: Annotated[str, dg.Resolver.passthrough(description="The platform's slug, e.g. meta.")]
    name: Annotated[str | None, dg.Resolver.passthrough(description="Default: the folder's name.")] = None
    account: Annotated[
        Mapping[str, Any], dg.Resolver.passthrough(description="The platform's keys; secrets as {env: VARIABLE}.")
    ]
    events: Annotated[list[str] | None, dg.Resolver.passthrough(description="Canonical event names to send.")] = None
    filter: Annotated[Mapping[str, Any] | None, dg.Resolver.passthrough(description="Send only these.")] = None
    base_url: Annotated[str | None, dg.Resolver.passthrough(description="Send to this address instead.")] = None
    on_unknown: Annotated[str, dg.Resolver.passthrough(description="auto, hold or resend.")] = "auto"
    max_rejected_share: Annotated[float, dg.Resolver.passthrough(description="Warn above this share.")] = 0.05
    min_match_quality: Annotated[float | None, dg.Resolver.passthrough(description="Least average score, 0 to 10.")] = (
        None
    )
    min_pixel_agreement: Annotated[float, dg.Resolver.passthrough(description="Warn below this share.")] = 0.0
    pixel: Annotated[str | None, dg.Resolver.passthrough(description="The platform's pixel in `web_events`.")] = None
    concurrency: Annotated[int | None, dg.Resolver.passthrough(description="Requests in flight.")] = None

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        return dg.ComponentTypeSpec(description=cls.__doc__, owners=[], tags=[])

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        values = {key: value for key, value in self.__dict__.items() if value is not None}
        values.setdefault("name", context.path.name)
        values["account"] = _as_text(dict(self.account))
        try:
            config = DestinationConfig.model_validate(values)
        except ValidationError as error:
            raise ConfigurationError(f"{context.path}: {problems(error)}.", "Correct this key.") from None
        config.check()
        return destination_defs(config)


def _as_text(value: Any) -> Any:
    """Account and action ids that YAML took for numbers, as text again. (`destinations.load` never takes them for numbers.)"""
    if isinstance(value, dict):
        return {key: _as_text(member) for key, member in value.items()}
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def destination_defs(config: DestinationConfig) -> dg.Definitions:
    """Asset `destinations/<name>` with its checks, and the job `destination_<name>`."""
    key = dg.AssetKey(["destinations", config.name])
    kind = platform_class(config.platform)

    @dg.asset(
        key=key,
        deps=[HASHED],
        partitions_def=hourly(),
        pool=f"capi_{config.name}",
        group_name="destinations",
        kinds={"api", config.platform},
        description=_description(config),
        metadata={"platform": kind.title, "documentation": dg.MetadataValue.url(kind.documentation)},
        retry_policy=retries(settings()),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=3)),
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, partitions_def=hourly(), description=text)
            for name, text in CHECKS.items()
        ],
    )
    def destination(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        report = _deliver(context, config)
        metadata = of_report(report) | of_quality(report, config.platform)
        context.log.info(f"{config.name}: {_sentence(report)}")
        yield from _checks(report, config)
        window = context.partition_time_window
        yield pixel_check(settings(), config, window.start, window.end)
        if report.unfinished or report.error:
            why = str(report.error) if report.error else _waiting(report)
            raise failure(context, f"{why}\n{_sentence(report)}", passes(report.error), metadata)
        yield dg.MaterializeResult(metadata=metadata)

    job = dg.define_asset_job(
        f"destination_{config.name}",
        selection=dg.AssetSelection.assets(key),
        description=f"Send one hour to {config.name}: only what has not been accepted yet.",
    )
    return dg.Definitions(assets=[destination], jobs=[job])


CHECKS = {
    "reconciliation": "Rows of the hour = accepted + pending + rejected + withheld + held + retry.",
    "rejected_share": "The platform rejects no more than the allowed share of what it was sent.",
    "nothing_held": "No conversion waits for a person (`capi status`, `capi resolve`).",
    **OF_QUALITY,
}


def _checks(report: Report, config: DestinationConfig) -> Iterator[dg.AssetCheckResult]:
    counts = numbers(report)
    judged = counts["accepted"] + counts["pending"] + counts["rejected"]
    share = counts["rejected"] / judged if judged else 0.0
    parts = {name: counts[name] for name in ("rows", "accepted", "pending", "rejected", "withheld", "held", "retry")}
    yield dg.AssetCheckResult(
        check_name="reconciliation",
        passed=report.reconciles,
        severity=dg.AssetCheckSeverity.ERROR,
        description="The hour sums." if report.reconciles else "Rows of the hour and outcomes in the ledger differ.",
        metadata=parts,
    )
    yield dg.AssetCheckResult(
        check_name="rejected_share",
        passed=share <= config.max_rejected_share,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{counts['rejected']} of {judged} rejected; allowed share {config.max_rejected_share:g}.",
        metadata={"rejected_share": round(share, 4), "rejected": counts["rejected"]},
    )
    yield dg.AssetCheckResult(
        check_name="nothing_held",
        passed=not counts["held"],
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{counts['held'] or 'No'} conversions wait for `capi resolve --destination {config.name}`.",
        metadata={"held": counts["held"]},
    )
    yield quality_check(report, config)


def _deliver(context: dg.AssetExecutionContext, config: DestinationConfig) -> Report:
    chosen = settings()
    try:
        ledger = Ledger.open(chosen.require("ledger_url"))
        hour = context.partition_time_window.start
        with Line(config, ledger, chosen, os.environ) as line, _stopping(threading.Event()) as stop:
            report = line.deliver(hour, context.run.run_id, stop)
    except CapiError as error:
        raise failure(context, str(error), passes(error)) from None
    try:
        log_delivery(chosen, ledger, config, hour, report)
    except CapiError as error:
        context.log.warning(f"{config.name}: {error}")
    return report


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[threading.Event]:
    """Terminate (UI, SIGTERM): nothing new leaves, what is in flight is recorded, then Dagster's own handler goes on."""
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous: dict[int, Any] = {}

    def handle(number: int, frame: Any) -> None:
        stop.set()
        handler = previous.get(number)
        if callable(handler):
            handler(number, frame)

    for number in (int(signal.SIGTERM), int(signal.SIGINT)):
        previous[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _waiting(report: Report) -> str:
    return f"{report.unfinished} conversions are left. Rerun this partition: it sends only these."


def _sentence(report: Report) -> str:
    counts = numbers(report)
    parts = [
        f"{counts[state.value]} {state.value}" for state in (State.ACCEPTED, State.PENDING, State.REJECTED, State.HELD)
    ]
    return f"{counts['rows']} conversions: {', '.join(parts)}, {counts['withheld']} withheld, {counts['retry']} left to send."


def _description(config: DestinationConfig) -> str:
    kind = platform_class(config.platform)
    events = ", ".join(config.events) if config.events else "every event that the platform takes"
    window, only = kind.deduplication.window, kind.deduplication.only
    which = f"repeated events ({only})" if only else "repeated events"
    dedup = f"{which} are dropped for {span(window)}" if window else "repeated events count twice"
    where = f", sent to {config.base_url}" if config.base_url else ""
    return f"{kind.title}: {events}{where}. At the platform, {dedup}. Rerunning a partition sends only what is left."
