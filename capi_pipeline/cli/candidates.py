"""The command `fuzzy-candidates`."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer

from capi_pipeline import stack
from capi_pipeline.cli.output import Json, dump, out, progress, table
from capi_pipeline.warehouse import Warehouse

BANDS = (0.999, 0.99, 0.95, 0.9, 0.5, 0.0)


def register(app: typer.Typer) -> None:
    app.command("fuzzy-candidates")(fuzzy_candidates)


def fuzzy_candidates(
    threshold: Annotated[float, typer.Option(help="The least probability of a pair.", min=0.01, max=1.0)] = 0.9,
    json: Json = False,
) -> None:
    """Persons that may be the same by likeness of name, address, birth date, e-mail and phone. Merges nothing.

    Writes pairs with a probability to identity.identity_candidates in the warehouse, in the place of the last run's, for a
    person to look at. Needs the extra: pip install 'capi-pipeline[fuzzy]' (Splink and DuckDB).
    Example: capi fuzzy-candidates --threshold 0.95
    """
    from capi_pipeline import fuzzy

    fuzzy.require()
    with progress() as bar, stack.running(destinations=[]) as running:
        warehouse = Warehouse(running.require("warehouse_url"), running.conversions_table)
        people, spellings = _step(bar, "reading persons", fuzzy.persons, warehouse)
        found = _step(bar, "comparing", fuzzy.candidates, people, spellings, threshold)
        _step(bar, "writing", fuzzy.write, warehouse, found)
    bands = Counter(next(band for band in BANDS if one.probability >= band) for one in found)
    fields = Counter(", ".join(one.agreeing) or "none to the letter" for one in found)
    if json:
        dump(
            {
                "persons": people.num_rows,
                "threshold": threshold,
                "candidates": len(found),
                "by_probability": {str(band): bands[band] for band in BANDS if bands[band]},
                "by_agreeing_fields": dict(fields.most_common()),
                "table": "identity.identity_candidates",
            }
        )
        return
    rows = [(f"from {band}", bands[band]) for band in BANDS if bands[band]]
    out.print(table("Candidates", ("probability", "pairs"), rows))
    if found:
        out.print(table("What agrees", ("fields", "pairs"), fields.most_common(10)))
    out.print(
        f"{people.num_rows:,} persons compared. Written to identity.identity_candidates; nothing was merged.",
        soft_wrap=True,
    )


def _step(bar: Any, what: str, do: Any, *arguments: Any) -> Any:
    task = bar.add_task(what, total=1)
    result = do(*arguments)
    bar.advance(task)
    return result
