"""Every recipe against vectors from the platforms' dossiers: (raw, country) -> the text that is hashed (or sent), or None."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capi_pipeline.conversions import identifiers as i
from capi_pipeline.conversions.identifiers import EMPTY_DIGEST, Recipe
from capi_pipeline.platforms import all_recipes

DIGEST = "86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"

EMAIL_SHAPES = {
    "not-an-email": None,
    "@example.com": None,
    "jane@": None,
    "jane@localhost": None,
    "jane@example.": None,
    "jane@.com": None,
    "jane@@example.com": None,
    "jane@b@example.com": None,
}
VECTORS: dict[Recipe, dict[str | tuple[str, str | None], str | None]] = {
    i.email.trimmed: {
        **EMAIL_SHAPES,
        "john_smith@gmail.com": "john_smith@gmail.com",
        "  Jane.Doe@Example.COM\t": "jane.doe@example.com",
        "Jane.Doe+News@GoogleMail.com": "jane.doe+news@googlemail.com",  # no rule for Gmail
        "Ju\u0308rgen@Mu\u0308ller.de": "jürgen@müller.de",  # composed
        "JÜRGEN@MÜLLER.DE": "jürgen@müller.de",
        "a b@example.com": None,
        "\u00a0jane@example.com\u3000": "jane@example.com",
        "jane@sub.example.co.uk": "jane@sub.example.co.uk",
    },
    i.email.untagged: {
        **EMAIL_SHAPES,
        "  Jürgen.Müller+News@GoogleMail.com ": "jürgen.müller@googlemail.com",
        "j.a.n.e+x+y@example.com": "j.a.n.e@example.com",
        "+news@example.com": None,
    },
    i.email.md5: {**EMAIL_SHAPES, "  Jane.Doe+News@Example.COM\t": "jane.doe+news@example.com"},
    i.email.sha1: {**EMAIL_SHAPES, "  Jane.Doe+News@Example.COM\t": "jane.doe+news@example.com"},
    i.email.sha256_md5: {**EMAIL_SHAPES, "  Jane.Doe+News@Example.COM\t": "jane.doe+news@example.com"},
    i.email.google: {
        **EMAIL_SHAPES,
        "  Jürgen.Müller+News@GoogleMail.com ": "jürgenmüller@googlemail.com",
        "j.a.n.e+x+y@gmail.com": "jane@gmail.com",
        "jane.doe+news@example.com": "jane.doe+news@example.com",  # only at Google's own domains
        "j ane @ gmail.com": "jane@gmail.com",
        "jane@mail.gmail.com": "jane@mail.gmail.com",
        "+news@gmail.com": None,
        "...@gmail.com": None,
    },
    i.email.gmail: {
        **EMAIL_SHAPES,
        " Jane.Doe+News@Gmail.com ": "janedoe@gmail.com",
        "j.a.n.e+x+y@gmail.com": "jane@gmail.com",
        "Jürgen.Müller+News@GoogleMail.com": "jürgen.müller+news@googlemail.com",  # Gmail's other domain keeps both
        "jane.doe+news@mail.gmail.com": "jane.doe+news@mail.gmail.com",
        "j ane@gmail.com": None,
        "...@gmail.com": None,
    },
    i.email.quora: {
        **EMAIL_SHAPES,
        "  Jürgen.Müller+News@GoogleMail.com ": "jürgen.müller@googlemail.com",  # dots stay
        "j.a.n.e+x+y@gmail.com": "jane@gmail.com",
        "jane.doe+news@example.com": "jane.doe@example.com",  # on every domain
        "jane@mail.gmail.com": "jane@mail.gmail.com",
        "+news@gmail.com": None,
        "..+x@gmail.com": None,
    },
    i.email.microsoft: {
        **EMAIL_SHAPES,
        "Jürgen.Müller+News@GoogleMail.com": "jurgenmuller@googlemail.com",
        "jane.doe+news@example.com": "janedoe@example.com",  # on every domain
        " Zoë.Ångström @example.co.uk ": "zoeangstrom@example.co.uk",
        "+news@example.com": None,
        ".+@example.com": None,
    },
    i.email.reddit: {
        **EMAIL_SHAPES,
        "Al.ice$+Apple@Example.Com": "alice@example.com",
        "jane.doe@example.com": "janedoe@example.com",
        " Jürgen.Müller+News@GoogleMail.com ": "jürgenmüller@googlemail.com",
        "o'brien_2@x-y.example.org": "obrien2@x-y.example.org",  # the domain stays
        "+news@example.com": None,
        "._@example.com": None,
    },
    i.phone.e164: {
        ("+14155552671", None): "+14155552671",
        ("(415) 555-2671", "US"): "+14155552671",
        ("1-415-555-2671", "US"): "+14155552671",
        ("415.555.2671 ext. 9", "US"): "+14155552671",
        ("030 901820", "DE"): "+4930901820",
        ("0049 30 901820", "DE"): "+4930901820",
        ("+49 (0)30 901820", "US"): "+4930901820",
        ("020 7946 0958", "GB"): "+442079460958",
        ("06 12 34 56 78", "FR"): "+33612345678",
        ("06 9876 5432", "IT"): "+390698765432",  # Italy keeps the leading zero
        ("03-1234-5678", "JP"): "+81312345678",
        ("(11) 91234-5678", "BR"): "+5511912345678",
        ("0412 345 678", "AU"): "+61412345678",
        ("\u0660\u0663\u0660 901820", "DE"): "+4930901820",  # digits of any script
        ("（０３）１２３４－５６７８", "JP"): "+81312345678",
        ("030 901820", None): None,
        ("030 901820", "US"): None,
        ("0", "DE"): None,
        ("+0000000000", "US"): None,
        ("+1 555", "US"): None,
        ("call me", "US"): None,
        ("jane@example.com", "US"): None,
    },
    i.phone.digits: {
        ("16505551212", "US"): "16505551212",
        ("+1 650 555 1212", None): "16505551212",
        ("030 901820", "DE"): "4930901820",
        ("06 9876 5432", "IT"): "390698765432",
        ("0", "DE"): None,
        ("+0000000000", None): None,
    },
    i.first_name.letters: {
        "O'Brien": "obrien",
        "MÜLLER-Lüdenscheidt": "müllerlüdenscheidt",
        " Valéry ": "valéry",
        "Vale\u0301ry": "valéry",
        "Mary  Ann": "maryann",
        "José Ñandú": "joséñandú",
        "李": "李",
        "Анна": "анна",
        "--": None,
    },
    i.first_name.lower: {"O'Brien": "o'brien", " MÜLLER-Lüdenscheidt": "müller-lüdenscheidt", "Mary Ann": "mary ann"},
    i.first_name.alphabetic: {
        "O'Brien": "obrien",
        "Raphaël": "raphaël",
        "Mary Ann 2nd": "maryannnd",
        "O\u2019Brien": "obrien",
        "李": "李",
        "42": None,
    },
    i.first_name.compact: {
        "O'Brien": "o'brien",
        "MÜLLER-Lüdenscheidt": "müller-lüdenscheidt",
        " Mary\t Ann ": "maryann",
        "李": "李",
    },
    i.first_name.words: {
        "O'Brien": "obrien",
        "O\u2019Brien": "obrien",
        " Mary\t Ann ": "mary ann",
        "MÜLLER-Lüdenscheidt": "müllerlüdenscheidt",
        "Jean–Luc": "jeanluc",
        "Anna €": "anna",
        "...": None,
    },
    i.first_name.bare: {
        "MÜLLER-Lüdenscheidt": "müllerlüdenscheidt",
        "O\u2019Brien": "obrien",
        " Mary\t Ann ": "maryann",
        "Jean–Luc €2": "jeanluc2",
        "...": None,
    },
    i.first_name.google: {
        " Mr. Alex ": "alex",
        "DR. JANE": "jane",
        "Mrs.\tAnn-Marie": "ann-marie",
        "dr.": None,
        "Dr Jane": "dr jane",  # no period, no title
        "Dresden": "dresden",
        "Maria V": "maria v",  # suffixes follow family names only
        "Zoë": "zoë",
    },
    i.last_name.google: {
        " O'Brien ": "o'brien",
        "MÜLLER-Lüdenscheidt": "müller-lüdenscheidt",
        "Smith, Jr.": "smith",
        "Smith Jr": "smith",
        "King III": "king",
        "Miller, MD, PhD": "miller",
        "Dr. Smith": "dr. smith",  # titles precede given names only
        "Ivi": "ivi",
        "Levi": "levi",
        "van V": "van",
    },
    i.first_name.trimmed: {" Jürgen ": "Jürgen", "O'Brien": "O'Brien", "Mary  Ann": "Mary  Ann"},
    i.birth_date.iso: {"1988-02-09": "1988-02-09"},
    i.gender.word: {"female": "female", "male": "male"},
    i.gender.clear: {"female": "f", "male": "m"},
    i.postal_code.trimmed: {" EC1a 1BB ": "EC1a 1BB"},
    i.postal_code.axon: {
        ("94105-1234", "US"): "94105",
        (" 02138", "US"): "02138",
        ("none", "US"): None,
        (" EC1a 1BB ", "GB"): "EC1a 1BB",
        ("61348", None): "61348",
    },
    i.user_id.as_is: {"  CUST-0099 ": "CUST-0099", "Cust 42": "Cust 42"},
    i.birth_date.digits: {"1997-02-16": "19970216", "2001-12-01": "20011201"},
    i.gender.initial: {"female": "f", "male": "m"},
    i.city.letters: {
        "San Francisco": "sanfrancisco",
        " Bad Homburg v. d. Höhe": "badhomburgvdhöhe",
        "Paris 15e (Vaugirard)": "parisevaugirard",
        "Saint-Étienne": "saintétienne",
        "東京": "東京",
        "12": None,
    },
    i.city.clear: {" Bad Homburg v. d. Höhe": "bad homburg v. d. höhe", "X" * 128: "x" * 128, "X" * 129: None},
    i.city.compact: {
        "San Francisco": "sanfrancisco",
        "Bad Homburg v. d. Höhe": "badhomburgvdhöhe",
        "Paris 15": "paris15",
    },
    i.region.as_is: {" Île-de-France ": "Île-de-France"},
    i.region.clear: {"CA": "ca", "Île-de-France ": "île-de-france", "x" * 129: None},
    i.region.two_letters: {
        ("CA", "US"): "ca",
        ("New York", "US"): "ny",
        ("US-NY", "US"): "ny",
        ("BE", "DE"): "be",
        ("Hessen", "DE"): None,
        ("75", "FR"): None,
        ("ÄÖ", "DE"): None,
    },
    i.postal_code.whole: {
        ("94105-1234", "US"): "94105",
        ("M1 1AE", "GB"): "m11ae",
        (" 61348 ", "DE"): "61348",
        ("1010-200", "PT"): "1010200",
    },
    i.postal_code.digits: {"94105-1234": "941051234", " 61 348 ": "61348", "M1 1AE": None, "-": None},
    i.postal_code.clear: {
        "EC1A 1BB ": "EC1A 1BB",
        "94105-1234": "94105-1234",
        "12/34": None,
        "1" * 33: None,
        "１２３": None,
    },
    i.country.clear: {"US": "US"},
    i.city.plain: {
        "San Francisco": "sanfrancisco",
        " Bad Homburg v. d. Höhe": "badhomburgvdhöhe",
        "Paris 15": "paris15",
        "St. John's": "stjohns",
        "-": None,
    },
    i.street_address.spaced: {
        " 1  Market\tSt ": "1 market st",
        "Straße des 17. Juni 135": "straße des 17. juni 135",
    },
    i.region.code: {
        ("CA", "US"): "ca",
        ("California", "US"): "ca",
        ("New York", "US"): "ny",
        ("US-NY", "US"): "ny",
        ("D.C.", "US"): "dc",
        ("Washington, D.C.", "US"): "dc",
        ("Québec", "CA"): "qc",
        ("CA-ON", "CA"): "on",
        ("Hessen", "DE"): "hessen",
        ("Île-de-France", "FR"): "îledefrance",
        ("California", None): "california",
        ("75", "FR"): None,
    },
    i.region.plain: {"CA": "ca", "Nordrhein-Westfalen": "nordrheinwestfalen", "75": "75", "–": None},
    i.postal_code.meta: {
        ("94105-1234", "US"): "94105",
        ("94105 1234", "US"): "94105",
        ("CA 94105", "US"): "94105",
        ("02138", "US"): "02138",  # the leading zero stays
        ("M1 1AE", "GB"): "m11ae",
        (" 61348 ", "DE"): "61348",
        ("1010-200", "PT"): "1010",
        ("k1a 0b1", "CA"): "k1a0b1",
        ("none", "US"): None,
    },
    i.postal_code.compact: {
        "EC1A 1BB": "ec1a1bb",
        "94105-1234": "941051234",
        "1010–200": "1010200",
        " 0123 ": "0123",
        "- -": None,
    },
    i.postal_code.google: {
        ("94105", "US"): "94105",
        ("94105-1234", "US"): "94105-1234",
        ("941051234", "US"): "94105-1234",
        ("2138", "US"): None,  # a lost zero makes another code
        ("K1A 0B1", "CA"): "K1A 0B1",
        (" 61348 ", "DE"): "61348",
        ("1010", None): "1010",
    },
    i.country.code: {"US": "us", "DE": "de"},
    i.user_id.compact: {"  CUST-0099 ": "cust-0099", "Cust 42": "cust42", "ÄB\u00a0C": "äbc"},
    i.user_id.lower: {"  CUST-0099 ": "cust-0099", "Cust 42": "cust 42", "ÄB": "äb"},
    i.email.amazon: {
        **EMAIL_SHAPES,
        "jane@@example.com": None,
        "Jürgen.Müller+News@GoogleMail.com": "jrgen.mllernews@googlemail.com",
        " Jane_Doe-1@Example.com ": "jane_doe-1@example.com",
        "ü@example.com": None,
    },
    i.first_name.amazon: {"O'Brien": "obrien", " Jürgen ": "jrgen", "Mary Ann 2": "maryann", "李": None, "--": None},
    i.street_address.amazon: {
        ("1 Market St", "US"): "1marketst",
        ("1 Market Street", None): "1marketst",
        ("Straße des 17. Juni 135", "DE"): "strassedes17juni135",
        ("12 North Ocean Avenue, Suite #4", "US"): "12noceanavestenumber4",
        ("5/7 Mountain View Rd., Apartment 9", "US"): "57mtnvwrdapt9",
        ("5 Mountain View", "GB"): "5mountainview",
        ("10 Ave de la Paix", "FR"): "10avenuedelapaix",
        ("10 Avenue de la Paix", "FR"): "10avenuedelapaix",
        ("Vle Europa 3", "IT"): "vialeeuropa3",
        ("C Núm 5 Málaga", "ES"): "callenumber5malaga",
        ("東京", "JP"): None,
    },
    i.city.amazon: {
        "San Francisco": "sanfrancisco",
        " Bad Homburg v. d. Höhe": "badhomburgvdhhe",
        "Paris 15": "paris15",
    },
    i.region.amazon: {
        ("CA", "US"): "ca",
        ("California", "US"): "ca",
        ("New York", "US"): "ny",
        ("US-NY", "US"): "ny",
        ("Puerto Rico", "US"): "pr",
        ("Québec", "CA"): "qc",
        ("Yukon", "CA"): "yt",
        ("Hessen", "DE"): "he",
        ("Île-de-France", "FR"): "le",
        ("Österreich", "AT"): "oe",
        ("California", None): "ca",
        ("東京", "JP"): None,
    },
    i.postal_code.amazon: {"94105-1234": "94105", " EC1A 1BB ": "ec1a1bb", "-1": None, "02138": "02138"},
    i.user_id.clear: {"  CUST-0099 ": "CUST-0099", "a b": "a b", "jane@example.com": None},
    i.user_id.alphanumeric: {" Cust42 ": "Cust42", "cust-42": None, "ü": None, "a" * 100: "a" * 100, "a" * 101: None},
    i.user_id.trimmed: {"  CUST-0099 ": "CUST-0099", "Cust 42": "Cust 42"},
    i.advertising_id.idfa: {"AEBE52E7-03EE-455A-B3C4-E57283966239": "aebe52e7-03ee-455a-b3c4-e57283966239"},
    i.advertising_id.upper: {"aebe52e7-03EE": "AEBE52E7-03EE"},
    i.advertising_id.gaid: {"CDDA802E-fb9c-47ad-9866-0794d394c912": "CDDA802E-fb9c-47ad-9866-0794d394c912"},
}
VECTORS |= {  # of the Google APIs
    i.first_name.undigited: {
        " MÜLLER-Lüdenscheidt ": "müllerlüdenscheidt",
        "O'Brien": "obrien",
        "Mary  Ann 2": "mary  ann",
        "12 €": None,
    },
    i.street_address.lower: {" Straße des 17. Juni 135 ": "straße des 17. juni 135"},
    i.street_address.unmarked: {" Straße des 17. Juni 135 ": "straße des 17 juni 135", "~": None},
    i.city.as_is: {" Bad Homburg v. d. Höhe ": "Bad Homburg v. d. Höhe"},
    i.city.undigited: {" Bad Homburg v. d. Höhe": "bad homburg v d höhe", "Paris 15": "paris", "75": None},
    i.region.undigited: {"CA": "ca", "Hessen ": "hessen"},
    i.postal_code.as_is: {" EC1A 1bb ": "EC1A 1bb", "94105-1234": "94105-1234"},
    i.postal_code.undotted: {" 61.348~ ": "61348", "EC1A 1BB": "EC1A 1BB", ".": None},
}
VECTORS[i.last_name.undigited] = VECTORS[i.first_name.undigited]
VECTORS[i.last_name.lower] = VECTORS[i.first_name.lower]
VECTORS[i.last_name.alphabetic] = VECTORS[i.first_name.alphabetic]
VECTORS[i.anonymous_id.lower] = VECTORS[i.user_id.lower]
VECTORS[i.last_name.bare] = VECTORS[i.first_name.bare]
VECTORS[i.last_name.letters] = VECTORS[i.first_name.letters]
VECTORS[i.last_name.compact] = VECTORS[i.first_name.compact]
VECTORS[i.last_name.words] = VECTORS[i.first_name.words]
VECTORS[i.anonymous_id.compact] = VECTORS[i.user_id.compact]
VECTORS[i.last_name.amazon] = VECTORS[i.first_name.amazon]
VECTORS[i.anonymous_id.clear] = VECTORS[i.user_id.clear]
VECTORS[i.anonymous_id.trimmed] = VECTORS[i.user_id.trimmed]
VECTORS[i.last_name.trimmed] = VECTORS[i.first_name.trimmed]
VECTORS[i.anonymous_id.as_is] = VECTORS[i.user_id.as_is]
HASHES = {
    "SHA-256": lambda text: hashlib.sha256(text).hexdigest(),
    "MD5": lambda text: hashlib.md5(text).hexdigest(),
    "SHA-1": lambda text: hashlib.sha1(text).hexdigest(),
    "SHA-256 of the MD5": lambda text: hashlib.sha256(hashlib.md5(text).hexdigest().encode()).hexdigest(),
}
RECIPES = sorted(VECTORS, key=lambda recipe: recipe.name)


def case(recipe: Recipe) -> str:
    return recipe.name


def test_every_recipe_that_a_platform_uses_has_vectors() -> None:
    assert {recipe.name for recipe in all_recipes()} <= {recipe.name for recipe in VECTORS}


def test_no_two_recipes_share_a_name() -> None:
    defined = [
        value
        for holder in vars(i).values()
        if isinstance(holder, type)
        for value in vars(holder).values()
        if isinstance(value, Recipe)
    ]
    assert len({recipe.name for recipe in defined}) == len(defined)
    assert {recipe.name for recipe in defined} == {recipe.name for recipe in VECTORS}


@pytest.mark.parametrize("recipe", RECIPES, ids=case)
def test_a_value_is_normalised_as_its_dossier_says(recipe: Recipe) -> None:
    for vector, normal in VECTORS[recipe].items():
        raw, country = vector if isinstance(vector, tuple) else (vector, None)
        want = HASHES[recipe.digest](normal.encode()) if normal and recipe.hashed else normal
        assert recipe(raw, country) == want, (raw, country, normal)


@pytest.mark.parametrize(
    ("recipe", "raw", "digest"),
    [
        (i.email.trimmed, "john_smith@gmail.com", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
        (i.phone.digits, "16505551212", "e323ec62"),
        (i.first_name.letters, "Valéry", "08e1996b"),
        (i.birth_date.digits, "1997-02-16", "01acdbf6"),
        (i.country.code, "US", "79adb2a2"),
        (i.email.trimmed, "person@example.com", "542d240129883c019e106e3b1b2d3f3cb3537c43c425364de8e951d5a3083345"),
        (i.phone.digits, "+44 844 412 4653", "dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383"),
        (
            i.email.reddit,
            "Al.ice$+Apple@Example.Com",
            "ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976",
        ),
        (i.email.sha1, " Jane.Doe@example.com", "a3caddb38202511eab803116294dc020f7c4f8a2"),
        (i.email.md5, " Jane.Doe@example.com", "0cba00ca3da1b283a57287bcceb17e35"),
        (
            i.email.sha256_md5,
            "jane.doe@example.com",
            "861a02f31e82e3e351245b890b77cd9dcf6d2a41cae117e1fb55d79a1c9a2b8f",
        ),
        (i.user_id.trimmed, "customer12345", "a4cc2fc5adf58a029291c1514d273989113a1d05e1d753c1d0c3a848af7109cc"),
    ],
)
def test_a_digest_is_the_one_that_its_platform_publishes(recipe: Recipe, raw: str, digest: str) -> None:
    assert (recipe(raw, "US") or "").startswith(digest)


@pytest.mark.parametrize("recipe", RECIPES, ids=case)
@pytest.mark.parametrize("nothing", ["", " ", "\t\r\n", "\u00a0\u3000"])
def test_an_empty_value_vanishes(recipe: Recipe, nothing: str) -> None:
    assert recipe(nothing, "US") is None


@pytest.mark.parametrize("recipe", RECIPES, ids=case)
def test_a_value_that_is_already_hashed_is_never_hashed_again(recipe: Recipe) -> None:
    for spelling in (DIGEST, DIGEST.upper(), f"  {DIGEST}\n"):
        assert recipe(spelling, "US") == (DIGEST if recipe.hashed and recipe.digest == "SHA-256" else None)


@pytest.mark.parametrize("recipe", RECIPES, ids=case)
def test_the_digest_of_nothing_never_leaves(recipe: Recipe) -> None:
    assert recipe(EMPTY_DIGEST, "US") is None
    assert recipe(EMPTY_DIGEST.upper(), "US") is None


def test_a_text_of_another_length_is_no_digest() -> None:
    assert i.user_id.trimmed(DIGEST[:-1]) == hashlib.sha256(DIGEST[:-1].encode()).hexdigest()
    assert i.user_id.trimmed(DIGEST[:-1] + "g") == hashlib.sha256((DIGEST[:-1] + "g").encode()).hexdigest()
    assert i.email.trimmed(DIGEST[:-1]) is None


@given(raw=st.text(max_size=40), country=st.sampled_from([None, "US", "DE", "CA", "GB", "IT", "XK"]))
@settings(deadline=None)
@example(raw="\ud800", country=None)
@example(raw="\u0130\u0301@x.de", country="DE")
def test_any_text_gives_a_digest_a_clean_text_or_nothing(raw: str, country: str | None) -> None:
    for recipe in RECIPES:
        value = recipe(raw, country)
        if value is None:
            continue
        assert value != EMPTY_DIGEST
        if recipe.hashed:
            assert len(value) == {"MD5": 32, "SHA-1": 40}.get(recipe.digest, 64)
            assert set(value) <= set("0123456789abcdef")
        else:
            assert value == value.strip() != ""
        # Outer white space never makes another person.
        assert recipe(f" {raw}\t", country) == value
