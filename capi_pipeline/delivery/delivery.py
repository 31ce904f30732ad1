"""One hour to one destination: select, look up, screen, encode, batch, claim, send, settle. Streams; knows no platform."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from capi_pipeline.conversions.conversion import Conversion, conversions
from capi_pipeline.conversions.match_quality import Tally
from capi_pipeline.delivery.attempt import Attempts, Member
from capi_pipeline.delivery.decide import OnUnknown, Step, decide
from capi_pipeline.delivery.http import Send
from capi_pipeline.delivery.ledger import HELD_WORDS, Held, HourLedger, Item, Key, Ledger, Row
from capi_pipeline.delivery.pace import Pace
from capi_pipeline.delivery.queries import lags, unfinished
from capi_pipeline.delivery.redaction import Redactor, example
from capi_pipeline.delivery.report import Report
from capi_pipeline.delivery.tokens import Tokens
from capi_pipeline.errors import ConfigurationError, DeliveryError
from capi_pipeline.platforms.base import NEVER, Deduplication, Platform
from capi_pipeline.platforms.batching import batches
from capi_pipeline.platforms.outcomes import Reason, State, Withhold
from capi_pipeline.platforms.ranking import signals
from capi_pipeline.platforms.times import microseconds
from capi_pipeline.platforms.wire import Payload

LOOKUP = 2000  # events whose ledger rows are fetched at once
WAVE = 8  # requests that are claimed together where each holds one event, and a repetition of it would be dropped


@dataclass(frozen=True)
class Group:
    """What events of one request share: the platform's own group, and how many may travel together at most."""

    value: Hashable
    at_most: int | None = None


Ready = tuple[Item, Group, Payload]
Select = Callable[[Conversion], Reason | None]
Rows = Callable[[], Iterable[pa.RecordBatch]]


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

    def hour(self, hour: datetime, rows: Rows, run_id: str) -> Report:
        """Send what is left of this hour's hashed conversions; `rows()` reads them from the start. `Report.error` holds
        what a person must know, and `Report.unfinished` what is left. Raises DeliveryError where there is no report:
        another run has the hour, the staged rows are gone, or the ledger's database is; ConfigurationError where the
        ledger no longer knows what became of the hour."""
        report, started = Report(), time.monotonic()
        with self.ledger.hour(self.destination, hour, run_id) as ledger:
            self.require_known(hour)
            run = _Run(self, ledger, report)
            run.all(rows)
        for state, reason, code, number in self.ledger.counts(self.destination, hour):
            report.outcomes[(state, reason or code or "")] += number
        report.quality, report.lags = run.tally.quality, lags(self.ledger, self.destination, hour)
        if report.error is None and run.waits:
            report.error = DeliveryError(
                f"`{self.destination}` ({self.platform.title}) asked to be left alone until "
                f"{run.waits.astimezone(UTC):%Y-%m-%d %H:%M} UTC.",
                "Rerun this partition after that time: it sends only what is left.",
            )
        report.seconds = time.monotonic() - started
        return report

    def require_known(self, hour: datetime) -> None:
        """Of an hour whose settled rows may be pruned, only what the ledger still has to finish can be sent."""
        before = self.ledger.pruned_before(self.destination)
        if before is None or hour >= before:
            return
        if not any((left.destination, left.hour) == (self.destination, hour) for left in unfinished(self.ledger)):
            raise ConfigurationError(
                f"The ledger of `{self.destination}` reaches back to {before:%Y-%m-%d %H:%M} UTC: what the hour "
                f"{hour.astimezone(UTC):%Y-%m-%d %H:%M} sent is no longer known, so nothing of it was sent again.",
                "Nothing is left to do for this hour. A longer CAPI_LEDGER_DAYS keeps later hours for longer.",
            )


class _Run:
    """One pass over one hour."""

    def __init__(self, delivery: Delivery, ledger: HourLedger, report: Report) -> None:
        self.delivery, self.ledger, self.report = delivery, ledger, report
        self.platform, self.hour = delivery.platform, ledger.partition
        self.stop = delivery.stop
        self.adjustments: list[tuple[str, str, int, bool]] = []  # event id, original's, event time, whether it may go
        self.latest: dict[str, int] = {}  # original's event id -> time of the hour's latest adjustment of it
        self.waits: datetime | None = None  # until when the platform asked to be left alone with some events
        self.again = delivery.ledger.knows(delivery.destination, self.hour)
        self.tally = Tally(signals(delivery.platform), delivery.platform.limits.oldest)
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

    def all(self, rows: Rows) -> None:
        """Adjustments go last, when the fate of the conversions that they adjust is known. They are read a second time:
        of a first reading only ids and times are kept, so that no hour is ever held in memory."""
        workers = self.delivery.concurrency or self.platform.limits.concurrency
        with ThreadPoolExecutor(workers, thread_name_prefix=f"capi-{self.delivery.destination}") as pool:
            try:
                self.fly(pool, workers, self.ready(self.first(rows())))
                if self.adjustments:
                    self.latest = {} if self.platform.differs else self.latest_adjustments()
                    self.fly(pool, workers, self.ready(self.second(rows())))
            except BaseException:
                self.stop.set()  # what is in flight still ends and is recorded; nothing new leaves
                raise

    def fly(self, pool: ThreadPoolExecutor, workers: int, ready: Iterator[Ready]) -> None:
        flying: set[Future[None]] = set()
        for wave in self.waves(batches(ready, self.platform.limits, _at_most)):
            if len(flying) >= workers:  # bounded: encoding waits for sending
                done, flying = wait(flying, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
            flying.add(pool.submit(self.wave, wave))
        for future in flying:
            future.result()
        self.attempts.finish()

    def waves(self, requests: Iterable[tuple[Any, list[Member]]]) -> Iterator[list[tuple[Group, list[Member]]]]:
        """Requests that are claimed together: what a killed run had claimed may have arrived, and is held where that would
        count twice."""
        wave: list[tuple[Group, list[Member]]] = []
        for group, members in requests:
            wave.append((group, members))
            alone = self.platform.limits.events > 1 or not self.attempts.knows_again(members[0])
            if alone or len(wave) == WAVE:
                yield wave
                wave = []
        if wave:
            yield wave

    def wave(self, wave: list[tuple[Group, list[Member]]]) -> None:
        """Claim the events of a few requests, then send them one after the other."""
        if self.stop.is_set():
            self.defer([item for _, members in wave for item, _ in members])
            return
        items = [item for _, members in wave for item, _ in members]
        try:
            mine = self.ledger.claim(items)
        except DeliveryError:
            self.ledger.release(items)  # committed or not: nobody knows, but nothing has left
            raise
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
        words = "not sent: the run had to stop first"
        self.ledger.keep(items, [(State.RETRY, "", words)] * len(items), self.attempts.not_before)

    def ready(self, found: Iterator[Conversion]) -> Iterator[Ready]:
        """Events to send, encoded; everything else is counted and recorded on the way."""
        while chunk := list(islice(found, LOOKUP)):
            yield from self.chunk(chunk)

    def first(self, rows: Iterable[pa.RecordBatch]) -> Iterator[Conversion]:
        """The first reading: everything is counted; what is this destination's business and adjusts nothing comes out."""
        for batch in rows:
            self.report.rows += batch.num_rows
            for c in conversions(batch):
                reason = self.delivery.select(c)
                if reason is not None and not self.again:
                    self.report.skip(reason.value)
                elif self.adjusts(c):
                    goes = not (c.withhold or reason)  # the others will never be there
                    self.adjustments.append((c.event_id, c.original_event_id or "", c.event_time, goes))
                else:
                    yield c

    def second(self, rows: Iterable[pa.RecordBatch]) -> Iterator[Conversion]:
        """The second reading: the adjustments."""
        for batch in rows:
            for c in conversions(batch.filter(pc.equal(batch["event_name"], "refund"))):
                if self.adjusts(c) and (self.again or self.delivery.select(c) is None):
                    yield c

    def adjusts(self, c: Conversion) -> bool:
        return (self.platform.restates or self.platform.differs) and c.event_name == "refund"

    def chunk(self, chunk: list[Conversion]) -> Iterator[Ready]:
        now = self.delivery.now()
        known = self.ledger.states([(c.event_name, c.event_id) for c in chunk])
        before = self.ledger.pruned_before()
        blocked = self.blocked(chunk)
        kept: list[tuple[Item, tuple[State, str, str]]] = []
        late: list[Item] = []
        ready: list[Ready] = []
        judged: list[Conversion] = []  # what the platform has or could have: their match quality is the hour's
        for c in chunk:
            row = known.get((c.event_name, c.event_id))
            unselected = self.delivery.select(c) if self.again else None
            if unselected and row is None:
                self.report.skip(unselected.value)
                continue
            if row is None and before and (self.hour < before or c.event_time < microseconds(before)):
                self.report.skip(Reason.TOO_OLD.value)  # it may have been accepted, and the row be pruned
                continue
            rules = self.deduplication(c, row, now)
            step, held = decide(row, self.hour, rules, self.delivery.on_unknown, now)
            if step is Step.DONE:
                judged.append(c)
                continue
            since = row.unknown_since if row else None
            item = _item(c, since)
            if step is Step.FOREIGN:
                self.report.skip(Reason.DUPLICATE.value)
            elif step is Step.WAIT and row and row.not_before:
                self.waits = max(self.waits or row.not_before, row.not_before)
            elif step is Step.HOLD and held:
                kept.append((item, (State.HELD, held.value, HELD_WORDS[held])))
            elif step is Step.SEND:
                try:
                    if unselected:  # it was selected when the ledger first heard of it
                        raise Withhold(unselected)
                    match blocked.get(item.key):
                        case Reason() as reason:
                            raise Withhold(reason)
                        case State() as state:  # queued by the platform: so is this; anything else: left to send
                            mine = State.PENDING if state is State.PENDING else State.RETRY
                            kept.append((item, (mine, "", "waits for the conversion that it adjusts")))
                            continue
                    payload = self.platform.prepare(c, now)
                    group = self.platform.group(c)
                    digest = _digest(payload)
                except Withhold as no:
                    if no.reason is Reason.NO_IDENTIFIER:  # what match quality is about, so part of it
                        judged.append(c)
                    detail = self.delivery.redact(no.detail)
                    if since is not None:  # it may be at the platform already, so it is not ours to forget
                        held = Held.NOT_SENDABLE
                        kept.append((item, (State.HELD, held.value, f"{HELD_WORDS[held]} ({no.reason.value})")))
                    else:
                        kept.append((item, (State.WITHHELD, no.reason.value, detail)))
                    continue
                except Exception as error:  # one event must not hold up the others, and a person must know of it
                    self.report.error = self.report.error or self.unencodable(c, error)
                    kept.append((item, (State.RETRY, "", f"cannot be encoded ({type(error).__name__})")))
                    continue
                judged.append(c)
                if row and row.state is State.REJECTED and row.payload_digest == digest:
                    continue  # the same payload would be rejected again
                if self.report.example is None:
                    self.report.example = example(payload, personal(c))
                item = _item(c, since, digest)
                if self.stop.is_set():
                    late.append(item)
                else:
                    ready.append((item, Group(group, row.at_most if row else None), payload))
        self.tally.add(c for c in judged if not self.adjusts(c))  # a new total is matched by what it adjusts
        if kept:
            asks = self.platform.verdicts
            look_at = now + asks.first if asks else None
            self.ledger.keep([item for item, _ in kept], [state for _, state in kept], look_at=look_at)
        if late:
            self.defer(late)
        yield from ready

    def deduplication(self, c: Conversion, row: Row | None, now: datetime) -> Deduplication:
        """How the platform would know a repetition of this event, if it is in doubt."""
        if row is None or row.unknown_since is None:
            return self.platform.deduplication
        try:
            payload = self.platform.prepare(c, now)
        except Exception:  # it cannot be sent at all: see `chunk`
            return self.platform.deduplication
        rules = self.platform.deduplication_of(payload)
        return NEVER if rules.exact and row.payload_digest != _digest(payload) else rules

    def unencodable(self, c: Conversion, error: Exception) -> DeliveryError:
        return DeliveryError(
            f"`{self.delivery.destination}` ({self.platform.title}): the event {c.event_name} {c.event_id} cannot be "
            f"encoded ({type(error).__name__}). This is a fault of capi_pipeline; the other events are sent.",
            "Report it, and rerun this partition with a corrected version: the event stays in the ledger.",
        )

    def latest_adjustments(self) -> dict[str, int]:
        """Per original: the time of the hour's latest adjustment of it that goes, or has gone, to the platform."""
        latest: dict[str, int] = {}
        for start in range(0, len(self.adjustments), LOOKUP):
            part = self.adjustments[start : start + LOOKUP]
            known = self.ledger.states([("refund", id_) for id_, *_ in part])
            for id_, original, when, goes in part:
                row = known.get(("refund", id_))
                refused = row is not None and (row.state is State.REJECTED or row.hour != self.hour)
                if goes and not refused:
                    latest[original] = max(latest.get(original, 0), when)
        return latest

    def blocked(self, chunk: Sequence[Conversion]) -> dict[Key, Reason | State]:
        """Refunds that must not go out as a new total: of a conversion that the platform does not have, or older than
        one that it already has (its total would overwrite the newer one); and those whose conversion is undecided."""
        refunds = [c for c in chunk if self.adjusts(c) and c.original_event_id]
        if not refunds:
            return {}
        originals = self.ledger.states(list({_original(c) for c in refunds}))
        # a difference replaces none before it
        ids = [] if self.platform.differs else list({str(c.original_event_id) for c in refunds})
        gone = self.ledger.later_adjustments(ids)
        out: dict[Key, Reason | State] = {}
        for c in refunds:
            id_ = str(c.original_event_id)
            original = originals.get(_original(c))
            latest = max(self.latest.get(id_, 0), microseconds(gone[id_]) if id_ in gone else 0)
            if original is not None and original.state in (State.SENDING, State.PENDING, State.RETRY, State.HELD):
                out[(c.event_name, c.event_id)] = original.state
            elif original is None or original.state is not State.ACCEPTED:
                out[(c.event_name, c.event_id)] = Reason.ORIGINAL_NOT_SENT
            elif c.event_time < latest:
                out[(c.event_name, c.event_id)] = Reason.SUPERSEDED
        return out


def _at_most(group: Group) -> int | None:
    return group.at_most


def _original(c: Conversion) -> Key:
    return c.original_event_name, str(c.original_event_id)


def _item(c: Conversion, since: datetime | None, digest: str | None = None) -> Item:
    return Item(c.event_name, c.event_id, c.event_time, c.recorded_at, c.original_event_id, digest, since)


def _digest(payload: Payload) -> str:
    return hashlib.sha256(orjson.dumps(payload)).hexdigest()[:32]


def personal(c: Conversion) -> set[str]:
    """Texts of one conversion that an example payload must not show."""
    values = [c.ip_address, c.user_agent, *c.browser_ids.values(), *map(str, c.device.values())]
    values += [str(click.get("value") or "") for click in c.click_ids.values()]
    values += [value for found in c.identifiers.values() for value in found]
    return {value for value in values if value and len(value) > 3}
