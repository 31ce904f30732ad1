"""By which rule each identifier is normalised for each platform, with an example."""

from __future__ import annotations

import unicodedata

from capi_pipeline.conversions.identifiers import Recipe
from capi_pipeline.platforms import NAMES, platform
from capi_pipeline.platforms.base import Platform
from capi_pipeline.reference.tables import MADE, table

# One person, as a shop may have written her down. Column of the contract -> text.
JANE = {
    "emails": " Jane.Doe+News@GMail.com ", "phones": "(415) 555-2671", "first_name": "Dr. Ana-María", "last_name": "O'Neil Jr.",
    "gender": "f", "date_of_birth": "1988-02-09", "street_address": "1600 Amphitheatre Pkwy.", "city": "San José",
    "region": "California", "postal_code": "94043-1351", "country": "US", "user_id": " Cust-42 ", "anonymous_id": "Anon 9F2C",
}  # fmt: skip


def page() -> str:
    sections = "\n".join(f"## `{column}`\n\nExample: `{raw}`\n\n{_rows(column, raw)}" for column, raw in JANE.items())
    return f"""# Normalisation

{MADE}
Three tools give three hashes for one phone. Here each identifier of each platform has one recipe, named, with its rule and an
example; the digest is of exactly the text shown. All of it is lower-case hexadecimal of the UTF-8 (NFC) text. A value that is
already a SHA-256 passes through; an empty or invalid one is left out, and the digest of nothing is never sent. Local phone
numbers are read by the row's country.

{sections}"""


def _rows(column: str, raw: str) -> str:
    rows = []
    for name in NAMES:
        for field, recipe in _used(platform(name), column):
            text = recipe.normalise(unicodedata.normalize("NFC", raw.strip()), "US") or ""
            sent = recipe(raw, "US") or ""
            shown = f"`{sent[:16]}…`" if recipe.hashed else "as it is"
            rows.append((f"[{name}](destinations/{name}.md)", f"`{field}`", recipe.rule, f"`{text}`", shown))
    return table(("platform", "field", "rule", "normalised", "sent"), rows) if rows else "No platform takes it.\n"


def _used(kind: type[Platform], column: str) -> list[tuple[str, Recipe]]:
    fields = {**kind.identifiers, **kind.single_identifiers}
    return [
        (field, recipe)
        for field, recipes in fields.items()
        for recipe in (recipes if isinstance(recipes, tuple) else (recipes,))
        if recipe.source == column
    ]
