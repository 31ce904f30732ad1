"""How a step fails: what the UI shows, and whether Dagster tries again by itself."""

from __future__ import annotations

from typing import Any

import dagster as dg

from capi_pipeline.errors import AuthenticationError, ConfigurationError, ContractError
from capi_pipeline.settings import Settings, settings


def retries(chosen: Settings) -> dg.RetryPolicy | None:
    """How Dagster repeats a step that failed for a passing reason. None for never: with a policy, Dagster would take Ctrl-C
    for a failure of the step, and go on with the next one."""
    if not chosen.step_retries:
        return None
    return dg.RetryPolicy(
        max_retries=chosen.step_retries,
        delay=chosen.step_retry_delay,
        backoff=dg.Backoff.EXPONENTIAL,
        jitter=dg.Jitter.FULL,
    )


def passes(error: Exception | None) -> bool:
    """Whether a failure may pass by itself: not a mistake in configuration or data, not a refused credential."""
    return not isinstance(error, ConfigurationError | ContractError | AuthenticationError)


def failure(
    context: dg.AssetExecutionContext, words: str, passing: bool, metadata: dict[str, Any] | None = None
) -> dg.Failure:
    """What the UI shows of a failed step. The last attempt does not ask for a repetition: Dagster would put "Exceeded
    max_retries" in the place of the reason."""
    return dg.Failure(words, metadata, allow_retries=passing and context.retry_number < settings().step_retries)
