"""The code location: everything under defs/, in the order data flows."""

from __future__ import annotations

import warnings

import dagster as dg

# Asset checks per partition are what this project lives on, and still marked as preview.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)
# The job `hour` holds dbt (a range of hours in one run) and destinations (one hour a run); the smaller one is wanted.
warnings.filterwarnings("ignore", message="(?s).*materializes assets with varying BackfillPolicies")

from capi_pipeline import destinations as documents  # noqa: E402
from capi_pipeline.components.destination import destination_defs  # noqa: E402
from capi_pipeline.defs import automation, conversions, identity, ledger, models, verdicts  # noqa: E402
from capi_pipeline.settings import settings  # noqa: E402

inherited: dg.Definitions | None = None  # in a step: what its forkserver loaded before (defs/preloaded.py)


@dg.definitions
def defs() -> dg.Definitions:
    """Raises ConfigurationError for a document or setting that is wrong, naming file, key and remedy."""
    return inherited or load()


def load() -> dg.Definitions:
    """The documents, the dbt project and the settings as they are now."""
    chosen = settings()
    configs = documents.load(chosen.destinations)
    per_destination = {config.name: destination_defs(config) for config in configs}
    asking = verdicts.defs(configs)
    jobs = {name: next(iter(found.jobs or [])) for name, found in per_destination.items()}
    return dg.Definitions.merge(
        models.defs(chosen),
        identity.defs(chosen),
        conversions.defs(chosen),
        *per_destination.values(),
        asking,
        ledger.defs(chosen, configs),
        automation.defs(chosen, jobs, next(iter(asking.jobs or []), None)),
    )
