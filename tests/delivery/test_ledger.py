"""The ledger on a real PostgreSQL: who may send what, and what stays true when connections and processes die."""

from __future__ import annotations

import random
import string
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, make_url, text

from capi_pipeline.delivery import queries
from capi_pipeline.delivery.ledger import Held, HourLedger, Item, Ledger, Settlement
from capi_pipeline.errors import ConfigurationError, DeliveryError
from capi_pipeline.platforms.outcomes import State

from .support import DESTINATION, HOUR, LATER
from .wire import Wire

MICROS = int(HOUR.timestamp() * 1e6)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url)
    yield ledger
    ledger.engine.dispose()


@pytest.fixture
def session(ledger: Ledger) -> Iterator[HourLedger]:
    with ledger.hour(DESTINATION, HOUR, "run-1") as session:
        yield session


def item(id_: str, name: str = "purchase", **more: object) -> Item:
    return Item(name, id_, MICROS, MICROS, **more)  # type: ignore[arg-type]


def done(id_: str, state: State = State.ACCEPTED, name: str = "purchase", **more: object) -> Settlement:
    return Settlement((name, id_), state, **more)  # type: ignore[arg-type]


def value(ledger: Ledger, column: str, id_: str) -> object:
    with ledger.engine.connect() as connection:
        return connection.execute(
            text(f"select {column} from capi.deliveries where event_id = :id"), {"id": id_}
        ).scalar_one()


def kill_sessions(ledger: Ledger) -> int:
    """Every connection of this database but the one that asks, as an operator or a crash would."""
    with ledger.engine.connect() as connection:
        killed = connection.execute(
            text(
                "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        ).scalar_one()
        return int(killed)


# --- migrations -----------------------------------------------------------------------------------------------------


def test_tables_are_made_in_an_empty_database_and_left_alone_afterwards(empty_url: str) -> None:
    first = Ledger.open(empty_url)
    with first.hour(DESTINATION, HOUR, "run") as session:
        session.claim([item("a")])
    again = Ledger.open(empty_url)
    assert again.counts(DESTINATION, HOUR) == [(State.SENDING, None, None, 1)]


def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        for ledger in pool.map(Ledger.open, [empty_url] * 6):
            assert ledger.counts(DESTINATION, HOUR) == []


def test_the_migrated_tables_are_the_declared_ones(empty_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from capi_pipeline.delivery.tables import metadata

    def of_the_ledger(thing: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
        return not (kind == "table" and name == "alembic_version")

    def only_capi(name: str | None, kind: str, parents: object) -> bool:
        return name == "capi" if kind == "schema" else True

    with Ledger.open(empty_url).engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_schemas": True, "include_name": only_capi, "include_object": of_the_ledger}
        )
        assert compare_metadata(context, metadata) == []


def test_a_ledger_of_a_newer_version_is_refused_in_words(empty_url: str) -> None:
    with Ledger.open(empty_url).engine.begin() as connection:
        connection.execute(text("update capi.alembic_version set version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer") as caught:
        Ledger.open(empty_url)
    assert caught.value.remedy


def test_a_user_without_rights_is_told_so(empty_url: str, postgres_sockets: object) -> None:
    admin = create_engine(empty_url)
    role = make_url(empty_url).database
    with admin.begin() as connection:
        connection.execute(text(f'create role "{role}" login'))
    try:
        url = make_url(empty_url).set(username=role).render_as_string(False)
        with pytest.raises(ConfigurationError, match="permission denied") as caught:
            Ledger.open(url)
        assert "CAPI_LEDGER_URL" in str(caught.value)
    finally:
        with admin.begin() as connection:
            connection.execute(text(f'drop role "{role}"'))
        admin.dispose()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("not a url", "not a usable URL"),
        ("postgresql+psycopg2://u:hidden@127.0.0.1:abc/x", "not a usable URL"),
        ("sqlite://", "needs PostgreSQL"),
        ("nosuch://u:hidden@host/x", "needs PostgreSQL"),
        ("postgresql+psycopg2://u:hidden@127.0.0.1:1/x", "does not answer"),
    ],
)
def test_an_unusable_url_is_explained_without_its_password(url: str, words: str) -> None:
    kind = DeliveryError if words == "does not answer" else ConfigurationError  # it may be starting again
    with pytest.raises(kind, match=words) as caught:
        Ledger.open(url)
    assert "CAPI_LEDGER_URL" in str(caught.value)
    assert "hidden" not in str(caught.value)


# --- the lock of an hour --------------------------------------------------------------------------------------------


def test_two_runs_cannot_hold_one_hour(ledger: Ledger, session: HourLedger, ledger_url: str) -> None:
    other = Ledger.open(ledger_url)
    with pytest.raises(DeliveryError, match="Another run is sending"), other.hour(DESTINATION, HOUR, "run-2"):
        pass
    with other.hour(DESTINATION, LATER, "run-2"), other.hour("another", HOUR, "run-2"):
        pass  # other hours and other destinations go on


def test_an_hour_is_free_again_when_its_run_has_ended_or_failed(ledger: Ledger) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), ledger.hour(DESTINATION, HOUR, "run"):
            raise KeyError
    with ledger.hour(DESTINATION, HOUR, "run"):
        pass


def test_connections_of_ended_hours_hold_no_lock(ledger: Ledger) -> None:
    for minute in range(30):
        with ledger.hour(DESTINATION, HOUR + timedelta(hours=minute), "run"):
            pass
    with ledger.engine.connect() as connection:
        query = """select count(*) from pg_locks where locktype = 'advisory'
            and database = (select oid from pg_database where datname = current_database())"""
        assert connection.execute(text(query)).scalar_one() == 0


# --- claims ---------------------------------------------------------------------------------------------------------


def test_a_claim_is_durable_before_anything_is_sent(ledger: Ledger, session: HourLedger) -> None:
    assert session.claim([item("a"), item("b")]) == {("purchase", "a"), ("purchase", "b")}
    assert ledger.counts(DESTINATION, HOUR) == [(State.SENDING, None, None, 2)]  # seen by another connection


@pytest.mark.parametrize("state", [State.ACCEPTED, State.PENDING, State.HELD])
def test_a_claim_never_takes_what_the_platform_has_or_a_person_must_judge(session: HourLedger, state: State) -> None:
    session.claim([item("a")])
    session.settle([done("a", state, trace_id="t")], datetime.now(UTC))
    assert session.claim([item("a"), item("b")]) == {("purchase", "b")}
    assert session.states([("purchase", "a")])[("purchase", "a")].state is state


@pytest.mark.parametrize("state", [State.RETRY, State.REJECTED, State.WITHHELD])
def test_a_claim_takes_what_is_left_to_send(session: HourLedger, state: State) -> None:
    session.claim([item("a")])
    session.settle([done("a", state)])
    assert session.claim([item("a")]) == {("purchase", "a")}


def test_a_claim_never_takes_an_event_of_another_hour(ledger: Ledger, session: HourLedger) -> None:
    session.claim([item("a")])
    session.settle([done("a", State.RETRY)])
    with ledger.hour(DESTINATION, LATER, "run-2") as later:
        assert later.claim([item("a"), item("c")]) == {("purchase", "c")}
        later.keep([item("a")], [(State.WITHHELD, "too_old", "")])
    assert value(ledger, "state", "a") == "retry"


def test_destinations_and_event_names_do_not_meet(ledger: Ledger, session: HourLedger) -> None:
    session.claim([item("a")])
    assert session.claim([item("a", "refund")]) == {("refund", "a")}
    with ledger.hour("another", HOUR, "run-2") as other:
        assert other.claim([item("a")]) == {("purchase", "a")}
    assert len(queries.summaries(ledger)) == 2


def test_a_claim_fails_when_what_was_decided_on_has_changed_since(ledger: Ledger, session: HourLedger) -> None:
    """Looked up as new; meanwhile another run (after a lost lock) has sent it and got no answer."""
    session.claim([item("a")])
    session.settle([done("a", State.RETRY, unknown=True)])
    assert session.claim([item("a")]) == set()
    since = session.states([("purchase", "a")])[("purchase", "a")].unknown_since
    assert session.claim([item("a", unknown_since=since)]) == {("purchase", "a")}


def test_a_claim_of_a_row_that_a_crash_left_needs_to_know_of_the_crash(ledger: Ledger) -> None:
    with ledger.hour(DESTINATION, HOUR, "run-1") as first:
        first.claim([item("a")])
    with ledger.hour(DESTINATION, HOUR, "run-2") as second:
        assert second.claim([item("a")]) == set()
        row = second.states([("purchase", "a")])[("purchase", "a")]
        assert row.state is State.SENDING
        assert row.unknown_since is not None
        assert second.claim([item("a", unknown_since=row.unknown_since)]) == {("purchase", "a")}


def test_a_new_claim_forgets_the_words_of_the_last_attempt(ledger: Ledger, session: HourLedger) -> None:
    session.claim([item("a")])
    session.settle([done("a", State.REJECTED, reason="r", code="c", message="m", trace_id="t", position=3)])
    session.claim([item("a", payload_digest="new")])
    for column in ("reason", "code", "message", "trace_id", "position", "not_before", "settled_at"):
        assert value(ledger, column, "a") is None, column
    assert value(ledger, "attempts", "a") == 2
    assert value(ledger, "payload_digest", "a") == "new"


def test_a_released_claim_is_as_if_it_had_never_been(session: HourLedger) -> None:
    since = datetime(2026, 9, 30, tzinfo=UTC)
    session.keep([item("b", unknown_since=since)], [(State.RETRY, "", "")])
    items = [item("a"), item("b", unknown_since=since), item("never claimed")]
    session.claim(items[:2])
    session.release(items)
    found = session.states([each.key for each in items])
    assert {key[1]: (row.state, row.unknown_since) for key, row in found.items()} == {
        "a": (State.RETRY, None),
        "b": (State.RETRY, since),
    }


def test_hours_that_claim_the_same_events_in_opposite_order_wait_for_each_other(ledger: Ledger) -> None:
    ids = [f"e{n:03d}" for n in range(400)]
    failures: list[Exception] = []

    def one(number: int) -> None:
        with ledger.hour(DESTINATION, HOUR + timedelta(hours=number), "run") as session:
            for _ in range(15):
                try:
                    session.claim([item(id_) for id_ in (ids if number % 2 else reversed(ids))])
                except Exception as error:
                    failures.append(error)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    assert failures == []


# --- settling -------------------------------------------------------------------------------------------------------


def test_a_run_settles_only_its_own_claims(ledger: Ledger, session: HourLedger) -> None:
    session.claim([item("a"), item("b")])
    with ledger.engine.begin() as connection:
        connection.execute(text("update capi.deliveries set claim = 'of another run' where event_id = 'a'"))
    session.settle([done("a"), done("b"), done("never claimed")])
    assert value(ledger, "state", "a") == "sending"
    assert value(ledger, "state", "b") == "accepted"
    assert sum(number for *_, number in ledger.counts(DESTINATION, HOUR)) == 2


def test_what_is_settled_stays_settled(ledger: Ledger, session: HourLedger) -> None:
    session.claim([item("a")])
    session.settle([done("a")])
    session.settle([done("a", State.REJECTED)])
    session.keep([item("a")], [(State.WITHHELD, "consent_denied", "")])
    assert value(ledger, "state", "a") == "accepted"


def test_unknown_since_is_the_first_attempt_that_may_have_arrived(ledger: Ledger, session: HourLedger) -> None:
    session.claim([item("a")])
    first = value(ledger, "claimed_at", "a")
    session.settle([done("a", State.RETRY, unknown=True)])
    for _ in range(2):
        since = session.states([("purchase", "a")])[("purchase", "a")].unknown_since
        assert since == first
        session.claim([item("a", unknown_since=since)])
        assert value(ledger, "claimed_at", "a") > first  # type: ignore[operator]
        session.settle([done("a", State.RETRY, unknown=True)])
    since = session.states([("purchase", "a")])[("purchase", "a")].unknown_since
    session.claim([item("a", unknown_since=since)])
    session.settle([done("a", State.RETRY)])  # a later attempt that certainly did not arrive changes nothing
    assert value(ledger, "unknown_since", "a") == first


@pytest.mark.parametrize("state", [State.ACCEPTED, State.REJECTED, State.PENDING])
def test_an_answer_ends_the_doubt(ledger: Ledger, session: HourLedger, state: State) -> None:
    session.claim([item("a")])
    session.settle([done("a", State.RETRY, unknown=True)])
    since = session.states([("purchase", "a")])[("purchase", "a")].unknown_since
    session.claim([item("a", unknown_since=since)])
    session.settle([done("a", state, trace_id="t")], datetime.now(UTC))
    assert value(ledger, "unknown_since", "a") is None


def test_withholding_does_not_forget_the_doubt(ledger: Ledger, session: HourLedger) -> None:
    since = datetime(2026, 9, 30, tzinfo=UTC)
    session.keep([item("a", unknown_since=since)], [(State.HELD, Held.NOT_SENDABLE.value, "")])
    assert value(ledger, "unknown_since", "a") == since


def test_how_many_may_travel_together_is_known_until_the_event_has_an_outcome(session: HourLedger) -> None:
    def at_most() -> int | None:
        return session.states([("purchase", "a")])[("purchase", "a")].at_most

    session.claim([item("a")])
    session.settle([done("a", State.RETRY, at_most=4)])
    session.claim([item("a")])
    assert at_most() == 4  # a crash in this attempt must not send it in large company again
    session.settle([done("a", State.RETRY)])
    assert at_most() == 4
    session.claim([item("a")])
    session.settle([done("a")])
    assert at_most() is None


def test_what_is_left_for_a_rerun_may_have_to_wait_and_nothing_else_does(ledger: Ledger, session: HourLedger) -> None:
    session.keep([item("a"), item("b")], [(State.RETRY, "", ""), (State.WITHHELD, "too_old", "")], LATER)
    assert value(ledger, "not_before", "a") == LATER
    assert value(ledger, "not_before", "b") is None
    session.keep([item("a")], [(State.HELD, Held.POLICY.value, "")])
    assert value(ledger, "not_before", "a") is None


def test_pending_events_leave_one_question_for_the_platform(ledger: Ledger, session: HourLedger) -> None:
    session.claim([item("a"), item("b")])
    outcomes = [done("a", State.PENDING, trace_id="t", position=0), done("b", State.REJECTED, trace_id="t", position=1)]
    session.settle(outcomes, LATER)
    with ledger.engine.connect() as connection:
        rows = connection.execute(text("select trace_id, hour, events, ask_at, asked from capi.verdicts")).all()
    assert [tuple(row) for row in rows] == [("t", HOUR, 2, LATER, 0)]


@pytest.mark.parametrize(
    "id_",
    [
        'it\'s "quoted"',
        "naïve-日本-🛒",
        "x" * 2000,
        "a\tb\nc",
        "%s :id {0} {{}}",
        "null",
        "{a,b}",
        '{"a"}',
        "",
        " ",
        "\\x00",
        "NULL",
    ],
)
def test_any_text_is_an_event_id(ledger: Ledger, session: HourLedger, id_: str) -> None:
    assert session.claim([item(id_, "it's, {odd} \\ name")]) == {("it's, {odd} \\ name", id_)}
    session.settle([done(id_, State.REJECTED, "it's, {odd} \\ name", message='{it\'s} \\ "x"')])
    assert session.states([("it's, {odd} \\ name", id_)])[("it's, {odd} \\ name", id_)].state is State.REJECTED
    assert value(ledger, "message", id_) == '{it\'s} \\ "x"'


def test_times_survive_to_the_microsecond(ledger: Ledger, session: HourLedger) -> None:
    exact = datetime(2026, 10, 1, 14, 5, 59, 999999, UTC)
    session.claim([Item("purchase", "a", int(exact.timestamp()) * 10**6 + 999999, MICROS)])
    assert value(ledger, "event_time", "a") == exact


def test_nothing_to_do_is_done(session: HourLedger) -> None:
    assert session.claim([]) == set()
    session.settle([])
    session.keep([], [])
    assert session.states([]) == {}


def test_a_large_batch_is_one_statement(session: HourLedger) -> None:
    items = [item(f"e{n}") for n in range(20_000)]
    assert len(session.claim(items)) == 20_000
    session.settle([done(i.event_id) for i in items])


def test_threads_of_one_run_share_it(ledger: Ledger, session: HourLedger) -> None:
    def one(worker: int) -> None:
        for batch in range(10):
            ids = [f"{worker}-{batch}-{n}" for n in range(20)]
            assert len(session.claim([item(id_) for id_ in ids])) == 20
            session.settle([done(id_) for id_ in ids])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    assert ledger.counts(DESTINATION, HOUR) == [(State.ACCEPTED, None, None, 1600)]


def test_one_event_claimed_by_many_threads_is_claimed_by_one(ledger: Ledger) -> None:
    """Of two hours that hold the same event, one owns it."""
    hours = [HOUR + timedelta(hours=n) for n in range(6)]
    barrier = threading.Barrier(6)

    def one(hour: datetime) -> int:
        with ledger.hour(DESTINATION, hour, "run") as session:
            barrier.wait()
            return len(session.claim([item(f"e{n}") for n in range(50)]))

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(one, hours)) == 50


# --- when the database goes away ------------------------------------------------------------------------------------


def test_an_answer_is_recorded_although_the_session_was_killed_in_between(ledger: Ledger, session: HourLedger) -> None:
    session.claim([item("a")])
    assert kill_sessions(ledger) >= 1
    session.settle([done("a")])
    assert value(ledger, "state", "a") == "accepted"
    assert session.claim([item("b")]) == {("purchase", "b")}  # the lock was free and is ours again


def test_answers_of_many_threads_are_recorded_although_sessions_are_killed(ledger: Ledger, session: HourLedger) -> None:
    ids = [f"e{n}" for n in range(200)]
    session.claim([item(id_) for id_ in ids])
    over = threading.Event()

    def killer() -> None:
        while not over.wait(0.1):
            kill_sessions(ledger)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda id_: session.settle([done(id_)]), ids))
    finally:
        over.set()
        thread.join()
    assert ledger.counts(DESTINATION, HOUR) == [(State.ACCEPTED, None, None, 200)]


def test_a_run_that_lost_its_hour_to_another_claims_nothing_more(ledger: Ledger, ledger_url: str) -> None:
    other = Ledger.open(ledger_url)
    with ledger.hour(DESTINATION, HOUR, "run-1") as first:
        first.claim([item("a")])
        kill_sessions(ledger)
        with other.hour(DESTINATION, HOUR, "run-2") as second:
            first.settle([done("a")])  # what the platform said is still recorded
            with pytest.raises(DeliveryError, match="Another run"):
                first.claim([item("b")])
            with pytest.raises(DeliveryError, match="Another run"):
                first.keep([item("b")], [(State.WITHHELD, "too_old", "")])
            assert second.claim([item("b")]) == {("purchase", "b")}
    assert value(ledger, "state", "a") == "accepted"


def test_leaving_an_hour_whose_session_was_killed_is_quiet(ledger: Ledger) -> None:
    with ledger.hour(DESTINATION, HOUR, "run-1"):
        kill_sessions(ledger)
    with ledger.hour(DESTINATION, HOUR, "run-2"):
        pass


def test_a_claim_that_meets_a_dead_session_says_so_in_words(ledger: Ledger, session: HourLedger) -> None:
    kill_sessions(ledger)
    with pytest.raises(DeliveryError, match="went away") as caught:
        session.claim([item("a")])
    assert "rerun" in caught.value.remedy
    assert "unnest" not in str(caught.value)


@pytest.fixture
def wire(ledger: Ledger, ledger_url: str) -> Iterator[Wire]:
    with Wire(ledger_url) as wire:
        yield wire


def test_an_outcome_whose_commit_was_never_acknowledged_is_recorded_once(ledger: Ledger, wire: Wire) -> None:
    distant = Ledger.open(wire.url)
    with distant.hour(DESTINATION, HOUR, "run-1") as session:
        session.claim([item("a"), item("b")])
        wire.swallow = 1
        session.settle([done("a", State.PENDING, trace_id="t", position=0)], LATER)
        assert session.claim([item("c")]) == {("purchase", "c")}
    assert value(ledger, "state", "a") == "pending"
    with ledger.engine.connect() as connection:
        assert connection.execute(text("select count(*) from capi.verdicts")).scalar_one() == 1


def test_an_answer_is_kept_while_the_database_is_away_for_a_while(ledger: Ledger, wire: Wire) -> None:
    distant = Ledger.open(wire.url)
    with distant.hour(DESTINATION, HOUR, "run-1") as session:
        session.claim([item("a")])
        wire.cut()
        back = threading.Timer(0.7, wire.restore)
        back.start()
        session.settle([done("a")])
        back.join()
    assert value(ledger, "state", "a") == "accepted"


def test_a_database_that_stays_away_is_named_and_the_hour_is_left_quietly(ledger: Ledger, wire: Wire) -> None:
    distant = Ledger.open(wire.url)
    distant.patience = 0.5
    with distant.hour(DESTINATION, HOUR, "run") as session:
        session.claim([item("a")])
        wire.cut()
        with pytest.raises(DeliveryError, match="went away") as caught:
            session.settle([done("a")])
    assert "unnest" not in str(caught.value)
    for ask in (lambda: distant.counts(DESTINATION, HOUR), lambda: queries.held(distant)):
        with pytest.raises(DeliveryError, match="went away"):
            ask()
    with pytest.raises(DeliveryError, match="went away"), distant.hour(DESTINATION, HOUR, "run"):
        pass
    wire.restore()
    with distant.hour(DESTINATION, HOUR, "run") as session:
        row = session.states([("purchase", "a")])[("purchase", "a")]
        assert row.unknown_since is not None


def test_an_answer_that_comes_after_the_run_was_abandoned_is_recorded_and_takes_no_lock(ledger: Ledger) -> None:
    session = HourLedger(ledger.engine, DESTINATION, HOUR, "run-1", 1.0)
    session.claim([item("a")])
    session.close()
    session.settle([done("a")])
    assert value(ledger, "state", "a") == "accepted"
    with ledger.hour(DESTINATION, HOUR, "run-2"):
        pass
    with pytest.raises(DeliveryError, match="Another run"):
        session.claim([item("b")])


def test_a_claim_is_on_disk_even_where_the_server_would_commit_lazily(empty_url: str) -> None:
    with Ledger.open(empty_url).engine.begin() as connection:
        name = connection.execute(text("select current_database()")).scalar_one()
        connection.execute(text(f'alter database "{name}" set synchronous_commit = off'))
    for engine, kept in ((create_engine(empty_url), "off"), (Ledger.open(empty_url).engine, "on")):
        with engine.connect() as connection:
            assert connection.execute(text("show synchronous_commit")).scalar_one() == kept
        engine.dispose()


def test_what_the_database_cannot_hold_is_an_error_without_the_data(ledger: Ledger, session: HourLedger) -> None:
    endless = "".join(random.Random(0).choices(string.ascii_letters, k=20_000))
    with pytest.raises(DeliveryError, match="ProgramLimitExceeded") as caught:
        session.claim([item(endless)])
    assert endless[:20] not in str(caught.value)


# --- what people ask and answer -------------------------------------------------------------------------------------


def test_held_events_are_listed_with_their_reason_and_resolved_by_a_person(ledger: Ledger, session: HourLedger) -> None:
    session.claim([item("a"), item("b"), item("c")])
    for id_ in "abc":
        session.settle([done(id_, State.HELD, reason=Held.NO_DEDUPLICATION.value, unknown=True)])
    listed = queries.held(ledger)
    assert [(row.event_id, row.reason, row.hour) for row in listed] == [
        (id_, "unknown_without_deduplication", HOUR) for id_ in "abc"
    ]
    assert all(row.since for row in listed)
    assert queries.held(ledger, ["another"]) == []
    assert [row.event_id for row in queries.held(ledger, [DESTINATION], ["b"])] == ["b"]
    assert queries.resolve(ledger, True, [DESTINATION], ["a"]) == 1
    assert queries.resolve(ledger, False, [DESTINATION], ["b"]) == 1
    assert queries.resolve(ledger, True, ["another"], None) == 0
    found = session.states([("purchase", id_) for id_ in "abc"])
    assert [found[("purchase", id_)].state for id_ in "abc"] == [State.ACCEPTED, State.RETRY, State.HELD]
    assert found[("purchase", "b")].unknown_since is None
    assert value(ledger, "reason", "b") is None


def test_rejected_events_can_be_opened_again(ledger: Ledger, session: HourLedger) -> None:
    session.claim([item("a"), item("b")])
    session.settle([done("a", State.REJECTED), done("b")])
    assert queries.reopen_rejected(ledger, ["another"], None) == 0
    assert queries.reopen_rejected(ledger, [DESTINATION], LATER) == 0
    assert queries.reopen_rejected(ledger, [DESTINATION], HOUR) == 1
    assert value(ledger, "state", "a") == "retry"


def test_unfinished_hours_and_summaries_add_up(ledger: Ledger, session: HourLedger) -> None:
    session.claim([item(id_) for id_ in "abcd"])
    session.settle([done("a"), done("b", State.RETRY, message="HTTP 503"), done("c", State.REJECTED, code="x")])
    session.keep([item("w")], [(State.WITHHELD, "consent_denied", "")])
    (found,) = queries.unfinished(ledger)
    assert (found.destination, found.hour, found.retry, found.words) == (DESTINATION, HOUR, 2, "HTTP 503")
    summary = queries.summary(ledger, DESTINATION, HOUR)
    assert summary.document() == {
        "destination": DESTINATION, "hour": HOUR.isoformat(), "accepted": 1, "pending": 0, "rejected": 1, "held": 0,
        "retry": 2, "withheld": {"consent_denied": 1},
    }  # fmt: skip
    (total,) = queries.summaries(ledger, HOUR)
    assert total.accepted == 1
    assert queries.summaries(ledger, LATER) == []
    assert queries.retried(ledger, DESTINATION, HOUR) == 0
    assert queries.waiting_verdicts(ledger) == {}


@pytest.mark.parametrize(
    "text",
    ["plain", 'a "quoted" word', "back\\slash", "{curly,braces}", "NULL", " ", "ümläut 日本", "two\nlines", "'; --"],
)
def test_any_text_comes_back_as_it_was(ledger: Ledger, session: HourLedger, text: str) -> None:
    session.claim([item(text)])
    session.settle([done(text, message=text)])
    assert list(session.states([("purchase", text)])) == [("purchase", text)]
    assert value(ledger, "message", text) == text


def test_a_destination_that_the_statistics_do_not_know_is_looked_up_by_key(ledger: Ledger) -> None:
    def read() -> int:
        """Index entries read so far, of all indexes."""
        ledger.query("select pg_stat_force_next_flush()")
        query = "select sum(idx_tup_read)::int from pg_stat_user_indexes where relname = 'deliveries'"
        return int(ledger.query(query)[0][0])

    ids = [f"e{n}" for n in range(1000)]
    with ledger.hour("old", HOUR, "run") as old:
        old.claim([item(id_) for id_ in ids])
    ledger.query("analyze capi.deliveries")
    with ledger.hour("new", HOUR, "run") as new:
        new.claim([item(id_) for id_ in ids])
        before = read()
        assert len(new.states([("purchase", id_) for id_ in ids])) == 1000
        new._run("select pg_stat_force_next_flush()", {})
        new._run("select 1", {})
    assert read() - before < 10_000


def test_no_session_outlives_its_use(ledger_url: str) -> None:
    """A command that delivers many hours in one process would use up the server's connections."""
    ledger = Ledger.open(ledger_url)
    with ledger.hour(DESTINATION, HOUR, "run") as session:
        session.claim([item("a")])
    others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    for _ in range(50):  # a backend ends a moment after its client has gone
        if not ledger.query(others)[0][0]:
            return
        time.sleep(0.1)
    raise AssertionError("the server still has sessions of this ledger")
