"""Clicks by hand: what counts as attached, right and knowable, and why the others are lost."""

from __future__ import annotations

import pytest

from capi_pipeline.evaluation.clicks import REFUSED, REFUSED_THERE, UNSEEN, Facts, Right, Slot, losses, score

G, F = Slot("order", "O1", "gclid"), Slot("lead", "L1", "fbclid")
FACTS = Facts(
    devices={("gclid", "right"): frozenset({"phone"}), ("gclid", "other"): frozenset({"tablet"})},
    owners={"phone": frozenset({1}), "tablet": frozenset({1})},
    true_person={("order", "O1"): 1},
    person={("order", "O1"): "p1"},
    device_person={"phone": "p1", "tablet": "p1"},
)


def test_all_right() -> None:
    counts = score({G: Right("g", True), F: Right("f", True)}, {G: "g", F: "f"})
    assert counts[""].document() == {
        "precision": 1.0,
        "recall": 1.0,
        "attached": 2,
        "right": 2,
        "knowable": 2,
        "all": 2,
    }
    assert counts["gclid"].document()["all"] == 1


def test_precision_is_of_the_attached_and_recall_of_the_knowable() -> None:
    more = Slot("order", "O2", "gclid")
    unknowable = Slot("order", "O3", "gclid")
    truth = {G: Right("g", True), F: Right("f", True), more: Right("m", True), unknowable: Right("u", False)}
    counts = score(truth, {G: "g", F: "wrong", unknowable: "older"})
    assert counts[""].document() == {
        "precision": 1 / 3, "recall": 1 / 3, "attached": 3, "right": 1, "knowable": 3, "all": 4,
    }  # fmt: skip
    assert counts["fbclid"].document()["precision"] == 0.0


def test_nothing_attached_has_no_precision() -> None:
    document = score({G: Right("g", True)}, {})[""].document()
    assert (document["precision"], document["recall"]) == (None, 0.0)


def test_a_click_that_the_truth_does_not_have_is_wrong() -> None:
    assert score({}, {G: "g"})[""].document() == {
        "precision": 0.0, "recall": None, "attached": 1, "right": 0, "knowable": 0, "all": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "missed: the person is right"),
        ({"refused": frozenset({("order", "O1")})}, REFUSED),
        ({"refusing": frozenset({"phone"})}, REFUSED_THERE),
        ({"refusing": frozenset({"laptop"})}, "missed: the person is right"),
        ({"devices": {}}, "missed: the click is on no page with a device"),
        ({"person": {}}, "missed: the conversion has no person"),
        ({"device_person": {"phone": None}}, "missed: the click's device is quarantined"),
        ({"device_person": {}}, "missed: the click's device has no person"),
        ({"device_person": {"phone": "p2"}}, "missed: the click's device is another person's"),
    ],
)
def test_why_a_knowable_click_is_missed(changes: dict[str, object], why: str) -> None:
    facts = Facts(**{**FACTS.__dict__, **changes})
    assert losses({G: Right("right", True)}, {}, facts) == {why: 1}


@pytest.mark.parametrize(
    ("truth", "owners", "why"),
    [
        ({G: Right("right", True)}, {1}, "wrong: another click of the same person"),
        ({G: Right("right", False)}, {1}, UNSEEN),
        ({}, {1}, "wrong: the truth has no click"),
        ({G: Right("right", True)}, {2}, "wrong: a stranger's click"),
        ({G: Right("right", True)}, {1, 2}, "wrong: the click of a device that several people use"),
    ],
)
def test_why_an_attached_click_is_wrong(truth: dict[Slot, Right], owners: set[int], why: str) -> None:
    facts = Facts(**{**FACTS.__dict__, "owners": {"tablet": frozenset(owners)}})
    assert losses(truth, {G: "other"}, facts) == {why: 1}


def test_what_nobody_can_know_is_counted() -> None:
    assert losses({G: Right("right", False)}, {}, FACTS) == {"unknowable, none attached": 1}
    assert losses({G: Right("right", False)}, {G: "right"}, FACTS) == {}
