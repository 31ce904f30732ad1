"""Input, ledger and what the platform counted, compared. Pure, and able to fail: see test_reconcile.py."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.chaos.rows import Event

Key = tuple[str, str]  # (event name, event id)
ADJUSTED = ("adjustment", "restated", "retracted")
# Reasons of ours not to send an event: this destination's documents and the people's choices, never a fault.
GOOD_REASONS = ("consent_denied", "superseded", "original_not_sent")


@dataclass(frozen=True)
class Row:
    """One row of the ledger."""

    key: Key
    state: str
    reason: str | None = None


@dataclass(frozen=True)
class Stored:
    """One event in the platform's store. `id`: the conversion's; of an adjustment, that of what it adjusts."""

    id: str
    counted: bool
    outcome: str
    value: float | None = None
    retracted: bool = False


@dataclass
class Verdict:
    """What was found for one destination; the texts of `violations` name an event each."""

    events: int = 0
    accepted: int = 0
    rejected: int = 0
    withheld: int = 0
    held: int = 0
    waiting: int = 0  # refunds of conversions that are held
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)  # held or left, and no list shows it
    misreported: list[str] = field(default_factory=list)  # the ledger says otherwise than the platform
    unfinished: list[str] = field(default_factory=list)  # still open after the last rerun

    @property
    def violations(self) -> list[str]:
        parts = {name: getattr(self, name) for name in ("lost", "twice", "unlisted", "misreported", "unfinished")}
        return [f"{name}: {words}" for name, found in parts.items() for words in found]


def reconcile(
    events: Sequence[Event],
    ledger: Iterable[Row],
    store: Iterable[Stored],
    *,
    held: set[Key],
    listed: set[Key],
    poison: set[str],
    restates: bool,
) -> Verdict:
    """Compare. `held`: what the list of held events shows; `listed`: events of hours that are shown as unfinished or as
    waiting for a verdict; `poison`: ids that the platform was told to refuse; `restates`: it takes refunds."""
    verdict = Verdict(events=len(events))
    rows = {row.key: row for row in ledger}
    counted: Counter[str] = Counter()
    values: dict[str, Stored] = {}
    adjustments: dict[str, int] = defaultdict(int)
    for entry in store:
        if entry.counted:
            counted[entry.id] += 1
            values[entry.id] = entry
        elif entry.outcome in ADJUSTED:
            adjustments[entry.id] += 1
    for event in events:
        _judge(verdict, event, rows.get(event.key), rows, counted, adjustments, held, listed, poison)
    known = {event.id for event in events} | {event.original for event in events}
    verdict.misreported += [
        f"{id_}: the platform counts what was never asked for" for id_ in counted if id_ not in known
    ]
    if restates:
        _values(verdict, events, rows, values)
    return verdict


def _judge(
    verdict: Verdict,
    event: Event,
    row: Row | None,
    rows: dict[Key, Row],
    counted: Counter[str],
    adjustments: dict[str, int],
    held: set[Key],
    listed: set[Key],
    poison: set[str],
) -> None:
    refund = event.original is not None
    there = counted[event.id] if not refund else min(1, adjustments[str(event.original)])
    name = f"{event.name} {event.id}"
    if there > 1:
        verdict.twice.append(f"{name}: counted {there} times ({row.state if row else 'not in the ledger'})")
    if row is None:
        verdict.lost.append(f"{name}: not in the ledger")
        return
    match row.state:
        case "accepted":
            verdict.accepted += 1
            if not there:
                verdict.lost.append(f"{name}: accepted in the ledger, and the platform does not have it")
        case "held":
            verdict.held += 1
            if event.key not in held:
                verdict.unlisted.append(f"{name}: held, and not in the list of held events")
        case "rejected":
            verdict.rejected += 1
            if event.id not in poison and event.original not in poison:
                verdict.lost.append(f"{name}: rejected, though the platform had nothing against it")
            elif there and not refund:
                verdict.misreported.append(f"{name}: rejected in the ledger, and the platform counts it")
        case "withheld":
            verdict.withheld += 1
            if row.reason not in GOOD_REASONS or (event.sendable and row.reason == "consent_denied"):
                verdict.lost.append(f"{name}: withheld for {row.reason}")
            elif there and not refund:
                verdict.misreported.append(f"{name}: withheld in the ledger, and the platform counts it")
        case _:
            original = rows.get(("purchase", str(event.original)))
            if event.key not in listed:
                verdict.unlisted.append(f"{name}: {row.state}, and no list shows its hour")
            if refund and original and original.state == "held":
                verdict.waiting += 1
            else:
                verdict.unfinished.append(f"{name}: {row.state}")


def _values(verdict: Verdict, events: Sequence[Event], rows: dict[Key, Row], values: dict[str, Stored]) -> None:
    """What a conversion is worth at the platform: after its refunds, the total that the latest of them left."""
    refunds: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.original:
            refunds[event.original].append(event)
    for event in events:
        there, row = values.get(event.id), rows.get(event.key)
        mine = refunds[event.id]
        states = {rows[refund.key].state for refund in mine if refund.key in rows}
        if there is None or row is None or row.state != "accepted" or states & {"held", "retry", "sending", "pending"}:
            continue  # a person decides on what is held first
        done = [refund for refund in mine if refund.key in rows and rows[refund.key].state == "accepted"]
        last = max(done, key=lambda refund: refund.time or 0, default=None)  # type: ignore[arg-type, return-value]
        wanted = event.value if last is None else float(last.remaining or 0)
        found = 0.0 if there.retracted or there.value is None else there.value
        if abs(found - wanted) > 0.005:
            verdict.misreported.append(
                f"{event.name} {event.id}: worth {found} at the platform, {wanted} by the ledger"
            )
