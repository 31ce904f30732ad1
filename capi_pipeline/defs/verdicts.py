"""Answers that come later: one asset asks every platform that only queues, and settles the ledger."""

import os
from collections import Counter
from typing import Any

import dagster as dg

from capi_pipeline.components.metadata import table
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.errors import CapiError
from capi_pipeline.platforms import platform as platform_class
from capi_pipeline.settings import settings
from capi_pipeline.steps import Line, log_delivery


class VerdictsConfig(dg.Config):
    """`everything`: ask about all open requests, not only those whose time has come."""

    everything: bool = False


def defs(destinations: list[DestinationConfig]) -> dg.Definitions:
    """Asset and job `verdicts`; nothing when no destination's platform queues."""
    queueing = [config for config in destinations if platform_class(config.platform).verdicts]
    if not queueing:
        return dg.Definitions()

    @dg.asset(
        deps=[dg.AssetKey(["destinations", config.name]) for config in queueing],
        group_name="verdicts",
        kinds={"api"},
        pool="verdicts",
        description=f"Asks {', '.join(c.name for c in queueing)} what became of queued conversions (pending), and settles them.",
    )
    def verdicts(context: dg.AssetExecutionContext, config: VerdictsConfig) -> dg.MaterializeResult[Any]:
        chosen = settings()
        events: Counter[str] = Counter()
        requests = waiting = 0
        rejections: list[tuple[Any, ...]] = []
        problems: list[str] = []
        for destination in queueing:
            try:
                ledger = Ledger.open(chosen.require("ledger_url"))
                with Line(destination, ledger, chosen, os.environ) as line:
                    asked = line.ask(config.everything)
            except CapiError as error:
                problems.append(str(error))
                continue
            try:
                for hour in sorted(asked.hours):
                    log_delivery(chosen, ledger, destination, hour)
            except CapiError as error:
                context.log.warning(f"{destination.name}: {error}")
            requests, waiting = requests + asked.requests, waiting + asked.waiting
            events.update(asked.events)
            rejections += [(destination.name, code, words, count) for (code, words), count in asked.rejections.items()]
            for words in asked.failures:
                context.log.warning(f"{destination.name}: {words}")
        if problems:
            raise dg.Failure(description="\n".join(problems))
        metadata: dict[str, Any] = {"requests_asked": requests, "still_waiting": waiting, **events}
        if rejections:
            metadata["rejections"] = table(("destination", "code", "platform_says", "events"), rejections[:50])
        return dg.MaterializeResult(metadata=metadata)

    job = dg.define_asset_job(
        "ask_verdicts", selection=dg.AssetSelection.assets(verdicts), description=verdicts.op.description
    )
    return dg.Definitions(assets=[verdicts], jobs=[job])
