"""What the last build of the identity models found that leads to nobody: counted and named, without an address or number."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from capi_pipeline.errors import DeliveryError, address, first_line
from capi_pipeline.warehouse import Warehouse

FEW = 20  # so many ids or merges are no jump, however small the shop
NEWEST = 20  # rows of the list

# The links that a build sees first are `fresh`; whatever it changed, it changed after it had seen the first of them.
_SINCE = "select min(built_at) from identity.identity_area where fresh"
_SIZE = "select count(*), count(distinct person_id) from identity.identity_ids"
_QUARANTINED = """
select id_type, quarantine, count(*), sum(case when changed_at >= :since then 1 else 0 end)
from identity.identity_ids where quarantine is not null group by id_type, quarantine
"""
_MERGES = """
select count(*) from identity.identity_merges where merged_at >= :since and from_person_id <> to_person_id
"""
_NEWEST = f"""
select id_type, id_key, quarantine, customers, emails, phones, names, links, changed_at
from identity.identity_ids where quarantine is not null
order by changed_at desc nulls last, id_type, id_key limit {NEWEST}
"""
_NO_IDS = """
select told_by, id_type, lower(trim(written)), count(*) from intermediate.int_identity_no_ids
where landed_at >= :start and landed_at < :end group by told_by, id_type, lower(trim(written))
"""


class Kind(NamedTuple):
    """What is quarantined: an id of this type, for this reason."""

    id_type: str
    reason: str


class Listed(NamedTuple):
    """One quarantined id, with how many of each it was seen with. `key` is fit to be shown."""

    id_type: str
    key: str
    reason: str
    customers: int
    emails: int
    phones: int
    names: int
    links: int
    found_at: datetime | None


@dataclass(frozen=True)
class Quarantine:
    """Counts of ids, except `no_ids`: raw rows of the hours that hold a word in the place of an id (table, id type, word)."""

    ids: int
    persons: int
    merges: int
    by_kind: Counter[Kind] = field(default_factory=Counter)
    new: Counter[Kind] = field(default_factory=Counter)
    newest: tuple[Listed, ...] = ()
    no_ids: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """Of all ids those that are nobody's own."""
        return self.by_kind.total() / self.ids if self.ids else 0.0

    @property
    def merged_share(self) -> float:
        """Of all persons, as they were before, those that the build found to be another."""
        return self.merges / (self.persons + self.merges) if self.merges else 0.0

    @property
    def new_share(self) -> float:
        """Of all ids those that the build quarantined; none the first time, when everything is new."""
        return self.new.total() / self.ids if self.new.total() < self.by_kind.total() else 0.0

    def alarms(self, most: float, jump: float) -> list[str]:
        """What is out of the ordinary: more than the share `most` is nobody's own, or one build changed more than `jump`."""
        found = []
        if self.share > most and self.by_kind.total() > FEW:
            found.append(f"{self.by_kind.total():,} of {self.ids:,} ids ({self.share:.1%}) lead to nobody.")
        if self.new_share > jump and self.new.total() > FEW:
            found.append(f"{self.new.total():,} ids ({self.new_share:.1%}) were quarantined by this build alone.")
        if self.merged_share > jump and self.merges > FEW:
            found.append(
                f"{self.merges:,} persons ({self.merged_share:.1%}) turned out to be others in this build alone."
            )
        return found


def read(warehouse: Warehouse, start: datetime, end: datetime) -> Quarantine:
    """What the newest build left in the schema `identity`, and the raw rows of [start, end) without an id.

    Raises DeliveryError.
    """
    try:
        with warehouse.engine.connect() as connection:
            since = _rows(connection, _SINCE)[0][0]
            kinds = _rows(connection, _QUARANTINED, since=since)
            ids, persons = _rows(connection, _SIZE)[0]
            return Quarantine(
                ids=ids,
                persons=persons,
                merges=_rows(connection, _MERGES, since=since)[0][0],
                by_kind=Counter({Kind(kind, reason): int(count) for kind, reason, count, _ in kinds}),
                new=Counter({Kind(kind, reason): int(new) for kind, reason, _, new in kinds if new}),
                newest=tuple(Listed(row[0], shown(row[0], row[1]), *row[2:]) for row in _rows(connection, _NEWEST)),
                no_ids=Counter(
                    {(table, kind, word or "(empty)"): count
                     for table, kind, word, count in _rows(connection, _NO_IDS, start=start, end=end)}
                ),
            )  # fmt: skip
    except SQLAlchemyError as error:
        raise DeliveryError(
            f"The identity models ({address(warehouse.url)}) cannot be read: {first_line(error)}",
            "Build them (`capi sync`), or start the warehouse.",
        ) from None


def shown(id_type: str, key: str) -> str:
    """The key as it may be shown: a phone number masked but for its last two digits, an account that is an address as a digest.

    Digests and ids of accounts and devices stay, so that the row can be found.
    """
    if id_type == "phone":
        return "*" * (len(key) - 2) + key[-2:]
    if "@" in key:
        return "sha256:" + hashlib.sha256(key.strip().lower().encode()).hexdigest()
    return key


def _rows(connection: Connection, query: str, **values: Any) -> list[Any]:
    return list(connection.execute(text(query), values))
