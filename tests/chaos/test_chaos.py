"""A small selection of the chaos schedules (`make chaos` plays 200), and proof that a broken product is caught."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from capi_pipeline.delivery.decide import OnUnknown
from capi_pipeline.delivery.ledger import HourLedger
from capi_pipeline.steps import Line
from tests.chaos.play import Result, play
from tests.chaos.running import play_all
from tests.chaos.schedule import Kill, Round, Schedule, Trouble
from tests.chaos.world import Database

pytestmark = pytest.mark.timeout(900)  # a minute on a quiet machine; schedules wait for each other on a busy one
SEEDS = (57, 32, 31, 53, 19)  # few that have everything, see test_schedule.py; 19 goes through Dagster
CALM = Schedule(
    0, False, rows=40, batch=5, hold=None, repeated=False, in_both_hours=1, token_seconds=0, verdict_delay=0, rounds=()
)  # fmt: skip


@pytest.fixture(scope="module")
def results() -> dict[int, Result]:
    return {result.seed: result for result in play_all(SEEDS, jobs=5)}


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_nothing_counts_twice_and_every_doubt_is_listed(results: dict[int, Result], seed: int) -> None:
    result = results[seed]
    assert not result.violations, "\n".join([f"again: python -m tests.chaos --seed {seed}", *result.violations])
    assert result.total("accepted") > 50


def test_the_faults_and_the_kills_did_happen(results: dict[int, Result]) -> None:
    kills, faults = Counter[str](), Counter[str]()
    for result in results.values():
        kills += result.kills
        faults += result.faults
    assert kills.total() > 10
    assert kills["run_worker"] > 0  # Dagster's
    assert len(faults) > 10


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with Database(tmp_path_factory.mktemp("chaos") / "postgres") as database:
        yield database


def accept_before_sending(line: Line) -> None:
    """A ledger that says `accepted` when it claims."""
    claim = HourLedger.claim

    def lying(self: HourLedger, items: object) -> object:
        mine = claim(self, items)  # type: ignore[arg-type]
        with self._connection.begin():
            self._connection.execute(text("update capi.deliveries set state = 'accepted' where state = 'sending'"))
        return mine

    HourLedger.claim = lying  # type: ignore[assignment, method-assign]  # in the worker's process only


def resend_whatever_is_unknown(line: Line) -> None:
    """A destination that never asks a person."""
    line.config = line.config.model_copy(update={"on_unknown": OnUnknown.RESEND})


def killed(destination: str, point: str) -> Schedule:
    return replace(CALM, rounds=(Round((Trouble(destination, kill=Kill(point)),)),))


def test_a_ledger_that_claims_success_before_sending_is_caught(database: Database) -> None:
    result = play(killed("meta", "before_send"), database, accept_before_sending)
    assert result.verdicts["meta"].lost


def test_a_worker_that_resends_where_a_repetition_counts_is_caught(database: Database) -> None:
    result = play(killed("outbrain", "after_send"), database, resend_whatever_is_unknown)
    assert result.verdicts["outbrain"].twice
    assert result.verdicts["meta"].violations == []


def test_each_exact_point_of_a_kill_is_met_and_does_no_harm_to_the_product_as_it_is(database: Database) -> None:
    points = {
        "google_data_manager": "claim_uncommitted",
        "meta": "before_send",
        "outbrain": "in_flight",
        "tiktok": "after_send",
        "microsoft_offline": "record_uncommitted",
    }
    slow = ("slow answer", {"platform": "outbrain", "kind": "latency", "seconds": 0.8})
    troubles = [Trouble(name, (slow,) if point == "in_flight" else (), Kill(point)) for name, point in points.items()]
    result = play(replace(CALM, rounds=(Round(tuple(troubles)),)), database)
    assert result.kills == dict.fromkeys(points.values(), 2)  # of both hours' workers
    assert result.violations == []
    assert result.verdicts["outbrain"].held > 0
