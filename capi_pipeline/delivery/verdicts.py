"""Answers that come later: ask a platform that only queues what became of earlier requests, and settle the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from capi_pipeline.delivery.attempt import NARROW
from capi_pipeline.delivery.http import NotSent, Send, Unanswered
from capi_pipeline.delivery.ledger import Held, Ledger
from capi_pipeline.delivery.redaction import Redactor
from capi_pipeline.delivery.tables import SCHEMA
from capi_pipeline.delivery.tokens import Tokens
from capi_pipeline.errors import AuthenticationError
from capi_pipeline.platforms.base import Platform, Verdicts
from capi_pipeline.platforms.outcomes import Kind, Outcome, State, Verdict

LEASE = timedelta(minutes=2)  # while one process asks, no other asks the same
NO_ANSWER = "no_answer"
ENOUGH = 3  # questions in a row without an answer: the rest is asked another time


@dataclass
class Asked:
    """What one round of asking brought: requests asked about, still waiting, events by new state, words of failures."""

    requests: int = 0
    waiting: int = 0
    events: Counter[str] = field(default_factory=Counter)
    rejections: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    hours: set[datetime] = field(default_factory=set)  # of which something was settled


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
        silent = 0
        for trace_id, hour, events, submitted, times in self._due(everything):
            asked.requests += 1
            verdict = self._verdict(trace_id, events)
            if verdict.kind is Kind.AUTH:
                raise AuthenticationError(
                    f"`{self.destination}` ({self.platform.title}) refuses the credentials when asked for verdicts: "
                    f"{self.redact(verdict.message)} ({self.redact(verdict.code)}).",
                    f"Renew {self.tokens.keys()}. Nothing is lost: the verdicts are asked for again.",
                )
            unheard = verdict.kind is Kind.RATE_LIMITED or verdict.code == NO_ANSWER
            outcomes = self._outcomes(verdict, events, asked)
            if not unheard and self.now() - submitted > rules.give_up:
                never = Outcome(State.HELD, verdict.code, "the platform never said what became of it")
                outcomes = [never if outcome.state is State.PENDING else outcome for outcome in outcomes]
            asked.hours.add(hour.astimezone(UTC))
            self._settle(trace_id, hour, outcomes, asked)
            if any(outcome.state is State.PENDING for outcome in outcomes):
                asked.waiting += 1
                self._later(trace_id, max(next_wait(rules, times), verdict.wait or timedelta(0)))
            silent = silent + 1 if unheard else 0
            if verdict.kind is Kind.RATE_LIMITED or silent >= ENOUGH:
                break  # the others stay leased for two minutes and are due again then
        return asked

    def _outcomes(self, verdict: Verdict, events: int, asked: Asked) -> Sequence[Outcome]:
        """One outcome per event; all are still pending where the platform has not said."""
        if verdict.kind is Kind.SETTLED and len(verdict.outcomes) == events:
            return verdict.outcomes
        if verdict.kind is Kind.SETTLED:
            asked.failures.append(f"the verdict names {len(verdict.outcomes)} events of {events}")
        elif verdict.kind is not Kind.WAITING:
            asked.failures.append(self.redact(verdict.message or verdict.code))
        return [Outcome(State.PENDING)] * events

    def _due(self, everything: bool) -> list[Any]:
        query = f"""update {SCHEMA}.verdicts set ask_at = :lease, asked = asked + 1
            where destination = :destination and (ask_at <= :now or :everything)
            returning trace_id, hour, events, submitted_at, asked"""
        now = self.now()
        found = self.ledger.query(
            query, destination=self.destination, now=now, lease=now + LEASE, everything=everything
        )
        return sorted(found, key=lambda row: row.submitted_at)

    def _verdict(self, trace_id: str, events: int) -> Verdict:
        request = self.platform.status_request(trace_id)
        while True:
            token = self.tokens.current()
            try:
                response = self.send(self.platform.authorize(request, token)).response
            except (NotSent, Unanswered) as error:
                return Verdict(Kind.TRANSIENT, code=NO_ANSWER, message=str(error))
            try:
                verdict = self.platform.read_status(response, events)
            except Exception as error:
                words = f"an answer that cannot be read ({type(error).__name__})"
                return Verdict(Kind.TRANSIENT, code="unreadable", message=words)
            if verdict.kind is not Kind.AUTH or self.tokens.renewed(token) is None:
                return verdict

    def _settle(self, trace_id: str, hour: datetime, outcomes: Sequence[Outcome], asked: Asked) -> None:
        """Record the verdict, and close the question unless some of its events are still queued."""
        half = max(1, len(outcomes) // 2)
        told = [(position, o) for position, o in enumerate(outcomes) if o.state is not State.PENDING]
        if outcomes and not told:
            return
        query = f"""with settled as (
                update {SCHEMA}.deliveries d set state = k.state, reason = k.reason, code = k.code, message = k.message,
                    not_before = k.not_before, at_most = k.at_most, settled_at = clock_timestamp(),
                    unknown_since = case when k.state in ('retry', 'held') then d.claimed_at end
                from unnest(cast(:positions as int[]), cast(:states as text[]), cast(:reasons as text[]),
                    cast(:codes as text[]), cast(:messages as text[]), cast(:not_before as timestamptz[]),
                    cast(:at_most as int[])) as k(position, state, reason, code, message, not_before, at_most)
                where d.destination = :destination and d.hour = :hour and d.state = 'pending'
                    and d.trace_id = :trace and d.position = k.position
                returning d.state, d.code, d.message),
            closed as (delete from {SCHEMA}.verdicts where :done and destination = :destination and trace_id = :trace)
            select state, code, message, count(*) from settled group by 1, 2, 3"""
        settled = self.ledger.query(
            query,
            destination=self.destination,
            hour=hour,
            trace=trace_id,
            done=len(told) == len(outcomes),
            positions=[position for position, _ in told],
            states=[o.state.value for _, o in told],
            reasons=[Held.NO_VERDICT.value if o.state is State.HELD else None for _, o in told],
            codes=[self.redact(o.code) or None for _, o in told],
            messages=[self.redact(o.message) or None for _, o in told],
            not_before=[self.now() + o.wait if o.wait else None for _, o in told],
            at_most=[half if o.state is State.RETRY and o.code == NARROW else None for _, o in told],
        )
        for state, code, message, number in settled:
            asked.events[state] += number
            if state == State.REJECTED:
                asked.rejections[(code or "", message or "")] += number

    def _later(self, trace_id: str, wait: timedelta) -> None:
        query = f"update {SCHEMA}.verdicts set ask_at = :at where destination = :destination and trace_id = :trace"
        self.ledger.query(query, at=self.now() + wait, destination=self.destination, trace=trace_id)


def next_wait(rules: Verdicts, asked: int) -> timedelta:
    """How long to wait after having asked so many times."""
    seconds = rules.first.total_seconds() * rules.factor ** min(asked, 64)
    return min(rules.longest, timedelta(seconds=min(seconds, rules.longest.total_seconds())))
