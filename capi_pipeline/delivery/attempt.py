"""Send one batch until each of its events has an outcome: retries in place, rate limits, token refresh, isolation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from capi_pipeline.delivery.http import NotSent, Send, Unanswered
from capi_pipeline.delivery.ledger import Held, Item, Settlement
from capi_pipeline.delivery.pace import Pace, backoff
from capi_pipeline.delivery.redaction import Redactor
from capi_pipeline.delivery.report import Report
from capi_pipeline.delivery.tokens import Tokens
from capi_pipeline.errors import AuthenticationError, CapiError, DeliveryError
from capi_pipeline.platforms.base import Platform
from capi_pipeline.platforms.outcomes import Kind, Outcome, State, Verdict
from capi_pipeline.platforms.wire import Response

Member = tuple[Item, Any]
ALL_REFUSED = 25  # events refused one by one, and none accepted: then it is not the events
NARROW = "narrow"  # code of an outcome whose events must be sent in smaller requests to find the culprit


Part = tuple[Sequence[Member], bool]  # events of one request, and whether an earlier one may have brought them


class Stopped(Exception):
    """The run ends: nothing further leaves for this destination. `unknown`: an earlier attempt may have arrived."""

    def __init__(self, code: str, words: str, unknown: bool) -> None:
        super().__init__(words)
        self.code, self.words, self.unknown = code, words, unknown


@dataclass
class Attempts:
    """Sends the batches of one (destination, hour). Shared by its threads; `stop` ends all of them.

    `patience`: seconds for which one request is retried in place. `settle` records outcomes durably.
    `not_before`: the platform asked to be left alone until then. Until it has taken a first request, requests go one
    at a time: a bad token costs one of them, and an outage brings one batch into doubt.
    """

    destination: str
    platform: Platform
    send: Send
    tokens: Tokens
    pace: Pace
    report: Report
    redact: Redactor
    settle: Callable[[Sequence[Settlement]], None]
    patience: float = 60.0
    stop: threading.Event = field(default_factory=threading.Event)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    give_up_after: int = 3
    not_before: datetime | None = None
    _proven: bool = False
    _one: threading.Lock = field(default_factory=threading.Lock)
    _failures: int = 0
    _accepted: int = 0
    _isolated: int = 0
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def deliver(self, group: Hashable, members: Sequence[Member]) -> None:
        """Send these claimed events and settle each. Never raises for what a platform does; `report.error` tells."""
        left: list[Part] = [(members, False)]
        while left:
            left.extend(reversed(self._deliver(group, *left.pop())))

    def _deliver(self, group: Hashable, members: Sequence[Member], unknown: bool) -> list[Part]:
        """Send one request; the parts in which its events are to be sent again, if they were refused together."""
        try:
            verdict, unknown = self._exchange(group, members, unknown)
        except Stopped as stopped:
            self._left(members, stopped.code, stopped.words, stopped.unknown, self.not_before)
            return []
        if verdict.kind is Kind.REFUSED:
            return [(part, unknown) for part in self._isolate(members, verdict)]
        if verdict.kind is Kind.SETTLED:
            self._record(members, verdict.outcomes, verdict.trace_id, unknown)
        elif unknown and self.platform.deduplication.window is None:
            self._held(members, verdict.code, verdict.message)
        else:
            later = self.now() + verdict.wait if verdict.wait else None
            self._left(members, verdict.code, verdict.message, unknown, later)
        return []

    def _exchange(self, group: Hashable, members: Sequence[Member], unknown: bool) -> tuple[Verdict, bool]:
        """The last verdict on these events, and whether an earlier or this attempt may have stored them."""
        payloads, attempt = [payload for _, payload in members], 0
        try:
            request = self.platform.request(payloads, group)
        except Exception as error:  # nothing has left: the events must not be taken for sent
            self._end(self._broken(error))
            raise Stopped("request", f"no request could be made of it ({type(error).__name__})", unknown) from None
        deadline = self.monotonic() + self.patience
        while True:
            attempt += 1
            with self._turn(unknown):
                token = self._token(unknown)
                self._go_on(unknown)  # a token can take as long as a request
                verdict = self._once(self.platform.authorize(request, token), payloads, again=attempt > 1)
                unknown = unknown or verdict.maybe_stored
                if verdict.kind in (Kind.SETTLED, Kind.REFUSED):
                    self._success()
                    return verdict, unknown
                if verdict.kind is Kind.AUTH:
                    if not self.stop.is_set() and self._renewed(token):
                        continue
                    self._end(self._auth_error(verdict))
                    return verdict, unknown
                if verdict.kind is Kind.CONFIGURATION:
                    self._end(self._configuration_error(verdict))
                    return verdict, unknown
            if verdict.maybe_stored and self.platform.deduplication.window is None:
                self._exhausted(verdict, attempt, left=False)
                return verdict, unknown
            delay = backoff(attempt)
            if verdict.wait:  # at least that; a hint of milliseconds is no reason to hammer
                delay = max(delay, verdict.wait.total_seconds())
            if verdict.kind is Kind.RATE_LIMITED:
                self.pace.hold(delay)
            if self.monotonic() + delay > deadline:
                self._exhausted(verdict, attempt)
                return verdict, unknown
            self.stop.wait(delay)

    @contextmanager
    def _turn(self, unknown: bool) -> Iterator[None]:
        """The right to start a request now. Raises Stopped."""
        alone = not self._proven
        if alone:
            self._one.acquire()
        try:
            self.pace.turn()
            self._go_on(unknown)
            yield
        finally:
            if alone:
                self._one.release()

    def _go_on(self, unknown: bool) -> None:
        if self.stop.is_set():
            raise Stopped("", "not sent: the run had to stop first", unknown)

    def _once(self, request: Any, payloads: Sequence[Any], again: bool) -> Verdict:
        started = self.monotonic()
        try:
            exchange = self.send(request)
        except NotSent as error:
            self.report.request(self.monotonic() - started, 0, again)
            return Verdict(Kind.TRANSIENT, code="not_connected", message=str(error))
        except Unanswered as error:
            self.report.request(self.monotonic() - started, 0, again)
            return Verdict(Kind.TRANSIENT, maybe_stored=True, code="no_answer", message=str(error))
        self.report.request(exchange.seconds, exchange.bytes, again)
        return self._read(replace(exchange.response, sent=payloads), len(payloads))

    def _read(self, response: Response, count: int) -> Verdict:
        def surprising(code: str, message: str) -> Verdict:
            return Verdict(Kind.TRANSIENT, maybe_stored=True, code=code, message=message)

        try:
            verdict = self.platform.read(response, count)
        except Exception as error:
            return surprising("unreadable", f"an answer that cannot be read ({type(error).__name__})")
        if verdict.kind is Kind.SETTLED:
            if len(verdict.outcomes) != count:
                return surprising("outcomes", "the answer names another number of events")
            if not verdict.trace_id and any(outcome.state is State.PENDING for outcome in verdict.outcomes):
                return surprising("no_trace", "the answer names no request to ask about later")
        return verdict

    def _token(self, unknown: bool) -> str:
        try:
            return self.tokens.current()
        except CapiError as error:
            self._end(error)
            raise Stopped("token", error.message, unknown) from None

    def _renewed(self, token: str) -> bool:
        try:
            return self.tokens.renewed(token, worked=self._proven) is not None
        except CapiError as error:
            self._end(error)
            return False

    # isolation of bad events

    def _isolate(self, members: Sequence[Member], verdict: Verdict) -> list[Sequence[Member]]:
        """Nothing was stored because of some events: name them by the answer, else halve until each stands alone."""
        culprits = {index: outcome for index, outcome in verdict.culprits.items() if 0 <= index < len(members)}
        if not culprits and len(members) > 1:
            middle = len(members) // 2
            return [members[:middle], members[middle:]]
        self._refused(verdict)
        if not culprits:
            self._record(members, [Outcome(State.REJECTED, verdict.code, verdict.message)], verdict.trace_id)
            return []
        self._record([members[i] for i in culprits], list(culprits.values()), verdict.trace_id)
        rest = [member for i, member in enumerate(members) if i not in culprits]
        return [rest] if rest else []

    def _refused(self, verdict: Verdict) -> None:
        with self._mutex:
            self._isolated += 1
            hopeless = self._isolated >= ALL_REFUSED and not self._accepted
        if hopeless:
            self._end(self._configuration_error(verdict))

    # recording

    def _record(
        self, members: Sequence[Member], outcomes: Sequence[Outcome], trace_id: str, unknown: bool = False
    ) -> None:
        settlements = []
        trace_id = self.redact.hide(trace_id)
        texts = {text for outcome in outcomes for text in (outcome.code, outcome.message)}
        redacted = {text: self.redact(text) for text in texts}  # many events share few words
        for position, ((item, _), outcome) in enumerate(zip(members, outcomes, strict=True)):
            code, words = redacted[outcome.code], redacted[outcome.message]
            narrow = outcome.state is State.RETRY and code == NARROW
            settlements.append(
                Settlement(
                    item.key, outcome.state, code if outcome.state is State.WITHHELD else None, code=code or None,
                    message=words or None, trace_id=trace_id or None,
                    position=position, unknown=unknown and outcome.state is State.RETRY,
                    not_before=self.now() + outcome.wait if outcome.wait else None,
                    at_most=max(1, len(members) // 2) if narrow else None,
                )
            )  # fmt: skip
            if outcome.state is State.REJECTED:
                self.report.rejection(code, words)
        with self._mutex:
            self._accepted += sum(outcome.state in (State.ACCEPTED, State.PENDING) for outcome in outcomes)
        self.settle(settlements)
        now = self.now().timestamp()
        self.report.settled(
            [outcome.state for outcome in outcomes],
            [
                now - item.recorded_at / 1e6
                for (item, _), outcome in zip(members, outcomes, strict=True)
                if outcome.state in (State.ACCEPTED, State.PENDING)
            ],
        )

    def _left(
        self,
        members: Sequence[Member],
        code: str,
        words: str,
        unknown: bool = False,
        not_before: datetime | None = None,
    ) -> None:
        """For a rerun."""
        code, words = self.redact(code), self.redact(words)
        self.settle(
            [
                Settlement(
                    item.key, State.RETRY, code=code or None, message=words, unknown=unknown, not_before=not_before
                )
                for item, _ in members
            ]
        )
        self.report.settled([State.RETRY] * len(members))

    def _held(self, members: Sequence[Member], code: str, words: str) -> None:
        """For a person: the platform may have them, and would count a repetition."""
        code, words = self.redact(code), self.redact(words)
        self.settle(
            [
                Settlement(
                    item.key, State.HELD, Held.NO_DEDUPLICATION.value, code=code or None, message=words, unknown=True
                )
                for item, _ in members
            ]
        )
        self.report.settled([State.HELD] * len(members))

    # when to stop

    def _success(self) -> None:
        with self._mutex:
            self._failures = 0
            self._proven = True

    def _exhausted(self, verdict: Verdict, attempts: int, left: bool = True) -> None:
        """A request that stayed unanswered to the end of its patience. A few in a row mean that the platform is down.
        `left`: its events are for a rerun (else for a person)."""
        with self._mutex:
            self._failures += 1
            down = self._failures >= self.give_up_after or verdict.kind is Kind.RATE_LIMITED
            if verdict.kind is Kind.RATE_LIMITED and verdict.wait:
                self.not_before = max(filter(None, (self.not_before, self.now() + verdict.wait)))
        words = self.redact(verdict.message) or verdict.code
        until = f" It asks to be left alone until {self.not_before:%Y-%m-%d %H:%M} UTC." if self.not_before else ""
        error = DeliveryError(
            f"`{self.destination}` ({self.platform.title}) does not take requests: {words} "
            f"({self.redact(verdict.code)}, after {attempts} attempts).{until}",
            "What is left stays in the ledger. Rerun this partition when the platform is back: it sends only that.",
        )
        if down:
            self._end(error)
        elif left and self.report.error is None:
            self.report.error = error

    def _end(self, error: Exception) -> None:
        with self._mutex:
            if not self.stop.is_set() or self.report.error is None:
                self.report.error = error
            self.stop.set()

    def _auth_error(self, verdict: Verdict) -> AuthenticationError:
        known = self.report.error
        if isinstance(known, AuthenticationError):
            return known
        return AuthenticationError(
            f"`{self.destination}` ({self.platform.title}) refuses the credentials: {self.redact(verdict.message)} "
            f"({', trace '.join(filter(None, (self.redact(verdict.code), self.redact.hide(verdict.trace_id)[:120])))}).",
            f"Renew {self.tokens.keys()}, then rerun this partition. No further request was sent.",
        )

    def _configuration_error(self, verdict: Verdict) -> AuthenticationError:
        return AuthenticationError(
            f"`{self.destination}` ({self.platform.title}) refuses the account or a setting: "
            f"{self.redact(verdict.message)} ({self.redact(verdict.code)}).",
            "Correct the `account` of this destination (or the account at the platform), then rerun this partition. "
            "No further request was sent.",
        )

    def _broken(self, error: Exception) -> DeliveryError:
        return DeliveryError(
            f"`{self.destination}` ({self.platform.title}): no request could be made of the events "
            f"({type(error).__name__}). This is a fault of capi_pipeline.",
            "Report it. What is left stays in the ledger; rerun this partition with a corrected version.",
        )
