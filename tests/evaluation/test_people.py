"""Pairs of ids by hand: perfect, everything in one, everything alone, and every way to lose one."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import pytest

from capi_pipeline.evaluation.people import Id, Score, knowable, losses, right_and_connected, score, stitched


def ids(*of: tuple[int, str | None, int], kind: str = "email") -> list[Id]:
    return [Id(person, kind, predicted, island) for person, predicted, island in of]


def test_perfect_stitching_has_every_pair_and_no_other() -> None:
    found = score({(1, "a"): 3, (2, "b"): 2})
    assert found == Score(pairs_true=4, pairs_predicted=4, pairs_right=4)
    assert (found.precision, found.recall) == (1.0, 1.0)


def test_everyone_in_one_cluster_has_every_pair_and_all_of_strangers() -> None:
    found = score({(1, "a"): 3, (2, "a"): 2})
    assert found == Score(pairs_true=4, pairs_predicted=10, pairs_right=4)
    assert (found.precision, found.recall) == (0.4, 1.0)


def test_ids_without_a_person_stay_alone() -> None:
    found = score({(1, None): 3, (2, None): 2})
    assert found == Score(pairs_true=4, pairs_predicted=0, pairs_right=0)
    assert (found.precision, found.recall) == (None, 0.0)


def test_a_person_in_two_clusters_keeps_the_pairs_within_each() -> None:
    assert score({(1, "a"): 2, (1, "b"): 2}) == Score(6, 2, 2)


def test_nobody_has_no_pairs() -> None:
    assert score({}) == Score(0, 0, 0)
    assert score({}).recall is None


def test_counting_is_what_making_all_pairs_gives() -> None:
    rng = random.Random(1)
    some = [Id(rng.randrange(4), "phone", rng.choice([None, "a", "b", "c"]), rng.randrange(3)) for _ in range(60)]
    both = list(combinations(some, 2))
    same = [(x, y) for x, y in both if x.predicted is not None and x.predicted == y.predicted]
    right = [(x, y) for x, y in same if x.person == y.person]
    true = [(x, y) for x, y in both if x.person == y.person]
    assert stitched(some) == Score(len(true), len(same), len(right))
    connected = [(x, y) for x, y in true if x.island == y.island]
    assert knowable(some) == Score(len(true), len(connected), len(connected))
    assert right_and_connected(some) == len([(x, y) for x, y in right if x.island == y.island])


def test_the_classes_of_loss_add_up_to_what_is_lost() -> None:
    rng = random.Random(2)
    kinds = ["email", "phone", "anonymous_id", "customer_id", "order_id"]
    some = [
        Id(rng.randrange(6), rng.choice(kinds), rng.choice([None, "a", "b", "c"]), rng.randrange(4)) for _ in range(90)
    ]
    found, lost = stitched(some), Counter(losses(some))
    assert lost.pop("strangers made one person") == found.pairs_predicted - found.pairs_right
    assert sum(lost.values()) == found.pairs_true - found.pairs_right


@pytest.mark.parametrize(
    ("some", "lost"),
    [
        (ids((1, "a", 1), (1, "a", 1)), {}),
        (ids((1, "a", 1), (1, "b", 1)), {"connected, but given to two persons": 1}),
        (ids((1, "a", 1), (1, None, 1)), {"connected, but the email has no person": 1}),
        (ids((1, None, 1), (1, None, 1), (1, "a", 1)), {"connected, but the email has no person": 3}),
        (ids((1, "a", 1), (2, "a", 2)), {"strangers made one person": 1}),
        (ids((1, "a", 1), (1, "b", 2)), {"not connected by rows: an address or number seen alone": 1}),
        (
            ids((1, "a", 1), (1, "a", 2)),
            {"not connected by rows: an address or number seen alone": 1, "stitched though not connected by rows": -1},
        ),
        (
            [*ids((1, "a", 1), (1, "a", 1)), *ids((1, None, 2), kind="anonymous_id")],
            {"not connected by rows: a cookie that never met a login, an order or a form": 2},
        ),
        (
            [*ids((1, "a", 1), (1, "a", 1)), *ids((1, None, 2), kind="order_id")],
            {"not connected by rows: a guest's order or lead": 2},
        ),
        (
            [*ids((1, "a", 1), (1, "a", 1)), *ids((1, "b", 2), kind="customer_id")],
            {"not connected by rows: another account": 2},
        ),
    ],
)
def test_a_lost_pair_has_its_class(some: list[Id], lost: dict[str, int]) -> None:
    assert losses(some) == lost
