"""Pairwise precision and recall of person stitching, and where pairs are lost. Pure; pairs are counted, never made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Id(NamedTuple):
    """One id as typed: its true person, the person that the warehouse gives it (None: none), and the island of ids that the
    recorded rows connect with it."""

    person: Hashable
    kind: str
    predicted: Hashable | None
    island: Hashable


@dataclass(frozen=True)
class Score:
    """Pairs of ids: of one true person, of one predicted person, and of both."""

    pairs_true: int
    pairs_predicted: int
    pairs_right: int

    @property
    def precision(self) -> float | None:
        """Of the predicted pairs those that are right; None without any."""
        return self.pairs_right / self.pairs_predicted if self.pairs_predicted else None

    @property
    def recall(self) -> float | None:
        """Of the true pairs those that are predicted; None without any."""
        return self.pairs_right / self.pairs_true if self.pairs_true else None


def pairs(count: int) -> int:
    """How many pairs so many things make."""
    return count * (count - 1) // 2


def score(cells: Mapping[tuple[Hashable, Hashable | None], int]) -> Score:
    """Of a contingency table: how many ids have this true and this predicted person. Ids predicted None stay alone."""
    true: Counter[Hashable] = Counter()
    predicted: Counter[Hashable] = Counter()
    right = 0
    for (person, cluster), count in cells.items():
        true[person] += count
        if cluster is not None:
            predicted[cluster] += count
            right += pairs(count)
    return Score(sum(map(pairs, true.values())), sum(map(pairs, predicted.values())), right)


def stitched(ids: Iterable[Id]) -> Score:
    """The warehouse's own score."""
    return score(Counter((id_.person, id_.predicted) for id_ in ids))


def knowable(ids: Iterable[Id]) -> Score:
    """The score of an oracle that joins what the rows connect, and never two people."""
    return score(Counter((id_.person, (id_.person, id_.island)) for id_ in ids))


def right_and_connected(ids: Iterable[Id]) -> int:
    """Pairs that are right, and that the rows connect."""
    cells = Counter((id_.person, id_.island, id_.predicted) for id_ in ids if id_.predicted is not None)
    return sum(map(pairs, cells.values()))


def losses(ids: Iterable[Id]) -> dict[str, int]:
    """Pairs that are lost or wrong, by why. The first classes are beyond any reader of the same rows."""
    ids = list(ids)
    islands: dict[Hashable, dict[Hashable, list[Id]]] = defaultdict(lambda: defaultdict(list))
    for id_ in ids:
        islands[id_.person][id_.island].append(id_)
    lost: Counter[str] = Counter()
    for of_person in islands.values():
        before = 0
        for members in sorted(of_person.values(), key=len, reverse=True):
            lost[f"not connected by rows: {_content(members)}"] += before * len(members)
            before += len(members)
            alone = [id_ for id_ in members if id_.predicted is None]
            for left, id_ in enumerate(alone, len(members) - len(alone)):
                lost[f"connected, but the {id_.kind} has no person"] += left
            apart = Counter(id_.predicted for id_ in members if id_.predicted is not None)
            lost["connected, but given to two persons"] += pairs(apart.total()) - sum(map(pairs, apart.values()))
    found = stitched(ids)
    lost["stitched though not connected by rows"] = (
        right_and_connected(ids) - found.pairs_right
    )  # a gain: names are evidence
    lost["strangers made one person"] = found.pairs_predicted - found.pairs_right
    return {name: count for name, count in lost.items() if count}


def _content(members: list[Id]) -> str:
    kinds = {id_.kind for id_ in members}
    if kinds == {"anonymous_id"}:
        return "a cookie that never met a login, an order or a form"
    if "customer_id" in kinds:
        return "another account"
    if kinds <= {"email", "phone"}:
        return "an address or number seen alone"
    return "a guest's order or lead"
