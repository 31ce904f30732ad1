"""TC strings. The vectors and what they mean are IAB Tech Lab's own: the tests of iabtcf-java and of iabgpp-java."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capi_pipeline.conversions.bits import LONGEST, MalformedString
from capi_pipeline.conversions.tcf import Consents, decode
from tests.conversions.strings import tc_string

# text -> purposes with consent, vendors with consent
VECTORS: dict[str, tuple[set[int], set[int]]] = {
    "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA": ({2, 10}, set()),
    "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA": (
        {3, 4, 5, 6, 7, 8, 9}, {23, 37, 47, 48, 53, 65, 98},
    ),
    "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA"
    ".IBAgAAAgAIAwgAgAAAAEAAAACA.QAagAQAgAIAwgA": ({3, 4, 5, 6, 7, 8, 9}, {23, 37, 47, 48, 53, 65, 98}),
    "COwBOpCOwBOpCLqAAAENAPCAAAAAAAAAAAAAFfwAYFfAV-BVkAGBVYFWAAA": (set(), {702, 703}),  # two ranges
    "COwBOpCOwBOpCLqAAAENAPCAAAAAAAAAAAAAFfwAQFfgUbABAUaAAA": (set(), {703}),  # one range
    "COwxsONOwxsONKpAAAENAdCAAMAAAAAAAAAAAAAAAAAA": ({1, 2}, set()),
    "CPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA": (set(), set()),
    "CPSG_8APSG_8AAAAAAENAACgAAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAAA": (set(), set()),
}  # fmt: skip


def members(mask: int) -> set[int]:
    return {number for number in range(mask.bit_length()) if mask >> number & 1}


@pytest.mark.parametrize("text", VECTORS)
def test_the_iabs_own_strings_mean_what_the_iab_says(text: str) -> None:
    found = decode(text)
    assert (members(found.purposes), members(found.vendors)) == VECTORS[text]


def test_purpose_one_may_be_asked_elsewhere() -> None:
    assert not decode(
        "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA"
    ).storage_disclosed  # of the IAB: purpose one treatment
    assert decode("COwxsONOwxsONKpAAAENAdCAAMAAAAAAAAAAAAAAAAAA").storage_disclosed


def test_the_publisher_may_forbid_a_vendor_what_the_person_allows_it() -> None:
    agreed = tc_string(purposes={1, 7}, vendors={21, 42}, restrictions=[(7, 0, 42)])
    assert decode(agreed).allows(21)
    assert not decode(agreed).allows(42)
    for purpose, kind in ((7, 1), (2, 0)):  # consent is required, and is there; a purpose that is not ours
        assert decode(tc_string(purposes={1, 7}, vendors={42}, restrictions=[(purpose, kind, 42)])).allows(42)


@given(st.sets(st.integers(1, 24)), st.sets(st.integers(1, 900)), st.booleans())
def test_what_was_encoded_is_read(purposes: set[int], vendors: set[int], ranged: bool) -> None:
    found = decode(tc_string(purposes=purposes, vendors=vendors, ranged=ranged))
    assert (members(found.purposes), members(found.vendors)) == (purposes, vendors)
    assert found.consents(*purposes)
    assert not found.consents(*({*range(1, 25)} - purposes)) or purposes == set(range(1, 25))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "ends at bit 0"),
        ("z", "of version 51"),
        ("BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "of version 1"),
        ("COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAA", "ends at bit"),
        ("COtybn4PA/zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA", "not base64url"),
        ("COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA.", "ends at bit 0"),
        ("COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA._AAA", "segment of an unknown type"),
        ("C" + "A" * LONGEST, "longer than"),
        ("jane@example.com", "not base64url"),
        (tc_string(ranges=[(9, 3)]), "from a higher number"),
        (tc_string(ranges=[(0, 3)]), "from a higher number"),
    ],
)
def test_a_string_that_breaks_the_specification_is_malformed_and_not_quoted(text: str, words: str) -> None:
    with pytest.raises(MalformedString, match=words) as caught:
        decode(text)
    assert len(text) < 20 or text[:20] not in str(caught.value)
    assert "jane" not in str(caught.value)


@given(st.text("ABCxyz019-_.", max_size=200))
def test_nothing_else_ever_happens(text: str) -> None:
    with contextlib.suppress(MalformedString):
        assert isinstance(decode("C" + text), Consents)


def test_a_string_cannot_cost_much() -> None:
    assert decode(tc_string(ranges=[(1, 65535)] * 300)).allows(65535)
