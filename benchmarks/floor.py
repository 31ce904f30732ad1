"""Dagster's own floor: a code location with the assets, checks, partitions, pools and executor of the job `deliver`, empty.

`benchmarks/empty_hour.py` runs it beside the real one. As a script it runs one hour inside this process, like `capi sync`:
`python floor.py 2026-10-01-14:00`.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg

warnings.filterwarnings("ignore", category=dg.PreviewWarning)

HOURS = dg.HourlyPartitionsDefinition(start_date=os.environ["CAPI_START"], timezone="UTC")
DESTINATIONS = os.environ["CAPI_FLOOR_DESTINATIONS"].split(",")
MADE = {"conversions": ("contract", "duplicates"), "hashed_conversions": ("no_empty_digest",)}
CHECKS = ("reconciliation", "rejected_share", "nothing_held")


def _specs(key: dg.AssetKey, names: tuple[str, ...]) -> list[dg.AssetCheckSpec]:
    return [dg.AssetCheckSpec(name, asset=key, partitions_def=HOURS) for name in names]


@dg.multi_asset(
    specs=[dg.AssetSpec("conversions"), dg.AssetSpec("hashed_conversions", deps=["conversions"])],
    check_specs=[spec for name, checks in MADE.items() for spec in _specs(dg.AssetKey(name), checks)],
    partitions_def=HOURS,
    pool="extract",
)
def extract_and_transform() -> Iterator[Any]:
    for name, checks in MADE.items():
        for check in checks:
            yield dg.AssetCheckResult(asset_key=name, check_name=check, passed=True)
    for name in MADE:
        yield dg.MaterializeResult(asset_key=name)


def _destination(name: str) -> dg.AssetsDefinition:
    key = dg.AssetKey(["destinations", name])

    @dg.asset(
        key=key, deps=["hashed_conversions"], partitions_def=HOURS, pool=f"capi_{name}", check_specs=_specs(key, CHECKS)
    )
    def destination() -> Iterator[Any]:
        for check in CHECKS:
            yield dg.AssetCheckResult(check_name=check, passed=True)
        yield dg.MaterializeResult()

    return destination


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions(
        assets=[extract_and_transform, *map(_destination, DESTINATIONS)],
        jobs=[dg.define_asset_job("deliver")],
        executor=dg.multiprocess_executor.configured(
            {
                "max_concurrent": 8,
                "start_method": {"forkserver": {"preload_modules": ["dagster_postgres", "floor"]}},
            }
        ),
    )


if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        job = defs().resolve_job_def("deliver")
        sys.exit(not job.execute_in_process(instance=instance, partition_key=sys.argv[1], run_config=quiet).success)
