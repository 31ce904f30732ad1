"""The shop's people: each is a function of the seed and a number, so that any hour can meet anyone again."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import phonenumbers

# Country, currency, share of people; IANA documentation addresses only.
COUNTRIES = (
    ("US", "USD", 38), ("DE", "EUR", 16), ("GB", "GBP", 12), ("FR", "EUR", 10), ("JP", "JPY", 7), ("KW", "KWD", 4),
    ("BR", "BRL", 6), ("IN", "INR", 7),
)  # fmt: skip
FIRST = {
    "US": ["Jane", "Marcus", "Shaniqua", "D'Andre", "Mary-Kate", "Wyatt", "Guadalupe"],
    "DE": ["Jürgen", "Käthe", "Björn", "Anneliese", "Dr. Heike", "Sören"],
    "GB": ["Siobhán", "Alastair", "Gwendolyn", "Nigel", "Aoife"],
    "FR": ["Éloïse", "Jean-Baptiste", "Zoé", "Thérèse", "Loïc"],
    "JP": ["花子", "健太", "Haruto", "さくら", "Yoshiko"],
    "KW": ["فاطمة", "Abdulrahman", "Noura", "خالد"],
    "BR": ["João", "Conceição", "Thiago", "Luíza"],
    "IN": ["Priyanka", "Venkatesh", "Anjali", "राहुल"],
}
LAST = {
    "US": ["O'Brien", "Featherstone", "McGillicuddy", "Ramirez-Ortega", "Blankenship"],
    "DE": ["Müller-Lüdenscheidt", "Schönhuber", "Großkopf", "von der Heydt", "Käsmeier"],
    "GB": ["Cholmondeley", "Featherstonehaugh", "MacAlister", "Llewellyn"],
    "FR": ["Lefèvre", "de la Fontaine", "Bâtonnier", "Desœuvres"],
    "JP": ["山田", "Takahashi", "小林", "Kobayashi"],
    "KW": ["الصباح", "Al-Mutairi", "Al-Rashidi"],
    "BR": ["Gonçalves", "da Conceição", "Guimarães"],
    "IN": ["Subramaniam", "Chattopadhyay", "शर्मा", "Krishnamurthy"],
}
PLACES = {
    "US": [("San Francisco", "CA", "94105"), ("Los Angeles", "California", "90012-1234"), ("Austin", "TX", "78701"),
           ("New York", "New York", " 10001 "), ("Denver", "Colorado", "80202")],
    "DE": [("Bad Homburg v. d. Höhe", "Hessen", "61348"), ("Köln", "Nordrhein-Westfalen", "50667"), ("Berlin", "", "10115")],
    "GB": [("London", "", "EC1A 1BB"), ("Manchester", "Greater Manchester", "m1 1ae"), ("St. Ives", "Cornwall", "TR26 1AB")],
    "FR": [("Saint-Étienne", "Loire", "42000"), ("Paris", "Île-de-France", "75 001")],
    "JP": [("渋谷区", "東京都", "150-0002"), ("Osaka", "Osaka", "530-0001")],
    "KW": [("Kuwait City", "", "13001"), ("السالمية", "", "22000")],
    "BR": [("São Paulo", "SP", "01310-100"), ("Brasília", "DF", "70040-010")],
    "IN": [("Mumbai", "Maharashtra", "400001"), ("Bengaluru", "Karnataka", "560 001")],
}  # fmt: skip

# How often something is typed badly or not at all; each of them is a known pain of real delivery.
EMAIL_INVALID = 0.02
EMAIL_HASHED = 0.01  # partners hand over hashes
EMAIL_CASE = 0.25
EMAIL_BLANKS = 0.08
PHONE_INVALID = 0.03
PHONE_INTERNATIONAL = 0.3
NAME_CAPITALS = 0.06
NAME_EMOJI = 0.005
CUSTOMER = 0.7  # the rest only ever order as guests
CALIFORNIAN_OPT_OUT = 0.3
CONSENT_GRANTED, CONSENT_DENIED = 0.72, 0.1  # the rest was never asked, or closed the banner


@dataclass(frozen=True)
class Person:
    """Someone who visits the shop. `email` and `phone` as they really are, before anyone types them."""

    number: int
    customer_id: str | None
    email: str
    phone: str
    phone_national: str
    first: str
    last: str
    gender: str | None
    birth: date | None
    city: str
    region: str
    postal: str
    street: str
    country: str
    currency: str
    devices: int

    def anonymous_id(self, device: int) -> str:
        return f"anon-{self.number:06d}-{device}"


@lru_cache(maxsize=200_000)
def person(seed: int, number: int) -> Person:
    """The person of that number in the shop of that seed."""
    r = random.Random(f"{seed}/person/{number}")
    country, currency, _ = r.choices(COUNTRIES, [share for _, _, share in COUNTRIES])[0]
    first, last = r.choice(FIRST[country]), r.choice(LAST[country])
    city, region, postal = r.choice(PLACES[country])
    domain = r.choices(["example.com", "example.org", "example.net", "gmail.com", "googlemail.com"], [4, 2, 1, 3, 0.4])[
        0
    ]
    handle = f"shopper.{number:06d}.{r.choice(['wren', 'lark', 'finch', 'crane', 'heron'])}"
    if domain.startswith("g") and r.random() < 0.3:
        handle += "+shop"
    e164, national = _phone(country, r)
    return Person(
        number=number,
        customer_id=f"cust-{seed}-{number:06d}" if r.random() < CUSTOMER else None,
        email=f"{handle}@{domain}",
        phone=e164,
        phone_national=national,
        first=first,
        last=last,
        gender=r.choice(["female", "male", None]),
        birth=date(1950, 1, 1) + timedelta(days=r.randrange(20000)) if r.random() < 0.5 else None,
        city=city,
        region=region,
        postal=postal,
        street=f"{r.choice(['Market St', 'Straße des 17. Juni', 'Rue de Rivoli', 'High Street', '青山通り'])} {number % 977 + 1}",
        country=country,
        currency=currency,
        devices=r.choice([1, 1, 2]),
    )


@lru_cache(maxsize=64)
def _example(country: str) -> phonenumbers.PhoneNumber:
    found = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    assert found is not None
    return found


def _phone(country: str, r: random.Random) -> tuple[str, str]:
    """A valid mobile number of the country: E.164, and as people write it at home."""
    example = _example(country)
    text = str(example.national_number)
    for _ in range(20):
        digits = text[:-5] + f"{r.randrange(100_000):05d}"
        number = phonenumbers.PhoneNumber(country_code=example.country_code, national_number=int(digits))
        if phonenumbers.is_valid_number(number):
            break
    else:
        number = example
    style = phonenumbers.PhoneNumberFormat
    return phonenumbers.format_number(number, style.E164), phonenumbers.format_number(number, style.NATIONAL)


def typed_email(who: Person, r: random.Random) -> str | None:
    """The e-mail as it lands in a form."""
    chance = r.random()
    if chance < EMAIL_INVALID:
        return r.choice(["not-an-email", "a@b", f"{who.email}@", f"@{who.email}", "none"])
    if chance < EMAIL_INVALID + EMAIL_HASHED:
        return hashlib.sha256(who.email.encode()).hexdigest()
    email = who.email
    if r.random() < EMAIL_CASE:
        email = r.choice([email.upper(), email.title(), email[0].upper() + email[1:]])
    if r.random() < EMAIL_BLANKS:
        email = r.choice([f" {email}", f"{email} ", f"\t{email}"])
    return email


def typed_phone(who: Person, r: random.Random) -> str | None:
    """The phone as it lands in a form: mostly without the country's code."""
    chance = r.random()
    if chance < PHONE_INVALID:
        return r.choice(["0", "n/a", "123", "+0000000000", "-"])
    if chance < 0.25:
        return r.choice([None, ""])
    if r.random() < PHONE_INTERNATIONAL:
        return r.choice([who.phone, who.phone.replace("+", "00"), f"{who.phone[:3]} {who.phone[3:]}"])
    return r.choice([who.phone_national, who.phone_national.replace("-", "."), f" {who.phone_national}"])


def typed_name(name: str, r: random.Random) -> str:
    if r.random() < NAME_CAPITALS:
        return name.upper()
    if r.random() < NAME_EMOJI:
        return f"{name} 🌸"
    return r.choice([name, name, name, f" {name}", f"{name} "])


def typed_country(who: Person, r: random.Random) -> str | None:
    chance = r.random()
    if chance < 0.02:
        return None
    if chance < 0.05:
        return who.country.lower()
    return "UK" if who.country == "GB" and chance < 0.3 else who.country
