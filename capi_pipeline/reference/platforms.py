"""One page per platform: what the code knows, around what a person wrote (how to get the credentials, good to know)."""

from __future__ import annotations

import json
from typing import Any

from pydantic.fields import FieldInfo

from capi_pipeline import supports
from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.destinations import is_secret
from capi_pipeline.examples import document
from capi_pipeline.platforms.base import Platform
from capi_pipeline.platforms.times import span
from capi_pipeline.reference.tables import MADE, default, table

REFUNDS = {
    "no": "not taken: withheld",
    "event": "as events of their own",
    "new total": "as the new total of the conversion, once that is accepted",
    "difference": "as differences of the conversion, once that is accepted",
}
BEGIN, END = "<!-- by hand -->\n", "<!-- /by hand -->\n"


def page(kind: type[Platform], old: str) -> str:
    """The page; `old`: what stands in the file, whose part by hand is kept."""
    hand = f"{BEGIN}{old.split(BEGIN, 1)[-1].split(END, 1)[0]}{END}" if BEGIN in old and END in old else BEGIN + END
    docstring = " ".join((kind.__doc__ or "").split()).replace(kind.documentation, f"<{kind.documentation}>")
    return f"""# {kind.title} (`{kind.name}`)

{MADE}
{docstring}

`capi destinations add {kind.name}` writes this document; `capi doctor` checks it.

```yaml
{document(kind, kind.name)}```

{hand}
## Account

{_account(kind)}
## Limits and deduplication

{_limits(kind)}
## Events

{_events(kind)}
## Identifiers

{_identifiers(kind)}"""


def _account(kind: type[Platform]) -> str:
    rows = [
        (f"`{key}`", "secret" if is_secret(field) else "", default(field), _example(field), field.description or "")
        for key, field in kind.Config.model_fields.items()
        if key != "base_url"
    ]
    return table(("key", "", "default", "example", "meaning"), rows)


def _example(field: FieldInfo) -> str:
    example: Any = (field.examples or [None])[0]
    if example is None or is_secret(field):
        return ""
    return f"`{example if isinstance(example, str) else json.dumps(example, ensure_ascii=False)}`"


def _limits(kind: type[Platform]) -> str:
    limits, deduplication = kind.limits, kind.deduplication
    keys = ", ".join(f"`{key}`" for key in deduplication.keys)
    held = "held for a person (`capi resolve`)"
    others = f". Of {deduplication.only}; any other is {held}" if deduplication.only else ""
    once = f"{limits.events:,} a request" if limits.events > 1 else "one a request"
    oldest = [f"{span(limits.oldest)} back" if limits.oldest else "any age"]
    oldest += [f"`{source}`: {span(age)}" for source, age in limits.oldest_for.items()]
    rows = [
        ("events", once + ("; one bad event refuses all of them" if limits.atomic else "")),
        ("body", f"{limits.bytes:,} bytes" if limits.bytes else "no limit published"),
        ("requests", f"{limits.concurrency} in flight" + (f", {limits.per_second:g} a second" if limits.per_second else "")),
        ("event time", ", ".join(oldest) + (f", {span(limits.newest)} ahead" if limits.newest else "")),
        (
            "deduplication",
            f"by {keys} for {span(deduplication.window)}: what may have arrived is sent again within it{others}"
            if deduplication.window
            else f"none: what may have arrived is {held}",
        ),
        ("refunds", REFUNDS[supports.row(kind)["refunds"]]),
        ("opted out of sale", "sent with the limited-data flag" if kind.limited_data else "withheld"),
        ("test mode", f"account key `{kind.test_mode}`" if kind.test_mode else "none"),
        ("verdicts", "asked for later, by the schedule `verdicts`" if kind.verdicts else "in the answer"),
    ]  # fmt: skip
    return table(("what", "rule"), rows)


def _events(kind: type[Platform]) -> str:
    if not kind.event_names:
        return "The account maps canonical names to what it calls them; what is not mapped is not sent.\n"
    named = [(f"`{name}`", f"`{kind.event_names[name]}`") for name in EVENT_NAMES if name in kind.event_names]
    left = ", ".join(f"`{name}`" for name in EVENT_NAMES if name not in kind.event_names and name != "custom")
    rest = f"\nNo name of its own, so withheld unless the account names one: {left}.\n" if left else ""
    return table(("canonical", "sent as"), named) + rest


def _identifiers(kind: type[Platform]) -> str:
    fields = [(name, one, True) for name, one in kind.identifiers.items()]
    fields += [(name, one, False) for name, one in kind.single_identifiers.items()]
    rows = []
    for name, recipes, many in fields:
        for recipe in recipes if isinstance(recipes, tuple) else (recipes,):
            how = recipe.digest if recipe.hashed else "as it is"
            rows.append((f"`{name}`", f"`{recipe.source}`", "all" if many else "best", recipe.rule, how))
    text = table(("field", "column", "values", "normalisation", "hash"), rows) if rows else "No identifier is hashed.\n"
    clicks = ", ".join(f"`{name}`" for name in kind.click_ids) or "none"
    cookies = ", ".join(f"`{name}`" for name in kind.browser_ids) or "none"
    return f"{text}\nClick ids: {clicks}. Cookies (`browser_ids`): {cookies}. None of these is changed.\n"
