"""Values that occur nowhere by chance, and the search for them in every form in which they could be written."""

from __future__ import annotations

import hashlib
import html
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from capi_pipeline.sandbox import accounts

PASSWORDS = {
    name: f"planted{name.title()}Passw0rd"
    for name in ("warehouse", "ledger", "dagster", "unreachable", "query", "wrong", "halved")
}
REFUSED = "plantedRefused/Token+Wx9=="
REFUSED_REFRESH = "1//plantedRefresh+Token/Wx9"
REFUSED_SECRET = "plantedClientSecret~Wx9"
SECRETS = {
    "Meta token": accounts.META_ACCESS_TOKEN,
    "Meta app secret": accounts.META_APP_SECRET,
    "TikTok token": accounts.TIKTOK_ACCESS_TOKEN,
    "Google client secret": accounts.GOOGLE_CLIENT_SECRET,
    "Google refresh token": accounts.GOOGLE_REFRESH_TOKEN,
    "Microsoft client secret": accounts.MICROSOFT_CLIENT_SECRET,
    "Microsoft refresh token": accounts.MICROSOFT_REFRESH_TOKEN,
    "Microsoft developer token": accounts.MICROSOFT_DEVELOPER_TOKEN,
    "refused token": REFUSED,
    "refused refresh token": REFUSED_REFRESH,
    "refused client secret": REFUSED_SECRET,
    **{f"password of {name}": value for name, value in PASSWORDS.items()},
}
CLICKS = {
    "fbclid": "IwARplantedFbclid0123456789xY",
    "gclid": "EAIaIQplantedGclid0123456789xY",
    "ttclid": "E.C.P.plantedTtclid0123456789xY",
    "msclkid": "9f1a7ced0b5e4c2d8a6f3b1e7d9c5a42",
    "obclid": "v1-plantedObclid0123456789xY",
}
PERSON: dict[str, Any] = {
    "emails": ["planted.person@planted-mail.example"],
    "phones": ["+49 170 5550123"],
    "first_name": "Plantedfirst",
    "last_name": "Plantedlast",
    "date_of_birth": "1903-02-27",
    "street_address": "Plantedstreet 77",
    "city": "Plantedcity",
    "region": "BE",
    "postal_code": "10115",
    "country": "DE",
    "user_id": "planted-user-id-4711",
    "ip_address": "203.0.113.77",
    "user_agent": "Mozilla/5.0 (Planted; Browser 7)",
    "click_ids": {name: {"value": value, "clicked_at": None} for name, value in CLICKS.items()},
    "browser_ids": {"fbp": "fb.1.1790000000000.4477001122", "ttp": "plantedTtpCookie0123456789"},
    "source_url": "https://shop.example/thanks?secret=plantedInAddress",
}
IDENTIFIERS = {
    "e-mail": "planted.person@planted-mail",
    "phone": "170 5550123",
    "phone's digits": "1705550123",
    "first name": "Plantedfirst",
    "last name": "Plantedlast",
    "birth date": "1903-02-27",
    "birth date's digits": "19030227",
    "street": "Plantedstreet",
    "city": "Plantedcity",
    "user id": "planted-user-id-4711",
    "IP": "203.0.113.77",
    "browser": "Planted; Browser",
    "fbp": "1790000000000.4477001122",
    "ttp": "plantedTtpCookie",
    "address": "plantedInAddress",
    **CLICKS,
}
NORMALISED = (
    "planted.person@planted-mail.example", "plantedperson@planted-mail.example", "+491705550123", "491705550123",
    "plantedfirst", "plantedlast", "plantedcity", "19030227", "planted-user-id-4711",
)  # fmt: skip
DIGESTS = {f"digest of {value}": hashlib.sha256(value.encode()).hexdigest() for value in NORMALISED}


def forms(value: str) -> set[str]:
    """As it is, in a URL, in JSON (also twice), in HTML, as hexadecimal bytes and in base64 at any place; lower case."""
    data = value.encode()
    once = json.dumps(value)[1:-1]
    written = {
        value, quote(value), quote(value, safe=""), quote_plus(value), quote(quote(value, safe=""), safe=""), once,
        json.dumps(once)[1:-1], value.replace("/", "\\/"), html.escape(value), repr(value)[1:-1], data.hex(),
    }  # fmt: skip
    for offset, first in ((0, 0), (1, 2), (2, 3)):
        inside = b64encode(b"x" * offset + data).decode().rstrip("=")[first:]
        inside = inside[
            : len(inside) - (1 if (len(data) + offset) % 3 else 0)
        ]  # the last character knows its neighbour
        written |= {inside, inside.replace("+", "-").replace("/", "_")}
    return {form.lower() for form in written}


@dataclass
class Search:
    """Finds planted values in texts. `add` also those that come up in the run (granted tokens)."""

    wanted: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add(SECRETS | IDENTIFIERS | DIGESTS)

    def add(self, values: Mapping[str, str]) -> None:
        self.wanted |= {name: forms(value) for name, value in values.items()}

    def __call__(self, text: str) -> set[str]:
        """Names of what stands in a text."""
        small = text.lower()
        return {name for name, written in self.wanted.items() if any(form in small for form in written)}

    def shown(self, text: str) -> str:
        """The surroundings of what stands in a text, for the message of a failing test."""
        small = text.lower()
        places = [
            (small.find(form), name) for name, written in self.wanted.items() for form in written if form in small
        ]
        return "\n".join(f"{name}: …{text[max(0, at - 150) : at + 60]}…" for at, name in sorted(places)[:3])
