"""Commands that show and check: `render`, `destinations` and `doctor`."""

from __future__ import annotations

import json as jsonlib
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from capi_pipeline import stack, supports
from capi_pipeline.cli.output import Json, dump, err, out, table
from capi_pipeline.delivery.redaction import Redactor, secrets_of
from capi_pipeline.destinations import NAME, DestinationConfig, documents, load
from capi_pipeline.errors import CapiError, ConfigurationError, first_line
from capi_pipeline.examples import document
from capi_pipeline.platforms import NAMES
from capi_pipeline.platforms import platform as platform_class
from capi_pipeline.settings import Settings, settings


def register(app: typer.Typer) -> None:
    app.command()(render)
    group = typer.Typer(invoke_without_command=True)
    group.callback()(destinations)
    group.command("add")(add)
    app.add_typer(group, name="destinations")
    app.command()(doctor)


def render(
    platform: Annotated[str, typer.Argument(help="The platform's slug, e.g. meta.")],
    config: Annotated[
        Path, typer.Option(help="JSON file with the platform's configuration.", exists=True, dir_okay=False)
    ],
    events: Annotated[
        Path, typer.Option(help="JSON file: a list of canonical conversions.", exists=True, dir_okay=False)
    ],
    now: Annotated[
        str | None, typer.Option(help="The time of sending, ISO 8601 (UTC if it has no zone). Default: now.")
    ] = None,
    json: Json = False,
) -> None:
    """The requests that a platform would get, as JSON (with --json errors too), secrets masked. No network, no ledger.

    Example: capi render meta --config config.json --events events.json --now 2026-10-01T16:00:00Z
    """
    from capi_pipeline.rendering import render as render_requests

    try:
        when = datetime.fromisoformat(now) if now else datetime.now(UTC)
    except ValueError:
        raise typer.BadParameter(f"`{now}` is not a time: write 2026-10-01T16:00:00Z", param_hint="--now") from None
    conversions = _json(events)
    if not isinstance(conversions, list) or not all(isinstance(event, dict) for event in conversions):
        raise ConfigurationError(f"{events}: not a list of objects.", "Write canonical conversions: docs/contract.md.")
    chosen = _json(config)
    shown = render_requests(platform, chosen, conversions, when if when.tzinfo else when.replace(tzinfo=UTC))
    hidden = Redactor(secrets_of(platform_class(platform).Config.model_validate(chosen)))
    dump(jsonlib.loads(hidden.hide(jsonlib.dumps(shown, default=str))))  # what is shown is pasted into tickets


def _json(path: Path) -> Any:
    try:
        return jsonlib.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path}: not JSON: {error}.", "Correct this file.") from None


def destinations(
    context: typer.Context,
    platforms: Annotated[bool, typer.Option("--platforms", help="The platforms that a destination can have.")] = False,
    matrix: Annotated[
        bool, typer.Option("--matrix", help="What each platform takes: limits, dedup, refunds, …")
    ] = False,
    json: Json = False,
) -> None:
    """The configured destinations; with --platforms, what there is to choose from; with --matrix, what each one can.

    Example: capi destinations --platforms
    """
    if context.invoked_subcommand:
        return
    if platforms or matrix:
        _platforms(matrix, json)
        return
    configs = load(settings().destinations)
    if json:
        dump([config.model_dump(mode="json") for config in configs])
        return
    heads = ("destination", "platform", "events", "address", "environment")
    rows = [
        (
            c.name,
            c.platform,
            ", ".join(c.events or ["all"]),
            c.base_url or "the platform",
            ", ".join(c.variables.values()),
        )
        for c in configs
    ]
    out.print(table(f"Destinations in {settings().destinations}", heads, rows, text=heads))


def _platforms(matrix: bool, json: bool) -> None:
    kinds = [platform_class(name) for name in NAMES]
    listed = [{"platform": kind.name, "name": kind.title, "documentation": kind.documentation} for kind in kinds]
    rows = supports.matrix() if matrix else listed
    if json:
        dump(rows)
        return
    heads = tuple(rows[0])
    out.print(table("Platforms", heads, [list(row.values()) for row in rows], text=heads[1:]))


def add(
    platform: Annotated[str, typer.Argument(help="The platform's slug, see `capi destinations --platforms`.")],
    name: Annotated[str | None, typer.Option(help="The destination's name. Default: the platform's.")] = None,
    json: Json = False,
) -> None:
    """Write a commented document for a new destination into the folder of documents. It sends nothing until the
    variables that it names are set.

    Example: capi destinations add meta --name meta_germany
    """
    kind = platform_class(platform)
    chosen = name or platform
    folder = settings().destinations
    path = folder / chosen / "defs.yaml"
    if not re.fullmatch(NAME, chosen):
        raise typer.BadParameter(
            "a name is lower-case letters, digits and _, such as meta_germany", param_hint="--name"
        )
    if path.exists() or (folder.is_dir() and chosen in [config.name for config in load(folder)]):
        raise ConfigurationError(
            f"{chosen} exists already in {folder}.", "Choose another --name, or edit its document."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document(kind, chosen), "utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}.", "Set CAPI_DESTINATIONS to a folder of your own."
        ) from None
    (made,) = documents(path)
    variables = list(made.variables.values())
    if json:
        dump({"path": str(path), "variables": variables})
    else:
        out.print(f"Wrote {path}. Fill in its account or set {', '.join(variables)}; then check it with `capi doctor`.")


def doctor(json: Json = False) -> None:
    """Check configuration, databases and each destination's token by its cheapest call, and say what to fix.

    Sends no event. Example: capi doctor
    """
    configs: list[DestinationConfig] = []
    findings: list[Finding] = []
    try:
        configs = load(settings().destinations)
    except ConfigurationError as error:
        findings.append(("destinations", False, str(error)))
    with stack.running(sandbox=True, destinations=configs) as chosen:
        findings += _databases(chosen, loads=not findings)
        findings += [_destination(config, chosen) for config in configs]
    if json:
        dump([{"check": name, "ok": ok, "words": words} for name, ok, words in findings])
    else:
        for name, ok, words in findings:
            out.print(f"[{'green' if ok else 'bold red'}]{'ok  ' if ok else 'FAIL'}[/] {name}: ", end="")
            out.print(words, markup=False, soft_wrap=True)
    if not all(ok for _, ok, _ in findings):
        if not json:
            err.print("Fix what is marked FAIL, then run `capi doctor` again.")
        raise typer.Exit(1)


Finding = tuple[str, bool, str]


def _databases(chosen: Settings, loads: bool) -> list[Finding]:
    """`loads`: whether the documents do; without them the code location does not either."""
    from capi_pipeline.delivery.ledger import Ledger
    from capi_pipeline.steps import staging
    from capi_pipeline.warehouse import Warehouse

    checks: dict[str, tuple[Callable[[], object], str]] = {
        "warehouse": (
            lambda: Warehouse(chosen.require("warehouse_url"), chosen.conversions_table).check_table(),
            f"{chosen.conversions_table} keeps the contract's columns",
        ),
        "ledger": (lambda: Ledger.open(chosen.require("ledger_url")), "usable"),
        "keys": (lambda: (staging(chosen), chosen.key("token_key"), chosen.key("suppression_key")), "usable"),
        "dagster": (_dagster if loads else lambda: None, "usable"),
    }
    out: list[Finding] = []
    for name, (check, words) in checks.items():
        try:
            check()
            out.append((name, True, words))
        except CapiError as error:
            out.append((name, False, str(error)))
    return out


def _dagster() -> None:
    import dagster as dg

    from capi_pipeline.cli.runs import definitions

    definitions()
    try:
        with dg.DagsterInstance.get() as instance:
            instance.get_runs_count()
    except Exception as error:
        raise ConfigurationError(
            f"Dagster's storage does not answer: {first_line(error)}",
            "Check CAPI_DAGSTER_URL, or DAGSTER_HOME's dagster.yaml.",
        ) from None


def _destination(config: DestinationConfig, chosen: Settings) -> Finding:
    from capi_pipeline.delivery.ledger import Ledger
    from capi_pipeline.steps import Line

    try:
        with Line(config, Ledger.open(chosen.require("ledger_url")), chosen, os.environ) as line:
            ok, words = line.probe()
    except CapiError as error:
        ok, words = False, str(error)
    return f"destination {config.name}", ok, words
