"""The commented YAML document of a new destination, made from the platform's own description."""

from __future__ import annotations

import json
from typing import Any

from pydantic.fields import FieldInfo

from capi_pipeline.destinations import TYPE, is_mapping, is_secret
from capi_pipeline.platforms.base import USUALLY, Platform

USUAL = ("purchase", "refund", "generate_lead", "sign_up")  # events that most shops have


def document(kind: type[Platform], name: str) -> str:
    """Keys that an account needs first, the others commented out; variables are named after the destination."""
    keys = {key: field for key, field in kind.Config.model_fields.items() if key != "base_url"}
    ordered = sorted(keys.items(), key=lambda entry: not _needed(entry[1]))
    account = "\n".join(_line(key, field, name) for key, field in ordered)
    # Where the account maps names, the mapping is the choice.
    events = [event for event in USUAL if event in kind.event_names] if kind.event_names else []
    if kind.restates and events:
        events.insert(1, "refund")
    chosen = (
        f"  events: [{', '.join(events)}]\n"
        if events
        else "  # events: [purchase]          # default: all that it takes\n"
    )
    return f"""# {kind.title}. {kind.documentation}
type: {TYPE}
attributes:
  platform: {kind.name}
  account:
{account}
{chosen}  # filter: {{country: [US]}}       # send only these
  # on_unknown: auto               # auto, hold or resend: what may have arrived already
  # max_rejected_share: 0.05       # warn above this share
"""


def _needed(field: FieldInfo) -> bool:
    """A required key, or of two that exclude each other the usual one."""
    return field.is_required() or field.json_schema_extra == USUALLY


def _line(key: str, field: FieldInfo, name: str) -> str:
    """A needed key names a variable, so that nothing is sent before a person has filled it in."""
    variable, about = f"{{env: {name.upper()}_{key.upper()}}}", field.description or ""
    if is_secret(field):
        return f"    {'' if _needed(field) else '# '}{key}: {variable}  # {about}"
    example = _example(field)
    if _needed(field):
        return f"    {key}: {variable}  # or {example}. {about}"
    return f"    # {key}: {example}  # {about}"


def _example(field: FieldInfo) -> str:
    shown: Any = (field.examples or [None if field.is_required() else field.default])[0]
    if shown is None:
        shown = {"purchase": "…"} if is_mapping(field) else "…"
    return json.dumps(getattr(shown, "value", shown), ensure_ascii=False)  # JSON is YAML
