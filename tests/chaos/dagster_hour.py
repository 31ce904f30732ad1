"""The same hours through Dagster's real run worker: `capi sync` and `capi retry`, killed with SIGKILL."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import yaml

from capi_pipeline.delivery import queries
from capi_pipeline.destinations import TYPE
from capi_pipeline.sandbox.platforms import ENVIRONMENT
from capi_pipeline.sandbox.server import free_port
from capi_pipeline.steps import key_of
from tests.chaos import world
from tests.chaos.play import MOST, Stage
from tests.chaos.schedule import OAUTH, Round, Trouble
from tests.chaos.worker import note


class DagsterStage(Stage):
    """Every attempt is a command: its run worker executes extract, transform and all destinations of one hour."""

    def furnish(self) -> None:
        super().furnish()
        self.platforms.settings(verdict_delay=0)
        folder = self.folder / "destinations"
        folder.mkdir()
        for name, config in self.documents.items():
            attributes = json.loads(config.model_dump_json(exclude_none=True))
            document = {"type": TYPE, "attributes": attributes}
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
        self.environment = ENVIRONMENT | {
            "CAPI_HOME": str(self.folder / "home"),
            "CAPI_WAREHOUSE_URL": self.url,
            "CAPI_LEDGER_URL": self.url,
            "CAPI_DAGSTER_URL": self.database.url("dagster"),
            "CAPI_DESTINATIONS": str(folder),
            "CAPI_DBT_PROJECT": "off",
            "CAPI_STAGING_URL": str(self.disk.folder),
            "CAPI_START": key_of(self.hours[0] - timedelta(days=1)),
            "CAPI_SANDBOX_PORT": str(free_port()),  # ours runs elsewhere: commands shall start none
            "CAPI_PATIENCE": "1",
        }
        self._tried: set[datetime] = set()

    def spoil(self, trouble: Trouble) -> None:
        """Without the faults after which a platform wants to be left alone for minutes: these would be real ones."""
        brief = [
            (label, fault)
            for label, fault in trouble.faults
            if fault["kind"] != "rate_limit" or (trouble.destination not in OAUTH and fault.get("retry_after", 0) < 60)
        ]
        super().spoil(replace(trouble, faults=tuple(brief)))

    def later(self, seconds: float) -> None:
        """A command has the machine's clock: time passes by itself."""

    def trouble(self, round_: Round) -> None:
        self.result.attempts += 1
        for trouble in round_.troubles:
            self.spoil(trouble)
        dice = random.Random(f"{self.schedule.seed} {len(self._tried)} {self.result.attempts}")
        disturbing = [
            threading.Thread(target=self._disturb_safely, args=(what, 3 + 2 * after)) for what, after in round_.world
        ]
        for thread in disturbing:
            thread.start()
        for hour in self.hours:
            self._command(hour, kill_after=dice.randint(0, 12) if dice.random() < 0.75 else None)
        for thread in disturbing:
            thread.join()
        self.platforms.clear()

    def calm(self) -> None:
        for _ in range(MOST):
            self.result.reruns += 1
            self.result.attempts += 1
            if wait := max(0.0, self._asked_to_wait()):
                time.sleep(min(wait, 65))
            good = [self._command(hour) for hour in self.hours]
            self.run([self.job("ask", "google_data_manager")])
            # An hour with a refund of a held conversion stays unfinished until a person has decided on that.
            if not self._open() and (all(good) or queries.unfinished(self.ledger)):
                break

    def _command(self, hour: datetime, kill_after: int | None = None) -> bool:
        """`capi sync` for the first attempt at an hour and `capi retry` for the others, killed a moment after the
        platforms have got so many requests; whether it succeeded."""
        words = "sync" if hour not in self._tried else "retry"
        before = self.platforms.requests()
        log = self.folder / f"command-{next(self._results)}.log"
        process = world.command(self.environment, log, words, "--hour", f"{hour:%Y-%m-%dT%H}", "--json")
        try:
            deadline = time.monotonic() + 180
            while process.poll() is None and time.monotonic() < deadline:
                if kill_after is not None and self.platforms.requests() - before > kill_after:
                    self._kill(process)
                    note(self.deaths, "run_worker")
                    self._tried.add(hour)
                    self.result.course.append(f"capi {words} {key_of(hour)}: killed")
                    return False
                time.sleep(0.05)
            if process.poll() is None:
                self.result.faulty.append(f"capi {words} hangs")
        finally:
            self._kill(process)
        said = log.read_text()
        if "breaks the contract" in said:
            self.repair()
        self.result.course.append(f"capi {words} {key_of(hour)}: {process.returncode} {' '.join(said.split())[-1500:]}")
        if '"runs"' in said:  # else it ended before Dagster knew of the hour, and says that it has to be run again
            self._tried.add(hour)
        if (
            "Traceback" in said and "psycopg2.OperationalError" not in said
        ):  # Dagster's own, where its storage was killed
            self.result.faulty.append(f"capi {words}: {said[said.index('Traceback') :][:3000]}")
        return process.returncode == 0

    def _kill(self, process: subprocess.Popen[Any]) -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
