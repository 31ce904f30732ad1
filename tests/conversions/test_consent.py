"""The decision table of consent."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from capi_pipeline.conversions.consent import OPT_IN_COUNTRIES, ConsentPolicy, decide
from tests.conversions.support import batch, row

SENT, DENIED, UNKNOWN = None, "consent_denied", "consent_unknown"
# (ad_storage, ad_user_data): in a country where silence means no, elsewhere
TABLE: dict[tuple[str | None, str | None], tuple[str | None, str | None]] = {
    ("granted", "granted"): (SENT, SENT),
    ("granted", None): (UNKNOWN, SENT),
    (None, "granted"): (UNKNOWN, SENT),
    (None, None): (UNKNOWN, SENT),
    ("granted", "denied"): (DENIED, DENIED),
    ("denied", "granted"): (DENIED, DENIED),
    ("denied", "denied"): (DENIED, DENIED),
    ("denied", None): (DENIED, DENIED),
    (None, "denied"): (DENIED, DENIED),
}


def decided(policy: ConsentPolicy | None = None, **values: Any) -> str | None:
    (reason,) = decide(batch(row(**values)), policy or ConsentPolicy()).to_pylist()
    return reason


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(product(("granted", "denied", None), repeat=2))


@pytest.mark.parametrize(("storage", "user_data"), TABLE)
@pytest.mark.parametrize(
    ("place", "opt_in"),
    [
        ({"country": "DE"}, True),
        ({"country": "GB"}, True),
        ({"country": "CH"}, True),
        ({"country": "RE"}, True),
        ({"country": "US"}, False),
        ({"country": "JP"}, False),
        ({"country": None}, True),
        ({"country": "US", "privacy_country": "FR"}, True),
        ({"country": "FR", "privacy_country": "US"}, False),
        ({"country": None, "privacy_country": "US"}, False),
        ({"country": None, "privacy_country": "NO"}, True),
    ],
    ids=str,
)
def test_a_choice_decides_by_the_jurisdiction_where_it_was_made(
    storage: str | None, user_data: str | None, place: dict[str, str | None], opt_in: bool
) -> None:
    want = TABLE[(storage, user_data)][0 if opt_in else 1]
    assert decided(consent_ad_storage=storage, consent_ad_user_data=user_data, **place) == want


def test_personalisation_and_opt_out_of_sale_are_for_the_platform_to_honour() -> None:
    assert decided(consent_ad_personalization="denied", opt_out_of_sale=True, country="US") is SENT


def test_each_country_of_opt_in_withholds_silence() -> None:
    assert len(OPT_IN_COUNTRIES) == 27 + 3 + 1 + 1 + 7  # EU, EEA, GB, CH, and EU parts with a code of their own
    rows = [row(consent_ad_storage=None, country=code) for code in sorted(OPT_IN_COUNTRIES)]
    assert set(decide(batch(*rows), ConsentPolicy()).to_pylist()) == {UNKNOWN}


def test_the_countries_are_a_setting() -> None:
    policy = ConsentPolicy(frozenset(["BR"]), opt_in_if_unknown=False)
    silent = {"consent_ad_storage": None, "consent_ad_user_data": None}
    assert decided(policy, country="BR", **silent) == UNKNOWN
    assert decided(policy, country="DE", **silent) is SENT
    assert decided(policy, country=None, **silent) is SENT
    assert decided(policy, country=None, consent_ad_storage="denied") == DENIED


def test_each_row_gets_its_own_decision_and_no_rows_get_none() -> None:
    rows = [row(), row(consent_ad_storage="denied"), row(consent_ad_storage=None, country="DE"), row(country="DE")]
    assert decide(batch(*rows), ConsentPolicy()).to_pylist() == [SENT, DENIED, UNKNOWN, SENT]
    assert decide(batch(*rows).slice(1, 2), ConsentPolicy()).to_pylist() == [DENIED, UNKNOWN]
    assert decide(batch(), ConsentPolicy()).to_pylist() == []
