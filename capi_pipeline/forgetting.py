"""Forget a person: suppressed for good, erased from staging, and told what platforms already have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from capi_pipeline.conversions.identifiers import Recipe
from capi_pipeline.conversions.suppression import LOOKED_UP, Person, tokens_of
from capi_pipeline.conversions.transform import forget as blanked
from capi_pipeline.delivery.ledger import Key, Ledger
from capi_pipeline.delivery.suppression import Received, received, suppress, suppressed
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.platforms import all_recipes
from capi_pipeline.settings import Settings
from capi_pipeline.staging import Staging
from capi_pipeline.steps import staging
from capi_pipeline.warehouse import Warehouse


@dataclass
class Forgotten:
    """What was done. `new`: tokens that were not recorded yet; `staged`: hour -> conversions erased from it; `events`: every
    conversion found, in staging and in the warehouse; `received`: what platforms have of them."""

    new: int = 0
    staged: dict[datetime, int] = field(default_factory=dict)
    events: set[Key] = field(default_factory=set)
    received: list[Received] = field(default_factory=list)


def require_usable(person: Person) -> None:
    """Raise ConfigurationError for an identifier that nothing could be recognised by."""
    for recipe in LOOKED_UP:
        for value in person.values(recipe.source):
            if not recipe(value, None):
                raise ConfigurationError(
                    f"An identifier given for `{recipe.source}` is none that a conversion could have.",
                    "Write e-mail addresses whole, and phone numbers in international form (+14155552671).",
                )
    if not any(person.values(recipe.source) for recipe in LOOKED_UP):
        raise ConfigurationError("Nobody is named.", "Give at least one of --email, --phone and --user-id.")


def forget(settings: Settings, person: Person, dry_run: bool = False) -> Forgotten:
    """Suppress first, so that an hour read meanwhile is withheld already; then erase. With `dry_run` only look.

    Raises ConfigurationError or DeliveryError; what was done until then stays, and the next call goes on.
    """
    require_usable(person)
    report, key, store = Forgotten(), settings.key("suppression_key"), staging(settings)
    ledger = Ledger.open(settings.require("ledger_url"))
    try:
        if dry_run:
            known = suppressed(ledger, key).tokens
            report.new = len(tokens_of(key, person) - known)
        else:
            report.new = suppress(ledger, key, person)
        for hour in store.hours():
            if found := _in_hour(store, hour, person):
                report.events |= found
                report.staged[hour] = len(found)
                if not dry_run:
                    store.rewrite(hour, lambda batch: blanked(batch, _rows_of(batch, person)))
        warehouse = Warehouse(settings.require("warehouse_url"), settings.conversions_table)
        report.events |= set(_in_warehouse(warehouse, person, datetime.now(UTC) - timedelta(days=settings.ledger_days)))
        report.received = received(ledger, report.events)
    finally:
        ledger.engine.dispose()
    return report


def _in_hour(store: Staging, hour: datetime, person: Person) -> set[Key]:
    found: set[Key] = set()
    for batch in store.read(hour):
        rows = pa.array(np.flatnonzero(_rows_of(batch, person)))
        names, ids = (batch[name].take(rows).to_pylist() for name in ("event_name", "event_id"))
        found |= set(zip(names, ids, strict=True))
    return found


def _rows_of(batch: pa.RecordBatch, person: Person) -> np.ndarray[Any, Any]:
    """Which rows of a hashed batch hold one of the person's identifiers, in whichever form."""
    found = np.zeros(batch.num_rows, dtype=bool)
    for recipe in _recipes_of(batch):
        digests = person.digests(recipe)
        if digests:
            values = batch[recipe.name]
            hits = pc.is_in(values.flatten(), pa.array(sorted(digests), pa.string()))
            found[pc.list_parent_indices(values).filter(hits).to_numpy(zero_copy_only=False)] = True
    return found


def _recipes_of(batch: pa.RecordBatch) -> Iterator[Recipe]:
    """A file may be of an older version, with other recipes."""
    return (recipe for recipe in all_recipes() if recipe.name in batch.schema.names)


def _in_warehouse(warehouse: Warehouse, person: Person, since: datetime) -> Iterator[Key]:
    """The person's conversions in the warehouse, as long as their identifiers are still there."""
    wanted = {recipe.source: person.known_by(recipe.source) for recipe in LOOKED_UP}
    ends = {re.sub(r"\D", "", number)[-6:] for number in person.phones}
    for name, id_, user_id, emails, phones, country in warehouse.identifiers(since):
        told = {"user_id": [user_id], "emails": _texts(emails), "phones": _texts(phones)}
        told["phones"] = [
            p for p in told["phones"] if len(p) == 64 or re.sub(r"\D", "", p)[-6:] in ends
        ]  # parsing is slow
        if any(
            recipe(value, country) in wanted[recipe.source]
            for recipe in LOOKED_UP
            if wanted[recipe.source]
            for value in told[recipe.source]
            if value
        ):
            yield name, id_


def _texts(document: Any) -> list[Any]:
    """A JSON array, as a driver gives it."""
    return list(orjson.loads(document) if isinstance(document, str) else document or ())
