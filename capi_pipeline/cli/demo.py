"""What `capi demo` plays, step by step."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import requests
import typer

from capi_pipeline import stack
from capi_pipeline.cli import reporting
from capi_pipeline.cli.output import dump, err, out, progress, table
from capi_pipeline.cli.runs import Outcome, run
from capi_pipeline.delivery import queries
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.demo import FIVE, shop
from capi_pipeline.destinations import DestinationConfig, load
from capi_pipeline.errors import ConfigurationError, DeliveryError
from capi_pipeline.overview.collect import Week, collect
from capi_pipeline.settings import Settings
from capi_pipeline.steps import key_of
from capi_pipeline.warehouse import Warehouse

HOURS = 24
# Every hour goes to five; the last ones go to every destination. (34 times 24 steps would take ten minutes.)
LAST = 3
DOWN = "tiktok"  # the platform that is down for one hour, on purpose


def play(settings: Settings, conversions: int, seed: int, as_json: bool) -> None:
    """Fill, build, deliver, fail, rerun, show. Exits with 1 if anything is left or counted twice."""
    started = time.monotonic()
    url = settings.require("warehouse_url")
    sandbox = f"http://127.0.0.1:{settings.sandbox_port}"
    destinations = load(settings.destinations)
    if not all(stack.points_to_sandbox(config, settings) for config in destinations):
        raise ConfigurationError(
            f"The demo delivers to the local sandbox only, and not every destination in {settings.destinations} has a "
            f"`base_url` at {sandbox}.",
            "Use the documents that come with the package (unset CAPI_DESTINATIONS and CAPI_SANDBOX_PORT), or `capi sync`.",
        )
    ledger = Ledger.open(settings.require("ledger_url"))
    seconds: dict[str, float] = {config.name: 0.0 for config in destinations}
    sent_before = _sent(sandbox)
    with progress() as bar:
        world = _shop(bar, url, conversions, seed)
        hours = [world.end - timedelta(hours=n) for n in range(HOURS, 0, -1)]
        _models(bar, settings, hours)
        broken = _deliver(bar, settings, ledger, destinations, hours, sandbox, seconds)
        for name, hour, words in broken:
            bar.console.print(
                f"[bold]destinations/{name} {key_of(hour)} failed, on purpose:[/] {words.splitlines()[0]}"
            )
        if broken:
            task = bar.add_task("rerunning what failed", total=len(broken))
        for name, hour, _ in broken:
            _add(seconds, run(f"destination_{name}", hour))
            bar.advance(task)
        _verdicts(bar, ledger, seconds)
    rows = {row.destination: row for row in queries.summaries(ledger, hours[0])}
    counts = _counts(sandbox)
    report = [_row(config, rows, counts, seconds, ledger, hours[0]) for config in destinations]
    known = _coverage(url, hours[0])
    week = collect(ledger, Warehouse(url, settings.conversions_table), destinations, hours[0], world.end)
    page = reporting.write(settings, hours[0], world.end)
    took = time.monotonic() - started
    new = _sent(sandbox) - sent_before
    if as_json:
        dump(
            {
                "destinations": report,
                "coverage": known,
                "match_quality": {row[0]: {"before": row[1], "after": row[2]} for row in _quality(week)},
                "report": page,
                "sent_now": new,
                "seconds": round(took, 1),
                "hours": [key_of(h) for h in hours],
            }
        )
    else:
        counted = ("accepted", "pending", "rejected", "withheld", "held", "retried", "duplicates", "seconds")
        body = [[row["destination"], *(_total(row[name]) for name in counted)] for row in report]
        title = f"{hours[0]:%Y-%m-%d %H:%M} to {world.end:%Y-%m-%d %H:%M} UTC"
        out.print(table(title, ("destination", *counted), body))
        why = [
            [row["destination"], ", ".join(f"{reason} {n:,}" for reason, n in row["withheld"].items())]
            for row in report
        ]
        out.print(table("Withheld, by reason", ("destination", "reasons"), why, text=("reasons",)))
        out.print(
            table(
                "Conversions with an identifier, of all",
                ("identifier", "as told", "with what is known of the person"),
                known,
            )
        )
        heads = ("destination", "as told", "with what is known", "most valuable missing")
        out.print(table("Match quality, 0 to 10", heads, _quality(week), text=heads[3:]))
        out.print(f"Report: {page}", soft_wrap=True)
        out.print(f"{new:,} events sent now; {took:.0f} s. Look at it: `make up`, then http://127.0.0.1:3000")
    left = sum(row["left"] for row in report)
    twice = sum(row["duplicates"] for row in report)
    if left or twice:
        err.print(f"{left} events are left to send, {twice} were counted twice: see `capi status`.")
        raise typer.Exit(1)


def _quality(week: Week) -> list[tuple[str, float, float, str]]:
    """Per destination the average score before and after identity resolution, and what would raise it most."""
    return [
        (d.name, round(d.quality.before, 1), round(d.quality.score, 1), ", ".join(m.title for m in d.quality.missing))
        for d in week.destinations
        if d.quality
    ]


def _shop(bar: Any, url: str, conversions: int, seed: int) -> shop.Shop:
    """The shop's warehouse; made once, and found again by a second demo."""
    task = bar.add_task("filling the shop's warehouse", total=None)
    world = shop.window(url)
    if world is None:
        world = shop.fill(
            url,
            conversions=conversions,
            hours=HOURS,
            seed=seed,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    bar.update(task, completed=1, total=1)
    stack.begin_with_the_shop(url)
    return world


def _models(bar: Any, settings: Settings, hours: list[datetime]) -> None:
    task = bar.add_task("building the dbt models", total=1)
    warehouse = Warehouse(settings.require("warehouse_url"), settings.conversions_table)
    if _built(warehouse, hours):
        bar.update(task, completed=1, description="dbt models are built")
        return
    outcome = run("models", hours[0], until=hours[-1])
    if not outcome.ok:
        bar.stop()
        for step in outcome.failures():
            err.print(step.words, markup=False)
        raise typer.Exit(1)
    bar.advance(task)


def _built(warehouse: Warehouse, hours: list[datetime]) -> bool:
    """Whether an earlier demo built these hours."""
    from sqlalchemy import inspect, text

    schema, _, name = warehouse.table.rpartition(".")
    if not inspect(warehouse.engine).has_table(name, schema):
        return False
    with warehouse.engine.connect() as connection:
        query = text(
            f"select count(distinct date_trunc('hour', recorded_at)) from {warehouse.table} where recorded_at >= :first"
        )
        return int(connection.execute(query, {"first": hours[0]}).scalar() or 0) >= len(hours)


def _deliver(
    bar: Any,
    settings: Settings,
    ledger: Ledger,
    destinations: list[DestinationConfig],
    hours: list[datetime],
    sandbox: str,
    seconds: dict[str, float],
) -> list[tuple[str, datetime, str]]:
    """Every hour to every destination; the middle one while a platform is down. Returns what failed."""
    down_at = hours[len(hours) // 2]
    first_time = not queries.summary(ledger, DOWN, down_at).accepted
    task = bar.add_task("delivering", total=len(hours))
    broken = []
    followed = [config.name for config in destinations if config.platform in FIVE]
    for hour in hours:
        bar.update(task, description=f"delivering {key_of(hour)}")
        faults: list[dict[str, Any]] = []
        if first_time and hour == down_at:
            faults = [{"platform": DOWN, "kind": "server_error", "status": 503}]
        elif first_time and hour == hours[-1]:  # once each, in its own words: what is left is sent in the same run
            platforms = {config.platform for config in destinations}
            faults = [
                {"platform": name, "kind": "server_error", "status": 503, "times": 1} for name in sorted(platforms)
            ]
        for fault in faults:
            requests.post(f"{sandbox}/_sandbox/faults", json=fault, timeout=10)
        outcome = run("deliver", hour, assets=None if hour in hours[-LAST:] else _assets(followed))
        for fault in faults:
            requests.delete(f"{sandbox}/_sandbox/faults", params={"platform": fault["platform"]}, timeout=10)
        _add(seconds, outcome)
        for step in outcome.failures():
            name = step.name.removeprefix("destinations__")
            if name not in seconds:
                raise DeliveryError(step.words)
            broken.append((name, hour, step.words))
        bar.advance(task)
    return broken


def _assets(names: list[str]) -> list[Any] | None:
    """What an hour of these destinations takes; None (everything) if there are none of them."""
    from dagster import AssetKey

    road = [AssetKey("conversions"), AssetKey("hashed_conversions")]
    return [*road, *(AssetKey(["destinations", name]) for name in names)] if names else None


def _verdicts(bar: Any, ledger: Ledger, seconds: dict[str, float]) -> None:
    """Ask what became of queued conversions; refunds of them had to wait for that, and are sent now."""
    everything = {"ops": {"verdicts": {"config": {"everything": True}}}}
    task = bar.add_task("asking for verdicts", total=1)
    run("ask_verdicts", config=everything)
    bar.advance(task)
    if waiting := queries.unfinished(ledger):
        task = bar.add_task("refunds that waited for verdicts", total=len(waiting) + 1)
        for row in waiting:
            _add(seconds, run(f"destination_{row.destination}", row.hour))
            bar.advance(task)
        run("ask_verdicts", config=everything)
        bar.advance(task)


def _add(seconds: dict[str, float], outcome: Outcome) -> None:
    for step in outcome.steps:
        name = step.name.removeprefix("destinations__")
        if name in seconds:
            seconds[name] += step.seconds


def _row(
    config: DestinationConfig,
    rows: dict[str, queries.Summary],
    counts: dict[str, Any],
    seconds: dict[str, float],
    ledger: Ledger,
    since: datetime,
) -> dict[str, Any]:
    row = rows.get(config.name, queries.Summary(config.name, None))
    return {
        "destination": config.name,
        "accepted": row.accepted,
        "pending": row.pending,
        "rejected": row.rejected,
        "withheld": row.withheld,
        "held": row.held,
        "retried": queries.retried(ledger, config.name, since),
        "duplicates": counts.get(config.platform, {}).get("double_counted", 0),
        "left": row.retry,
        "seconds": round(seconds[config.name], 1),
    }


def _coverage(url: str, since: datetime) -> list[list[str]]:
    """Shares of the hours' conversions that have each identifier, before and after identity resolution."""
    from sqlalchemy import NullPool, create_engine, text

    columns = ("emails", "phones", "user_id", "ip_address", "click_ids")
    engine = create_engine(url, poolclass=NullPool)
    told = {name: f"not coalesce(enriched ? '{name}', false)" for name in columns} | {
        # each click id is named by its parameter
        "click_ids": "(select count(*) from jsonb_object_keys(click_ids)) > "
        "(select count(*) from jsonb_array_elements_text(enriched) as one where one like 'click_ids.%')"
    }
    counts = ", ".join(f"count({c}) filter (where {told[c]}) as told_{c}, count({c}) as {c}" for c in columns)
    with engine.connect() as connection:
        query = text(f"select count(*) as total, {counts} from marts.conversions where recorded_at >= :since")
        row = connection.execute(query, {"since": since}).mappings().one()
    total = row["total"] or 1
    return [[c, f"{row[f'told_{c}'] / total:.0%}", f"{row[c] / total:.0%}"] for c in columns]


def _total(value: Any) -> Any:
    return sum(value.values()) if isinstance(value, dict) else value


def _counts(sandbox: str) -> dict[str, Any]:
    """What the sandbox has, by platform."""
    counts = stack.ask(f"{sandbox}/_sandbox/counts", 30)
    if not isinstance(counts, dict):
        raise DeliveryError(
            f"The sandbox at {sandbox} does not answer any more: another command that had started it has ended.",
            "Run the demo again: nothing is sent twice.",
        )
    return counts


def _sent(sandbox: str) -> int:
    return sum(int(e.get("accepted", 0)) + int(e.get("duplicates", 0)) for e in _counts(sandbox).values())
