"""How commands speak: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

out = Console()
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def progress() -> Progress:
    """A progress bar on standard error, so that standard output stays clean."""
    columns = (TextColumn("{task.description:<44}"), BarColumn(bar_width=28), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], text: Iterable[str] = ()) -> Table:
    """A table; numbers are right-aligned, columns named in `text` stay left."""
    left = {columns[0], *text}
    air = 1 if out.width >= 100 else 0  # a plain terminal has 80 columns: better narrow than cut
    made = Table(
        title=title, title_justify="left", title_style="bold", header_style="bold", box=SIMPLE_HEAD,
        pad_edge=False, padding=(0, air),
    )  # fmt: skip
    for column in columns:
        # what a row is about is never cut
        made.add_column(column, justify="left" if column in left else "right", no_wrap=column == columns[0])
    for row in rows:
        made.add_row(*[_cell(value) for value in row])
    return made


def _cell(value: Any) -> Text | str:
    if isinstance(value, Mapping):
        return "\n".join(f"{name} {count}" for name, count in value.items()) or "-"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return Text("0", style="dim") if value == 0 else f"{value:,}"
    return str(value)


def dump(document: Any) -> None:
    """JSON on standard output; times as ISO 8601."""
    sys.stdout.write(json.dumps(document, indent=1, default=_plain, ensure_ascii=False) + "\n")


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def as_json() -> bool:
    """Whether this process was asked for JSON: needed where options are not parsed yet, or could not be."""
    return "--json" in sys.argv[1:]


def complain(message: str, remedy: str) -> None:
    """What is wrong and what to do, on standard error; with --json as JSON on standard output."""
    if as_json():
        dump({"error": message, "remedy": remedy})
        return
    err.print(Text("Error: ", style="bold red") + Text(message, style="default"), soft_wrap=True)
    if remedy:
        err.print(Text(remedy), soft_wrap=True)
