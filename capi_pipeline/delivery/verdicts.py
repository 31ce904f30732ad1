"""Answers that come later: ask a platform that only queues what became of earlier requests, and settle the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from capi_pipeline.delivery.attempt import NARROW
from capi_pipeline.delivery.http import NotSent, Send, Unanswered
from capi_pipeline.delivery.ledger import Held, Ledger
from capi_pipeline.delivery.redaction import Redactor
from capi_pipeline.delivery.tables import SCHEMA
from capi_pipeline.delivery.tokens import Tokens
from capi_pipeline.errors import AuthenticationError
from capi_pipeline.platforms.base import Kind, Outcome, Platform, State, Verdict, Verdicts

LEASE = timedelta(minutes=2)  # while one process asks, no other asks the same


@dataclass
class Asked:
    """What one round of asking brought: requests asked about, still waiting, events by new state, words of failures."""

    requests: int = 0
    waiting: int = 0
    events: Counter[str] = field(default_factory=Counter)
    rejections: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@dataclass
class VerdictDesk:
    """Asks for the verdicts of one destination."""

    destination: str
    platform: Platform
    ledger: Ledger
    send: Send
    tokens: Tokens
    redact: Redactor
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def ask(self, everything: bool = False) -> Asked:
        """Ask about each request whose time has come (or about all open ones). Raises AuthenticationError."""
        asked = Asked()
        rules = self.platform.verdicts
        if rules is None:
            return asked
        for trace_id, events, submitted, times in self._due(everything):
            asked.requests += 1
            verdict = self._verdict(trace_id, events)
            if verdict.kind is Kind.AUTH:
                raise AuthenticationError(
                    f"`{self.destination}` ({self.platform.title}) refuses the credentials when asked for verdicts: "
                    f"{self.redact(verdict.message)} ({verdict.code}).",
                    f"Renew {self.tokens.keys()}. Nothing is lost: the verdicts are asked for again.",
                )
            if verdict.kind is Kind.SETTLED and len(verdict.outcomes) == events:
                self._settle(trace_id, verdict.outcomes, asked)
            elif self.now() - submitted > rules.give_up:
                silent = Outcome(State.HELD, verdict.code, "the platform never said what became of it")
                self._settle(trace_id, [silent] * events, asked)
            else:
                asked.waiting += 1
                if verdict.kind is not Kind.WAITING:
                    asked.failures.append(self.redact(verdict.message or verdict.code))
                self._later(trace_id, next_wait(rules, times))
        return asked

    def _due(self, everything: bool) -> list[Any]:
        query = f"""update {SCHEMA}.verdicts set ask_at = :lease, asked = asked + 1
            where destination = :destination and (ask_at <= :now or :everything)
            returning trace_id, events, submitted_at, asked"""
        values = {
            "destination": self.destination,
            "now": self.now(),
            "lease": self.now() + LEASE,
            "everything": everything,
        }
        with self.ledger.engine.begin() as connection:
            return list(connection.execute(text(query), values))

    def _verdict(self, trace_id: str, events: int) -> Verdict:
        request = self.platform.status_request(trace_id)
        while True:
            token = self.tokens.current()
            try:
                response = self.send(self.platform.authorize(request, token)).response
            except (NotSent, Unanswered) as error:
                return Verdict(Kind.TRANSIENT, code="no_answer", message=str(error))
            try:
                verdict = self.platform.read_status(response, events)
            except Exception as error:
                words = f"an answer that cannot be read ({type(error).__name__})"
                return Verdict(Kind.TRANSIENT, code="unreadable", message=words)
            if verdict.kind is not Kind.AUTH or self.tokens.renewed(token) is None:
                return verdict

    def _settle(self, trace_id: str, outcomes: Sequence[Outcome], asked: Asked) -> None:
        half = max(1, len(outcomes) // 2)
        values = {
            "destination": self.destination,
            "trace": trace_id,
            "positions": list(range(len(outcomes))),
            "states": [o.state.value for o in outcomes],
            "reasons": [Held.NO_VERDICT.value if o.state is State.HELD else None for o in outcomes],
            "codes": [self.redact(o.code) or None for o in outcomes],
            "messages": [self.redact(o.message) or None for o in outcomes],
            "not_before": [self.now() + o.wait if o.wait else None for o in outcomes],
            "at_most": [half if o.state is State.RETRY and o.code == NARROW else None for o in outcomes],
        }
        query = f"""update {SCHEMA}.deliveries d set state = k.state, reason = k.reason, code = k.code, message = k.message,
                not_before = k.not_before, at_most = k.at_most, settled_at = clock_timestamp(),
                unknown_since = case when k.state in ('retry', 'held') then d.claimed_at end
            from unnest(cast(:positions as int[]), cast(:states as text[]), cast(:reasons as text[]), cast(:codes as text[]),
                cast(:messages as text[]), cast(:not_before as timestamptz[]), cast(:at_most as int[]))
                as k(position, state, reason, code, message, not_before, at_most)
            where d.destination = :destination and d.trace_id = :trace and d.position = k.position and d.state = 'pending'
            returning d.state, d.code, d.message"""
        with self.ledger.engine.begin() as connection:
            settled: list[Any] = list(connection.execute(text(query), values))
            for state, code, message in settled:
                asked.events[state] += 1
                if state == State.REJECTED:
                    asked.rejections[(code or "", message or "")] += 1
            connection.execute(
                text(f"delete from {SCHEMA}.verdicts where destination = :destination and trace_id = :trace"),
                {"destination": self.destination, "trace": trace_id},
            )

    def _later(self, trace_id: str, wait: timedelta) -> None:
        query = f"update {SCHEMA}.verdicts set ask_at = :at where destination = :destination and trace_id = :trace"
        with self.ledger.engine.begin() as connection:
            connection.execute(
                text(query), {"at": self.now() + wait, "destination": self.destination, "trace": trace_id}
            )


def next_wait(rules: Verdicts, asked: int) -> timedelta:
    """How long to wait after having asked so many times."""
    seconds = rules.first.total_seconds() * rules.factor ** min(asked, 64)
    return min(rules.longest, timedelta(seconds=min(seconds, rules.longest.total_seconds())))
