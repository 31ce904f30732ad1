"""Send one batch until each of its events has an outcome: retries in place, rate limits, token refresh, isolation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from capi_pipeline.delivery.decide import resendable
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
ALL_REFUSED = 25  # refused, and none taken: then it is not the events
TAKEN = (State.ACCEPTED, State.PENDING, State.WITHHELD)  # withheld: a test mode found it good
NARROW = "narrow"  # code of an outcome whose events must be sent in smaller requests to find the culprit

# Events of one request, and since when (monotonic) the platform may have them: when an earlier request left. None: it has not.
Part = tuple[Sequence[Member], float | None]


class Stopped(Exception):
    """These events do not leave: the run ends, or the platform would no longer know a repetition. `unknown`: an earlier
    attempt may have arrived."""

    def __init__(self, code: str, words: str, unknown: bool) -> None:
        super().__init__(words)
        self.code, self.words, self.unknown = code, words, unknown


@dataclass
class Attempts:
    """Sends the batches of one (destination, hour). Shared by its threads; `stop` ends all of them.

    `patience`: seconds for which one request is retried in place. `settle` records outcomes durably.
    `not_before`: the platform asked to be left alone until then. Until it has taken a first request, requests go one
    at a time: a bad token costs one of them, and an outage brings one batch into doubt. Until it has taken a first event,
    what it refuses is left for a rerun, for the account may be to blame; `finish` decides.
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
    _taken: bool = False  # an event
    _refusals: list[Settlement] = field(default_factory=list)  # while it has taken none
    _refused: int = 0  # requests of which it then took nothing because of their events
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def deliver(self, group: Hashable, members: Sequence[Member]) -> None:
        """Send these claimed events and settle each. Never raises for what a platform does; `report.error` tells."""
        left: list[Part] = [(members, None)]
        while left:
            left.extend(reversed(self._deliver(group, *left.pop())))

    def finish(self) -> None:
        """After the last request: what was refused is rejected, unless it is much, and all that there was."""
        if len(self._refusals) >= ALL_REFUSED:
            first = self._refusals[0]
            self._end(self._configuration_error(first.code or "", first.message or ""))
        if self.stop.is_set():
            self.report.settled([State.RETRY] * len(self._refusals))
        else:
            self._reject(self._refusals)
        self._refusals = []

    def knows_again(self, member: Member) -> bool:
        """Whether the platform would drop a repetition of this event."""
        return self.platform.deduplication_of(member[1]).window is not None

    def _deliver(self, group: Hashable, members: Sequence[Member], since: float | None) -> list[Part]:
        """Send one request; the parts in which its events are to be sent again: refused together, or in doubt together with
        some that must not be repeated."""
        try:
            verdict, since = self._exchange(group, members, since)
        except Stopped as stopped:
            self._left(members, stopped.code, stopped.words, stopped.unknown, self.not_before)
            return []
        if verdict.kind is Kind.SETTLED:
            self._record(members, verdict.outcomes, verdict.trace_id, since is not None)
        elif since is not None and not all(map(self.knows_again, members)):
            self._held([member for member in members if not self.knows_again(member)], verdict.code, verdict.message)
            if known := [member for member in members if self.knows_again(member)]:
                self.stop.wait(backoff(1))
                return [(known, since)]
        elif verdict.kind is Kind.REFUSED:
            return [(part, since) for part in self._isolate(members, verdict)]
        else:
            later = self.now() + verdict.wait if verdict.wait else None
            self._left(members, verdict.code, verdict.message, since is not None, later)
        return []

    def _exchange(
        self, group: Hashable, members: Sequence[Member], since: float | None
    ) -> tuple[Verdict, float | None]:
        """The last verdict on these events, and since when the platform may have them, by an earlier or this attempt."""
        payloads, attempt = [payload for _, payload in members], 0
        windows = [self.platform.deduplication_of(payload).window for payload in payloads]
        repeatable = None not in windows
        window = min((resendable(known).total_seconds() for known in set(windows) if known), default=0.0)
        try:
            request = self.platform.request(payloads, group)
        except Exception as error:  # nothing has left: the events must not be taken for sent
            self._end(self._broken(error))
            raise Stopped(
                "request", f"no request could be made of it ({type(error).__name__})", since is not None
            ) from None
        deadline = self.monotonic() + self.patience
        while True:
            attempt += 1
            with self._turn(since, window):
                token = self._token(since)
                self._go_on(since, window)  # a token can take as long as a request
                left_at = self.monotonic()
                verdict = self._once(self.platform.authorize(request, token), payloads, again=attempt > 1)
                if since is None and verdict.maybe_stored:
                    since = left_at
                if verdict.kind in (Kind.SETTLED, Kind.REFUSED):
                    self._success()
                    return verdict, since
                if verdict.kind is Kind.AUTH:
                    if not self.stop.is_set() and self._renewed(token):
                        continue
                    self._end(self._auth_error(verdict))
                    return verdict, since
                if verdict.kind is Kind.CONFIGURATION:
                    self._end(self._configuration_error(verdict.code, verdict.message))
                    return verdict, since
            if verdict.maybe_stored and not repeatable:
                self._exhausted(verdict, attempt, left=False)
                return verdict, since
            delay = backoff(attempt)
            if verdict.wait:  # at least that; a hint of milliseconds is no reason to hammer
                delay = max(delay, verdict.wait.total_seconds())
            if verdict.kind is Kind.RATE_LIMITED:
                self.pace.hold(delay)
            if self.monotonic() + delay > (deadline if since is None else min(deadline, since + window)):
                self._exhausted(verdict, attempt)
                return verdict, since
            self.stop.wait(delay)

    @contextmanager
    def _turn(self, since: float | None, window: float) -> Iterator[None]:
        """The right to start a request now. Raises Stopped."""
        alone = not self._proven
        if alone:
            self._one.acquire()
        try:
            self.pace.turn()
            self._go_on(since, window)
            yield
        finally:
            if alone:
                self._one.release()

    def _go_on(self, since: float | None, window: float) -> None:
        if self.stop.is_set():
            raise Stopped("", "not sent: the run had to stop first", since is not None)
        if since is not None and self.monotonic() > since + window:
            raise Stopped("", "not sent again: the platform's deduplication window is about to close", True)

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

    def _token(self, since: float | None) -> str:
        try:
            return self.tokens.current()
        except CapiError as error:
            self._end(error)
            raise Stopped("token", error.message, since is not None) from None

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
        if not culprits:
            self._record(members, [Outcome(State.REJECTED, verdict.code, verdict.message)], verdict.trace_id)
            return []
        self._record([members[i] for i in culprits], list(culprits.values()), verdict.trace_id)
        rest = [member for i, member in enumerate(members) if i not in culprits]
        return [rest] if rest else []

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
        refused = [settlement for settlement in settlements if settlement.state is State.REJECTED]
        with self._mutex:
            self._taken = taken = self._taken or any(outcome.state in TAKEN for outcome in outcomes)
            self._refused += len(refused) == len(settlements)
            before, self._refusals = self._refusals, [] if taken else [*self._refusals, *refused]
            hopeless = bool(refused) and not taken and self._refused >= ALL_REFUSED
        self.settle(settlements if taken else [_put_off(settlement) for settlement in settlements])
        if taken:
            self._reject(before)
            self._count_rejected(refused)
        if hopeless:
            self._end(self._configuration_error(refused[0].code or "", refused[0].message or ""))
        now = self.now().timestamp()
        self.report.settled(
            [outcome.state for outcome in outcomes if outcome.state is not State.REJECTED],
            [
                now - item.recorded_at / 1e6
                for (item, _), outcome in zip(members, outcomes, strict=True)
                if outcome.state in (State.ACCEPTED, State.PENDING)
            ],
        )

    def _reject(self, put_off: Sequence[Settlement]) -> None:
        """For good: the account works, so these events are to blame."""
        if put_off:
            self.settle(put_off)
            self._count_rejected(put_off)

    def _count_rejected(self, refused: Sequence[Settlement]) -> None:
        for settlement in refused:
            self.report.rejection(settlement.code or "", settlement.message or "")
        self.report.settled([State.REJECTED] * len(refused))

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
        if not self.platform.has_credentials():
            return self._configuration_error(verdict.code, verdict.message)
        known = self.report.error
        if isinstance(known, AuthenticationError):
            return known
        return AuthenticationError(
            f"`{self.destination}` ({self.platform.title}) refuses the credentials: {self.redact(verdict.message)} "
            f"({', trace '.join(filter(None, (self.redact(verdict.code), self.redact.hide(verdict.trace_id)[:120])))}).",
            f"Renew {self.tokens.keys()}, then rerun this partition. No further request was sent.",
        )

    def _configuration_error(self, code: str, words: str) -> AuthenticationError:
        return AuthenticationError(
            f"`{self.destination}` ({self.platform.title}) refuses the account or a setting: "
            f"{self.redact(words)} ({self.redact(code)}).",
            "Correct the `account` of this destination (or the account at the platform), then rerun this partition. "
            "No further request was sent.",
        )

    def _broken(self, error: Exception) -> DeliveryError:
        return DeliveryError(
            f"`{self.destination}` ({self.platform.title}): no request could be made of the events "
            f"({type(error).__name__}). This is a fault of capi_pipeline.",
            "Report it. What is left stays in the ledger; rerun this partition with a corrected version.",
        )


def _put_off(settlement: Settlement) -> Settlement:
    """A refusal as an event that is left for a rerun."""
    return replace(settlement, state=State.RETRY) if settlement.state is State.REJECTED else settlement
