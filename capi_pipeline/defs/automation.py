"""When things run: the executor, the job for a whole hour, the hourly schedule, verdicts, and what is left to retry."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from croniter import croniter

from capi_pipeline.delivery import queries
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.settings import Settings, settings
from capi_pipeline.steps import key_of, parse_hour

UnresolvedJob = Any  # what dg.define_asset_job returns; its class is not public
HOUR_JOB = "hour"
CATCH_UP = 48  # hours that one tick may ask for

# The documented default (preload the job's module) never applies, so a module is named.
executor = dg.multiprocess_executor.configured(
    {"max_concurrent": 8, "start_method": {"forkserver": {"preload_modules": ["capi_pipeline.defs.preloaded"]}}}
)


def hours_of_tick(cron: str, scheduled: datetime) -> list[datetime]:
    """The complete hours that a tick of this cron is for: those that ended since the tick before."""
    previous = croniter(cron, scheduled).get_prev(datetime)
    last = scheduled.replace(minute=0, second=0, microsecond=0)
    first = previous.replace(minute=0, second=0, microsecond=0)
    count = min(CATCH_UP, max(1, round((last - first) / timedelta(hours=1))))
    return [last - timedelta(hours=n) for n in range(count, 0, -1)]


def defs(chosen: Settings, jobs: dict[str, UnresolvedJob], verdicts: UnresolvedJob | None) -> dg.Definitions:
    """Jobs, schedules, sensors; all STOPPED until somebody starts them (`capi up` does). `jobs`: destination -> its job."""
    if len(chosen.cron.split()) != 5 or not croniter.is_valid(chosen.cron):
        raise ConfigurationError(
            f"CAPI_CRON: `{chosen.cron}` is not a cron expression.",
            "Write five fields, e.g. `10 * * * *` (ten past each hour).",
        )
    built = dg.AssetSelection.key_prefixes("warehouse")
    hour = dg.define_asset_job(
        HOUR_JOB,
        selection=dg.AssetSelection.groups("conversions", "destinations") | built,
        description="Everything for one hour: build the models, extract and hash, deliver to every destination.",
        tags={"dagster/max_runtime": "3300"},
    )

    deliver = dg.define_asset_job(
        "deliver",
        selection=dg.AssetSelection.groups("conversions", "destinations"),
        description="Extract, hash and deliver one hour, without building the models again.",
    )
    models = (
        [
            dg.define_asset_job(
                "models",
                selection=built,
                description="Build the dbt models of one hour, or of a range of hours in one run.",
            )
        ]
        if chosen.dbt_project
        else []
    )

    @dg.schedule(
        name="hourly",
        job=hour,
        cron_schedule=chosen.cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Delivers each hour once it is complete.",
    )
    def every_hour(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        for start in hours_of_tick(chosen.cron, context.scheduled_execution_time.astimezone(UTC)):
            yield dg.RunRequest(run_key=key_of(start), partition_key=key_of(start))

    @dg.sensor(
        name="unfinished_hours",
        jobs=list(jobs.values()),
        minimum_interval_seconds=600,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Runs a destination's hour again while conversions of it are left to send, or in doubt after a crash.",
    )
    def unfinished(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        ledger = Ledger.open(settings().require("ledger_url"))
        left = queries.due(ledger, list(jobs), parse_hour(chosen.start))
        for name, start, last in left:
            yield dg.RunRequest(
                run_key=f"{name}@{key_of(start)}@{last:%Y%m%d%H%M%S}",
                partition_key=key_of(start),
                job_name=f"destination_{name}",
            )
        if not left:
            yield dg.SkipReason("Nothing is left to send.")

    schedules: list[dg.ScheduleDefinition] = [every_hour]
    if verdicts:
        schedules.append(
            dg.ScheduleDefinition(
                name="verdicts_every_ten_minutes",
                job=verdicts,
                cron_schedule="*/10 * * * *",
                default_status=dg.DefaultScheduleStatus.STOPPED,
                description="Asks for verdicts whose time has come.",
            )
        )
    sensors = [unfinished] if jobs else []
    return dg.Definitions(jobs=[hour, deliver, *models], schedules=schedules, sensors=sensors, executor=executor)
