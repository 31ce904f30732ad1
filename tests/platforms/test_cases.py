"""The case tables of each platform: what becomes of an event, and how an answer reads."""

from __future__ import annotations

from typing import Any

import pytest

from capi_pipeline.conversions.contract import EVENT_NAMES
from capi_pipeline.platforms import NAMES
from capi_pipeline.platforms.outcomes import Reason
from tests.platforms.support import GONE, Answer, Case, at, cases, disagreements, event, made, sent, withheld


def table(attribute: str) -> list[Any]:
    return [
        pytest.param(name, entry, id=f"{name}: {entry.title}")
        for name in NAMES
        for entry in getattr(cases(name), attribute, [])
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_canonical_event_has_its_name_or_its_reason(name: str) -> None:
    known = cases(name)
    assert set(known.NAMES) == set(EVENT_NAMES)
    for canonical, want in known.NAMES.items():
        if isinstance(want, Reason):
            assert withheld(name, event(canonical)) == want, canonical
            continue
        path = getattr(known, "REFUND_NAME_AT", known.NAME_AT) if canonical == "refund" else known.NAME_AT
        assert at(sent(name, event(canonical)), path) == want, canonical


@pytest.mark.parametrize(("name", "case"), table("CASES"))
def test_an_event_becomes_what_the_dossier_says(name: str, case: Case) -> None:
    if isinstance(case.want, Reason):
        assert withheld(name, case.event, case.config) == case.want
        return
    request = sent(name, case.event, config=case.config)
    for path, value in case.want.items():
        got = at(request, path)
        assert got == value if value is not GONE else got is GONE, (path, got, value)
        assert type(got) is type(value), (path, got, value)


@pytest.mark.parametrize(("name", "want"), table("ANSWERS"))
def test_an_answer_reads_as_documented(name: str, want: Answer) -> None:
    verdict = made(name, want.config).read(want.response, want.count)
    assert disagreements(verdict, want) == []


@pytest.mark.parametrize(("name", "want"), table("STATUS_ANSWERS"))
def test_a_later_answer_reads_as_documented(name: str, want: Answer) -> None:
    verdict = made(name, want.config).read_status(want.response, want.count)
    assert disagreements(verdict, want) == []
