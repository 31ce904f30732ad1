"""The ledger: what became of every event at every destination. Claim, commit, send, record, commit.

All statements work on arrays of rows (one statement per batch). One advisory lock per (destination, hour) makes sure
that two runs never send the same hour at once.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from capi_pipeline.delivery.database import RECONNECT_SECONDS, answering, array, migrate, opened, persistently
from capi_pipeline.delivery.tables import SCHEMA
from capi_pipeline.errors import DeliveryError
from capi_pipeline.platforms.outcomes import State

Key = tuple[str, str]  # (event_name, event_id)


class Held(StrEnum):
    """Why an event waits for a person (`capi resolve`)."""

    NO_DEDUPLICATION = "unknown_without_deduplication"  # sent or not: nobody knows, and the platform would count twice
    WINDOW_CLOSED = "unknown_after_window"  # likewise, and the platform no longer recognises a repeated event id
    NOT_SENDABLE = "unknown_and_withheld"  # likewise, and by now it may not be sent (consent, age)
    POLICY = "unknown_by_policy"  # the destination's document says `on_unknown: hold`
    NO_VERDICT = "no_verdict"  # the platform queued it and never said what became of it


HELD_WORDS = {
    Held.NO_DEDUPLICATION: "an earlier attempt may have arrived, and the platform would count a repetition",
    Held.WINDOW_CLOSED: "an earlier attempt may have arrived, and the platform's deduplication window has closed",
    Held.NOT_SENDABLE: "an earlier attempt may have arrived, and by now it may not be sent",
    Held.POLICY: "an earlier attempt may have arrived, and this destination says `on_unknown: hold`",
    Held.NO_VERDICT: "the platform queued it and never said what became of it",
}


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger knows of one event at one destination."""

    hour: datetime
    state: State
    payload_digest: str | None
    unknown_since: datetime | None
    not_before: datetime | None
    at_most: int | None
    waits: bool = False  # pending, but not sent: the conversion that it adjusts has no verdict yet


@dataclass(frozen=True, slots=True)
class Item:
    """One event on its way into the ledger; times are epoch microseconds."""

    event_name: str
    event_id: str
    event_time: int
    recorded_at: int
    original_event_id: str | None = None
    payload_digest: str | None = None
    unknown_since: datetime | None = None

    @property
    def key(self) -> Key:
        return self.event_name, self.event_id


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of one attempt for one event."""

    key: Key
    state: State
    reason: str | None = None
    code: str | None = None
    message: str | None = None
    trace_id: str | None = None
    position: int | None = None
    unknown: bool = False  # the platform may have it although it did not say so
    not_before: datetime | None = None
    at_most: int | None = None


class Ledger:
    """The ledger's database. `open()` brings its tables to the current version. `patience`: seconds for which an answer
    of a platform is kept while the database is away."""

    def __init__(self, engine: Engine, patience: float = RECONNECT_SECONDS) -> None:
        self.engine, self.patience = engine, patience

    @classmethod
    def open(cls, url: str) -> Ledger:
        """Connect and migrate. Raises ConfigurationError when it is not usable, DeliveryError when it does not answer."""
        engine = opened(url)
        migrate(engine)
        return cls(engine)

    @contextmanager
    def hour(self, destination: str, hour: datetime, run_id: str) -> Iterator[HourLedger]:
        """The exclusive right to send one hour to one destination. Raises DeliveryError when another run has it."""
        session = HourLedger(self.engine, destination, hour, run_id, self.patience)
        try:
            yield session
        finally:
            session.close()

    def query(self, query: str, **values: Any) -> list[Any]:
        """The rows of one statement, committed. Raises DeliveryError when the database does not answer."""
        with answering("the ledger"), self.engine.begin() as connection:
            result = connection.execute(text(query), values)
            return list(result) if result.returns_rows else []

    def counts(self, destination: str, hour: datetime) -> list[tuple[State, str | None, str | None, int]]:
        """(state, reason, platform code, number) of one hour."""
        query = f"""select state, reason, code, count(*) from {SCHEMA}.deliveries
            where destination = :destination and hour = :hour group by 1, 2, 3 order by 4 desc"""
        rows = self.query(query, destination=destination, hour=hour)
        return [(State(state), reason, code, count) for state, reason, code, count in rows]

    def knows(self, destination: str, hour: datetime) -> bool:
        """Whether an earlier run has left rows of this hour."""
        query = f"select exists (select from {SCHEMA}.deliveries where destination = :destination and hour = :hour)"
        return bool(self.query(query, destination=destination, hour=hour)[0][0])

    def pruned_before(self, destination: str) -> datetime | None:
        """Rows of hours and events before this time may have been deleted (`delivery.prune`): that there is none of an
        event says nothing then. To be asked after a look-up, never before it."""
        return _time_of(self.query(_PRUNED, destination=destination))


class HourLedger:
    """The ledger's view of one (destination, hour), under its lock. Used by all threads of one run."""

    def __init__(self, engine: Engine, destination: str, hour: datetime, run_id: str, patience: float) -> None:
        self.destination, self.partition, self.run_id, self.patience = destination, hour, run_id, patience
        self.claim_id = uuid.uuid4().hex
        self._engine = engine
        self._mutex = threading.Lock()
        self._ended = False
        self._lock_key = lock_key(destination, hour)
        with answering("the ledger"):
            self._connection, self._holds = self._connect()
        if not self._holds:
            self._connection.close()
            raise self._taken()

    def _connect(self) -> tuple[Connection, bool]:
        """A connection, and whether the hour's lock is ours on it (never again once this session has ended)."""
        connection = self._engine.connect()
        if self._ended:
            return connection, False
        try:
            got = connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": self._lock_key}).scalar()
            connection.commit()
        except BaseException:
            connection.invalidate()  # the pool must never hold a session that may have the lock
            connection.close()
            raise
        return connection, bool(got)

    def _taken(self) -> DeliveryError:
        return DeliveryError(
            f"Another run is sending the hour {self.partition:%Y-%m-%d %H:%M} to `{self.destination}` right now.",
            "Wait for it to end, then rerun this partition: it sends only what is left.",
        )

    def close(self) -> None:
        """Give the lock back. Answers that are still under way can be recorded even afterwards."""
        with self._mutex:
            self._ended = True
            if self._connection.closed or self._connection.invalidated:
                self._connection.close()  # the session went away, and the lock with it
                return
            try:
                self._connection.rollback()
                if self._holds:
                    self._connection.execute(text("select pg_advisory_unlock(:key)"), {"key": self._lock_key})
                    self._connection.commit()
            except DBAPIError:
                self._connection.invalidate()
            self._connection.close()

    def states(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """What is known of these events, whichever hour owns them."""
        query = f"""select d.* from unnest(cast(:names as text[]), cast(:ids as text[])) k(event_name, event_id)
            cross join lateral (  -- `limit`: one probe of the key per event, never a join that reads the whole ledger
                select d.event_name, d.event_id, d.hour, d.state, d.payload_digest, {_DOUBT}, d.not_before, d.at_most,
                    {WAITS}
                from {SCHEMA}.deliveries d where d.destination = :destination
                    and d.event_name = k.event_name and d.event_id = k.event_id limit 1) d"""
        rows = self._run(query, _columns(keys, "names", "ids"))
        return {(name, id_): Row(hour, State(state), *rest) for name, id_, hour, state, *rest in rows}

    def pruned_before(self) -> datetime | None:
        """See `Ledger.pruned_before`: asked for each look-up of a run, on its own connection."""
        return _time_of(self._run(_PRUNED, {}))

    def later_adjustments(self, original_ids: Sequence[str]) -> dict[str, datetime]:
        """Per original: the event time of the latest adjustment that the platform has, or may have."""
        query = f"""select original_event_id, max(event_time) from {SCHEMA}.deliveries d
            where destination = :destination and original_event_id = any(:ids)
              and (state in ('accepted', 'pending', 'sending') and not {WAITS} or unknown_since is not null) group by 1"""
        return dict(self._run(query, {"ids": list(original_ids)}))

    def claim(self, items: Sequence[Item]) -> set[Key]:
        """Mark these events as being sent, durably, before the request leaves. Returns the keys that are now ours."""
        query = f"""insert into {SCHEMA}.deliveries as d (destination, event_name, event_id, hour, state, attempts,
                event_time, recorded_at, original_event_id, payload_digest, unknown_since, claim, claimed_at, run_id)
            select :destination, n, i, :hour, 'sending', 1, {_TIME.format("e")}, {_TIME.format("r")}, o, p, u,
                :claim, clock_timestamp(), :run
            from unnest(cast(:names as text[]), cast(:ids as text[]), cast(:event_times as bigint[]),
                cast(:recorded as bigint[]), cast(:originals as text[]), cast(:digests as text[]),
                cast(:unknown as timestamptz[])) as k(n, i, e, r, o, p, u)
            order by n, i
            on conflict (destination, event_name, event_id) do update set state = 'sending', attempts = d.attempts + 1,
                payload_digest = excluded.payload_digest, unknown_since = excluded.unknown_since, claim = excluded.claim,
                claimed_at = excluded.claimed_at, run_id = excluded.run_id, reason = null, code = null, message = null,
                not_before = null, trace_id = null, position = null, settled_at = null
            where {_UNCHANGED}
            returning d.event_name, d.event_id"""
        return {(name, id_) for name, id_ in self._run(query, self._items(items), locked=True)}

    def settle(self, settlements: Sequence[Settlement], ask_at: datetime | None = None) -> None:
        """Record outcomes of events that this run claimed, or what in the end becomes of those that it put off. Outlives a
        restart of the database: what a platform answered must not be forgotten. `ask_at`: when to ask for the verdict on
        those that are pending."""
        query = f"""update {SCHEMA}.deliveries d set state = k.state, reason = k.reason, code = k.code,
                message = k.message, trace_id = k.trace_id, position = k.position, not_before = k.not_before,
                at_most = case when k.state = 'retry' then coalesce(k.at_most, d.at_most) end,
                settled_at = clock_timestamp(),
                unknown_since = case when k.unknown then coalesce(d.unknown_since, d.claimed_at)
                    when k.state in ('retry', 'held') then d.unknown_since end
            from unnest(cast(:names as text[]), cast(:ids as text[]), cast(:states as text[]), cast(:reasons as text[]),
                cast(:codes as text[]), cast(:messages as text[]), cast(:traces as text[]), cast(:positions as int[]),
                cast(:unknown as boolean[]), cast(:not_before as timestamptz[]), cast(:at_most as int[]))
                as k(event_name, event_id, state, reason, code, message, trace_id, position, unknown, not_before, at_most)
            where d.destination = :destination and d.event_name = k.event_name and d.event_id = k.event_id
              and d.hour = :hour and d.claim = :claim and d.state in ('sending', 'retry')"""
        values = _columns([s.key for s in settlements], "names", "ids") | {
            "states": [s.state.value for s in settlements],
            "reasons": [s.reason for s in settlements],
            "codes": [s.code for s in settlements],
            "messages": [s.message for s in settlements],
            "traces": [s.trace_id for s in settlements],
            "positions": [s.position for s in settlements],
            "unknown": [s.unknown for s in settlements],
            "not_before": [s.not_before for s in settlements],
            "at_most": [s.at_most for s in settlements],
            "claim": self.claim_id,
            "hour": self.partition,
        }
        pending = [s for s in settlements if s.state is State.PENDING]
        follow = None
        if pending:
            follow = (
                f"""insert into {SCHEMA}.verdicts (destination, trace_id, hour, events, submitted_at, ask_at)
                    values (:destination, :trace, :hour, :events, clock_timestamp(), :ask_at)
                    on conflict (destination, trace_id) do nothing""",
                {"trace": pending[0].trace_id, "hour": self.partition, "events": len(settlements), "ask_at": ask_at},
            )
        self._run(query, values, follow=follow, patient=True)

    def release(self, items: Sequence[Item]) -> None:
        """Give back events whose claim may or may not have been stored (the connection broke): nothing of them left."""
        words = "not sent: the ledger's database went away"
        self.settle([Settlement(item.key, State.RETRY, message=words) for item in items])

    def keep(
        self,
        items: Sequence[Item],
        states: Sequence[tuple[State, str, str]],
        not_before: datetime | None = None,
        look_at: datetime | None = None,
    ) -> None:
        """Record events that are not being sent: withheld, held, left for a rerun, or pending because what they adjust is;
        (state, reason, words) each. An event that may already be at the platform keeps its `unknown_since`.
        `not_before`: of those left for a rerun; `look_at`: when to look again at those that are pending."""
        query = f"""insert into {SCHEMA}.deliveries as d (destination, event_name, event_id, hour, state, reason, message,
                event_time, recorded_at, original_event_id, unknown_since, not_before, settled_at, run_id)
            select :destination, n, i, :hour, s, nullif(w, ''), nullif(m, ''), {_TIME.format("e")}, {_TIME.format("r")}, o,
                u, case s when 'retry' then cast(:not_before as timestamptz)
                    when 'pending' then cast(:look_at as timestamptz) end, clock_timestamp(), :run
            from unnest(cast(:names as text[]), cast(:ids as text[]), cast(:event_times as bigint[]),
                cast(:recorded as bigint[]), cast(:originals as text[]), cast(:states as text[]), cast(:reasons as text[]),
                cast(:messages as text[]), cast(:unknown as timestamptz[])) as k(n, i, e, r, o, s, w, m, u)
            order by n, i
            on conflict (destination, event_name, event_id) do update set state = excluded.state, reason = excluded.reason,
                message = excluded.message, code = null, settled_at = excluded.settled_at, run_id = excluded.run_id,
                unknown_since = excluded.unknown_since, not_before = excluded.not_before, claim = null,
                trace_id = null, position = null
            where {_UNCHANGED}"""
        values = self._items(items) | {
            "states": [state.value for state, _, _ in states],
            "reasons": [reason for _, reason, _ in states],
            "messages": [message for _, _, message in states],
            "not_before": not_before,
            "look_at": look_at,
        }
        self._run(query, values, locked=True)

    def _items(self, items: Sequence[Item]) -> dict[str, Any]:
        return _columns([item.key for item in items], "names", "ids") | {
            "event_times": [item.event_time for item in items],
            "recorded": [item.recorded_at for item in items],
            "originals": [item.original_event_id for item in items],
            "digests": [item.payload_digest for item in items],
            "unknown": [item.unknown_since for item in items],
            "hour": self.partition,
            "claim": self.claim_id,
            "run": self.run_id,
        }

    def _run(
        self,
        query: str,
        values: dict[str, Any],
        *,
        follow: tuple[str, dict[str, Any]] | None = None,
        locked: bool = False,
        patient: bool = False,
    ) -> list[Any]:
        """One transaction. `locked`: only while the hour's lock is ours. `patient`: come back after a lost connection."""
        values = {name: array(value) if isinstance(value, list) else value for name, value in values.items()}
        values["destination"] = self.destination

        def once() -> list[Any]:
            with self._mutex:
                if self._connection.invalidated or self._connection.closed:
                    self._connection.close()  # the lock went with the old connection
                    self._connection, self._holds = self._connect()
                if locked and not self._holds:
                    raise self._taken()
                with self._connection.begin():
                    result = self._connection.execute(text(query), values)
                    rows = list(result) if result.returns_rows else []
                    if follow:
                        self._connection.execute(text(follow[0]), {"destination": self.destination, **follow[1]})
                if self._ended:
                    self._connection.close()
                return rows

        with answering(f"the ledger of `{self.destination}`"):
            return persistently(once, self.patience, lost=patient)


def lock_key(destination: str, hour: datetime) -> int:
    """The advisory lock of one hour of one destination."""
    name = f"{destination}@{hour.astimezone(UTC):%Y-%m-%dT%H:%M}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _time_of(rows: Sequence[Any]) -> datetime | None:
    return rows[0][0].astimezone(UTC) if rows else None


_PRUNED = f"select before from {SCHEMA}.pruned where destination = :destination"
_TIME = "to_timestamp({0} / 1000000.0)"
# An adjustment of a conversion that the platform has queued: nothing of it was sent.
WAITS = "(d.state = 'pending' and d.trace_id is null)"
# Since when an event may be at the platform: what a crash left behind may have arrived.
_DOUBT = "case when d.state = 'sending' then coalesce(d.unknown_since, d.claimed_at) else d.unknown_since end"
# A row is taken only as it was when it was decided on: after a lost connection another run can have been here.
_UNCHANGED = f"""d.hour = excluded.hour and (d.state not in ('accepted', 'pending', 'held') or {WAITS})
                and {_DOUBT} is not distinct from excluded.unknown_since"""


def _columns(keys: Sequence[Key], names: str, ids: str) -> dict[str, Any]:
    return {names: [key[0] for key in keys], ids: [key[1] for key in keys]}
