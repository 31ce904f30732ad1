"""What would be sent: the requests of a few conversions, without touching the network or the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
from pydantic import ValidationError

from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.contract import COLUMNS, SCHEMA, Kind, Window, check
from capi_pipeline.conversions.conversion import conversions
from capi_pipeline.conversions.transform import transform
from capi_pipeline.errors import ConfigurationError, ContractError, without_values
from capi_pipeline.platforms import platform as platform_class
from capi_pipeline.platforms.batching import batches
from capi_pipeline.platforms.outcomes import Withhold
from capi_pipeline.platforms.times import EPOCH


def render(
    platform: str, config: Mapping[str, Any], events: Sequence[Mapping[str, Any]], now: datetime
) -> dict[str, Any]:
    """The requests that `platform` would get for canonical conversions (dicts of contract.md), at the time `now`.

    Returns {"requests": [{method, url, headers, params, json|form|multipart, event_ids}], "withheld": [{event_id, reason,
    detail}]}. Raises ConfigurationError or ContractError.
    """
    if now.tzinfo is None:
        raise ContractError("`now` is a time without a zone.", "Give it one: datetime.now(UTC).")
    kind = platform_class(platform)
    try:
        chosen = kind(kind.Config.model_validate(config))
    except ValidationError as error:
        raise ConfigurationError(f"The configuration of `{platform}` is not usable: {problems(error)}.") from None
    hashed = transform(to_batch(events), kind.recipes(), ConsentPolicy())
    ready, withheld = [], []
    for conversion in conversions(hashed):
        try:
            payload = chosen.prepare(conversion, now)
            ready.append((conversion.event_id, chosen.group(conversion), payload))
        except Withhold as reason:
            withheld.append({"event_id": conversion.event_id, "reason": reason.reason.value, "detail": reason.detail})
    requests = []
    for group, members in batches(ready, chosen.limits):
        token = chosen.token() or (chosen.oauth.placeholder if chosen.oauth else "")
        request = chosen.authorize(chosen.request([payload for _, payload in members], group), token)
        shown: dict[str, Any] = {"method": request.method, "url": request.url}
        shown |= {"headers": dict(request.headers), "params": dict(request.params)}
        for body in ("json", "form", "multipart"):
            if getattr(request, body) is not None:
                shown[body] = getattr(request, body)
        requests.append({**shown, "event_ids": [event_id for event_id, _ in members]})
    return {"requests": requests, "withheld": withheld}


def problems(error: ValidationError) -> str:
    """A validation error as `key: what is wrong; …`, without values."""
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'document'}: {item['msg']}" for item in error.errors())


def to_batch(events: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Canonical conversions given as dicts, as a checked batch of contract columns."""
    known = set(SCHEMA.names)
    for event in events:
        if unknown := set(event) - known:
            raise ContractError(f"Not columns of a conversion: {', '.join(sorted(unknown))}.")
    arrays = []
    for column in COLUMNS:
        try:
            values = [_plain(event.get(column.name), column.kind) for event in events]
            arrays.append(pa.array(values, pa.string()).cast(SCHEMA.field(column.name).type))
        except (pa.ArrowInvalid, ValueError, TypeError) as error:
            raise ContractError(
                f"Column `{column.name}` is not a {column.kind.value}: {without_values(str(error))}."
            ) from None
    batch = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
    times = [time for time in batch["recorded_at"].to_pylist() if time] or [EPOCH]
    check(batch, Window(min(times), max(times) + timedelta(microseconds=1)))
    return batch


def _plain(value: Any, kind: Kind) -> str | None:
    if value is None:
        return None
    if kind in (Kind.OBJECT, Kind.ARRAY):
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    if kind is Kind.TIME:
        when = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        if when.tzinfo is None:
            raise ValueError(f"{value} has no zone; give times as 2026-10-01T14:23:05Z")
        return when.isoformat(" ")
    return str(value)
