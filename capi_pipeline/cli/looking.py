"""Commands that look at the ledger, and settle what waits for a person: `status` and `resolve`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from capi_pipeline import stack
from capi_pipeline.cli.delivering import Destinations, chosen_names, hour_option, summary_table
from capi_pipeline.cli.output import Json, dump, err, out, table
from capi_pipeline.delivery import queries
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.destinations import load
from capi_pipeline.errors import CapiError, ConfigurationError
from capi_pipeline.settings import Settings
from capi_pipeline.steps import log_delivery


def register(app: typer.Typer) -> None:
    app.command()(status)
    app.command()(resolve)


def status(
    hour: Annotated[str | None, typer.Option(help="Only this hour, e.g. 2026-10-01T14 (UTC).")] = None,
    hours: Annotated[int, typer.Option(help="Look so many hours back.", min=1, max=24 * 3660)] = 24 * 7,
    json: Json = False,
) -> None:
    """What became of everything: per destination accepted, pending, rejected, withheld by reason, held, left to retry.

    Example: capi status --hour 2026-10-01T14
    """
    only = hour_option(hour)
    with stack.running() as settings:
        ledger = Ledger.open(settings.require("ledger_url"))
        if only:
            rows = [queries.summary(ledger, name, only) for name in chosen_names(settings, None)]
        else:
            rows = queries.summaries(ledger, datetime.now(UTC) - timedelta(hours=hours))
        left = [row for row in queries.unfinished(ledger) if only in (None, row.hour)]
        waiting, held = queries.waiting_verdicts(ledger), queries.held(ledger, hour=only)
    if json:
        dump(
            {
                "destinations": [row.document() for row in rows],
                "unfinished": [row.__dict__ for row in left],
                "held": [row.document() for row in held],
                "waiting_for_verdicts": waiting,
            }
        )
        return
    if not (rows or left or held or waiting):
        out.print(f"Nothing has been delivered in the last {hours} hours. Start with `capi demo` or `capi sync`.")
        return
    columns = ("destination", "accepted", "pending", "rejected", "withheld", "held", "retry")
    if only:
        out.print(summary_table("Delivered", rows))
    else:
        body = [(r.destination, r.accepted, r.pending, r.rejected, r.withheld, r.held, r.retry) for r in rows]
        out.print(table(f"Delivered in the last {hours} hours", columns, body, text=("withheld",)))
    if left:
        body_left = [(row.destination, f"{row.hour:%Y-%m-%d %H:%M}", row.retry, row.words) for row in left]
        out.print(
            table(
                "Left to send (`capi retry`)",
                ("destination", "hour", "events", "last words"),
                body_left,
                ("hour", "last words"),
            )
        )
    if held:
        _show_held(held)
    for name, count in waiting.items():
        out.print(f"{name}: {count} requests wait for the platform's verdict (asset `verdicts`).")


def resolve(
    destination: Destinations = None,
    event_id: Annotated[list[str] | None, typer.Option(help="Only this event; repeat for several.")] = None,
    hour: Annotated[str | None, typer.Option(help="Only this hour, e.g. 2026-10-01T14 (UTC).")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="The platform has them: count them as accepted.")] = False,
    resend: Annotated[
        bool, typer.Option("--resend", help="It does not have them: send them with the next run.")
    ] = False,
    json: Json = False,
) -> None:
    """Events that may or may not have arrived, at a platform that would count them twice: list them, then decide.

    Look the events up in the platform's own reports first. Example: capi resolve --destination outbrain --accept
    """
    if accept and resend:
        raise typer.BadParameter("choose one of --accept and --resend")
    only = hour_option(hour)
    with stack.running() as settings:
        names = chosen_names(settings, destination) if destination else None
        ledger = Ledger.open(settings.require("ledger_url"))
        held = queries.held(ledger, names, event_id, only)
        if event_id and (missing := set(event_id) - {row.event_id for row in held}):
            raise ConfigurationError(
                f"Not held: {', '.join(sorted(missing))}.", "List what is held with `capi resolve`."
            )
        changed = queries.resolve(ledger, accept, names, event_id, only) if accept or resend else 0
        if changed:
            _note(settings, ledger, {(row.destination, row.hour) for row in held})
    if json:
        dump(
            {
                "held": [row.document() for row in held],
                "accepted": changed if accept else 0,
                "to_resend": changed if resend else 0,
            }
        )
    elif not held:
        out.print("Nothing is held.")
    elif accept:
        out.print(f"{changed} events now count as accepted.")
    elif resend:
        out.print(f"{changed} events will be sent by the next run: `capi retry`.")
    else:
        _show_held(held)
        out.print("Look them up in the platform's own reports, then decide, for all of these or fewer:")
        out.print("  --accept  it has them: they count as accepted, and are never sent again.")
        out.print("  --resend  it does not: the next run sends them if it may. What it does have would count twice.")


def _note(settings: Settings, ledger: Ledger, hours: set[tuple[str, datetime]]) -> None:
    """Tell the warehouse's delivery log what a person decided."""
    configs = {config.name: config for config in load(settings.destinations)}
    try:
        for name, hour in sorted(hours):
            if name in configs:
                log_delivery(settings, ledger, configs[name], hour)
    except CapiError as error:
        err.print(str(error), markup=False, soft_wrap=True)


def _show_held(held: list[queries.HeldRow]) -> None:
    """One line each; what the reasons mean, once below."""
    shown = held[:50]
    body = [(r.destination, f"{r.hour:%Y-%m-%d %H:%M}", r.event_name, r.event_id, r.reason) for r in shown]
    columns = ("destination", "hour", "event", "event id", "reason")
    out.print(table(f"{len(held)} events wait for a person (`capi resolve`)", columns, body, columns))
    if len(held) > 50:
        out.print(f"… and {len(held) - 50} more: `capi resolve --json`.")
    for reason in sorted({(r.reason, r.why) for r in shown}):
        out.print(f"[bold]{reason[0]}[/]: ", end="")
        out.print(reason[1], markup=False, soft_wrap=True)
