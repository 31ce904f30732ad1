"""`capi forget`, as a process of its own."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest

from capi_pipeline import steps
from capi_pipeline.cli.forgetting import given
from capi_pipeline.settings import Settings
from tests import table
from tests.cli.command import Capi
from tests.cli.test_commands import remember

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
JANE = ("--email", "Person1@example.com")


@pytest.fixture
def shop(own: Capi) -> Capi:
    """Three conversions, staged; Meta has those of two people."""
    environment = own.environment
    table.create(environment["CAPI_WAREHOUSE_URL"], [table.row(number, HOUR) for number in range(3)])
    remember(
        environment["CAPI_LEDGER_URL"],
        [{"id": f"order-00000{number}", "state": "accepted", "hour": HOUR} for number in (0, 1)],
    )
    names = ("warehouse_url", "ledger_url", "home")
    steps.extract_transform(Settings(**{name: environment[f"CAPI_{name.upper()}"] for name in names}), HOUR)
    return own


def test_forget_tells_what_it_did_and_what_platforms_have(shop: Capi) -> None:
    told = shop("forget", *JANE, "--dry-run", "--json").json
    assert told["dry_run"] is True
    done = shop("forget", *JANE, "--json").json
    assert done == {**told, "dry_run": False}
    assert done["conversions_found"] == 1
    assert done["staging"] == {HOUR.isoformat(): 1}
    assert [(one["destination"], one["event_id"], one["state"]) for one in done["received"]] == [
        ("meta", "order-000001", "accepted")
    ]
    assert "privacy office" in done["deletion"]["meta"]
    assert shop("forget", *JANE, "--json").json["digests_recorded"] == 0


def test_forget_speaks_to_a_person_and_never_repeats_the_identifier(shop: Capi) -> None:
    would = shop("forget", *JANE, "--dry-run").out
    assert "would be erased" in would
    out = shop("forget", *JANE).out
    assert "1 conversions in 1 staged hours erased" in out
    assert "order-000001" in out
    assert "meta: No call for single events is documented" in out
    assert "person1" not in (would + out).lower()
    assert "No platform has received anything" in shop("forget", "--user-id", "nobody").out


def test_a_dash_reads_identifiers_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("jane@example.com\n\n joe@example.com \n"))
    assert given(["first@example.com", "-"]) == ("first@example.com", "jane@example.com", "joe@example.com")
    assert given(None) == ()


def test_forget_says_what_is_wrong_with_what_it_was_given(own: Capi) -> None:
    own.mistake("forget", names=["--email", "--phone", "--user-id"])
    done = own.mistake("forget", "--phone", "030 901820", names=["international form"])
    assert "901820" not in done.err
