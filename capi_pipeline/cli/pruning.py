"""The command that makes the ledger forget: `prune`."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.filesize import decimal

from capi_pipeline import destinations, stack
from capi_pipeline.cli.output import Json, dump, out, progress, table
from capi_pipeline.delivery import prune as pruning
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.platforms import platform


def register(app: typer.Typer) -> None:
    app.command()(prune)


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    json: Json = False,
) -> None:
    """Delete what is settled and older than CAPI_LEDGER_DAYS from the ledger. It is never sent again, all the same.

    `capi up` does this each day. Example: capi prune --dry-run
    """
    with stack.running() as settings:
        kinds = [platform(config.platform) for config in destinations.load(settings.destinations)]
        before = pruning.horizon(settings.ledger_days, kinds, datetime.now(UTC))
        ledger = Ledger.open(settings.require("ledger_url"))
        with nullcontext() if json else progress() as bar:
            task = bar.add_task("pruning", total=None) if bar else None

            def show(done: int, total: int) -> None:
                if bar and task is not None:
                    bar.update(task, completed=done, total=total)

            report = pruning.prune(ledger, before, dry_run, show)
    if json:
        dump(report.document())
        return
    until = f"{before:%Y-%m-%d %H:%M} UTC"
    if report.rows:
        title = f"{'Would go' if dry_run else 'Pruned'}: settled before {until}"
        out.print(table(title, ("destination", "rows"), report.rows.items()))
    else:
        out.print(f"Nothing to prune: nothing was settled before {until}.")
    if report.busy:
        out.print(f"{report.busy} hours are being sent right now: they go the next time.")
    if dry_run or not report.rows:
        out.print(f"The ledger has {decimal(report.bytes_before)}.")
    else:
        out.print(
            f"The ledger had {decimal(report.bytes_before)}, and has {decimal(report.bytes_after)}: new rows use the room "
            "first. (`vacuum full capi.deliveries` gives it back to the disk; nothing can be sent meanwhile.)"
        )
