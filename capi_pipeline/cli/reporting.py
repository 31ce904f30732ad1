"""The command `report`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from capi_pipeline import stack
from capi_pipeline.cli.output import Json, dump, out
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.destinations import load
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.settings import Settings
from capi_pipeline.warehouse import Warehouse


def register(app: typer.Typer) -> None:
    app.command()(report)


def report(
    days: Annotated[int, typer.Option(help="How many days back, up to the current hour.", min=1, max=366)] = 7,
    path: Annotated[
        Path | None,
        typer.Option("--out", help="The HTML file to write. Default: `report.html` in CAPI_HOME.", dir_okay=False),
    ] = None,
    json: Json = False,
) -> None:
    """One HTML page of what was delivered: outcomes and reasons, match quality, freshness, pixel agreement, held events.

    It needs nothing else and holds no identifier, so it can be mailed. Example: capi report --days 7 --out week.html
    """
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    with stack.running() as settings:
        written = write(settings, until - timedelta(days=days), until, path)
    if json:
        dump({"path": str(written), "since": until - timedelta(days=days), "until": until})
    else:
        out.print(f"Report: {written}", soft_wrap=True)


def write(settings: Settings, since: datetime, until: datetime, path: Path | None = None) -> Path:
    """Write the page of the hours [since, until); returns where. Raises ConfigurationError, DeliveryError."""
    from capi_pipeline.overview.collect import collect
    from capi_pipeline.overview.page import page

    target = (path or settings.home / "report.html").resolve()
    ledger = Ledger.open(settings.require("ledger_url"))
    warehouse = Warehouse(settings.require("warehouse_url"), settings.conversions_table)
    text = page(collect(ledger, warehouse, load(settings.destinations), since, until), datetime.now(UTC))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"The report cannot be written to {target}: {error.strerror}.", "Choose another file with --out."
        ) from None
    return target
