"""The command that makes everything forget a person: `forget`."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import Annotated, Any

import typer

from capi_pipeline import forgetting, stack
from capi_pipeline.cli.output import Json, dump, out, table
from capi_pipeline.conversions.suppression import Person
from capi_pipeline.destinations import load
from capi_pipeline.forgetting import Forgotten
from capi_pipeline.platforms.privacy import PRIVACY, WRITE


def register(app: typer.Typer) -> None:
    app.command()(forget)


def forget(
    email: Annotated[list[str] | None, typer.Option("--email", help="E-mail address (repeatable).")] = None,
    phone: Annotated[
        list[str] | None, typer.Option("--phone", help="Phone number with + and country (repeatable).")
    ] = None,
    user_id: Annotated[list[str] | None, typer.Option("--user-id", help="Your own customer id (repeatable).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what is there.")] = False,
    json: Json = False,
) -> None:
    """Forget a person: nothing of them is sent any more, staging is erased, and you are told what platforms already have.

    Give every identifier that you know; `-` reads one kind from standard input, one a line.
    Example: capi forget --email jane@example.com --phone +14155552671
    """
    person = Person(given(email), given(phone), given(user_id))
    forgetting.require_usable(person)
    with stack.running() as settings:
        platforms = {config.name: config.platform for config in load(settings.destinations)}
        report = forgetting.forget(settings, person, dry_run)
    if json:
        dump(document(report, platforms, dry_run))
    else:
        show(report, platforms, dry_run)


def given(values: list[str] | None) -> tuple[str, ...]:
    """The identifiers of one kind; those of standard input are in no list of processes and in no history."""
    out = [line for value in values or () for line in (sys.stdin.read().splitlines() if value == "-" else [value])]
    return tuple(text for line in out if (text := line.strip()))


def deletion(destination: str, platforms: dict[str, str]) -> str:
    """How the platform of a destination is asked to delete."""
    known = PRIVACY.get(platforms.get(destination, ""))
    return known.deletion if known else WRITE


def document(report: Forgotten, platforms: dict[str, str], dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "digests_recorded": report.new,
        "conversions_found": len(report.events),
        "staging": {hour.isoformat(): count for hour, count in report.staged.items()},
        "received": [one.document() for one in report.received],
        "deletion": {name: deletion(name, platforms) for name in sorted({one.destination for one in report.received})},
    }


def show(report: Forgotten, platforms: dict[str, str], dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    rows = sum(report.staged.values())
    out.print(
        f"{report.new} keyed digests {would}recorded: conversions of this person {would}withheld as `erased` from now on."
    )
    out.print(f"{rows} conversions in {len(report.staged)} staged hours {would}erased.")
    if not report.received:
        out.print("No platform has received anything of this person, as far as staging, warehouse and ledger tell.")
        return
    rows_of = [
        (
            one.destination,
            one.event_name,
            one.event_id,
            one.state,
            f"{one.settled_at or one.hour:%Y-%m-%d %H:%M}",
            one.trace_id or "",
        )
        for one in report.received
    ]
    columns = ("destination", "event", "event id", "state", "at (UTC)", "trace id")
    out.print(table("What platforms have received", columns, rows_of, text=columns))
    for name, _ in groupby(report.received, key=lambda one: one.destination):
        out.print(f"{name}: {deletion(name, platforms)}")
