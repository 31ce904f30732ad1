"""Forgetting a person, on a real warehouse, real staging and a real ledger."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from capi_pipeline import steps
from capi_pipeline.conversions.suppression import Person
from capi_pipeline.delivery.ledger import Item, Ledger, Settlement
from capi_pipeline.delivery.suppression import suppressed
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.forgetting import forget
from capi_pipeline.platforms.outcomes import State
from capi_pipeline.settings import Settings
from tests import table

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
HOUR, LATER = NOW - timedelta(hours=3), NOW - timedelta(hours=2)
JANE = Person(emails=("Jane.Doe@gmail.com",), phones=("+1 415 555 2671",), user_ids=("c-42",))


@pytest.fixture
def chosen(warehouse_url: str, ledger_url: str, tmp_path: Path) -> Settings:
    return Settings(warehouse_url=warehouse_url, ledger_url=ledger_url, home=tmp_path, patience=0)


@pytest.fixture
def shop(chosen: Settings, warehouse_url: str) -> Settings:
    """Two hours staged; Jane under each of her identifiers, and others."""
    jane = {"phones": [], "emails": [], "country": "US", "region": "CA"}
    table.create(
        warehouse_url,
        [
            table.row(0, HOUR),
            table.row(1, HOUR, **jane | {"emails": ["other@example.com", "janedoe+shop@googlemail.com"]}),
            table.row(2, LATER, **jane | {"phones": ["(415) 555-2671"]}),
            table.row(3, LATER, **jane | {"user_id": "c-42", "source_url": "https://shop.example/jane"}),
            table.row(4, LATER, **jane | {"emails": [hashlib.sha256(b"jane.doe@gmail.com").hexdigest()]}),
            table.row(5, LATER, user_id="c-421"),
            table.row(6, NOW - timedelta(days=60), **jane | {"emails": ["jane.doe@gmail.com"]}),  # no longer staged
        ],
    )
    for hour in (HOUR, LATER):
        steps.extract_transform(chosen, hour)
    return chosen


HERS = {1, 2, 3, 4}


def staged(chosen: Settings) -> dict[str, dict[str, Any]]:
    store = steps.staging(chosen)
    return {row["event_id"]: row for hour in store.hours() for batch in store.read(hour) for row in batch.to_pylist()}


def id_of(number: int) -> str:
    return f"order-{number:06d}"


def personal(row: dict[str, Any]) -> list[Any]:
    names = (
        "ip_address",
        "user_agent",
        "click_ids",
        "browser_ids",
        "device",
        "source_url",
        "search_term",
        "properties",
    )
    return [value for name, value in row.items() if value and (isinstance(value, list) or name in names)]


def test_every_conversion_of_the_person_is_erased_from_staging_and_nobody_elses(shop: Settings) -> None:
    before = staged(shop)
    report = forget(shop, JANE)
    after = staged(shop)
    assert after.keys() == before.keys()
    for number in range(6):
        row = after[id_of(number)]
        if number in HERS:
            assert row["withhold"] == "erased"
            assert personal(row) == []
        else:
            assert row == before[id_of(number)]
    assert report.staged == {HOUR: 1, LATER: 3}
    assert {id_ for _, id_ in report.events} == {id_of(n) for n in (*HERS, 6)}


def test_an_hour_that_is_read_again_withholds_the_person_for_good(shop: Settings) -> None:
    forget(shop, JANE)
    profile = steps.extract_transform(shop, LATER)
    assert profile.withheld == {"erased": 3}
    rows = staged(shop)
    assert {id_ for id_, row in rows.items() if row["withhold"] == "erased"} == {id_of(n) for n in HERS}
    assert all(
        personal(rows[id_of(n)]) in ([], ["https://shop.example/thanks"], ["https://shop.example/jane"]) for n in HERS
    )


def test_it_tells_what_platforms_have_received(shop: Settings) -> None:
    ledger = Ledger.open(shop.require("ledger_url"))
    micros = int(HOUR.timestamp() * 1e6)
    for destination, number, state in (
        ("meta", 1, State.ACCEPTED), ("meta", 0, State.ACCEPTED), ("tiktok", 6, State.PENDING), ("x", 2, State.REJECTED),
    ):  # fmt: skip
        with ledger.hour(destination, HOUR, "run") as session:
            session.claim([Item("purchase", id_of(number), micros, micros)])
            session.settle([Settlement(("purchase", id_of(number)), state, trace_id=f"T{number}")], NOW)
    found = [(one.destination, one.event_id, one.state, one.trace_id) for one in forget(shop, JANE).received]
    assert found == [("meta", id_of(1), "accepted", "T1"), ("tiktok", id_of(6), "pending", "T6")]
    ledger.engine.dispose()


def test_a_dry_run_tells_the_same_and_changes_nothing(shop: Settings) -> None:
    before = staged(shop)
    told = forget(shop, JANE, dry_run=True)
    assert staged(shop) == before
    assert steps.forgotten(shop).tokens == frozenset()
    done = forget(shop, JANE)
    assert (told.new, told.staged, told.events) == (done.new, done.staged, done.events)


def test_to_forget_twice_is_to_forget_once(shop: Settings) -> None:
    assert forget(shop, JANE).new > 0
    again = forget(shop, JANE)
    assert again.new == 0
    assert again.staged == {}
    assert {id_ for _, id_ in again.events} == {id_of(n) for n in (*HERS, 6)}  # the warehouse still has them


def test_the_ledger_holds_nothing_that_leads_to_the_person(shop: Settings) -> None:
    forget(shop, JANE)
    tokens = steps.forgotten(shop).tokens
    for text in ("jane.doe@gmail.com", "janedoe@gmail.com", "+14155552671", "14155552671", "c-42"):
        assert hashlib.sha256(text.encode()).hexdigest() not in tokens
        assert not any(text in token for token in tokens)


def test_another_key_is_refused_before_anything_is_read(shop: Settings, tmp_path: Path) -> None:
    forget(shop, JANE)
    (tmp_path / "keys" / "suppression_key").unlink()
    for call in (lambda: steps.extract_transform(shop, HOUR), lambda: forget(shop, Person(user_ids=("c-1",)))):
        with pytest.raises(ConfigurationError, match="CAPI_SUPPRESSION_KEY"):
            call()


@pytest.mark.parametrize(
    "person",
    [Person(), Person(emails=("jane",)), Person(phones=("415 555 2671",)), Person(emails=("j@x.com",), phones=("1",))],
)
def test_an_identifier_that_nothing_could_have_is_refused_and_not_quoted(shop: Settings, person: Person) -> None:
    with pytest.raises(ConfigurationError) as caught:
        forget(shop, person)
    assert "jane" not in str(caught.value)
    assert steps.forgotten(shop).tokens == frozenset()


def test_nobody_is_forgotten_in_a_new_ledger(chosen: Settings) -> None:
    ledger = Ledger.open(chosen.require("ledger_url"))
    assert suppressed(ledger, b"any").recipes == ()
    ledger.engine.dispose()
