"""The page of results says what the results say."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.__main__ import kept, plain
from tests.chaos.page import BEGIN, END, measured, replaced
from tests.chaos.play import Result
from tests.chaos.reconcile import Verdict

GOOD = Result(1, False, {"meta": Verdict(events=9, accepted=9)}, Counter({"5xx": 2}), Counter({"random": 1}), reruns=2)
BAD = Result(2, True, {"meta": Verdict(events=9, accepted=7, lost=["purchase e1: not in the ledger"])}, reruns=3)


def test_what_was_lost_stands_in_the_page_with_the_schedule_that_lost_it() -> None:
    text = measured([GOOD, BAD], "today", 3)
    assert "| **lost** | **1** |" in text
    assert "| conversions to deliver (each counted once per platform) | 18 |" in text
    assert "| schedules with any violation | 2 |" in text
    assert "| at a random moment | 1 |" in text
    assert "| 5xx | 2 |" in text


def test_only_the_measured_part_of_the_page_changes() -> None:
    page = f"# Title\n{BEGIN}\nold\n{END}\nlast words\n"
    assert replaced(page, "new") == f"# Title\n{BEGIN}\nnew\n{END}\nlast words\n"
    with pytest.raises(ValueError, match="lacks"):
        replaced("# Title", "new")


def test_an_interrupted_measurement_goes_on_with_what_it_has(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    assert kept(file) == []
    file.write_text("".join(f"{json.dumps(plain(result))}\n" for result in (GOOD, BAD)))
    assert kept(file) == [GOOD, BAD]
