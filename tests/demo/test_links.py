"""Which ids a careful reader connects, and from when on."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from capi_pipeline.demo.circles import NO_ID, TEST_ACCOUNT, TILL_EMAILS, TILL_PHONE
from capi_pipeline.demo.links import Link, connected, node
from capi_pipeline.demo.people import person

WHO = replace(person(1, 3), email="capi.demo.shopper3@gmail.com", country="US", phone="2125550123", former_phone=None)


@pytest.mark.parametrize(
    "typed",
    [
        " CAPI.DEMO.SHOPPER3@GMAIL.COM ",
        "capidemoshopper3@gmail.com",
        "capi.demo.shopper3+news@googlemail.com",
        hashlib.sha256(b"capi.demo.shopper3@gmail.com").hexdigest(),
    ],
)
def test_a_mailbox_has_many_spellings(typed: str) -> None:
    assert node(WHO, "email", typed) == "e:capidemoshopper3@gmail.com"


def test_a_typing_error_is_another_mailbox() -> None:
    assert node(WHO, "email", "capi.demo.shopperr3@gmail.com") == "e:capidemoshopperr3@gmail.com"


@pytest.mark.parametrize("typed", ["(212) 555-0123", "+1 2125550123", "001 2125550123", "212.555.0123 ext. 77"])
def test_a_number_has_many_spellings(typed: str) -> None:
    assert node(WHO, "phone", typed) == "p:US2125550123"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", TILL_EMAILS[0]),
        ("email", " Info@company7.example.com"),
        ("phone", TILL_PHONE),
        ("customer_id", TEST_ACCOUNT),
        ("anonymous_id", NO_ID),
    ],
)
def test_what_several_people_use_connects_nothing(kind: str, value: str) -> None:
    assert node(WHO, kind, value) is None


def test_a_number_given_up_connects_nothing() -> None:
    assert node(replace(WHO, former_phone="+1 2125559999"), "phone", "+1 2125559999") is None


def test_a_chain_over_five_hops_connects_from_its_last_link_on() -> None:
    links: list[Link] = [(f"n{hop}", f"n{hop + 1}", 100.0 - hop) for hop in range(5)]
    links.sort(key=lambda link: link[2])
    questions = [("n0", "n5", 100.0), ("n0", "n5", 100.5), ("n1", "n5", 99.5), ("n0", "other", 200.0)]
    assert connected(links, questions) == [False, True, True, False]


def test_an_id_is_connected_with_itself() -> None:
    assert connected([], [("s:1", "s:1", 0.0)]) == [True]
