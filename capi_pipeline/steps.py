"""The steps of an hour, without Dagster: extract and transform, deliver, ask for verdicts."""

from __future__ import annotations

import gc
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from capi_pipeline.conversions import consent
from capi_pipeline.conversions.contract import Window
from capi_pipeline.conversions.identifiers import EMPTY_DIGEST
from capi_pipeline.conversions.suppression import Suppressed
from capi_pipeline.conversions.transform import schema, transform
from capi_pipeline.delivery.delivery import Delivery
from capi_pipeline.delivery.http import NotSent, Transport, Unanswered
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.delivery.redaction import Redactor, secrets_of
from capi_pipeline.delivery.report import Report
from capi_pipeline.delivery.suppression import suppressed
from capi_pipeline.delivery.tokens import Tokens
from capi_pipeline.delivery.verdicts import Asked, VerdictDesk
from capi_pipeline.delivery_log import DeliveryLog
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.platforms import all_recipes
from capi_pipeline.platforms.outcomes import State
from capi_pipeline.platforms.wire import Response
from capi_pipeline.settings import Settings
from capi_pipeline.staging import Staging
from capi_pipeline.warehouse import Warehouse

NAMED = 20  # events with unreadable consent strings that are named


@dataclass
class Profile:
    """What one hour of conversions looked like. `digest`: SHA-256 of everything read; `coverage`: recipe -> rows.
    `unreadable`: what is wrong with consent strings -> conversions; `unreadable_events`: the first of them (event name, event
    id, what is wrong)."""

    rows: int = 0
    digest: str = ""
    events: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    coverage: Counter[str] = field(default_factory=Counter)
    oldest: datetime | None = None
    newest: datetime | None = None
    empty_digests: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    unreadable_events: list[tuple[str, str, str]] = field(default_factory=list)
    bytes: int = 0
    purged: int = 0
    seconds: float = 0.0


def window_of(hour: datetime) -> Window:
    return Window(hour, hour + timedelta(hours=1))


def extract_transform(settings: Settings, hour: datetime) -> Profile:
    """Read one hour of the warehouse, check it, hash it, stage it: one streamed pass.

    Raises ContractError or ConfigurationError; then nothing of the hour is staged anew.
    """
    started, profile, recipes = time.monotonic(), Profile(), all_recipes()
    read = hashlib.sha256()
    warehouse = Warehouse(settings.require("warehouse_url"), settings.conversions_table)
    gone = forgotten(settings)

    def hashed() -> Iterator[pa.RecordBatch]:
        for batch in warehouse.hour(window_of(hour)):
            read.update(batch.serialize())
            out = transform(batch, recipes, settings.consent, gone)
            _profile_strings(profile, batch)
            _profile(profile, out, [recipe.name for recipe in recipes])
            yield out

    store = staging(settings)
    with few_collections():
        profile.bytes = store.write(hour, schema(recipes), hashed())
    profile.purged = store.purge(datetime.now(UTC) - timedelta(days=settings.staging_days))
    profile.digest = read.hexdigest()
    profile.seconds = time.monotonic() - started
    return profile


@contextmanager
def few_collections() -> Iterator[None]:
    """Hundreds of objects are made and dropped per conversion, none of them in a cycle: to look for cycles among them at
    the usual rate costs a third of the time. Arrow's memory is the system's meanwhile: its own pool keeps what it freed."""
    before, pool = gc.get_threshold(), pa.default_memory_pool()
    gc.set_threshold(100_000, *before[1:])
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(pool)
        gc.set_threshold(*before)


def _profile(profile: Profile, batch: pa.RecordBatch, recipes: list[str]) -> None:
    profile.rows += batch.num_rows
    for column, counter in (("event_name", profile.events), ("withhold", profile.withheld)):
        for entry in batch[column].drop_null().value_counts().to_pylist():
            counter[entry["values"]] += entry["counts"]
    times = pc.min_max(batch["event_time"]).as_py()
    profile.oldest = min(filter(None, (profile.oldest, times["min"])), default=None)
    profile.newest = max(filter(None, (profile.newest, times["max"])), default=None)
    for name in recipes:
        profile.coverage[name] += pc.sum(pc.greater(pc.list_value_length(batch[name]), 0)).as_py() or 0
        profile.empty_digests += pc.sum(pc.equal(batch[name].flatten(), EMPTY_DIGEST)).as_py() or 0


def _profile_strings(profile: Profile, batch: pa.RecordBatch) -> None:
    """Consent strings that cannot be read: how many, and the first few by name."""
    for row, wrong in consent.unreadable(batch):
        profile.unreadable[wrong] += 1
        if len(profile.unreadable_events) < NAMED:
            profile.unreadable_events.append((batch["event_name"][row].as_py(), batch["event_id"][row].as_py(), wrong))


def forgotten(settings: Settings) -> Suppressed:
    """Everybody who asked to be forgotten."""
    ledger = Ledger.open(settings.require("ledger_url"))
    try:
        return suppressed(ledger, settings.key("suppression_key"))
    finally:
        ledger.engine.dispose()


def staging(settings: Settings) -> Staging:
    return Staging(settings.staging, settings.key("staging_key"))


@dataclass
class Line:
    """Everything that talking to one destination needs, resolved: secrets are read here, in the run."""

    config: DestinationConfig
    ledger: Ledger
    settings: Settings
    environment: Mapping[str, str]

    def __post_init__(self) -> None:
        self.platform = self.config.resolve(self.environment)
        limits = self.platform.limits
        self.send = Transport(connections=self.config.concurrency or limits.concurrency)
        self.redact = Redactor(secrets_of(self.platform.config))
        self.tokens = Tokens(
            self.config.name,
            self.platform,
            self.ledger.engine,
            self.send,
            lambda: self.settings.key("token_key"),
            self.redact,
            self.config.variables,
        )

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.send.close()

    def deliver(self, hour: datetime, run_id: str, stop: threading.Event | None = None) -> Report:
        """Send what is left of one hour (see delivery.Delivery.hour)."""
        delivery = Delivery(
            self.config.name,
            self.platform,
            self.ledger,
            self.send,
            self.tokens,
            self.redact,
            self.config.select,
            self.config.on_unknown,
            self.settings.patience,
            self.config.concurrency,
            stop=stop or threading.Event(),
        )
        staged, columns = staging(self.settings), schema(self.platform.recipes()).names
        with few_collections():
            return delivery.hour(hour, lambda: staged.read(hour, columns), run_id)

    def ask(self, everything: bool = False) -> Asked:
        """Ask for the verdicts that are due (see delivery.verdicts.VerdictDesk)."""
        return VerdictDesk(self.config.name, self.platform, self.ledger, self.send, self.tokens, self.redact).ask(
            everything
        )

    def probe(self) -> tuple[bool, str]:
        """Whether the platform takes the token, asked by its cheapest call, in words. Sends no event."""
        token = self.tokens.current()  # with OAuth, this call is the proof
        request = self.platform.probe()
        if request is None:
            return (
                True,
                "an access token was granted"
                if self.platform.oauth
                else "configured (the platform has no call to test it)",
            )
        try:
            response = self.send(self.platform.authorize(request, token)).response
        except (NotSent, Unanswered) as error:
            return False, f"{self.platform.title} does not answer: {error}. Check base_url and the network."
        if response.status < 400:
            return True, "the platform takes the token"
        remedy = "Correct the `account` of this destination"
        if response.status >= 500:
            remedy = "The platform has trouble: try again later"
        elif response.status in (401, 403):
            remedy = f"Renew {self.tokens.keys()}"
        return False, f"HTTP {response.status}: {self.redact(self._words(response))}. {remedy}."

    def _words(self, response: Response) -> str:
        try:
            return self.platform.read(response, 1).message
        except Exception:  # outside the documentation
            return "no usable words"


def log_delivery(
    settings: Settings, ledger: Ledger, config: DestinationConfig, hour: datetime, report: Report | None = None
) -> None:
    """Write what became of one hour into the warehouse (delivery_log.py); without a report, what the ledger says of it by now.
    Raises DeliveryError or ConfigurationError: no reason to fail a delivery."""
    if not settings.delivery_log:
        return
    log = DeliveryLog(Warehouse(settings.require("warehouse_url"), settings.conversions_table))
    counts = ledger.counts(config.name, hour)
    if report:
        log.write(config.name, config.platform, hour, counts, report)
    else:
        log.settle(config.name, config.platform, hour, counts)


def parse_hour(text: str) -> datetime:
    """`2026-10-01-14:00` (a partition key), `2026-10-01T14` or `2026-10-01 14:00`, UTC -> the hour's start."""
    for shape in ("%Y-%m-%d-%H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H", "%Y-%m-%d %H"):
        try:
            when = datetime.strptime(text.removesuffix("Z"), shape).replace(tzinfo=UTC)
        except ValueError:
            continue
        if when.minute == 0:
            return when
    raise ValueError(f"`{text}` is not an hour: write 2026-10-01T14 (UTC)")


def key_of(hour: datetime) -> str:
    """Dagster's partition key of an hour."""
    return f"{hour:%Y-%m-%d-%H:00}"


def numbers(report: Report) -> dict[str, Any]:
    """A report as plain numbers: what the metadata, the CLI and `--json` show."""
    out: dict[str, Any] = {"rows": report.rows}
    for state in (State.ACCEPTED, State.PENDING, State.REJECTED, State.HELD):
        out[state.value] = report.count(state)
    out["withheld"] = sum(report.withheld.values())
    out["retry"] = report.unfinished
    out["sent_now"] = report.sent[State.ACCEPTED.value] + report.sent[State.PENDING.value]
    out["requests"] = report.requests
    out["requests_retried"] = report.retried
    out["bytes_sent"] = report.bytes
    out["seconds"] = round(report.seconds, 3)
    return out
