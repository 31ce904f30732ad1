"""The ledger's housekeeping: what is settled and older than the memory of any destination's platform goes, each day."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from capi_pipeline.components.failures import passes
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.delivery.prune import horizon, prune
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.errors import CapiError
from capi_pipeline.platforms import platform
from capi_pipeline.settings import Settings, settings


def defs(chosen: Settings, configs: Sequence[DestinationConfig]) -> dg.Definitions:
    """Job `prune_ledger` and its daily schedule. Raises ConfigurationError for a retention that a platform outlasts."""
    kinds = [platform(config.platform) for config in configs]
    horizon(chosen.ledger_days, kinds, datetime.now(UTC))

    @dg.op(description="Deletes what was settled more than CAPI_LEDGER_DAYS ago (`capi prune`).")
    def delete_settled(context: dg.OpExecutionContext) -> None:
        now = settings()
        try:
            before = horizon(now.ledger_days, kinds, datetime.now(UTC))
            report = prune(Ledger.open(now.require("ledger_url")), before)
        except CapiError as error:
            raise dg.Failure(str(error), allow_retries=passes(error)) from None
        context.log.info(
            f"{report.rows.total()} settled rows of {report.hours} hours before {before:%Y-%m-%d %H:%M} went."
        )
        context.add_output_metadata(
            {
                "before": before.isoformat(),
                "rows": report.rows.total(),
                "hours": report.hours,
                "busy_hours": report.busy,
                "bytes_before": report.bytes_before,
                "bytes_after": report.bytes_after,
                **{f"rows_{name}": rows for name, rows in report.rows.items()},
            }
        )

    @dg.job(description="Keeps the ledger from growing for ever: old settled rows go, and are never sent again.")
    def prune_ledger() -> None:
        delete_settled()

    daily = dg.ScheduleDefinition(
        name="prune_ledger_daily",
        job=prune_ledger,
        cron_schedule="40 3 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Prunes the ledger each night.",
    )
    return dg.Definitions(jobs=[prune_ledger], schedules=[daily])
