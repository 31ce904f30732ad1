"""The consent decision: one table of every combination, tried through transform and platform; and how sources are joined."""

from __future__ import annotations

from itertools import product
from typing import Any

import pyarrow as pa
import pytest

from capi_pipeline.conversions import consent
from capi_pipeline.conversions.consent import OPT_IN_COUNTRIES, ConsentPolicy, PlatformClass, State, decide
from capi_pipeline.conversions.conversion import Conversion, conversions
from capi_pipeline.conversions.suppression import Person, Suppressed, tokens_of
from capi_pipeline.conversions.transform import transform
from capi_pipeline.platforms import NAMES, platform
from capi_pipeline.platforms.outcomes import Reason, Withhold
from capi_pipeline.platforms.privacy import PRIVACY
from tests.conversions.strings import ALL_VENDORS, NOT_OPTED_OUT, OPTED_OUT, REFUSED, tc_string
from tests.conversions.support import batch, row

KEY = b"a key"
GONE = "gone@example.com"
FORGOTTEN = Suppressed(KEY, frozenset(tokens_of(KEY, Person(emails=(GONE,)))))

# What a person said -> the columns of a row that say so.
SAID: dict[State, dict[str, Any]] = {
    State.GRANTED: {},
    State.UNKNOWN: {"consent_ad_user_data": None},
    State.UNREADABLE: {"consent_ad_user_data": None, "tcf_string": "nonsense"},
    State.DENIED: {"consent_ad_user_data": "denied"},
    State.ERASED: {"emails": f'["{GONE}"]'},
}
# Where -> whether silence means no there.
PLACES: dict[str, bool] = {"DE": True, "NO": True, "GB": True, "CH": True, "US": False, "JP": False, "": True}
# One platform of each class, and whether it can be told of an opt-out.
PLATFORMS = {
    PlatformClass.LIMITED_DATA: ("meta", True),
    PlatformClass.CONSENT_AND_LIMITED_DATA: ("amazon_ads", True),
    PlatformClass.CONSENT_FIELDS: ("google_data_manager", False),
    PlatformClass.ANALYTICS: ("ga4", True),
    PlatformClass.AFFILIATE: ("awin", False),
    PlatformClass.PLAIN: ("linkedin", False),
}
# The table, as a privacy officer wrote it: what was said -> (where silence means no, elsewhere); SENT is not withheld.
SENT = None
TABLE: dict[State, tuple[str | None, str | None]] = {
    State.GRANTED: (SENT, SENT),
    State.UNKNOWN: ("consent_unknown", SENT),
    State.UNREADABLE: ("consent_unreadable", "consent_unreadable"),
    State.DENIED: ("consent_denied", "consent_denied"),
    State.ERASED: ("erased", "erased"),
}


def hashed(policy: ConsentPolicy | None = None, **values: Any) -> Conversion:
    (found,) = conversions(transform(batch(row(**values)), [], policy or ConsentPolicy(), FORGOTTEN))
    return found


def reason_at(name: str, conversion: Conversion) -> str | None:
    """Why this platform does not get it, as far as consent goes."""
    try:
        platform(name).screen_consent(conversion)
    except Withhold as withheld:
        return withheld.reason.value
    return None


def decided(policy: ConsentPolicy | None = None, **values: Any) -> str | None:
    return hashed(policy, **values).withhold


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(SAID) == set(State)
    assert set(PLATFORMS) == set(PlatformClass)
    assert {rule.reason for rule in consent.RULES} <= {reason.value for reason in Reason}


@pytest.mark.parametrize("kind", PlatformClass)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("opted_out", [None, False, True])
@pytest.mark.parametrize("said", State)
def test_every_combination(said: State, opted_out: bool | None, place: str, kind: PlatformClass) -> None:
    name, can_be_told = PLATFORMS[kind]
    assert PRIVACY[name].kind is kind
    want = TABLE[said][0 if PLACES[place] else 1]
    if want is SENT and opted_out and not can_be_told:
        want = "opted_out"
    conversion = hashed(country=place or None, opt_out_of_sale=opted_out, **SAID[said])
    assert reason_at(name, conversion) == want
    assert conversion.opt_out_of_sale is opted_out


@pytest.mark.parametrize(
    ("place", "opt_in"),
    [
        ({"country": "US", "privacy_country": "FR"}, True),
        ({"country": "FR", "privacy_country": "US"}, False),
        ({"country": None, "privacy_country": "US"}, False),
        ({"country": None, "privacy_country": "NO"}, True),
        ({"country": "RE"}, True),
    ],
    ids=str,
)
def test_the_place_where_the_choice_was_made_decides(place: dict[str, str | None], opt_in: bool) -> None:
    assert decided(consent_ad_storage=None, **place) == ("consent_unknown" if opt_in else SENT)


@pytest.mark.parametrize(("storage", "user_data"), list(product(("granted", "denied", None), repeat=2)))
def test_two_questions_are_asked_and_one_no_is_a_no(storage: str | None, user_data: str | None) -> None:
    answers = {storage, user_data}
    want = "consent_denied" if "denied" in answers else "consent_unknown" if None in answers else SENT
    assert decided(country="DE", consent_ad_storage=storage, consent_ad_user_data=user_data) == want


def test_each_country_of_opt_in_withholds_silence() -> None:
    assert len(OPT_IN_COUNTRIES) == 27 + 3 + 1 + 1 + 7  # EU, EEA, GB, CH, and EU parts with a code of their own
    rows = [row(consent_ad_storage=None, country=code) for code in sorted(OPT_IN_COUNTRIES)]
    assert set(decide(batch(*rows), ConsentPolicy()).withhold.to_pylist()) == {"consent_unknown"}


def test_the_countries_are_a_setting() -> None:
    policy = ConsentPolicy(frozenset(["BR"]), opt_in_if_unknown=False)
    silent = {"consent_ad_storage": None, "consent_ad_user_data": None}
    assert decided(policy, country="BR", **silent) == "consent_unknown"
    assert decided(policy, country="DE", **silent) is SENT
    assert decided(policy, country=None, **silent) is SENT
    assert decided(policy, country=None, consent_ad_storage="denied") == "consent_denied"


def test_each_row_gets_its_own_decision_and_no_rows_get_none() -> None:
    rows = [row(), row(consent_ad_storage="denied"), row(consent_ad_storage=None, country="DE"), row(country="DE")]
    want = [SENT, "consent_denied", "consent_unknown", SENT]
    assert decide(batch(*rows), ConsentPolicy()).withhold.to_pylist() == want
    assert decide(batch(*rows).slice(1, 2), ConsentPolicy()).withhold.to_pylist() == want[1:3]
    assert decide(batch(), ConsentPolicy()).withhold == pa.array([], pa.string())


# --- strings -----------------------------------------------------------------------------------------------------------

SILENT = {"consent_ad_storage": None, "consent_ad_user_data": None, "consent_ad_personalization": None}


def answers(conversion: Conversion) -> tuple[str | None, ...]:
    return conversion.consent_ad_storage, conversion.consent_ad_user_data, conversion.consent_ad_personalization


@pytest.mark.parametrize(
    ("purposes", "want"),
    [
        ({1, 3, 4, 7}, ("granted", "granted", "granted")),
        ({1, 7}, ("granted", "granted", "denied")),
        ({1, 3, 7}, ("granted", "granted", "denied")),
        ({1, 4, 7}, ("granted", "granted", "denied")),
        ({1, 3, 4}, ("granted", "denied", "granted")),
        ({7}, ("denied", "denied", "denied")),
        ({2, 5, 6, 8, 9, 10}, ("denied", "denied", "denied")),
    ],
    ids=str,
)
def test_a_tc_string_answers_where_the_columns_are_silent(purposes: set[int], want: tuple[str, ...]) -> None:
    found = hashed(country="DE", tcf_string=tc_string(purposes), **SILENT)
    assert answers(found) == want
    assert found.withhold == (SENT if want[:2] == ("granted", "granted") else "consent_denied")


def test_where_sources_differ_the_stricter_wins() -> None:
    assert decided(tcf_string=REFUSED) == "consent_denied"
    assert decided(tcf_string=ALL_VENDORS, consent_ad_storage="denied") == "consent_denied"
    assert hashed(tcf_string=ALL_VENDORS, consent_ad_personalization="denied").consent_ad_personalization == "denied"
    assert hashed(opt_out_of_sale=False, gpp_string=OPTED_OUT).opt_out_of_sale is True
    assert hashed(opt_out_of_sale=True, gpp_string=NOT_OPTED_OUT).opt_out_of_sale is True
    inside = f"DBABMA~{REFUSED}"
    assert decided(tcf_string=ALL_VENDORS, gpp_string=inside) == "consent_denied"


def test_a_gpp_string_answers_where_the_columns_are_silent() -> None:
    assert hashed(country="US", gpp_string=OPTED_OUT).opt_out_of_sale is True
    assert hashed(country="US", gpp_string=NOT_OPTED_OUT).opt_out_of_sale is False
    assert hashed(country="US", gpp_string="DBABLA~BAAAAAAAAABA.YA").opt_out_of_sale is True  # Global Privacy Control
    assert decided(country="DE", gpp_string=f"DBABMA~{ALL_VENDORS}", **SILENT) is SENT
    assert decided(country="DE", gpp_string=f"DBABMA~{REFUSED}") == "consent_denied"


def test_a_purpose_that_the_publisher_asks_elsewhere_is_no_refusal() -> None:
    elsewhere = tc_string({3, 4, 7}, one_elsewhere=True)
    assert answers(hashed(tcf_string=elsewhere)) == ("granted", "granted", "granted")
    assert decided(country="DE", tcf_string=elsewhere, consent_ad_storage=None) == "consent_unknown"


@pytest.mark.parametrize("country", ["DE", "US", "JP", None])
def test_an_unreadable_string_is_no_consent_where_nothing_else_answers(country: str | None) -> None:
    for strings in ({"tcf_string": "nonsense"}, {"gpp_string": "nonsense"}, {"gpp_string": "DBABMA~nonsense"}):
        assert decided(country=country, **strings, **SILENT) == "consent_unreadable"
        found = hashed(country=country, **strings)  # the columns answer, but for personalisation
        assert found.withhold is SENT
        assert found.consent_ad_personalization == "denied"
        assert (
            hashed(country=country, consent_ad_personalization="granted", **strings).consent_ad_personalization
            == "granted"
        )


def test_an_unreadable_gpp_string_is_an_opt_out_where_no_column_answers() -> None:
    assert hashed(country="US", gpp_string="nonsense").opt_out_of_sale is True
    assert hashed(country="US", gpp_string="nonsense", opt_out_of_sale=False).opt_out_of_sale is False
    assert hashed(country="US", tcf_string="nonsense").opt_out_of_sale is None
    assert hashed(country="US", gpp_string="DBABMA~nonsense").opt_out_of_sale is None  # the part on sale was read


def test_no_platform_is_handed_a_string_that_nobody_can_read() -> None:
    found = hashed(tcf_string="nonsense", gpp_string=NOT_OPTED_OUT)
    assert (found.tcf_string, found.gpp_string) == (None, NOT_OPTED_OUT)
    found = hashed(tcf_string=ALL_VENDORS, gpp_string="DBABMA~nonsense")
    assert (found.tcf_string, found.gpp_string) == (ALL_VENDORS, None)


def test_unreadable_strings_are_named_by_row_and_cause_without_a_word_of_them() -> None:
    rows = [
        row(),
        row(tcf_string="jane@example.com"),
        row(gpp_string="DBABTA"),
        row(tcf_string=ALL_VENDORS),
        row(tcf_string=""),
    ]
    assert list(consent.unreadable(batch(*rows))) == [
        (1, "TCF: it holds a character that is not base64url"),
        (2, "GPP: its header names 1 sections, and 0 follow"),
    ]


# --- vendors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_each_platform_is_in_the_privacy_table(name: str) -> None:
    assert PRIVACY[name].kind.limits == platform(name).limited_data, "platforms/privacy.py and limited_data differ"
    assert PRIVACY[name].deletion


@pytest.mark.parametrize("name", [name for name in NAMES if PRIVACY[name].vendor])
def test_a_platform_needs_vendor_consent_where_there_is_a_tc_string(name: str) -> None:
    vendor = PRIVACY[name].vendor
    assert vendor
    assert reason_at(name, hashed(tcf_string=tc_string(vendors={vendor}))) is SENT
    assert reason_at(name, hashed(tcf_string=tc_string(vendors={vendor + 1}))) == "vendor_denied"
    assert reason_at(name, hashed(gpp_string=f"DBABMA~{tc_string(vendors={vendor + 1})}")) == "vendor_denied"
    assert reason_at(name, hashed(tcf_string="nonsense")) is SENT  # the columns have answered
    assert reason_at(name, hashed()) is SENT


def test_a_platform_of_no_known_vendor_is_judged_by_the_purposes() -> None:
    assert reason_at("meta", hashed(tcf_string=tc_string(vendors={1}))) is SENT
    assert reason_at("meta", hashed(tcf_string=REFUSED)) == "consent_denied"
