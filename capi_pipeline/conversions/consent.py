"""The consent decision of one conversion, made once, for every destination."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

# European Economic Area, United Kingdom and Switzerland: advertising needs a yes beforehand. The last line holds the parts
# of the European Union with a code of their own: Åland, the French overseas departments and Saint-Martin.
OPT_IN_COUNTRIES = frozenset([
    "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV", "LT", "LU", "MT", "NL",
    "PL", "PT", "RO", "SK", "SI", "ES", "SE", "IS", "LI", "NO", "GB", "CH",
    "AX", "GF", "GP", "MF", "MQ", "RE", "YT",
])  # fmt: skip


@dataclass(frozen=True)
class ConsentPolicy:
    """Where silence means no: the countries, and whether an unknown country counts as one of them."""

    opt_in_countries: frozenset[str] = field(default=OPT_IN_COUNTRIES)
    opt_in_if_unknown: bool = True


def decide(batch: pa.RecordBatch, policy: ConsentPolicy) -> pa.Array:
    """Per row of contract columns: null (may be sent), `consent_denied` or `consent_unknown` (a Reason)."""
    storage, user_data = batch["consent_ad_storage"], batch["consent_ad_user_data"]
    denied = pc.or_(_is(storage, "denied"), _is(user_data, "denied"))
    granted = pc.and_(_is(storage, "granted"), _is(user_data, "granted"))
    country = pc.coalesce(batch["privacy_country"], batch["country"])
    opt_in = pc.fill_null(
        pc.if_else(
            pc.is_valid(country), pc.is_in(country, pa.array(sorted(policy.opt_in_countries), pa.string())), None
        ),
        policy.opt_in_if_unknown,
    )
    unknown = pc.and_(pc.invert(granted), opt_in)
    nothing = pa.nulls(batch.num_rows, pa.string())
    return pc.if_else(denied, "consent_denied", pc.if_else(unknown, "consent_unknown", nothing))


def _is(column: pa.Array, word: str) -> pa.Array:
    return pc.fill_null(pc.equal(column, word), False)
