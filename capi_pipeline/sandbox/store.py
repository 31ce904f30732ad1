"""What the sandbox remembers: accepted events, requests, tokens, receipts and settings, in one SQLite database.

Payloads hold hashed identifiers only and live nowhere but here; tokens are kept as digests.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

FOREVER: Final = timedelta.max
NEVER: Final = timedelta(0)

SCHEMA = """
create table if not exists events (
    id integer primary key, platform text not null, account text not null, identity text not null,
    event_name text not null, event_id text, received_at real not null, outcome text not null,
    counted integer not null, retracted integer not null default 0, value real, currency text,
    request_id text not null, payload text not null);
create index if not exists events_counted on events (platform, account, identity) where counted;
create index if not exists events_by_id on events (platform, event_id);
create table if not exists requests (
    id integer primary key, platform text not null, at real not null, method text not null, path text not null,
    status integer not null, events integer not null, rejected integer not null, fault text not null);
create table if not exists tokens (
    serial integer primary key, platform text not null, kind text not null, digest text not null,
    parent integer, state text not null, issued_at real not null, expires_at real);
create unique index if not exists tokens_by_digest on tokens (platform, kind, digest);
create table if not exists receipts (
    platform text not null, id text not null, at real not null, body text not null, primary key (platform, id));
create table if not exists settings (name text primary key, value text not null);
"""
COLUMNS = (
    "id, platform, account, identity, event_name, event_id, received_at, outcome, counted, retracted, value, "
    "currency, request_id, payload"
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event that a platform has accepted, and how that platform recognises a copy of it.

    `identity` is the platform's deduplication key. A copy that comes less than `window` after the last counted one
    is not counted: it is recorded as `copy_outcome`, or as `merged` within `merge`. `outcome` given: the event is
    recorded with it and not counted (a test event, one that failed processing).
    """

    account: str
    identity: str
    name: str
    payload: object
    id: str | None = None
    window: timedelta = NEVER
    merge: timedelta = NEVER
    copy_outcome: str = "duplicate"
    outcome: str | None = None
    value: float | None = None
    currency: str | None = None


def digest(text: str) -> str:
    """How a token is kept."""
    return hashlib.sha256(text.encode()).hexdigest()


def fill_missing(target: dict[str, Any], source: dict[str, Any]) -> None:
    """Adds the fields of `source` that `target` lacks, at every depth."""
    for key, value in source.items():
        if isinstance(target.get(key), dict) and isinstance(value, dict):
            fill_missing(target[key], value)
        else:
            target.setdefault(key, value)


class Store:
    """One connection and one writer; every change happens inside `transaction()`."""

    def __init__(self, database: Path | None) -> None:
        if database is not None:
            database.parent.mkdir(parents=True, exist_ok=True)
        self._sql = sqlite3.connect(database or ":memory:", isolation_level=None, check_same_thread=False)
        self._sql.row_factory = sqlite3.Row
        self._sql.execute("pragma journal_mode = wal")
        self._sql.execute("pragma synchronous = normal")  # survives a killed process, which is what is tested here
        self._sql.executescript(SCHEMA)

    def close(self) -> None:
        self._sql.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; may be nested, and the inner one can fail alone."""
        nested = self._sql.in_transaction
        self._sql.execute("savepoint step" if nested else "begin immediate")
        try:
            yield
        except BaseException:
            self._sql.execute("rollback to step" if nested else "rollback")
            if nested:
                self._sql.execute("release step")
            raise
        self._sql.execute("release step" if nested else "commit")

    # --- events ---

    def record(self, platform: str, events: Sequence[Event], now: datetime, request_id: str = "") -> list[str]:
        """Stores accepted events in order and returns the outcome of each: `first`, `again` (counted once more,
        its window has passed), `duplicate`, `merged`, `adjustment`, or the outcome that the event brought along."""
        at = now.timestamp()
        counted_at = self._counted_at(platform, events)
        rows, outcomes = [], []
        for event in events:
            outcome, counted, key = event.outcome, False, (event.account, event.identity)
            if outcome is None:
                previous = counted_at.get(key)
                elapsed = FOREVER if previous is None else timedelta(seconds=max(at - previous, 0))
                if previous is None:
                    outcome, counted = "first", True
                elif elapsed < event.merge:
                    outcome = "merged"
                elif elapsed < event.window:
                    outcome = event.copy_outcome
                else:
                    outcome, counted = "again", True
                if counted:
                    counted_at[key] = at
            outcomes.append(outcome)
            rows.append(
                (platform, event.account, event.identity, event.name, event.id, at, outcome, counted,
                 None if event.value is None else float(event.value), event.currency, request_id,
                 orjson.dumps(event.payload).decode())
            )  # fmt: skip
        self._sql.executemany(
            "insert into events (platform, account, identity, event_name, event_id, received_at, outcome, counted, "
            "value, currency, request_id, payload) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        for event, outcome in zip(events, outcomes, strict=True):
            if outcome == "adjustment":
                self._overwrite(platform, event)
            elif outcome == "merged":
                self._merge(platform, event)
        return outcomes

    def _counted_at(self, platform: str, events: Sequence[Event]) -> dict[tuple[str, str], float]:
        identities: dict[str, list[str]] = {}
        for event in events:
            if event.outcome is None:
                identities.setdefault(event.account, []).append(event.identity)
        found: dict[tuple[str, str], float] = {}
        for account, wanted in identities.items():
            rows = self._sql.execute(
                "select identity, max(received_at) from events where platform = ? and account = ? and counted "
                "and identity in (select value from json_each(?)) group by identity",
                (platform, account, orjson.dumps(wanted).decode()),
            )
            found.update({(account, identity): at for identity, at in rows})
        return found

    def counted(self, platform: str, account: str, identity: str) -> dict[str, Any] | None:
        """The counted event with this identity, the latest if it was counted more than once."""
        row = self._sql.execute(
            f"select {COLUMNS} from events where platform = ? and account = ? and identity = ? and counted "
            "order by id desc limit 1",
            (platform, account, identity),
        ).fetchone()
        return None if row is None else dict(row)

    def change_value(self, event: int, value: float | None, currency: str | None, retracted: bool = False) -> None:
        """Overwrites what a counted conversion is worth, as restatements and retractions do."""
        self._sql.execute(
            "update events set value = ?, currency = coalesce(?, currency), retracted = ? where id = ?",
            (None if value is None else float(value), currency, retracted, event),
        )

    def _overwrite(self, platform: str, event: Event) -> None:
        original = self.counted(platform, event.account, event.identity)
        if original is not None and event.value is not None:
            self.change_value(original["id"], event.value, event.currency)

    def _merge(self, platform: str, event: Event) -> None:
        original = self.counted(platform, event.account, event.identity)
        if original is not None and isinstance(event.payload, dict):
            payload = orjson.loads(original["payload"])
            fill_missing(payload, event.payload)
            self._sql.execute(
                "update events set payload = ? where id = ?", (orjson.dumps(payload).decode(), original["id"])
            )

    def events(self, filters: dict[str, str], limit: int, offset: int) -> list[dict[str, Any]]:
        """Recorded events in order of arrival; `filters` by column name."""
        where = " and ".join(f"{column} = ?" for column in filters) or "true"
        rows = self._sql.execute(
            f"select {COLUMNS} from events where {where} order by id limit ? offset ?",
            (*filters.values(), limit, offset),
        )
        return [
            {
                **dict(row),
                "received_at": datetime.fromtimestamp(row["received_at"], UTC).isoformat(),
                "counted": bool(row["counted"]),
                "retracted": bool(row["retracted"]),
                "payload": orjson.loads(row["payload"]),
            }
            for row in rows
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Per platform: requests, counted conversions, dropped copies, conversions counted twice, refusals."""
        totals: dict[str, dict[str, int]] = {}
        for sql in (
            "select platform, count(*) as requests, coalesce(sum(rejected), 0) as rejected from requests group by 1",
            "select platform, sum(counted) as accepted, sum(outcome in ('duplicate', 'merged')) as duplicates, "
            "sum(outcome in ('adjustment', 'restated', 'retracted')) as adjustments, "
            "sum(not counted and outcome not in ('duplicate', 'merged', 'adjustment', 'restated', 'retracted')) "
            "as ignored from events group by 1",
            "select platform, count(*) as double_counted from (select platform from events where counted "
            "group by platform, account, identity having count(*) > 1) group by 1",
        ):
            for row in self._sql.execute(sql):
                fields = dict(row)
                totals.setdefault(fields.pop("platform"), {}).update(fields)
        return totals

    def clear_events(self) -> None:
        """Forgets events, receipts and the request log; tokens and settings stay."""
        for table in ("events", "receipts", "requests"):
            self._sql.execute(f"delete from {table}")

    # --- request log ---

    def log(
        self, platform: str, now: datetime, method: str, path: str, status: int, events: int, rejected: int, fault: str
    ) -> None:
        """One line per request: never its query, headers or body. Status 0: the connection was cut."""
        self._sql.execute(
            "insert into requests (platform, at, method, path, status, events, rejected, fault) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            (platform, now.timestamp(), method, path, status, events, rejected, fault),
        )

    def requests(self, platform: str | None, limit: int, offset: int) -> list[dict[str, Any]]:
        rows = self._sql.execute(
            "select * from requests where ? is null or platform = ? order by id limit ? offset ?",
            (platform, platform, limit, offset),
        )
        return [{**dict(row), "at": datetime.fromtimestamp(row["at"], UTC).isoformat()} for row in rows]

    # --- tokens ---

    def add_token(
        self, platform: str, kind: str, token: str, now: datetime, seconds: float | None, parent: int | None = None
    ) -> None:
        at = now.timestamp()
        self._sql.execute(
            "insert into tokens (platform, kind, digest, parent, state, issued_at, expires_at) "
            "values (?, ?, ?, ?, 'fresh', ?, ?)",
            (platform, kind, digest(token), parent, at, None if seconds is None else at + seconds),
        )

    def token(self, platform: str, kind: str, token: str) -> dict[str, Any] | None:
        row = self._sql.execute(
            "select * from tokens where platform = ? and kind = ? and digest = ?", (platform, kind, digest(token))
        ).fetchone()
        return None if row is None else dict(row)

    def set_token_state(self, serial: int, state: str) -> None:
        self._sql.execute("update tokens set state = ? where serial = ?", (state, serial))

    def last_token(self) -> int:
        """Serial of the newest token; tokens up to it are the current ones."""
        return int(self._sql.execute("select coalesce(max(serial), 0) from tokens").fetchone()[0])

    def has_tokens(self, platform: str, kind: str) -> bool:
        return (
            self._sql.execute("select 1 from tokens where platform = ? and kind = ?", (platform, kind)).fetchone()
            is not None
        )

    def clear_tokens(self) -> None:
        self._sql.execute("delete from tokens")

    # --- receipts and settings ---

    def add_receipt(self, platform: str, receipt: str, now: datetime, body: object) -> None:
        """Keeps the answer to a later question about a request."""
        self._sql.execute(
            "insert into receipts values (?, ?, ?, ?)",
            (platform, receipt, now.timestamp(), orjson.dumps(body).decode()),
        )

    def receipt(self, platform: str, receipt: str) -> tuple[datetime, Any] | None:
        row = self._sql.execute(
            "select at, body from receipts where platform = ? and id = ?", (platform, receipt)
        ).fetchone()
        return None if row is None else (datetime.fromtimestamp(row["at"], UTC), orjson.loads(row["body"]))

    def settings(self) -> dict[str, Any]:
        return {row["name"]: orjson.loads(row["value"]) for row in self._sql.execute("select * from settings")}

    def set_setting(self, name: str, value: object) -> None:
        self._sql.execute("insert or replace into settings values (?, ?)", (name, orjson.dumps(value).decode()))
