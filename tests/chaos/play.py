"""One schedule from its first attempt to the verdict: trouble, then calm reruns, then the comparison."""

from __future__ import annotations

import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from capi_pipeline import steps
from capi_pipeline.delivery import queries
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.demo import FIVE
from capi_pipeline.destinations import DestinationConfig, load
from capi_pipeline.platforms.times import LONGEST_WAIT
from capi_pipeline.sandbox.platforms import ENVIRONMENT
from capi_pipeline.settings import DESTINATIONS, Settings
from tests import table
from tests.chaos import world
from tests.chaos.reconcile import Row, Stored, Verdict, reconcile
from tests.chaos.rows import expected, shop
from tests.chaos.schedule import Kill, Round, Schedule, Trouble
from tests.chaos.worker import Job, note

PATIENCE: Final = 2.0  # seconds that a worker repeats a request in place
MOST: Final = 10  # calm reruns after which what is still open is a violation


@dataclass
class Result:
    """What one schedule came to."""

    seed: int
    dagster: bool
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)  # label -> requests struck
    kills: Counter[str] = field(default_factory=Counter)  # point -> SIGKILLs
    happened: Counter[str] = field(default_factory=Counter)  # key of WORLD -> times
    requests: int = 0
    attempts: int = 0  # attempts at the hours, the troubled ones and the calm ones
    reruns: int = 0  # of these, the calm ones until nothing was left
    seconds: float = 0.0
    small_disk: bool = False  # the full disk was a small one, mounted for it
    faulty: list[str] = field(default_factory=list)  # tracebacks, workers that hang
    course: list[str] = field(default_factory=list)  # what each attempt came to, for the one who looks for a cause

    @property
    def violations(self) -> list[str]:
        found = [f"{name}: {words}" for name, verdict in self.verdicts.items() for words in verdict.violations]
        return [*found, *self.faulty]

    def total(self, what: str) -> int:
        values = [getattr(verdict, what) for verdict in self.verdicts.values()]
        return sum(value if isinstance(value, int) else len(value) for value in values)


class Stage:
    """The parts of one schedule, and the steps that it takes on them."""

    def __init__(
        self,
        schedule: Schedule,
        database: world.Database,
        name: str,
        platforms: world.Platforms,
        disk: world.Disk,
        folder: Path,
        sabotage: Callable[[steps.Line], None] | None = None,
    ) -> None:
        self.schedule, self.database, self.name = schedule, database, name
        self.platforms, self.disk, self.folder, self.sabotage = platforms, disk, folder, sabotage
        self.result = Result(schedule.seed, schedule.dagster, small_disk=disk.mounted)
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        first = now - timedelta(hours=4 + schedule.seed % 20)
        self.hours = (first, first + timedelta(hours=1))
        self.rows, self.events = shop(schedule, self.hours)
        self.elapsed = 0.0  # seconds by which the clocks of platforms and workers are ahead
        self.deaths = folder / "deaths"
        self.url = database.url(name)
        self.settings = {
            "home": folder, "warehouse_url": self.url, "ledger_url": self.url, "staging_url": str(disk.folder),
            "patience": PATIENCE,
        }  # fmt: skip
        self.documents = {config.name: self._pointed(config) for config in load(DESTINATIONS) if config.name in FIVE}
        self.poison: dict[str, set[str]] = {name: set() for name in self.documents}
        self.ledger = Ledger.open(self.url)
        self._results = iter(range(10**9))

    def _pointed(self, config: DestinationConfig) -> DestinationConfig:
        policy = "hold" if self.schedule.hold == config.name else config.on_unknown
        address = f"{self.platforms.url}/{config.name}"
        document = {**config.model_dump(exclude_none=True), "base_url": address, "on_unknown": policy}
        return DestinationConfig.model_validate(document)

    # --- the world ---

    def furnish(self) -> None:
        """The warehouse's rows; and, if the schedule says so, one of them twice in its hour."""
        table.create(self.url, self.rows)
        if self.schedule.repeated:
            table.insert(self.url, [self.rows[0]])
            self.result.happened["same_hour"] += 1
        self.result.happened["other_hour"] += self.schedule.in_both_hours
        self.platforms.settings(
            verdict_delay=self.schedule.verdict_delay, access_token_seconds=self.schedule.token_seconds
        )

    def repair(self) -> None:
        """What a person does when told that an event stands twice in an hour."""
        self.database.ready()
        table.sql(
            self.url,
            f"delete from {table.TABLE} a using {table.TABLE} b where a.ctid > b.ctid and a.event_id = b.event_id "
            "and a.event_name = b.event_name and a.recorded_at = b.recorded_at",
        )

    def later(self, seconds: float) -> None:
        """Time passes, for the platforms and for the workers."""
        self.elapsed += seconds
        self.platforms.settings(clock_offset=self.elapsed)

    def spoil(self, trouble: Trouble) -> None:
        """Post the faults of one destination."""
        config = self.documents[trouble.destination]
        for label, posted in trouble.faults:
            fault = dict(posted)
            poison = fault.pop("poison", 0)
            if not poison:
                self.platforms.post(label, fault)
                continue
            dice = random.Random(f"{self.schedule.seed} {trouble.destination} {label}")
            likely = [e for e in expected(self.events, config.events or ()) if e.sendable and not e.original]
            for event in dice.sample(likely, poison):
                self.poison[trouble.destination].add(event.id)
                self.platforms.post(label, {**fault, "match": event.id})

    def disturb(self, what: str, after: float) -> None:
        """Kill a part, and start it again a moment later."""
        time.sleep(after)
        self.result.happened[what] += 1
        match what:
            case "backend":
                self.database.kill_backend(self.name)
                self.database.ready()
            case "postgres":
                self.database.kill()
                time.sleep(0.3)
                self.database.start()
            case "sandbox":
                self.platforms.kill()
                self.platforms.start()

    # --- workers ---

    def job(self, what: str, name: str | None = None, hours: tuple[datetime, ...] = (), **more: Any) -> Job:
        return Job(
            what, hours or self.hours, self.settings, self.folder / f"result-{next(self._results)}.json", self.deaths,
            document=self.documents[name] if name else None, environment=ENVIRONMENT, batch=self.schedule.batch,
            elapsed=self.elapsed, sabotage=self.sabotage, **more,
        )  # fmt: skip

    def run(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """Do the jobs at once; what each came to (nothing of one that was killed)."""
        started = time.monotonic()
        running: list[tuple[Job, BaseProcess]] = [(job, world.start(job)) for job in jobs]
        left = list(running)
        while left and time.monotonic() - started < world.LONGEST:
            for job, process in list(left):
                if not process.is_alive():
                    left.remove((job, process))
                elif job.kill and job.kill.point == "random" and time.monotonic() - started > job.kill.after:
                    note(self.deaths, "random")
                    process.kill()
                    left.remove((job, process))
            time.sleep(0.01)
        for job, process in left:
            self.result.faulty.append(f"{job.what} {job.document.name if job.document else ''} hangs")
            process.kill()
        outcomes = []
        for job, process in running:
            process.join()
            process.close()
            outcome = json.loads(job.result.read_text()) if job.result.exists() else {}
            self.result.course.append(
                f"{job.what} {job.document.name if job.document else ''}: {outcome or 'killed'}"[:300]
            )
            if "traceback" in outcome:
                self.result.faulty.append(
                    f"{job.what} {job.document.name if job.document else ''}: {outcome['traceback']}"
                )
            outcomes.append(outcome)
        return outcomes

    def extract(self, kill: Kill | None = None, largest: int | None = None) -> None:
        """Extract both hours; what was refused or killed is repaired and extracted again, as a person would."""
        outcomes = self.run([self.job("extract", kill=kill, largest_file=largest)])
        refusals = [outcome.get("refused") or "" for outcome in outcomes]
        if largest is not None or self.disk.full:
            self.disk.empty()
            if not any("cannot be stored" in words for words in refusals) and kill is None:
                self.result.faulty.append(f"a full disk was not noticed: {refusals}")
        if any("ContractError" in words for words in refusals):
            self.repair()
        for _ in range(3):
            if self.staged():
                break
            self.run([self.job("extract")])

    def staged(self) -> bool:
        there = steps.staging(Settings(**self.settings))
        return all(there.path(hour).exists() for hour in self.hours)

    # --- the course of things ---

    def trouble(self, round_: Round) -> None:
        """One attempt at everything, while the schedule's faults happen."""
        self.result.attempts += 1
        self.later(round_.minutes_later * 60)
        if round_.minutes_later > 48 * 60:
            self.result.happened["windows_close"] += 1
        for trouble in round_.troubles:
            self.spoil(trouble)
            if trouble.clock:
                self.result.happened["clock_forward" if trouble.clock.seconds > 0 else "clock_back"] += 1
        disturbing = [threading.Thread(target=self._disturb_safely, args=entry) for entry in round_.world]
        if round_.early:
            for thread in disturbing:
                thread.start()
        if round_.extract or not self.staged():
            largest = None
            if round_.disk_full:
                self.result.happened["disk"] += 1
                largest = self.disk.fill()
            self.extract(round_.extract_kill, largest)
        jobs = [*self._deliveries(round_.troubles)]
        if round_.verdicts_meanwhile:
            self.result.happened["verdicts_meanwhile"] += 1
            jobs.append(self.job("ask", "google_data_manager"))
        if round_.extract:
            self.result.happened["extract_again"] += 1
            jobs.append(self.job("extract"))
        if not round_.early:
            for thread in disturbing:
                thread.start()
        self.run(jobs)
        self.run([self.job("ask", "google_data_manager", kill=round_.verdict_kill)])
        for thread in disturbing:
            thread.join()
        self.platforms.clear()

    def _disturb_safely(self, what: str, after: float) -> None:
        try:
            self.disturb(what, after)
        except Exception as error:  # the machinery of the test itself
            self.result.faulty.append(f"{what}: {type(error).__name__}: {error}")

    def _deliveries(self, troubles: Sequence[Trouble]) -> Iterator[Job]:
        for trouble in troubles:
            for hour in self.hours:
                kill = trouble.kill
                if kill and kill.point == "after_token" and hour != self.hours[0]:
                    kill = None  # once: a second loss in a row is beyond what a platform's rotation forgives
                yield self.job("deliver", trouble.destination, (hour,), kill=kill, clock=trouble.clock)
            if trouble.twins:
                self.result.happened["twins"] += 1
                yield self.job("deliver", trouble.destination, self.hours[:1])

    def calm(self) -> None:
        """Rerun without any fault until nothing is left, at most MOST times: everything once, then what is unfinished. The
        clocks move on to the time at which a platform that asked to be left alone may be asked again."""
        todo = set(self.documents)
        while todo and self.result.reruns < MOST:
            self.result.reruns += 1
            self.result.attempts += 1
            self.later(max(180.0, self._asked_to_wait()))
            if not self.staged():
                self.extract()
            names = sorted(todo)
            outcomes = self.run([self.job("deliver", name) for name in names])
            self.run([self.job("ask", "google_data_manager")])
            todo = self._open() | {name for name, o in zip(names, outcomes, strict=True) if not o or o.get("refused")}
            self.result.faulty += [
                f"the report of {name} does not add up"
                for name, outcome in zip(names, outcomes, strict=True)
                if not outcome.get("reconciles", True)
            ]

    def _asked_to_wait(self) -> float:
        """Seconds until the last of the times until which platforms asked to be left alone; what a worker with a wrong
        clock has noted beyond LONGEST_WAIT is not waited for."""
        query = """select extract(epoch from max(not_before)) from capi.deliveries
            where state = 'retry' and not_before <= :latest"""
        latest = datetime.now(UTC) + timedelta(seconds=self.elapsed) + LONGEST_WAIT
        until = self.ledger.query(query, latest=latest)[0][0]
        return 0.0 if until is None else float(until) - time.time() - self.elapsed + 1

    def _open(self) -> set[str]:
        """Destinations that a further rerun could bring on: not where a refund's conversion is held for a person."""
        query = """select distinct destination from capi.deliveries d
            where state in ('retry', 'sending', 'pending') and not exists (select from capi.deliveries o
                where o.destination = d.destination and o.event_id = d.original_event_id
                    and o.event_name = 'purchase' and o.state = 'held')"""
        return {name for (name,) in self.ledger.query(query)}

    def judge(self) -> Result:
        """Compare the input, the ledger and what the platforms have counted."""
        stored = self.platforms.stored()
        held = {(row.destination, row.event_name, row.event_id) for row in queries.held(self.ledger)}
        shown = {(row.destination, row.hour) for row in queries.unfinished(self.ledger)}
        waiting = queries.waiting_verdicts(self.ledger)
        query = "select destination, event_name, event_id, state, reason, hour from capi.deliveries"
        ledger = self.ledger.query(query)
        for name, config in self.documents.items():
            mine = [row for row in ledger if row.destination == name]
            self.result.verdicts[name] = reconcile(
                expected(self.events, config.events or ()),
                [Row((row.event_name, row.event_id), row.state, row.reason) for row in mine],
                [of_platform(entry) for entry in stored if entry["platform"] == name],
                held={(event, id_) for destination, event, id_ in held if destination == name},
                listed={
                    (row.event_name, row.event_id)
                    for row in mine
                    if (name, row.hour.astimezone(UTC)) in shown or waiting.get(name)
                },
                poison=self.poison[name],
                restates=name in ("google_data_manager", "microsoft_offline"),
            )
        self.result.faults += self.platforms.struck
        self.result.requests = self.platforms.requests()
        if self.deaths.exists():
            self.result.kills += Counter(self.deaths.read_text().split())
        return self.result

    def close(self) -> None:
        self.ledger.engine.dispose()


def of_platform(entry: dict[str, Any]) -> Stored:
    """A line of the sandbox's store, under the id of our conversion: every platform gets it under another name."""
    payload = entry["payload"]
    match entry["platform"]:
        case "google_data_manager":
            id_ = payload["transactionId"]
        case "microsoft_offline":
            id_ = payload["MicrosoftClickId"].removeprefix("msclkid-")
        case "outbrain":
            id_ = payload["ob_click_id"].removeprefix("ob_click_id-")
        case _:
            id_ = payload["event_id"]
    return Stored(id_, entry["counted"], entry["outcome"], entry["value"], entry["retracted"])


def play(schedule: Schedule, database: world.Database, sabotage: Callable[[steps.Line], None] | None = None) -> Result:
    """Run a schedule on an open database server."""
    from tests.chaos.dagster_hour import DagsterStage

    started = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True)))
        name = stack.enter_context(database.fresh())
        platforms = stack.enter_context(world.Platforms(folder))
        disk = stack.enter_context(world.Disk(folder / "staging"))
        kind = DagsterStage if schedule.dagster else Stage
        stage = kind(schedule, database, name, platforms, disk, folder, sabotage)
        stack.callback(stage.close)
        stage.furnish()
        for round_ in schedule.rounds:
            stage.trouble(round_)
        stage.calm()
        result = stage.judge()
        result.seconds = time.monotonic() - started
        return result
