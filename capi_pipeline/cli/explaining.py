"""The command `explain`: the first tool of support."""

from __future__ import annotations

import json as jsonlib
import os
from datetime import datetime
from typing import Annotated, Any

import typer

from capi_pipeline import stack
from capi_pipeline.cli.output import Json, dump, out
from capi_pipeline.destinations import load


def register(app: typer.Typer) -> None:
    app.command()(explain)


def explain(
    event_id: Annotated[str, typer.Argument(help="The conversion's event_id.")],
    json: Json = False,
) -> None:
    """The whole story of one conversion: raw rows, identity, consent, and per destination what became of it and its payload.

    Identifiers are shown as digests. Example: capi explain order-1001
    """
    from capi_pipeline.explanation import explain as told

    with stack.running() as settings:
        stories = told(settings, load(settings.destinations), event_id, os.environ)
    if json:
        dump(stories)
        return
    for story in stories:
        _show(story)


def _show(story: dict[str, Any]) -> None:
    known = story["conversion"]
    out.print(f"[bold]{known['event_name']}[/] {known['event_id']}", soft_wrap=True)
    _pairs("Conversion", {k: v for k, v in known.items() if k not in ("event_id", "event_name")})
    if "identifiers" not in story:
        out.print("The warehouse does not have it (any more): this is what the ledger knows.")
    else:
        _pairs("Identifiers (digests)", story["identifiers"])
        _rows("Raw rows", story["raw_rows"])
        identity = story["identity"]
        _pairs("Identity resolution", {"added": identity["added"], "person_id": identity["person_id"]})
        _rows("Ids of this person (digests)", identity.get("ids", []))
        _rows("Seen together", identity.get("links", []))
        _pairs("Consent", story["consent"])
    for one in story["destinations"]:
        _destination(one)


def _destination(one: dict[str, Any]) -> None:
    ledger, now = one["ledger"], one.get("now", {})
    became = dict(ledger or {"state": "not in the ledger: not this destination's business, or not delivered yet"})
    if "match_quality" in one:
        quality = one["match_quality"]
        became["match quality"] = f"{quality['score']} of 10 ({quality['before']} without identity resolution)"
        became["missing"] = quality["missing"]
    if "withheld" in now:
        became["now"] = f"would be withheld: {now['withheld']} {now.get('detail', '')}".rstrip()
    elif "not_rendered" in now:
        became["now"] = f"not rendered: {now['not_rendered']}"
    _pairs(f"Destination {one['destination']}", became)
    if "payload" in now:
        out.print("  would be sent now (redacted):", highlight=False)
        out.print(
            jsonlib.dumps(now["payload"], indent=1, default=str, ensure_ascii=False), markup=False, soft_wrap=True
        )


def _pairs(title: str, pairs: dict[str, Any]) -> None:
    body = [(name, _text(value)) for name, value in pairs.items() if value not in (None, [], {})]
    _lines(title, body)


def _rows(title: str, rows: list[dict[str, Any]]) -> None:
    """Rows whose keys differ from table to table: one line each."""
    firsts = [(_text(next(iter(row.values()))), list(row.items())[1:]) for row in rows]
    _lines(title, [(first, ", ".join(f"{k} {_text(v)}" for k, v in rest)) for first, rest in firsts])


def _lines(title: str, body: list[tuple[str, str]]) -> None:
    if not body:
        return
    out.print(f"\n[bold]{title}[/]")
    wide = min(30, max(len(name) for name, _ in body))
    for name, words in body:
        out.print(f"  {name:<{wide}}  {words}", markup=False, highlight=False, soft_wrap=True)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)
