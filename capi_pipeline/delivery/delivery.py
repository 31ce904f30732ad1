"""One hour to one destination: select, look up, screen, encode, batch, claim, send, settle. Streams; knows no platform."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from capi_pipeline.conversions.conversion import Conversion, conversions
from capi_pipeline.delivery.attempt import Attempts, Member
from capi_pipeline.delivery.decide import OnUnknown, Step, decide
from capi_pipeline.delivery.http import Send
from capi_pipeline.delivery.ledger import Held, HourLedger, Item, Key, Ledger, Row
from capi_pipeline.delivery.pace import Pace
from capi_pipeline.delivery.redaction import Redactor, example
from capi_pipeline.delivery.report import Report
from capi_pipeline.delivery.tokens import Tokens
from capi_pipeline.platforms.base import Payload, Platform, Reason, State, Withhold
from capi_pipeline.platforms.batching import batches

LOOKUP = 2000  # events whose ledger rows are fetched at once
WAVE = 8  # requests that are claimed together where each holds one event


@dataclass(frozen=True)
class Group:
    """What events of one request share: the platform's own group, and the company that narrowed events travel in."""

    value: Hashable
    company: Hashable = None


Ready = tuple[Item, Group, Payload]
Select = Callable[[Conversion], Reason | None]


@dataclass
class Delivery:
    """Sends hours to one destination. `select` says of a conversion why it is not this destination's business."""

    destination: str
    platform: Platform
    ledger: Ledger
    send: Send
    tokens: Tokens
    redact: Redactor
    select: Select = lambda _: None
    on_unknown: OnUnknown = OnUnknown.AUTO
    patience: float = 60.0
    concurrency: int | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    stop: threading.Event = field(default_factory=threading.Event)
    monotonic: Callable[[], float] = time.monotonic

    def hour(self, hour: datetime, rows: Iterable[pa.RecordBatch], run_id: str) -> Report:
        """Send what is left of this hour's hashed conversions. Raises DeliveryError only if nothing could be begun;
        otherwise `Report.error` holds what a person must know, and `Report.unfinished` what is left."""
        report, started = Report(), time.monotonic()
        with self.ledger.hour(self.destination, hour, run_id) as ledger:
            run = _Run(self, ledger, report)
            run.all(rows)
        for state, reason, code, number in self.ledger.counts(self.destination, hour):
            report.outcomes[(state, reason or code or "")] += number
        report.seconds = time.monotonic() - started
        return report


class _Run:
    """One pass over one hour."""

    def __init__(self, delivery: Delivery, ledger: HourLedger, report: Report) -> None:
        self.delivery, self.ledger, self.report = delivery, ledger, report
        self.platform, self.hour = delivery.platform, ledger.partition
        self.stop = delivery.stop
        self.refunds: list[Conversion] = []
        self.narrowed = 0
        self.again = bool(delivery.ledger.counts(delivery.destination, self.hour))
        self.attempts = Attempts(
            delivery.destination,
            delivery.platform,
            delivery.send,
            delivery.tokens,
            Pace(delivery.platform.limits.per_second, clock=delivery.monotonic, wait=self.stop.wait),
            report,
            delivery.redact,
            self.settle,
            delivery.patience,
            self.stop,
            delivery.now,
            delivery.monotonic,
        )

    def settle(self, settlements: Sequence[Any]) -> None:
        asks = self.platform.verdicts
        self.ledger.settle(settlements, self.delivery.now() + asks.first if asks else None)

    def all(self, rows: Iterable[pa.RecordBatch]) -> None:
        """Adjustments go last, when the fate of the conversions that they adjust is known."""
        workers = self.delivery.concurrency or self.platform.limits.concurrency
        with ThreadPoolExecutor(workers, thread_name_prefix=f"capi-{self.delivery.destination}") as pool:
            try:
                self.fly(pool, workers, self.ready(rows))
                self.fly(pool, workers, self.chunk(self.refunds))
            except BaseException:
                self.stop.set()  # what is in flight still ends and is recorded; nothing new leaves
                raise

    def fly(self, pool: ThreadPoolExecutor, workers: int, ready: Iterator[Ready]) -> None:
        flying: set[Future[None]] = set()
        for wave in _waves(batches(ready, self.platform.limits), self.platform.limits.events):
            if len(flying) >= workers:  # bounded: encoding waits for sending
                done, flying = wait(flying, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
            flying.add(pool.submit(self.wave, wave))
        for future in flying:
            future.result()

    def wave(self, wave: list[tuple[Group, list[Member]]]) -> None:
        """Claim the events of a few requests, then send them one after the other."""
        if self.stop.is_set():
            self.defer([item for _, members in wave for item, _ in members])
            return
        mine = self.ledger.claim([item for _, members in wave for item, _ in members])
        for group, members in wave:
            claimed = [member for member in members if member[0].key in mine]
            if len(claimed) < len(members):
                self.missed([item.key for item, _ in members if item.key not in mine])
            if claimed:
                self.attempts.deliver(group.value, claimed)

    def missed(self, keys: Sequence[Key]) -> None:
        """Events that could not be claimed: another hour has taken them since the look-up (or another run of this hour,
        after a lost connection, which then speaks for them)."""
        rows = self.ledger.states(keys)
        self.report.skip(Reason.DUPLICATE.value, sum(rows[key].hour != self.hour for key in keys if key in rows))

    def defer(self, items: Sequence[Item]) -> None:
        self.ledger.keep(items, [(State.RETRY, "", "not sent: the run had to stop first")] * len(items))

    def ready(self, rows: Iterable[pa.RecordBatch]) -> Iterator[Ready]:
        """Events to send, encoded; everything else is counted and recorded on the way."""
        for batch in rows:
            for start in range(0, batch.num_rows, LOOKUP):
                yield from self.chunk(list(self.selected(batch.slice(start, LOOKUP))))

    def selected(self, batch: pa.RecordBatch) -> Iterator[Conversion]:
        self.report.rows += batch.num_rows
        for conversion in conversions(batch):
            reason = self.delivery.select(conversion)
            if reason is not None and not self.again:
                self.report.skip(reason.value)
            elif self.platform.restates and conversion.event_name == "refund":
                self.refunds.append(conversion)
            else:
                yield conversion

    def chunk(self, chunk: list[Conversion]) -> Iterator[Ready]:
        now = self.delivery.now()
        known = self.ledger.states([(c.event_name, c.event_id) for c in chunk])
        blocked = self.adjustments(chunk, known) if self.platform.restates else {}
        kept: list[tuple[Item, tuple[State, str, str]]] = []
        late: list[Item] = []
        ready: list[Ready] = []
        for c in chunk:
            row = known.get((c.event_name, c.event_id))
            unselected = self.delivery.select(c) if self.again else None
            if unselected and row is None:
                self.report.skip(unselected.value)
                continue
            step, held = decide(row, self.hour, self.platform.deduplication, self.delivery.on_unknown, now)
            since = row.unknown_since if row else None
            item = Item(c.event_name, c.event_id, c.event_time, c.recorded_at, c.original_event_id, unknown_since=since)
            if step is Step.FOREIGN:
                self.report.skip(Reason.DUPLICATE.value)
            elif step is Step.HOLD and held:
                kept.append((item, (State.HELD, held.value, _HELD_WORDS[held])))
            elif step is Step.SEND:
                try:
                    if unselected:  # it was selected when the ledger first heard of it
                        raise Withhold(unselected)
                    match blocked.get(item.key):
                        case Reason() as reason:
                            raise Withhold(reason)
                        case State():
                            kept.append((item, (State.RETRY, "", "waits for the conversion that it adjusts")))
                            continue
                    payload = self.platform.prepare(c, now)
                    group = self.platform.group(c)
                except Withhold as no:
                    if since is not None:  # it may be at the platform already, so it is not ours to forget
                        held = Held.NOT_SENDABLE
                        kept.append((item, (State.HELD, held.value, f"{_HELD_WORDS[held]} ({no.reason.value})")))
                    else:
                        kept.append((item, (State.WITHHELD, no.reason.value, no.detail)))
                    continue
                digest = hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
                if row and row.state is State.REJECTED and row.payload_digest == digest:
                    continue  # the same payload would be rejected again
                if self.report.example is None:
                    self.report.example = example(payload, _personal(c))
                item = Item(*_fields(item), digest, since)
                if self.stop.is_set():
                    late.append(item)
                else:
                    ready.append((item, self.grouped(group, row), payload))
        if kept:
            self.ledger.keep([item for item, _ in kept], [state for _, state in kept])
        if late:
            self.defer(late)
        yield from ready

    def grouped(self, group: Hashable, row: Row | None) -> Group:
        """Events that may only travel in small company (see attempt.NARROW) get requests of their own."""
        if row is None or not row.at_most:
            return Group(group)
        self.narrowed += 1
        return Group(group, (row.at_most, self.narrowed // row.at_most))

    def adjustments(self, chunk: Sequence[Conversion], known: Mapping[Key, Row]) -> dict[Key, Reason | State]:
        """Refunds that must not go out as a new total: of a conversion that the platform does not have, or older than
        one that it already has (its total would overwrite the newer one); and those whose conversion is undecided."""
        refunds = [c for c in chunk if c.event_name == "refund" and c.original_event_id]
        if not refunds:
            return {}
        ids = {str(c.original_event_id) for c in refunds}
        names = {str(c.original_event_id): str(c.properties.get("original_event_name") or "purchase") for c in refunds}
        originals = self.ledger.states([(names[id_], id_) for id_ in ids])
        latest = {id_: round(when.timestamp() * 1e6) for id_, when in self.ledger.later_adjustments(list(ids)).items()}
        for c in refunds:
            row = known.get((c.event_name, c.event_id))
            refused = row is not None and (row.state is State.REJECTED or row.hour != self.hour)
            if not (c.withhold or refused or self.delivery.select(c)):  # the others will never be there
                id_ = str(c.original_event_id)
                latest[id_] = max(latest.get(id_, 0), c.event_time)
        out: dict[Key, Reason | State] = {}
        for c in refunds:
            id_ = str(c.original_event_id)
            original = originals.get((names[id_], id_))
            if original is not None and original.state in (State.SENDING, State.RETRY, State.HELD):
                out[(c.event_name, c.event_id)] = original.state
            elif original is None or original.state not in (State.ACCEPTED, State.PENDING):
                out[(c.event_name, c.event_id)] = Reason.ORIGINAL_NOT_SENT
            elif c.event_time < latest.get(id_, 0):
                out[(c.event_name, c.event_id)] = Reason.SUPERSEDED
        return out


_HELD_WORDS = {
    Held.NO_DEDUPLICATION: "an earlier attempt may have arrived, and the platform would count a repetition",
    Held.WINDOW_CLOSED: "an earlier attempt may have arrived, and the platform's deduplication window has closed",
    Held.NOT_SENDABLE: "an earlier attempt may have arrived, and by now it may not be sent",
    Held.POLICY: "an earlier attempt may have arrived, and this destination says `on_unknown: hold`",
}


def _waves(requests: Iterable[tuple[Any, list[Member]]], events: int) -> Iterator[list[tuple[Group, list[Member]]]]:
    wave: list[tuple[Group, list[Member]]] = []
    for request in requests:
        wave.append(request)
        if events > 1 or len(wave) == WAVE:
            yield wave
            wave = []
    if wave:
        yield wave


def _fields(item: Item) -> tuple[str, str, int, int, str | None]:
    return item.event_name, item.event_id, item.event_time, item.recorded_at, item.original_event_id


def _personal(c: Conversion) -> set[str]:
    """Texts of one conversion that an example payload must not show."""
    values = [c.ip_address, c.user_agent, *c.browser_ids.values(), *map(str, c.device.values())]
    values += [str(click.get("value") or "") for click in c.click_ids.values()]
    values += [value for found in c.identifiers.values() for value in found]
    return {value for value in values if value and len(value) > 3}
