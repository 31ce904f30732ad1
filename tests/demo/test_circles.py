"""Who shares what: households, companies, numbers that changed hands."""

from __future__ import annotations

from itertools import groupby

import pytest

from capi_pipeline.demo.circles import HOUSEHOLD, NEIGHBOURS, REUSED_PHONE, TABLET, TEAM, circle, is_shared_email
from capi_pipeline.demo.people import Person, person

CROWD = [person(1, number) for number in range(6000)]
HOMES = [
    list(members)
    for home, members in groupby((who for who in CROWD if who.home), key=lambda who: who.home)
]  # fmt: skip
MAILBOXES = [
    list(members)
    for _, members in groupby((who for who in CROWD if who.mailbox), key=lambda who: who.mailbox)
]  # fmt: skip


def test_a_household_is_two_or_three_people_of_one_name_at_one_address() -> None:
    assert {len(members) for members in HOMES} == {2, 3}
    for members in HOMES:
        assert len({(who.last, who.country, who.city, who.postal, who.street) for who in members}) == 1
        assert len({who.first for who in members}) == len(members)
        assert len({who.email for who in members}) == len(members)


def test_a_household_shares_its_tablet_and_nothing_else() -> None:
    with_tablet = [members for members in HOMES if members[0].tablet]
    assert with_tablet
    for members in with_tablet:
        assert len({who.tablet for who in members}) == 1
    keys = [device.key for who in CROWD for device in who.devices]
    assert len(set(keys)) == len(keys)


def test_a_companys_mailbox_is_several_peoples() -> None:
    assert {len(members) for members in MAILBOXES} == {NEIGHBOURS - 1}
    assert all(is_shared_email(str(members[0].mailbox)) for members in MAILBOXES)
    assert not any(is_shared_email(who.email) for who in CROWD)


def test_no_two_people_have_one_number_now() -> None:
    numbers = [(who.country, who.phone) for who in CROWD]
    assert len(set(numbers)) == len(numbers)


def test_a_number_that_was_given_up_is_the_next_persons() -> None:
    given_up: list[Person] = [who for who in CROWD if who.former_phone]
    assert given_up
    for who in given_up:
        assert str(who.former_phone).endswith(person(1, who.number + 1).phone)


@pytest.mark.parametrize(
    ("share", "of"),
    [(HOUSEHOLD, "household"), (HOUSEHOLD * TABLET, "tablet"), (TEAM, "mailbox"), (REUSED_PHONE, "phone_passed_on")],
)
def test_shares_of_circles(share: float, of: str) -> None:
    found = [bool(getattr(circle(1, block * NEIGHBOURS), of)) for block in range(6000)]
    assert sum(found) / len(found) == pytest.approx(share, rel=0.2)
