"""Commands that deliver: `sync` and `retry`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capi_pipeline import stack
from capi_pipeline.cli.output import Json, dump, err, out, progress, table
from capi_pipeline.delivery import queries
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.destinations import load
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.settings import Settings
from capi_pipeline.steps import key_of, parse_hour, staging

if TYPE_CHECKING:  # Dagster takes half a second to load: only commands that run something pay for it
    from capi_pipeline.cli.runs import Outcome

Destinations = Annotated[
    list[str] | None,
    typer.Option("--destination", "-d", help="Name of a destination; repeat for several. Default: all."),
]


def hour_option(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_hour(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def chosen_names(settings: Settings, names: list[str] | None) -> list[str]:
    """Names of destinations that exist. Raises ConfigurationError for others."""
    known = [config.name for config in load(settings.destinations)]
    if unknown := set(names or ()) - set(known):
        raise ConfigurationError(
            f"There is no destination `{', '.join(sorted(unknown))}` in {settings.destinations}.",
            f"Known: {', '.join(known) or 'none'}.",
        )
    return [name for name in known if not names or name in names]


def register(app: typer.Typer) -> None:
    app.command()(sync)
    app.command()(retry)


def sync(
    hour: Annotated[
        str | None, typer.Option(help="The hour, e.g. 2026-10-01T14 (UTC). Default: the last complete one.")
    ] = None,
    destination: Destinations = None,
    models: Annotated[bool, typer.Option(help="Build the dbt models of this hour first.")] = True,
    json: Json = False,
) -> None:
    """Deliver one hour: build the models, extract and hash, send to each destination what it does not have yet.

    Example: capi sync --hour 2026-10-01T14 --destination meta
    """
    now = datetime.now(UTC)
    start = hour_option(hour) or now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    if start + timedelta(hours=1) > now:
        raise typer.BadParameter(f"the hour {key_of(start)} is not complete yet", param_hint="--hour")
    with stack.running(sandbox=True) as settings:
        if start < parse_hour(settings.start):
            raise typer.BadParameter(
                f"the hour {key_of(start)} lies before the first partition {settings.start} (CAPI_START)",
                param_hint="--hour",
            )
        names = chosen_names(settings, destination)
        outcomes = []
        if models and settings.dbt_project:
            outcomes.append(_quietly("building the models", "models", start, json))
        if not outcomes or outcomes[-1].ok:
            outcomes.append(_quietly("extracting, hashing, sending", "deliver", start, json, _road(names)))
        finish(settings, [(name, start) for name in names], outcomes, json)


def retry(
    destination: Destinations = None,
    hour: Annotated[str | None, typer.Option(help="Only this hour, e.g. 2026-10-01T14 (UTC).")] = None,
    rejected: Annotated[bool, typer.Option(help="Also send again what a platform rejected.")] = False,
    json: Json = False,
) -> None:
    """Rerun every failed or unfinished hour: only what is left is sent. An hour that is not staged is extracted first.

    Example: capi retry --destination tiktok
    """
    from capi_pipeline.cli.runs import failed_hours, run

    only = hour_option(hour)
    with stack.running(sandbox=True) as settings:
        names = chosen_names(settings, destination)
        ledger = Ledger.open(settings.require("ledger_url"))
        if rejected:
            queries.reopen_rejected(ledger, names, only)
        todo = {(row.destination, row.hour) for row in queries.unfinished(ledger)}
        for name in names:
            before = ledger.pruned_before(name)  # of a forgotten hour nothing can be sent, nor is anything left
            todo |= {(name, start) for start in failed_hours(name) if before is None or start >= before}
        left = sorted((n, h) for n, h in todo if n in names and only in (None, h))
        staged = staging(settings)
        outcomes = []
        with progress() as bar:
            task = bar.add_task("rerunning", total=len(left))
            for name, start in left:
                bar.update(task, description=f"rerunning {name} {key_of(start)}")
                ready = staged.path(start).exists()  # else the hour failed before it was sent, or is purged
                outcomes.append(
                    run(f"destination_{name}" if ready else "deliver", start, assets=None if ready else _road([name]))
                )
                bar.advance(task)
        if not left and not json:
            out.print("Nothing is left to send.")
        finish(settings, left, outcomes, json)


def finish(settings: Settings, hours: list[tuple[str, datetime]], outcomes: list[Outcome], as_json: bool) -> None:
    """Show what the ledger says of these (destination, hour), and exit with 1 if anything failed."""
    ledger = Ledger.open(settings.require("ledger_url"))
    rows = [queries.summary(ledger, name, start) for name, start in hours]
    failures = [step for outcome in outcomes for step in outcome.failures()]
    if as_json:
        document: dict[str, Any] = {
            "runs": [outcome.document() for outcome in outcomes],
            "hours": [row.document() for row in rows],
        }
        dump({**document, "failures": [{"step": step.name, "why": step.words} for step in failures]})
    elif rows:
        out.print(summary_table("Delivered", rows))
    if not as_json:
        for step in failures:
            err.print(f"[bold red]failed[/] {step.name}")
            err.print(step.words, markup=False, soft_wrap=True)
    if failures or not all(outcome.ok for outcome in outcomes):
        raise typer.Exit(1)


def summary_table(title: str, rows: list[queries.Summary]) -> Any:
    """One row per (destination, hour); an hour that all share stands in the title."""
    hours = {f"{row.hour:%Y-%m-%d %H:%M}" for row in rows}
    columns = ["destination", "hour", "accepted", "pending", "rejected", "withheld", "held", "retry"]
    body = [
        [r.destination, f"{r.hour:%Y-%m-%d %H:%M}", r.accepted, r.pending, r.rejected, r.withheld, r.held, r.retry]
        for r in rows
    ]
    if len(hours) == 1:
        title = f"{title}: {hours.pop()} UTC"
        columns, body = [columns[0], *columns[2:]], [[line[0], *line[2:]] for line in body]
    return table(title, columns, body, text=("hour", "withheld"))


def _road(names: list[str]) -> list[Any]:
    """The assets of an hour from the mart to these destinations."""
    import dagster as dg

    return [dg.AssetKey(path) for path in ("conversions", "hashed_conversions", *(["destinations", n] for n in names))]


def _quietly(what: str, job: str, start: datetime, as_json: bool, keys: Any = None) -> Outcome:
    from capi_pipeline.cli.runs import run

    if as_json:
        return run(job, start, assets=keys)
    with err.status(f"{key_of(start)}: {what}"):
        return run(job, start, assets=keys)
