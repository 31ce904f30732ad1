"""GPP strings. The vectors and what they mean are IAB Tech Lab's own: the specification and the tests of iabgpp-java."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capi_pipeline.conversions import gpp
from capi_pipeline.conversions.bits import MalformedString
from capi_pipeline.conversions.gpp import Signals, decode
from tests.conversions.strings import base64url, tc_string

HEADERS = {
    "DBAA": [], "DBABM": [2], "DBABMA": [2], "DBACNY": [2, 6], "DBACNYA": [2, 6], "DBABjw": [5, 6], "DBABTA": [6],
    "DBABLA": [7], "DBACOeA": [2, 5, 6], "DBACOYs": list(range(2, 3)) + list(range(5, 24)),
}  # fmt: skip
# Each section as iabgpp-java's tests encode it: opted out of everything with GPC, and untouched.
SECTIONS = {
    7: ("BVVVkkkkkpFY", "BAAAAAAAAABA"), 8: ("BVWSSSVY", "BAAAAABA"), 9: ("BVWSSVY", "BAAAABA"), 10: ("BVWSSVg", "BAAAAEA"),
    11: ("BVVkklWA", "BAAAAAQA"), 12: ("BVWSSZFg", "BAAAAAEA"), 13: ("BVWSSZlY", "BAAAAABA"), 14: ("BVWSSZFY", "BAAAAABA"),
    15: ("BVWSSRpFYA", "BAAAAAABAA"), 16: ("BVWSSVWA", "BAAAAAQA"), 17: ("BVWSSSSVYA", "BAAAAAABAA"),
    18: ("BVVkklWA", "BAAAAAQA"), 19: ("BVWSSVWA", "BAAAAAQA"), 20: ("BVWSSZFY", "BAAAAABA"), 21: ("BVWSSRklWA", "BAAAAAAAQA"),
    22: ("BVWSSVWA", "BAAAAAQA"), 23: ("BVWSSVWA", "BAAAAAQA"),
}  # fmt: skip


def header(*sections: int) -> str:
    """By the specification: each section's distance from the one before, in Fibonacci code."""
    bits, last = f"{3:06b}{1:06b}{len(sections):012b}", 0
    for section in sections:
        bits += "0" + fibonacci(section - last)
        last = section
    return base64url(bits)


def fibonacci(number: int) -> str:
    steps = [1, 2]
    while steps[-1] <= number:
        steps.append(steps[-1] + steps[-2])
    code = ""
    for step in reversed(steps[:-1]):
        code = ("1" if step <= number else "0") + code
        number -= step if step <= number else 0
    return code.rstrip("0") + "1"


@pytest.mark.parametrize("text", HEADERS)
def test_the_header_lists_the_sections(text: str) -> None:
    assert gpp._header(text) == HEADERS[text]
    if text not in ("DBABjw", "DBACOYs", "DBACOeA"):  # these hold a range
        assert header(*HEADERS[text]).startswith(text.rstrip("A") or text)


@pytest.mark.parametrize("section", SECTIONS)
def test_each_us_section_tells_an_opt_out(section: int) -> None:
    opted_out, untouched = SECTIONS[section]
    assert decode(f"{header(section)}~{opted_out}") == Signals(True, None)
    assert decode(f"{header(section)}~{untouched}") == Signals(None, None)
    assert decode(f"{header(section)}~{untouched}.QA") == Signals(None, None)  # GPC is not set
    assert decode(f"{header(section)}~{untouched}.YA") == Signals(True, None)  # GPC alone opts out


@pytest.mark.parametrize("section", SECTIONS)
def test_each_opt_out_of_a_us_section_counts_by_itself(section: int) -> None:
    """Positions as in the specifications' own tables (bits before the first opt-out, how many there are)."""
    before, many = {7: (18, 3), 11: (14, 2), 18: (14, 2)}.get(section, (12, 2))
    for place in range(many):
        for answer, want in ((1, True), (2, False), (0, None)):
            bits = (
                f"{1:06b}"
                + "01" * ((before - 6) // 2)
                + "".join(f"{answer if n == place else 0:02b}" for n in range(many))
            )
            assert decode(f"{header(section)}~{base64url(bits + '0' * 40)}").opted_out is want


@pytest.mark.parametrize(
    ("text", "opted_out"),
    [("1YNN", False), ("1YYN", True), ("1---", None), ("1NYY", True), ("1ynn", False), ("1YN-", False)],
)
def test_the_us_privacy_string_tells_its_third_letter(text: str, opted_out: bool | None) -> None:
    assert decode(f"DBABTA~{text}").opted_out is opted_out


def test_the_european_section_is_a_tc_string() -> None:
    text = "CPSG_8APSG_8ANwAAAENAwCAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA"
    assert decode(f"DBACNYA~{text}~1YNN") == Signals(False, text)


def test_only_sections_in_force_decide_but_global_privacy_control_is_the_browsers() -> None:
    both = f"{header(2, 6)}~{tc_string()}~1YYN"
    assert decode(both, "2") == Signals(None, tc_string())
    assert decode(both, "6") == Signals(True, None)
    for everything in (None, "", "-1", "2,6", "2_6", "[2, 6]", "nonsense"):
        assert decode(both, everything) == Signals(True, tc_string())
    assert decode(f"{header(2, 7)}~{tc_string()}~BAAAAAAAAABA.YA", "2").opted_out is True


def test_one_opt_out_among_sections_is_one() -> None:
    assert decode(f"{header(6, 7)}~1YNN~BVVVkkkkkpFY").opted_out is True


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "ends at bit"),
        ("z", "begins with type"),
        ("CPSG_8APSG_8", "begins with type 2"),
        ("DCABTA~1YNN", "of version 2"),
        ("DBABTA", "names 1 sections, and 0 follow"),
        ("DBABTA~1YNN~1YNN", "names 1 sections, and 2 follow"),
        ("DBABTA~1YXN", "US Privacy"),
        ("DBABTA~2YNN", "US Privacy"),
        ("DBABLA~z", "ends at bit"),
        ("DBABLA~", "ends at bit 0"),
        (f"{header(7)}~{base64url('000000' + '0' * 60)}", "no version"),
        (f"{header(8)}~{base64url('000001' + '000000' + '1100' + '0' * 30)}", "an answer that is none"),
        (f"{header(24)}~BAAAAAQA", "section 24 is of a layout"),
        (f"{header(40)}~BAAAAAQA", "section 40 is of a layout"),
        (f"{header(70)}~BAAAAAQA", "does not exist"),
    ],
)
def test_a_string_that_breaks_the_specification_is_malformed(text: str, words: str) -> None:
    with pytest.raises(MalformedString, match=words):
        decode(text)


def test_a_section_that_is_not_understood_does_no_harm_where_it_does_not_decide() -> None:
    text = f"{header(6, 24)}~1YYN~BAAAAAQA"
    assert decode(text).opted_out is True  # another section has said so
    assert decode(text.replace("1YYN", "1YNN"), "6").opted_out is False  # it is not in force


@given(st.text("ABCxyz019-_.~Y", max_size=120))
def test_nothing_else_ever_happens(text: str) -> None:
    with contextlib.suppress(MalformedString):
        assert isinstance(decode("DBA" + text), Signals)
