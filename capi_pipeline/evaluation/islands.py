"""Which ids of one person the recorded rows connect: what an oracle with the same rows could stitch. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

Key = tuple[str, str]  # id_type and id_value as typed, without blanks around it


def spelled(key: Key) -> Key:
    """An id as a careful reader compares it: mailboxes without Gmail's dots and tags, numbers by their last nine digits."""
    kind, value = key
    if kind == "email":
        local, at, domain = value.lower().partition("@")
        if domain in ("gmail.com", "googlemail.com"):
            local, domain = local.partition("+")[0].replace(".", ""), "gmail.com"
        return kind, f"{local}{at}{domain}"
    if kind == "phone":
        return kind, "".join(c for c in value if c.isdigit())[-9:]
    return key


def islands(owners: Mapping[Key, int], rows: Iterable[Sequence[tuple[str, str | None]]]) -> dict[Key, int]:
    """The island of each id of `owners` (id -> its only true person). `rows` are the ids that stand together in a recorded row,
    with `session_id` where there is one; ids without an owner connect nothing, and no island holds two people."""
    numbers: dict[tuple[int, Key], int] = {}
    parents: list[int] = []

    def number(person: int, key: Key) -> int:
        found = numbers.setdefault((person, key), len(parents))
        if found == len(parents):
            parents.append(found)
        return found

    def root(of: int) -> int:
        while parents[of] != of:
            parents[of] = of = parents[parents[of]]
        return of

    def join(person: int, one: Key, other: Key) -> None:
        left, right = root(number(person, one)), root(number(person, other))
        parents[max(left, right)] = min(left, right)

    for (kind, value), person in owners.items():
        join(person, (kind, value), spelled((kind, value)))
        if kind == "email":  # a file that holds the SHA-256 of an address tells whose it is
            join(person, (kind, value), (kind, hashlib.sha256(value.lower().encode()).hexdigest()))
    for row in rows:
        known = [((kind, value), owners.get((kind, value))) for kind, value in row if value]
        owned = [(key, person) for key, person in known if person is not None]
        session = next((key for key, _ in known if key[0] == "session_id"), None)
        first: dict[int, Key] = {}
        for key, person in owned:
            if session:
                join(person, session, key)
            elif person in first:
                join(person, first[person], key)
            else:
                first[person] = key
    return {key: root(number(person, key)) for key, person in owners.items()}
