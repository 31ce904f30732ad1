"""From contract rows to hashed rows: identifiers normalised and hashed, consent decided, nothing raw left.

Works on Arrow batches. Each recipe runs once per distinct value of the batch, however many rows or platforms share it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from capi_pipeline.conversions import consent
from capi_pipeline.conversions.contract import ARROW, COLUMNS, KEPT, Kind
from capi_pipeline.conversions.identifiers import Recipe
from capi_pipeline.conversions.suppression import NOBODY, Suppressed

_KINDS = {column.name: column.kind for column in COLUMNS}
# What else leads to a person, and is of no use where nothing may be sent.
_ONLY_IF_SENDABLE = ("ip_address", "user_agent", "click_ids", "browser_ids", "device")
# An e-mail address or a phone number in a query string (`?email=…`) is an identifier that nobody meant to send.
_PERSONAL_NAME = (
    r"(?:[^=&#;?]*(?:[_.\-\[]|%5b))?(?:e-?mail|(?:tele)?phone|tel|mobile|msisdn|(?:first|last)[_-]?name|[fl]name|surname|"
    r"birth[_-]?da(?:te|y)|dob)(?:\]|%5d)?"
)
_PERSONAL_VALUE = r"[^&#;]*(?:@|%(?:25)*40)[^&#;]*|(?:\+|%2b)\d[\d\s().\-+]{6,}"
_PERSONAL_PARAMETER = re.compile(
    rf"([?&#;])(?:{_PERSONAL_NAME}=[^&#;]*|[^=&#;?]*=(?:{_PERSONAL_VALUE}))(?=[&#;]|$)", re.ASCII | re.IGNORECASE
)
_SUSPICIOUS = (  # matches wherever the above does, and is cheap
    r"(?i)@|%(25)*40|=(\+|%2b)[0-9]|(mail|phone|tel|mobile|msisdn|name|birth[_-]?da(te|y)|dob)(\]|%5d)?="
)
# The same without a name: in the path, or as the whole query.
_PERSONAL_PART = re.compile(r"[^/?#&=;\s]+(?:@|%(?:25)*40)[^/?#&=;\s]+\.[^/?#&=;\s]+")
_SITE = re.compile(r"(?:[^/?#]*//[^/?#]*)?")
_PERSONAL_TEXT = r"[^\s@]+@[^\s@]+\.[^\s@]+"


def schema(recipes: Sequence[Recipe]) -> pa.Schema:
    """Columns of the hashed conversions: the kept contract columns, the consent decision, one list per recipe."""
    kept = [pa.field(column.name, ARROW[column.kind]) for column in KEPT]
    lists = [pa.field(recipe.name, pa.list_(pa.string())) for recipe in recipes]
    return pa.schema([*kept, pa.field("withhold", pa.string()), *lists])


def transform(
    batch: pa.RecordBatch, recipes: Sequence[Recipe], policy: consent.ConsentPolicy, suppressed: Suppressed = NOBODY
) -> pa.RecordBatch:
    """Hashed rows for a batch of rows that keep the contract (`contract.check`), in the same order. The consent columns
    hold the answers after all sources were heard.

    Rows that consent withholds carry nothing that leads to a person.
    """
    erased = _erased(batch, suppressed)
    decided = consent.decide(batch, policy, erased)
    withhold = decided.withhold
    usable = pc.is_null(withhold).to_numpy(zero_copy_only=False)
    columns = [
        decided.answers[column.name] if column.name in decided.answers else _kept(batch, column.name, withhold)
        for column in KEPT
    ]
    columns.append(withhold)
    sources = {name: _Source(batch, name, usable) for name in dict.fromkeys(recipe.source for recipe in recipes)}
    columns.extend(sources[recipe.source].apply(recipe) for recipe in recipes)
    out = pa.RecordBatch.from_arrays(columns, schema=schema(recipes))
    return forget(out, erased) if erased.any() else out


def _erased(batch: pa.RecordBatch, suppressed: Suppressed) -> np.ndarray[Any, Any]:
    """Which rows are of a person who asked to be forgotten."""
    found = np.zeros(batch.num_rows, dtype=bool)
    for recipe in suppressed.recipes:
        digests = _Source(batch, recipe.source, ~found).apply(recipe)
        known = digests.flatten().dictionary_encode()
        hits = np.array([suppressed.has(recipe.source, digest) for digest in known.dictionary.to_pylist()], dtype=bool)
        rows = pc.list_parent_indices(digests).to_numpy(zero_copy_only=False)
        found[rows[hits[known.indices.to_numpy(zero_copy_only=False)]]] = True
    return found


def forget(batch: pa.RecordBatch, rows: np.ndarray[Any, Any]) -> pa.RecordBatch:
    """A hashed batch in which `rows` (a mask) are withheld as erased, and carry nothing that leads to a person."""
    mask = pa.array(rows)
    arrays = []
    for column, field in zip(batch.columns, batch.schema, strict=True):
        if field.name == "withhold":
            column = pc.if_else(mask, "erased", column)
        elif pa.types.is_list(field.type):
            column = pc.if_else(mask, pa.scalar([], field.type), column)
        elif field.name in (*_ONLY_IF_SENDABLE, "source_url", "referrer_url", "search_term", "properties"):
            column = pc.if_else(mask, pa.scalar(None, field.type), column)
        arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def _kept(batch: pa.RecordBatch, name: str, withhold: pa.Array) -> pa.Array:
    values = batch[name]
    if name in _ONLY_IF_SENDABLE:
        return pc.if_else(pc.is_null(withhold), values, pa.scalar(None, pa.string()))
    if name in ("source_url", "referrer_url"):
        suspicious = pc.fill_null(pc.match_substring_regex(values, _SUSPICIOUS), False)
        if pc.any(suspicious).as_py():
            texts = values.to_pylist()
            for row in pc.indices_nonzero(suspicious).to_pylist():
                texts[row] = scrub_url(texts[row])
            return pa.array(texts, pa.string())
    if name == "search_term":
        personal = pc.fill_null(pc.match_substring_regex(values, _PERSONAL_TEXT), False)
        return pc.if_else(personal, pa.scalar(None, pa.string()), values)
    return values


def scrub_url(url: str) -> str:
    """The URL without query parameters that are named after an identifier or hold an e-mail address or an international
    phone number, and without e-mail addresses in its path."""
    site = _SITE.match(url)[0]  # type: ignore[index]  # matches any text
    cleaned = _PERSONAL_PART.sub("", _PERSONAL_PARAMETER.sub(r"\1", url[len(site) :]))
    return site + re.sub(r"([?&;])[&;]+", r"\1", cleaned).rstrip("?&;#")


class _Source:
    """The values of one contract column, flattened: distinct values, and for each value its row."""

    def __init__(self, batch: pa.RecordBatch, name: str, usable: np.ndarray[Any, Any]) -> None:
        self.rows = batch.num_rows
        self.many = _KINDS[name] is Kind.ARRAY
        texts, row_of = _lists(batch, name) if self.many else _single(batch[name])
        keep = usable[row_of]
        encoded = texts.filter(pa.array(keep)).dictionary_encode()
        self.row_of = row_of[keep]
        self.distinct: list[str] = encoded.dictionary.to_pylist()
        self.codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        countries = batch["country"].dictionary_encode()
        self.countries: list[str | None] = [None, *countries.dictionary.to_pylist()]
        self.country_of = pc.fill_null(countries.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64) + 1

    def apply(self, recipe: Recipe) -> pa.ListArray:
        if recipe.by_country:
            pairs = self.codes * len(self.countries) + self.country_of[self.row_of]
            unique, position = np.unique(pairs, return_inverse=True)
            results = [
                recipe(self.distinct[pair // len(self.countries)], self.countries[pair % len(self.countries)])
                for pair in unique.tolist()
            ]
        else:
            position = self.codes
            results = [recipe(value) for value in self.distinct]
        values = pa.array(results, pa.string()).dictionary_encode()
        codes = pc.fill_null(values.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)[position]
        keep = codes >= 0
        if self.many:  # two spellings of one address are one identifier
            _, first = np.unique(self.row_of * (len(results) + 1) + codes, return_index=True)
            once = np.zeros(len(codes), dtype=bool)
            once[first] = True
            keep &= once
        ends = np.cumsum(np.bincount(self.row_of[keep], minlength=self.rows))
        offsets = np.concatenate([[0], ends]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values.dictionary.take(pa.array(codes[keep])))


def _single(values: pa.Array) -> tuple[pa.Array, np.ndarray[Any, Any]]:
    valid = pc.is_valid(values).to_numpy(zero_copy_only=False)
    return values.drop_null().cast(pa.string()), np.flatnonzero(valid)


def _lists(batch: pa.RecordBatch, name: str) -> tuple[pa.Array, np.ndarray[Any, Any]]:
    texts: list[str] = []
    rows: list[int] = []
    for row, document in enumerate(batch[name].to_pylist()):
        if document in (None, "[]", "{}"):
            continue
        for item in orjson.loads(document):
            if item:
                texts.append(item)
                rows.append(row)
    return pa.array(texts, pa.string()), np.array(rows, dtype=np.int64)
