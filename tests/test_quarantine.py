"""What leads to nobody: what counts as out of the ordinary, and what of a key may be shown."""

from __future__ import annotations

from collections import Counter

import pytest

from capi_pipeline.quarantine import Kind, Quarantine, shown

EMAIL, DEVICE = Kind("email", "role_address"), Kind("anonymous_id", "shared_device")
FEW = Quarantine(
    ids=10_000, persons=2_000, merges=3, by_kind=Counter({EMAIL: 30, DEVICE: 70}), new=Counter({DEVICE: 5})
)


def of(**changes: object) -> Quarantine:
    return Quarantine(**{**FEW.__dict__, **changes})  # type: ignore[arg-type]


def test_some_ids_are_always_nobodys() -> None:
    assert FEW.alarms(most=0.05, jump=0.01) == []
    assert Quarantine(0, 0, 0).alarms(most=0.05, jump=0.01) == []


def test_too_many_ids_that_lead_to_nobody_are_an_alarm() -> None:
    many = of(by_kind=Counter({DEVICE: 501}))
    assert many.alarms(most=0.05, jump=0.01) == ["501 of 10,000 ids (5.0%) lead to nobody."]


def test_too_many_at_once_are_an_alarm_however_few_they_are_of_all() -> None:
    sudden = of(by_kind=Counter({DEVICE: 300}), new=Counter({DEVICE: 101}))
    assert sudden.alarms(most=0.05, jump=0.01) == ["101 ids (1.0%) were quarantined by this build alone."]


def test_the_first_build_is_no_jump() -> None:
    assert of(by_kind=Counter({DEVICE: 300}), new=Counter({DEVICE: 300})).alarms(most=0.05, jump=0.01) == []


def test_too_many_merges_at_once_are_an_alarm() -> None:
    assert of(merges=21).alarms(most=0.05, jump=0.01) == [
        "21 persons (1.0%) turned out to be others in this build alone."
    ]


def test_a_handful_is_no_jump_in_a_small_shop() -> None:
    small = Quarantine(ids=50, persons=20, merges=20, by_kind=Counter({DEVICE: 20}), new=Counter({DEVICE: 19}))
    assert small.alarms(most=0.05, jump=0.01) == []


@pytest.mark.parametrize(
    ("id_type", "key", "as_shown"),
    [
        ("phone", "12125550100", "*********00"),
        ("phone", "x0550199", "******99"),
        ("email", "9f86d081884c7d65", "9f86d081884c7d65"),
        ("anonymous_id", "ab-1", "ab-1"),
        ("customer_id", "C1", "C1"),
    ],
)
def test_a_key_is_shown_so_that_it_can_be_found_but_not_called(id_type: str, key: str, as_shown: str) -> None:
    assert shown(id_type, key) == as_shown


def test_an_account_that_is_named_by_its_address_is_shown_as_a_digest() -> None:
    assert shown("customer_id", "Jane@X.com ") == shown("anonymous_id", "jane@x.com")
    assert "jane" not in shown("customer_id", "Jane@X.com").lower()
