"""Which ids the rows connect, for one who knows whose each id is."""

from __future__ import annotations

import hashlib

from capi_pipeline.evaluation.islands import Key, islands, spelled

Row = list[tuple[str, str | None]]


def together(owners: dict[Key, int], rows: list[Row]) -> list[set[Key]]:
    found: dict[int, set[Key]] = {}
    for key, island in islands(owners, rows).items():
        found.setdefault(island, set()).add(key)
    return sorted(found.values(), key=lambda keys: (-len(keys), sorted(keys)))


def test_a_chain_of_rows_is_one_island() -> None:
    owners = {("email", "a@x.org"): 1, ("customer_id", "C1"): 1, ("anonymous_id", "d1"): 1, ("anonymous_id", "d2"): 1}
    rows: list[Row] = [
        [("customer_id", "C1"), ("email", "a@x.org")],
        [("anonymous_id", "d1"), ("customer_id", "C1"), ("email", None)],
    ]
    assert [len(island) for island in together(owners, rows)] == [3, 1]


def test_two_people_are_never_one_island() -> None:
    owners = {("email", "a@x.org"): 1, ("email", "b@x.org"): 2}
    rows: list[Row] = [[("email", "a@x.org"), ("anonymous_id", "tablet")], [("email", "b@x.org"), ("email", "a@x.org")]]
    assert [len(island) for island in together(owners, rows)] == [1, 1]


def test_a_session_connects_its_events() -> None:
    owners: dict[Key, int] = {("anonymous_id", "d1"): 1, ("email", "a@x.org"): 1}
    rows: list[Row] = [
        [("session_id", "s1"), ("anonymous_id", "d1")],
        [("session_id", "s1"), ("email", "a@x.org")],
    ]
    assert len(together(owners, rows)) == 1


def test_spellings_of_one_id_are_one_island() -> None:
    owners: dict[Key, int] = {
        ("phone", "(212) 555-0123"): 1, ("phone", "+1 212 555 0123"): 1, ("phone", "2125550123"): 1,
        ("email", "Shop.Per@gmail.com"): 2, ("email", "shopper+news@googlemail.com"): 2,
        ("email", "a@x.org"): 3, ("email", hashlib.sha256(b"a@x.org").hexdigest()): 3,
    }  # fmt: skip
    assert [len(island) for island in together(owners, [])] == [3, 2, 2]
    assert spelled(("anonymous_id", "A.b")) == ("anonymous_id", "A.b")
