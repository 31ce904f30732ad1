"""The demo's destinations as dbt exposures: in the lineage, where the mart's rows go."""

from __future__ import annotations

import yaml

from capi_pipeline.destinations import load
from capi_pipeline.platforms import platform
from capi_pipeline.settings import DESTINATIONS


def page() -> str:
    exposures = []
    for config in load(DESTINATIONS):
        kind = platform(config.platform)
        events = ", ".join(config.events or ["every event that the platform takes"])
        exposures.append(
            {
                "name": f"destination_{config.name}",
                "label": kind.title,
                "type": "application",
                "maturity": "high",
                "url": kind.documentation,
                "description": f"Delivered every hour: {events}. What became of it: the model `delivery`.",
                "depends_on": ["ref('conversions')"],
                "owner": {"name": "capi_pipeline"},
                "meta": {"platform": config.platform},
            }
        )
    head = "# Made from the demo's documents by `python -m capi_pipeline.reference docs`: where the mart's rows go.\n"
    return head + yaml.safe_dump({"exposures": exposures}, sort_keys=False, allow_unicode=True, width=140)
