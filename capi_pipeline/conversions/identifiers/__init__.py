"""Every normalisation recipe, by name. A platform names recipes; none normalises or hashes on its own.

A recipe turns one raw value into what a platform wants: normalised text, then (mostly) its SHA-256 in lower-case hex.
Empty and invalid values vanish before hashing, a value that is already a SHA-256 (exactly 64 hex characters) passes
through, and the digest of the empty string never leaves. Rules come from the platforms' dossiers, named at each recipe.
"""

from capi_pipeline.conversions.identifiers.emails import email
from capi_pipeline.conversions.identifiers.ids import advertising_id, anonymous_id, user_id
from capi_pipeline.conversions.identifiers.names import birth_date, first_name, gender, last_name
from capi_pipeline.conversions.identifiers.phones import phone
from capi_pipeline.conversions.identifiers.places import (
    SUBDIVISIONS,
    city,
    country,
    postal_code,
    region,
    street_address,
)
from capi_pipeline.conversions.identifiers.recipe import DIGESTS, EMPTY_DIGEST, Recipe, md5, sha1, sha256

__all__ = [
    "DIGESTS",
    "EMPTY_DIGEST",
    "SUBDIVISIONS",
    "Recipe",
    "advertising_id",
    "anonymous_id",
    "birth_date",
    "city",
    "country",
    "email",
    "first_name",
    "gender",
    "last_name",
    "md5",
    "phone",
    "postal_code",
    "region",
    "sha1",
    "sha256",
    "street_address",
    "user_id",
]
