"""Extract and transform: the hour's conversions read, checked, hashed and staged in one streamed pass."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from capi_pipeline.components.failures import failure, passes, retries
from capi_pipeline.components.hours import hourly
from capi_pipeline.components.metadata import contract_schema, of_profile, of_unreadable
from capi_pipeline.defs.models import MART
from capi_pipeline.errors import CapiError, ContractError
from capi_pipeline.settings import Settings, settings
from capi_pipeline.steps import extract_transform

CONVERSIONS = dg.AssetKey("conversions")
HASHED = dg.AssetKey("hashed_conversions")


def _check(name: str, asset: dg.AssetKey, text: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name, asset=asset, partitions_def=hourly(), description=text)


def defs(chosen: Settings) -> dg.Definitions:
    """Assets `conversions` and `hashed_conversions`, made by one step."""

    @dg.multi_asset(
        name="extract_and_transform",
        specs=[
            dg.AssetSpec(
                CONVERSIONS,
                deps=[MART],
                description="The hour's canonical conversions, read from the warehouse and held against the contract. "
                "Nothing of them is stored: raw identifiers never rest outside the warehouse.",
                metadata={"dagster/column_schema": contract_schema(), "dagster/table_name": chosen.conversions_table},
                kinds={"python", "arrow"},
                group_name="conversions",
            ),
            dg.AssetSpec(
                HASHED,
                deps=[CONVERSIONS],
                description="The same conversions with every identifier normalised and hashed by each recipe, and the "
                "consent decision. Encrypted Parquet, kept for CAPI_STAGING_DAYS.",
                kinds={"python", "parquet"},
                group_name="conversions",
            ),
        ],
        check_specs=[
            _check("contract", CONVERSIONS, "Every row keeps the contract of canonical conversions."),
            _check("duplicates", CONVERSIONS, "An event name and id stand once in the hour."),
            _check("no_empty_digest", HASHED, 'No identifier is the SHA-256 of "".'),
            _check(
                "consent_strings", HASHED, "Every TCF and GPP string can be read; one that cannot counts as no consent."
            ),
        ],
        partitions_def=hourly(),
        pool="extract",
        retry_policy=retries(chosen),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
    )
    def extract_and_transform(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        hour = context.partition_time_window.start
        try:
            profile = extract_transform(settings(), hour)
        except ContractError as error:
            broken = "duplicates" if "unique with" in error.message else "contract"
            yield dg.AssetCheckResult(asset_key=CONVERSIONS, check_name=broken, passed=False, description=str(error))
            raise failure(context, str(error), passes(error)) from None
        except CapiError as error:
            raise failure(context, str(error), passes(error)) from None
        for name in ("contract", "duplicates"):
            yield dg.AssetCheckResult(
                asset_key=CONVERSIONS, check_name=name, passed=True, metadata={"rows": profile.rows}
            )
        yield dg.AssetCheckResult(
            asset_key=HASHED,
            check_name="no_empty_digest",
            passed=profile.empty_digests == 0,
            metadata={"empty_digests": profile.empty_digests},
        )
        yield dg.AssetCheckResult(
            asset_key=HASHED,
            check_name="consent_strings",
            passed=not profile.unreadable,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "unreadable": profile.unreadable.total(),
                **(of_unreadable(profile) if profile.unreadable else {}),
            },
        )
        if profile.empty_digests:
            raise dg.Failure(
                description='A digest of "" was about to be staged; nothing was sent.', allow_retries=False
            )
        yield dg.MaterializeResult(
            asset_key=CONVERSIONS,
            metadata={
                "dagster/partition_row_count": profile.rows,
                "rows": profile.rows,
                "digest": profile.digest,
                **{f"event_{name}": count for name, count in profile.events.most_common()},
                **({"oldest_event": profile.oldest.isoformat()} if profile.oldest else {}),
                **({"newest_event": profile.newest.isoformat()} if profile.newest else {}),
            },
        )
        yield dg.MaterializeResult(asset_key=HASHED, metadata=of_profile(profile))

    return dg.Definitions(assets=[extract_and_transform])
