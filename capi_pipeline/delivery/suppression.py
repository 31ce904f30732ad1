"""The forgotten people in the ledger: recorded for good, read by every transform; and what platforms have of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from capi_pipeline.conversions.suppression import Person, Suppressed, tokens_of
from capi_pipeline.delivery.database import array
from capi_pipeline.delivery.ledger import Key, Ledger
from capi_pipeline.delivery.tables import SCHEMA
from capi_pipeline.errors import ConfigurationError

KEYS = 2000  # events asked for at once


@dataclass(frozen=True)
class Received:
    """One event of a forgotten person that a platform has, or may have (`state` other than accepted)."""

    destination: str
    event_name: str
    event_id: str
    state: str
    hour: datetime
    settled_at: datetime | None
    trace_id: str | None

    def document(self) -> dict[str, Any]:
        return dict(self.__dict__)


def suppressed(ledger: Ledger, key: bytes) -> Suppressed:
    """Everybody who is forgotten. Raises ConfigurationError when they were recorded with another key: they could not be
    recognised, and would be sent."""
    rows = ledger.query(f"select token, key from {SCHEMA}.suppressed")
    if any(made_by != _name(key) for _, made_by in rows):
        raise ConfigurationError(
            "The people who asked to be forgotten were recorded with another CAPI_SUPPRESSION_KEY: they would not be "
            "recognised. Nothing was sent.",
            "Set the key that was in force when they were recorded (by default CAPI_HOME/keys/suppression_key).",
        )
    return Suppressed(key, frozenset(token for token, _ in rows))


def suppress(ledger: Ledger, key: bytes, person: Person) -> int:
    """Record a person for good; returns how many tokens are new. Raises as `suppressed`."""
    suppressed(ledger, key)
    tokens = sorted(tokens_of(key, person))
    query = f"""insert into {SCHEMA}.suppressed (token, key, since)
        select token, :key, clock_timestamp() from unnest(cast(:tokens as text[])) as given (token)
        on conflict do nothing returning 1"""
    return len(ledger.query(query, tokens=array(tokens), key=_name(key)))


def received(ledger: Ledger, events: Iterable[Key]) -> list[Received]:
    """What platforms have, or may have, of these (event name, event id)."""
    query = f"""select destination, event_name, event_id, state, hour, settled_at, trace_id from {SCHEMA}.deliveries
        join unnest(cast(:names as text[]), cast(:ids as text[])) as given (name, id) on event_name = name and event_id = id
        where state in ('accepted', 'pending', 'sending', 'held') or unknown_since is not null
        order by destination, hour, event_name, event_id"""
    keys = sorted(set(events))
    found = []
    for part in (keys[start : start + KEYS] for start in range(0, len(keys), KEYS)):
        found += ledger.query(query, names=array(name for name, _ in part), ids=array(id_ for _, id_ in part))
    return sorted((Received(*row) for row in found), key=lambda one: (one.destination, one.hour, one.event_id))


def _name(key: bytes) -> str:
    return hashlib.sha256(b"capi_pipeline.suppression:" + key).hexdigest()[:16]
