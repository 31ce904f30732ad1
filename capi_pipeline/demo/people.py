"""The shop's people, each a function of (seed, number), and how they type what a form asks of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import phonenumbers

from capi_pipeline.demo.circles import NEIGHBOURS, circle
from capi_pipeline.demo.devices import Device, browser, device_id

# Shares of people.
CUSTOMER = 0.62
SECOND_ACCOUNT = 0.04  # of customers: on the same e-mail address, or on the same phone number with another address
SECOND_DEVICE = 0.45  # a laptop and a phone
APP_USER = 0.25
STAFF = 0.01  # use the test account, too
OPTED_OUT_CALIFORNIAN = 0.3
EEA_ASKED = 0.92
OTHERS_ASKED = 0.35
GMAIL = 0.3

# Shares of one typing.
EMAIL_UPPER = 0.08  # caps lock, or a phone that capitalises
EMAIL_BLANKS = 0.05  # pasted with what was around it
EMAIL_INVALID = 0.015  # people who refuse, and typing errors
EMAIL_HASHED = 0.01  # a partner's file holds the SHA-256 already
EMAIL_MISSING = 0.03  # null or empty
EMAIL_TYPO = 0.012  # a letter too many: the mailbox of nobody
ROLE_TYPED = 0.5  # of those who have a company's mailbox
GMAIL_RESPELLED = 0.3  # without the dots, or +news: the same mailbox
PHONE_INVALID = 0.02  # people who refuse
PHONE_MISSING = 0.15  # an optional field: null or empty
PHONE_INTERNATIONAL = 0.25  # with + or 00; the others need the country to be read
PHONE_EXTENSION = 0.01  # of national spellings: an office line
NAME_UPPER = 0.05  # an import from an old system
NAME_TITLE = 0.02  # "Dr. " in the first name's field
NAME_EMOJI = 0.003
NAME_MISSING = 0.03  # null or empty
NAME_BLANKS = 0.1  # around the last name
LONG_TEXT = 0.003  # someone holds a key down: first names of 300 characters, streets of 1,000
COUNTRY_MISSING = 0.07  # null or empty
COUNTRY_LOWER = 0.08  # one of the forms
COUNTRY_UK = 0.3  # of Britons: "UK" is no ISO code
ADDRESS_BLANKS = 0.05  # of postal codes
CITY_UPPER = 0.03
REGION_IN_WORDS = 0.3  # "California" for "CA"
GRANTED, PARTLY = 0.68, 0.08  # of choices: all, all but ad_user_data; the rest denies

INVALID_EMAILS = ("n/a", "not-an-email", "a@b")
INVALID_PHONES = ("0", "n/a", "123")
EEA = ("DE", "FR")
# Country -> weight and (region code, region in words, city, postal code with # for a digit).
COUNTRIES: dict[str, tuple[int, tuple[tuple[str, str, str, str], ...]]] = {
    "US": (
        40,
        (
            ("CA", "California", "Los Angeles", "900##"),
            ("CA", "california", "San Diego", "921##-####"),
            ("NY", "New York", "New York", "100##"),
            ("TX", "Texas", "Austin", "787##"),
            ("WA", "Washington", "Seattle", "981##-####"),
        ),
    ),
    "GB": (12, (("", "", "London", "SW1A #AA"), ("", "", "Leeds", "LS# #AB"))),
    "DE": (14, (("", "", "München", "80###"), ("BE", "Berlin", "Berlin", "10###"), ("", "", "Köln", "50###"))),
    "FR": (10, (("", "", "Paris", "750##"), ("", "", "Saint-Étienne", "420##"))),
    "JP": (7, (("13", "東京都", "千代田区", "100-00##"),)),
    "KW": (3, (("", "", "الكويت", "13###"),)),
    "BR": (7, (("SP", "São Paulo", "São Paulo", "01###-###"),)),
    "IN": (7, (("MH", "Maharashtra", "Mumbai", "4000##"),)),
}
_DRAW = [country for country, (weight, _) in COUNTRIES.items() for _ in range(weight)]
# Country -> how a national number is written: # takes the next digit of the number without its trunk prefix.
PHONES: dict[str, tuple[str, ...]] = {
    "US": ("(###) ###-####", "###-###-####", "###.###.####", "##########", "1 ### ### ####"),
    "GB": ("0#### ######", "0##########", "0####-######", "(0####) ######"),
    "DE": ("0#### #######", "0####/#######", "0####-#######", "0###########"),
    "FR": ("0# ## ## ## ##", "0#.##.##.##.##", "0#########"),
    "JP": ("0##-####-####", "0##########", "0## #### ####"),
    "KW": ("### #####", "########", "####-####"),
    "BR": ("(##) #####-####", "## ##### ####", "###########"),
    "IN": ("0##### #####", "##### #####", "##########"),
}
_EXAMPLES = {
    country: phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE) for country in COUNTRIES
}
_AREAS = (201, 212, 303, 310, 312, 404, 415, 503, 512, 617, 702, 713, 808, 919)

_LATIN = (
    (
        "Annelorë",
        "Björnhild",
        "Clarimond",
        "Dorothée-Mae",
        "Evangelos",
        "François-Guy",
        "Günterina",
        "Hélènia",
        "Ingvildur",
        "Jürgenhart",
        "Kaëlynne",
        "Lázarino",
        "Mairéadine",
        "Noëlline",
        "Óskarina",
        "Pélagieux",
    ),
    (
        "Quillon",
        "O'Brannig",
        "Müllerfeld",
        "Smith-Havelock",
        "D'Amberville",
        "Größmann",
        "Łukasiewka",
        "Ñandúez",
        "Ravenswyn",
        "van der Meerwijk",
        "Thistlewood",
        "Øverlandsen",
        "de la Fontanelle",
        "Yarborrow",
        "Zielińskar",
    ),
)
_SYLLABLES = (
    "bar",
    "cot",
    "dun",
    "fel",
    "gar",
    "hol",
    "kin",
    "lor",
    "mer",
    "nor",
    "pel",
    "ros",
    "sel",
    "tor",
    "wyn",
    "zan",
)
_SCRIPTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "JP": (("桜子", "健太郎", "美咲希", "龍之介"), ("山田原", "佐々木野", "小鳥遊", "五十嵐崎")),
    "KW": (("عبدالرحمن", "فاطمة", "نورالهدى"), ("الصباحي", "العتيبيان", "المطيراني")),
}
_STREETS = ("Harbourlight Road", "Lindenhöhe", "Rue de l'Étoile Bleue", "Calle Ñandú", "Meadowlark Avenue")


@dataclass(frozen=True, slots=True)
class Person:
    """One person as they are; what the tables hold is what they typed."""

    number: int
    country: str
    region: str
    region_words: str
    city: str
    postal: str
    street: str
    first: str
    last: str
    email: str
    phone: str
    former_phone: str | None
    customer_id: str | None
    second_account: str | None
    second_email: str | None
    staff: bool
    devices: tuple[Device, ...]
    tablet: Device | None
    app: str | None
    home: str | None
    mailbox: str | None
    gender: str
    birth_date: str
    asked: bool
    choice: str
    opted_out: bool


@lru_cache(maxsize=100_000)
def person(seed: int, number: int) -> Person:
    """The same person whenever the number comes up again."""
    rng = Random(f"{seed}:person:{number}")
    chance = rng.random
    around, place = circle(seed, number), number % NEIGHBOURS
    at_home = place < around.household
    where = Random(around.home) if at_home else rng  # a household has one address and one last name
    country = where.choice(_DRAW)
    region, words, city, postal = where.choice(COUNTRIES[country][1])
    street = f"{where.randrange(1, 400)} {where.choice(_STREETS)}"
    postal = "".join(str(where.randrange(10)) if c == "#" else c for c in postal)
    if country in _SCRIPTS and where.random() < 0.6:
        firsts, lasts = _SCRIPTS[country]
        last = where.choice(lasts)
    else:
        firsts = _LATIN[0]
        last = where.choice(_LATIN[1]) + where.choice(_SYLLABLES) + where.choice(_SYLLABLES)
    first = firsts[(where.randrange(len(firsts)) + place) % len(firsts)]  # no two of a household
    if chance() < GMAIL:
        email = f"capi.demo.shopper{number}@{'googlemail.com' if chance() < 0.1 else 'gmail.com'}"
    else:
        email = f"shopper-{rng.choice(_SYLLABLES)}{number}@example.{rng.choice(('com', 'com', 'org', 'net'))}"
    first_kind, second_kind = ("laptop", "phone") if chance() < 0.5 else ("phone", "laptop")
    devices: tuple[Device, ...] = (browser(device_id(seed, number, 1), first_kind),)
    if chance() < SECOND_DEVICE:
        devices += (browser(device_id(seed, number, 2), second_kind),)
    customer = f"C{number + 100_000}" if chance() < CUSTOMER else None
    second = f"D{number + 100_000}" if customer and chance() < SECOND_ACCOUNT else None
    other_address = f"old-{email}" if second and chance() < 0.5 else None
    kind = chance()
    return Person(
        number=number,
        country=country,
        region=region,
        region_words=words,
        city=city,
        postal=postal,
        street=street,
        first=first,
        last=last,
        email=email,
        phone=_mobile(seed, number, country),
        former_phone=(
            _international(person(seed, number + 1)) if around.phone_passed_on and place == NEIGHBOURS - 2 else None
        ),
        customer_id=customer,
        second_account=second,
        second_email=other_address,
        staff=chance() < STAFF,
        devices=devices,
        tablet=around.tablet if at_home else None,
        app=device_id(seed, number, 3) if chance() < APP_USER else None,
        home=around.home if at_home else None,
        mailbox=around.mailbox if place else None,
        gender=rng.choice(("female", "male", "f", "M", "Woman", "", "divers")),
        birth_date=f"{rng.randrange(1940, 2006)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
        asked=chance() < (EEA_ASKED if country in EEA else OTHERS_ASKED),
        choice="granted" if kind < GRANTED else "partly" if kind < GRANTED + PARTLY else "denied",
        opted_out=country == "US" and region == "CA" and chance() < OPTED_OUT_CALIFORNIAN,
    )


def _mobile(seed: int, owner: int, country: str) -> str:
    """The national number of the mobile of this person alone: the library's example with other last digits, if it is valid."""
    example = _EXAMPLES[country]
    assert example is not None
    assert example.national_number
    place = seed * 7_919 + owner * 104_729  # a prime: the numbers of neighbours lie far apart
    while True:
        if country == "US":  # the exchange 555 belongs to nobody
            area, last = divmod(place % (len(_AREAS) * 10_000), 10_000)
            national = _AREAS[area] * 10_000_000 + 5_550_000 + last
        else:
            national = example.national_number // 1_000_000 * 1_000_000 + place % 1_000_000
        number = phonenumbers.PhoneNumber(country_code=example.country_code, national_number=national)
        if phonenumbers.is_valid_number(number):
            return str(national)
        place += 500_009


def contact_email(rng: Random, who: Person) -> str | None:
    """The address for an order or a question; those who act for a company often give its mailbox."""
    return who.mailbox if who.mailbox and rng.random() < ROLE_TYPED else typed_email(rng, who)


def typed_email(rng: Random, who: Person, address: str | None = None) -> str | None:
    """An address of the person (their own, if none is given) as it arrives in a form this time."""
    chance = rng.random
    if chance() < EMAIL_MISSING:
        return "" if chance() < 0.5 else None
    email = address or who.email
    if email.startswith("capi.demo.") and chance() < GMAIL_RESPELLED:
        local, _, domain = email.partition("@")
        email = f"{local.replace('.', '')}@{domain}" if chance() < 0.5 else f"{local}+news@{domain}"
    luck = chance()
    if luck < EMAIL_UPPER:
        return email.upper() if luck < EMAIL_UPPER / 2 else email.title()
    luck -= EMAIL_UPPER
    if luck < EMAIL_BLANKS:
        return f" {email}" if luck < EMAIL_BLANKS / 2 else f"{email}  "
    luck -= EMAIL_BLANKS
    if luck < EMAIL_INVALID:
        return rng.choice((*INVALID_EMAILS, email.replace("@", ".at."), email.replace("@", "@@")))
    luck -= EMAIL_INVALID
    if luck < EMAIL_HASHED:
        return hashlib.sha256(who.email.encode()).hexdigest()
    luck -= EMAIL_HASHED
    return email.replace("shopper", f"shopper{rng.choice('psdr')}") if luck < EMAIL_TYPO else email


def typed_phone(rng: Random, who: Person) -> str | None:
    """The number with the separators of the day; sometimes none, sometimes nonsense."""
    chance = rng.random
    luck = chance()
    if luck < PHONE_MISSING:
        return "" if luck < PHONE_MISSING / 3 else None
    luck -= PHONE_MISSING
    if luck < PHONE_INVALID:
        return rng.choice(INVALID_PHONES)
    if chance() < PHONE_INTERNATIONAL:
        return _international(who, "+" if chance() < 0.7 else "00")
    digits = iter(who.phone)
    pattern = rng.choice(PHONES[who.country])
    text = "".join(next(digits, "") if c == "#" else c for c in pattern)
    return f"{text} {rng.choice(('ext.', 'x'))} {rng.randrange(10, 1000)}" if chance() < PHONE_EXTENSION else text


def _international(who: Person, prefix: str = "+") -> str:
    example = _EXAMPLES[who.country]
    assert example is not None
    return f"{prefix}{example.country_code} {who.phone}"


def typed_name(rng: Random, who: Person) -> tuple[str | None, str | None]:
    """First and last name as typed."""
    luck = rng.random()
    if luck < NAME_UPPER:
        return who.first.upper(), who.last.upper()
    luck -= NAME_UPPER
    if luck < NAME_TITLE:
        return f"Dr. {who.first}", who.last
    luck -= NAME_TITLE
    if luck < NAME_EMOJI:
        return f"{who.first} 🌻", who.last
    luck -= NAME_EMOJI
    if luck < NAME_MISSING:
        return "", None
    luck -= NAME_MISSING
    if luck < NAME_BLANKS:
        return who.first, f" {who.last} "
    luck -= NAME_BLANKS
    return (f"{who.first} " * 300)[:300] if luck < LONG_TEXT else who.first, who.last


def typed_country(rng: Random, who: Person) -> str | None:
    """The country as a form or an import wrote it."""
    luck = rng.random()
    if luck < COUNTRY_MISSING:
        return "" if luck < COUNTRY_MISSING / 4 else None
    luck -= COUNTRY_MISSING
    if luck < COUNTRY_LOWER:
        return who.country.lower()
    luck -= COUNTRY_LOWER
    return "UK" if who.country == "GB" and luck < COUNTRY_UK else who.country


def typed_address(rng: Random, who: Person) -> tuple[str, str, str, str, str | None]:
    """Street, city, region, postal code, country."""
    chance = rng.random
    postal = who.postal
    luck = chance()
    if luck < ADDRESS_BLANKS:
        postal = f" {postal} " if luck < ADDRESS_BLANKS / 2 else postal.replace("-", " ")
    region = who.region_words if chance() < REGION_IN_WORDS else who.region
    city = who.city.upper() if chance() < CITY_UPPER else who.city
    street = (f"{who.street} " * 100)[:1000] if chance() < LONG_TEXT else who.street
    return street, city, region, postal, typed_country(rng, who)


def is_person_email(typed: str | None) -> bool:
    """Whether what was typed leads to the person: an address or its hash, not a refusal."""
    text = (typed or "").strip()
    return text not in INVALID_EMAILS and (text.count("@") == 1 or len(text) == 64)


def is_person_phone(typed: str | None) -> bool:
    return bool(typed) and typed not in INVALID_PHONES
