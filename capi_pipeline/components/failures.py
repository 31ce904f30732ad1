"""How a step fails: what the UI shows, and whether Dagster tries again by itself."""

from __future__ import annotations

from typing import Any

import dagster as dg

from capi_pipeline.errors import AuthenticationError, ConfigurationError, ContractError
from capi_pipeline.settings import Settings, settings


def retries(chosen: Settings) -> dg.RetryPolicy:
    """How Dagster repeats a step that failed for a passing reason."""
    return dg.RetryPolicy(
        max_retries=chosen.step_retries,
        delay=chosen.step_retry_delay,
        backoff=dg.Backoff.EXPONENTIAL,
        jitter=dg.Jitter.FULL,
    )


def failure(
    context: dg.AssetExecutionContext, words: str, cause: Exception | None, metadata: dict[str, Any] | None = None
) -> dg.Failure:
    """What the UI shows of a failed step. Neither a mistake in configuration nor the last attempt asks for a repetition:
    Dagster would put "Exceeded max_retries" in the place of the reason."""
    permanent = isinstance(cause, ConfigurationError | ContractError | AuthenticationError)
    again = not permanent and context.retry_number < settings().step_retries
    return dg.Failure(description=words, metadata=metadata, allow_retries=again)
