"""The command `evaluate-identity`."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from capi_pipeline import embedded, stack
from capi_pipeline.cli.output import Json, dump, out, progress, table
from capi_pipeline.errors import ConfigurationError, without_values
from capi_pipeline.settings import DBT_PROJECT, Settings, settings
from capi_pipeline.warehouse import Warehouse

UNTIL = datetime(2026, 1, 15, 12, tzinfo=UTC)  # the end of the simulated day: the same seed gives the same figures


def register(app: typer.Typer) -> None:
    app.command("evaluate-identity")(evaluate_identity)


def evaluate_identity(
    seed: Annotated[int, typer.Option(help="Which simulated shop.")] = 1,
    conversions: Annotated[int, typer.Option(help="How many conversions its last 24 hours have.", min=50)] = 5000,
    generate: Annotated[
        bool,
        typer.Option(
            "--generate/--no-generate", help="Simulate a shop in a scratch database, or measure the warehouse as it is."
        ),
    ] = True,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of the report. Default: `identity` in CAPI_HOME.")
    ] = None,
    json: Json = False,
) -> None:
    """How well people are stitched and clicks attributed: precision and recall against the truth of simulated data.

    --no-generate measures any warehouse whose generator filled the schemas `raw` and `truth`.
    Example: capi evaluate-identity --seed 2 --out report
    """
    from capi_pipeline.evaluation import report, tables

    chosen = settings()
    target = folder or chosen.home / "identity"
    with progress() as bar, _warehouse(bar, chosen, seed, conversions, generate) as warehouse:
        again = "Fill it with a generator's rows and truth, or leave out --no-generate to evaluate a simulated shop."
        tables.require(warehouse, tables.TRUTH, again)
        if project := chosen.dbt_project or (DBT_PROJECT if generate else None):
            _step(bar, "building the dbt models", _build, project, warehouse)
        models = {**tables.MODELS, warehouse.table: tables.MART}
        tables.require(
            warehouse, models, "Build the dbt models of this project (CAPI_DBT_PROJECT), then evaluate again."
        )
        found = _step(bar, "reading", tables.read, warehouse)
        figures = report.document(found, seed if generate else None)
        try:
            paths = _step(bar, "drawing", report.write, figures, target)
        except OSError as error:
            raise ConfigurationError(
                f"The report cannot be written to {target}: {error.strerror}.", "Choose another folder with --out."
            ) from None
    if json:
        dump(figures)
        return
    _show(figures)
    out.print(f"Report: {paths[0].resolve()}", soft_wrap=True)


@contextmanager
def _warehouse(bar: Any, chosen: Settings, seed: int, conversions: int, generate: bool) -> Iterator[Warehouse]:
    """The warehouse to measure: a scratch one with a new shop, or the configured one."""
    if not generate:
        with stack.running(destinations=[]) as running:
            yield Warehouse(running.require("warehouse_url"), running.conversions_table)
        return
    from capi_pipeline.demo import shop

    with (
        tempfile.TemporaryDirectory(prefix="capi-identity-", ignore_cleanup_errors=True) as scratch,
        embedded.postgres(Path(scratch) / "postgres", ("warehouse",)) as sockets,
    ):
        url = embedded.url(sockets, "warehouse")
        task = bar.add_task("simulating a shop", total=None)
        shop.fill(
            url,
            conversions=conversions,
            until=UNTIL,
            seed=seed,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        yield Warehouse(url, "marts.conversions")


def _build(project: Path, warehouse: Warehouse) -> None:
    """Build the models of the shop's hours, or of whatever the warehouse holds."""
    from capi_pipeline.defs.models import dbt_executable, environment
    from capi_pipeline.demo.shop import window

    url = warehouse.url.render_as_string(hide_password=False)
    hours = window(url)
    with tempfile.TemporaryDirectory(prefix="capi-dbt-") as scratch:
        aside = {"DBT_TARGET_PATH": scratch, "DBT_LOG_PATH": scratch}
        times = {"CAPI_DBT_START": hours.start.isoformat(), "CAPI_DBT_END": hours.end.isoformat()} if hours else {}
        done = subprocess.run(
            [dbt_executable(), "run", "--project-dir", str(project), "--profiles-dir", str(project)],
            env={**os.environ, **environment(url), **times, **aside},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise ConfigurationError(
            f"The dbt models could not be built:\n{without_values(done.stdout[-2000:])}".rstrip(),
            "Correct what dbt names; `capi sync` builds the same models.",
        )


def _step(bar: Any, what: str, do: Any, *arguments: Any) -> Any:
    task = bar.add_task(what, total=1)
    result = do(*arguments)
    bar.advance(task)
    return result


def _show(figures: dict[str, Any]) -> None:
    from capi_pipeline.evaluation.report import share

    found, stitched, oracle = figures["clicks"], figures["people"], figures["oracle"]
    rows = [
        ["clicks", found["precision"], oracle["clicks_precision"], found["recall"], found["recall_of_consented"],
         oracle["clicks_knowable_share"]],
        ["people", stitched["precision"], 1.0, stitched["recall"], stitched["recall_of_connected"], oracle["people_recall"]],
    ]  # fmt: skip
    columns = ("", "precision", "oracle's", "recall", "of what it may know", "oracle's share of all")
    out.print(table("Identity", columns, [[name, *map(share, values)] for name, *values in rows]))
    lost = sorted(figures["losses"].items(), key=lambda item: -abs(item[1]))
    out.print(table("Where it loses", ("class", "count"), lost))
