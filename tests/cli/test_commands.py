"""What holds for every command, and what the commands that look and show say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic.fields import FieldInfo
from typer.main import get_command
from typer.testing import CliRunner

from capi_pipeline import render
from capi_pipeline.cli import app
from capi_pipeline.delivery.ledger import HELD_WORDS, Held, Ledger
from capi_pipeline.destinations import load
from capi_pipeline.platforms import NAMES
from capi_pipeline.platforms import platform as platform_class
from capi_pipeline.sandbox import server
from tests import table
from tests.cli.command import Capi
from tests.cli.conftest import document
from tests.table import HOUR

UNTIL_STOPPED = ("up", "sandbox")  # they run until they are stopped, and have no result that could be JSON


def commands(command: Any = None, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every command and group of the Typer app, by its words."""
    command = command or get_command(app)
    out = {path: command} if path else {}
    for name, child in getattr(command, "commands", {}).items():
        out |= commands(child, (*path, name))
    return out


def test_these_are_all_commands() -> None:
    assert {" ".join(path) for path in commands()} == {
        "demo", "up", "sandbox", "sync", "retry", "status", "resolve", "prune", "forget", "render",
        "evaluate-identity", "fuzzy-candidates", "destinations", "destinations add",
        "doctor", "explain", "report",
    }  # fmt: skip


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_a_command_explains_itself_with_an_example_that_parses(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0
    out = " ".join(shown.output.replace("│", " ").split())
    assert f"Example: capi {' '.join(path)}" in out
    for parameter in commands()[path].params:
        assert getattr(parameter, "help", None), f"{path}: {parameter.name} has no help"
    example = (commands()[path].help or "").split("Example: capi ")[1].splitlines()[0].split()[len(path) :]
    if "--config" not in example:  # these name files, which must be there
        commands()[path].make_context(path[-1], example)


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_a_command_fails_on_an_option_that_it_does_not_have(capi: Capi, path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--nonsense"])
    assert shown.exit_code == 2
    assert "No such option" in shown.output
    told = capi(*path, "--nonsense", "--json", code=2).json
    assert "No such option" in told["error"]
    assert told["remedy"]


@pytest.mark.parametrize("path", [p for p in commands() if p[0] not in UNTIL_STOPPED], ids=" ".join)
def test_a_command_speaks_json_also_about_what_goes_wrong(capi: Capi, path: tuple[str, ...], tmp_path: Path) -> None:
    assert "--json" in [option for parameter in commands()[path].params for option in parameter.opts]
    (tmp_path / "x.json").write_text("no JSON")
    given = {
        ("render",): ["meta", "--config", str(tmp_path / "x.json"), "--events", str(tmp_path / "x.json")],
        ("destinations", "add"): ["meta"],
        ("explain",): ["order-1"],
    }
    told = capi(*path, *given.get(path, []), "--json", code=1, CAPI_STAGING_DAYS="0", CAPI_WAREHOUSE_URL="x://y").json
    assert set(told) == {"error", "remedy"}
    assert all(told.values())


@pytest.mark.parametrize("path", [(name,) for name in UNTIL_STOPPED], ids=" ".join)
def test_what_runs_until_it_is_stopped_fails_with_words(capi: Capi, path: tuple[str, ...]) -> None:
    done = capi(*path, "--port", str(server.free_port()), code=1, CAPI_START="soon")
    assert "CAPI_START" in done.err
    assert not done.out


def test_the_ui_on_an_address_that_others_reach_comes_with_a_warning(capi: Capi) -> None:
    for host, warns in (("0.0.0.0", True), ("::", True), ("127.0.0.1", False), ("localhost", False), ("::1", False)):
        said = capi("up", "--host", host, "--port", str(server.free_port()), code=1, CAPI_START="soon").err
        assert ("Dagster has no login" in said) == warns, host
        assert ("reverse proxy with a login" in said) == warns, host


def test_no_command_at_all_shows_the_help(capi: Capi) -> None:
    assert "Usage" in capi(code=2).out


# --- render -----------------------------------------------------------------------------------------------------------

EVENT = {
    "event_id": "order-1", "event_name": "purchase", "event_time": "2026-10-01T14:00:00Z",
    "recorded_at": "2026-10-01T14:05:00Z", "action_source": "website", "source_url": "https://shop.example/",
    "value": "10.50", "currency": "EUR", "emails": ["a@example.com"], "country": "US", "user_agent": "Mozilla/5.0",
}  # fmt: skip


def test_render_prints_what_the_package_renders(capi: Capi, tmp_path: Path) -> None:
    config = {"pixel_id": "1", "access_token": "token"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "events.json").write_text(json.dumps([EVENT, {**EVENT, "event_id": "2", "event_name": "custom"}][:1]))
    given = ["render", "meta", "--config", str(tmp_path / "config.json"), "--events", str(tmp_path / "events.json")]
    done = capi(*given, "--now", "2026-10-01T16:00:00Z")
    want = render("meta", config, [EVENT], datetime(2026, 10, 1, 16, tzinfo=UTC))
    want["requests"][0]["headers"]["Authorization"] = "Bearer ***"  # the one difference
    assert done.json == want
    assert want["requests"]
    assert capi(*given, "--now", "2026-10-01T16:00:00", "--json").out == done.out  # no zone is UTC
    assert capi(*given).json["withheld"][0]["reason"] == "too_old"  # now is later than that


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ("{}", "not a list of objects"),
        ("[1]", "not a list of objects"),
        ("[", "not JSON"),
        (json.dumps([{**EVENT, "colour": "red"}]), "Not columns of a conversion: colour"),
        (json.dumps([{**EVENT, "event_time": "yesterday"}]), "event_time"),
        (json.dumps([{**EVENT, "value": "much"}]), "value"),
        (json.dumps([{**EVENT, "event_id": None}]), "event_id"),
    ],
)
def test_render_says_what_is_wrong_with_events(capi: Capi, tmp_path: Path, events: str, words: str) -> None:
    (tmp_path / "config.json").write_text('{"pixel_id": "1", "access_token": "token"}')
    (tmp_path / "events.json").write_text(events)
    given = ["render", "meta", "--config", str(tmp_path / "config.json"), "--events", str(tmp_path / "events.json")]
    assert words in capi(*given, code=1).err


@pytest.mark.parametrize("config", ["[]", '{"pixel_id": "1"}', '{"pixel_id": "1", "access_token": "x", "y": 1}', "x"])
def test_render_says_what_is_wrong_with_a_configuration(capi: Capi, tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "events.json").write_text("[]")
    given = ["--config", str(tmp_path / "config.json"), "--events", str(tmp_path / "events.json")]
    capi("render", "meta", *given, code=1)


def test_render_says_what_is_wrong_with_its_options(capi: Capi, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    given = ["--config", str(tmp_path / "x.json"), "--events", str(tmp_path / "x.json")]
    capi.mistake("render", "facebook", *given, names=["no platform `facebook`", "meta"])
    assert "2026-10-01T16:00:00Z" in capi("render", "meta", *given, "--now", "noon", code=2).err
    assert "does not exist" in capi("render", "meta", "--config", "nowhere", "--events", "nowhere", code=2).err


# --- destinations -----------------------------------------------------------------------------------------------------


def test_destinations_lists_the_documents(capi: Capi) -> None:
    (found,) = capi("destinations", "--json").json
    assert (found["name"], found["platform"]) == ("meta", "meta")
    assert found["account"]["access_token"] == {"env": "META_TOKEN"}
    out = capi("destinations").out
    assert "META_TOKEN" in out
    assert "the platform" in out


def test_destinations_lists_the_platforms(capi: Capi) -> None:
    found = {row["platform"]: row for row in capi("destinations", "--platforms", "--json").json}
    assert set(found) == set(NAMES)
    assert found["meta"]["name"] == "Meta"
    out = capi("destinations", "--platforms").out
    assert all(name in out for name in NAMES)


def test_the_matrix_says_what_each_platform_takes(capi: Capi) -> None:
    found = {row["platform"]: row for row in capi("destinations", "--matrix", "--json").json}
    assert set(found) == set(NAMES)
    assert (found["meta"]["deduplication"], found["meta"]["refunds"], found["meta"]["limited data"]) == (
        "48 h",
        "no",
        "flag",
    )
    assert (found["outbrain"]["deduplication"], found["google_data_manager"]["verdicts"]) == ("none: held", "later")
    assert "new total" in capi("destinations", "--matrix").out


def example(field: FieldInfo) -> str:
    shown = (field.examples or ["x"])[0]
    return shown if isinstance(shown, str) else json.dumps(shown)


@pytest.mark.parametrize("platform", NAMES)
def test_an_added_document_loads_and_sends_nothing_until_its_variables_are_set(capi: Capi, platform: str) -> None:
    told = capi("destinations", "add", platform, "--name", "neu_1", "--json").json
    text = Path(told["path"]).read_text()
    assert Path(told["path"]) == Path(capi.environment["CAPI_DESTINATIONS"], "neu_1", "defs.yaml")
    config = {config.name: config for config in load(Path(capi.environment["CAPI_DESTINATIONS"]))}["neu_1"]
    assert config.platform == platform
    assert list(config.variables.values()) == told["variables"] != []
    assert all(name.startswith("NEU_1_") for name in told["variables"])
    assert text.startswith("# ")
    fields = platform_class(platform).Config.model_fields
    values = {variable: example(fields[key]) for key, variable in config.variables.items()}
    config.resolve(values)
    for key in platform_class(platform).Config.model_fields:
        assert f"    {key}: " in text.replace("    # ", "    ") or key == "base_url"


def test_add_does_not_overwrite_and_takes_no_other_name(capi: Capi) -> None:
    before = Path(capi.environment["CAPI_DESTINATIONS"], "meta", "defs.yaml").read_text()
    capi.mistake("destinations", "add", "meta", names=["meta exists already", "--name"])
    assert Path(capi.environment["CAPI_DESTINATIONS"], "meta", "defs.yaml").read_text() == before
    for name in ("../outside", "Meta DE", ""):
        assert "lower-case" in capi("destinations", "add", "tiktok", "--name", name or "-", code=2).err
    capi.mistake("destinations", "add", "facebook", names=["no platform `facebook`", "tiktok"])


def test_add_makes_the_folder(capi: Capi, tmp_path: Path) -> None:
    done = capi("destinations", "add", "tiktok", CAPI_DESTINATIONS=str(tmp_path / "new"))
    assert "TIKTOK_ACCESS_TOKEN" in done.out
    assert [config.name for config in load(tmp_path / "new")] == ["tiktok"]
    (tmp_path / "file").touch()
    capi.mistake(
        "destinations", "add", "tiktok", names=["cannot be written", "CAPI_DESTINATIONS"],
        CAPI_DESTINATIONS=str(tmp_path / "file"),
    )  # fmt: skip


# --- doctor -----------------------------------------------------------------------------------------------------------


def test_doctor_is_content_when_all_is_well(delivering: Capi) -> None:
    table.create(delivering.environment["CAPI_WAREHOUSE_URL"])
    found = {row["check"]: row for row in delivering("doctor", "--json").json}
    assert set(found) == {"warehouse", "ledger", "keys", "dagster", "destination meta"}
    assert all(row["ok"] for row in found.values()), found
    assert "FAIL" not in delivering("doctor").out


def test_doctor_says_of_each_finding_what_to_fix(delivering: Capi) -> None:
    folder = Path(delivering.environment["CAPI_DESTINATIONS"])
    path = document(folder, "wrong_token", f"{delivering.environment['SANDBOX']}/meta")
    path.write_text(path.read_text().replace("META_TOKEN", "WRONG_TOKEN"))
    document(folder, "silent", "http://127.0.0.1:2/meta")
    path = document(folder, "unset", f"{delivering.environment['SANDBOX']}/meta")
    path.write_text(path.read_text().replace("META_TOKEN", "UNSET_TOKEN"))
    wrong = {"WRONG_TOKEN": "geheim", "CAPI_STAGING_KEY": "geheim", "CAPI_CRON": "every hour"}
    found = {row["check"]: row for row in delivering("doctor", "--json", code=1, **wrong).json}
    assert {name for name, row in found.items() if row["ok"]} == {"ledger", "destination meta"}
    for name, words in {
        "warehouse": ["marts.conversions", "CAPI_CONVERSIONS_TABLE"],
        "keys": ["CAPI_STAGING_KEY", "Fernet.generate_key()"],
        "dagster": ["CAPI_CRON", "10 * * * *"],
        "destination wrong_token": ["Renew", "WRONG_TOKEN"],
        "destination silent": ["does not answer", "base_url"],
        "destination unset": ["UNSET_TOKEN", "is not set"],
    }.items():
        for word in words:
            assert word in found[name]["words"], found[name]
    done = delivering("doctor", code=1, **wrong)
    assert "Fix what is marked FAIL" in done.err
    assert "geheim" not in done.out + done.err


def test_doctor_looks_at_the_rest_although_a_document_is_broken(delivering: Capi) -> None:
    Path(delivering.environment["CAPI_DESTINATIONS"], "meta", "defs.yaml").write_text("type: nonsense\n")
    table.create(delivering.environment["CAPI_WAREHOUSE_URL"])
    found = {row["check"]: row for row in delivering("doctor", "--json", code=1).json}
    assert [name for name, row in found.items() if not row["ok"]] == ["destinations"]
    assert "defs.yaml" in found["destinations"]["words"]


# --- status and resolve -----------------------------------------------------------------------------------------------


def test_status_of_an_empty_ledger(own: Capi) -> None:
    assert own("status", "--json").json == {
        "destinations": [], "unfinished": [], "held": [], "waiting_for_verdicts": {},
    }  # fmt: skip
    assert "Nothing has been delivered" in own("status").out
    (hour,) = own("status", "--hour", "2026-10-01T14", "--json").json["destinations"]
    assert (hour["destination"], hour["accepted"]) == ("meta", 0)
    for hours in ("0", "-5", "99999999999"):
        own("status", "--hours", hours, code=2)


def remember(url: str, rows: list[dict[str, Any]]) -> None:
    """These rows in the ledger, each with an `id` and a `state`."""
    Ledger.open(url).engine.dispose()
    usual = {"destination": "meta", "hour": LONG_AGO, "reason": None, "since": None, "message": None}
    table.sql(
        url,
        """insert into capi.deliveries (destination, event_name, event_id, hour, state, reason, message, event_time,
            recorded_at, unknown_since) values (:destination, 'purchase', :id, :hour, :state, :reason, :message, :hour, :hour,
            :since)""",
        [{**usual, **row} for row in rows],
    )


LONG_AGO = HOUR.replace(year=2025)


@pytest.fixture
def held(own: Capi) -> Capi:
    """Two events of long ago are held, and one is left to retry."""
    one = {"state": "held", "reason": "unknown_after_window", "since": HOUR, "message": "the connection broke"}
    remember(
        own.environment["CAPI_LEDGER_URL"],
        [{"id": "one", **one}, {"id": "two", **one}, {"id": "three", "state": "retry"}],
    )
    return own


def test_status_never_hides_what_waits_however_old_it_is(held: Capi) -> None:
    out = held("status").out
    assert "2 events wait for a person" in out
    assert "Left to send" in out
    assert "Nothing has been delivered" not in out
    told = held("status", "--json").json
    assert [row["event_id"] for row in told["held"]] == ["one", "two"]
    assert [row["retry"] for row in told["unfinished"]] == [1]
    assert {row["hour"] for row in told["held"] + told["unfinished"]} == {LONG_AGO.isoformat()}
    assert held("status", "--hour", "2026-10-01T14", "--json").json["held"] == []


@pytest.mark.parametrize("reason", Held)
def test_what_is_held_is_explained_in_words(own: Capi, reason: Held) -> None:
    said = {"id": "one", "state": "held", "reason": reason.value, "message": "the connection broke"}
    remember(own.environment["CAPI_LEDGER_URL"], [said])
    for command in ("status", "resolve"):
        out = " ".join(own(command).out.split())
        assert HELD_WORDS[reason] in out
        assert "the connection broke" in out
        (row,) = own(command, "--json").json["held"]
        assert row["why"] == f"{HELD_WORDS[reason]}: the connection broke"


def test_resolve_lists_and_changes_nothing_until_it_is_told(held: Capi) -> None:
    out = held("resolve").out
    assert "one" in out
    for words in ("--accept it has them", "never sent again", "--resend it does not", "count twice"):
        assert words in " ".join(out.split())
    told = held("resolve", "--json").json
    assert (len(told["held"]), told["accepted"], told["to_resend"]) == (2, 0, 0)
    assert "choose one" in held("resolve", "--accept", "--resend", code=2).err


def test_resolve_settles_what_it_is_told_to(held: Capi) -> None:
    told = held("resolve", "--event-id", "one", "--accept", "--json").json
    assert told["accepted"] == 1
    assert "Nothing is held" in held("resolve", "--hour", "2025-10-01T15", "--resend").out
    assert (
        "1 events will be sent" in held("resolve", "--destination", "meta", "--hour", "2025-10-01T14", "--resend").out
    )
    status = held("status", "--hour", "2025-10-01T14", "--json").json
    (hour,) = status["destinations"]
    assert (hour["accepted"], hour["retry"], hour["held"]) == (1, 2, 0)
    assert "Nothing is held" in held("resolve").out
    held.mistake("resolve", "--event-id", "one", "--accept", names=["Not held: one", "capi resolve"])
    assert "write 2026-10-01T14" in held("resolve", "--hour", "noon", code=2).err


@pytest.mark.parametrize(("answer", "sent"), [("--accept", 0), ("--resend", 1)])
def test_an_answer_decides_what_the_next_run_sends(delivering: Capi, answer: str, sent: int) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    table.create(delivering.environment["CAPI_WAREHOUSE_URL"], [table.row(0, hour)])
    row = {"id": "order-000000", "state": "held", "reason": "unknown_by_policy", "since": hour, "hour": hour}
    remember(delivering.environment["CAPI_LEDGER_URL"], [row])
    when = ["--hour", f"{hour:%Y-%m-%dT%H}"]
    delivering("sync", *when, CAPI_START=f"{hour:%Y-%m-%d-%H:00}")
    assert requests.get(f"{delivering.environment['SANDBOX']}/_sandbox/counts").json()["meta"]["accepted"] == 0
    delivering("resolve", answer, *when)
    delivering("sync", *when, CAPI_START=f"{hour:%Y-%m-%d-%H:00}")
    assert requests.get(f"{delivering.environment['SANDBOX']}/_sandbox/counts").json()["meta"]["accepted"] == sent
    (told,) = delivering("status", *when, "--json").json["destinations"]
    assert (told["accepted"], told["held"], told["retry"]) == (1, 0, 0)


# --- prune ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def grown(own: Capi) -> Capi:
    """Three settled events and one that is left, of two years ago; one settled event of now."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    old = {"hour": now - timedelta(days=730)}
    remember(
        own.environment["CAPI_LEDGER_URL"],
        [
            {"id": "one", "state": "accepted", **old}, {"id": "two", "state": "rejected", **old},
            {"id": "three", "state": "withheld", "destination": "gone", **old}, {"id": "four", "state": "retry", **old},
            {"id": "five", "state": "accepted", "hour": now},
        ],
    )  # fmt: skip
    return own


def test_prune_first_says_what_would_go_and_then_does_it_once(grown: Capi) -> None:
    dry = grown("prune", "--dry-run", "--json").json
    assert (dry["dry"], dry["rows"], dry["hours"], dry["busy"]) == (True, {"meta": 2, "gone": 1}, 2, 0)
    out = grown("prune", "--dry-run").out
    assert "Would go" in out
    assert "kB" in out
    done = grown("prune", "--json").json
    assert [done[key] for key in ("dry", "rows", "hours", "busy")] == [False, dry["rows"], 2, 0]
    out = grown("prune").out
    assert "Nothing to prune" in out
    status = grown("status", "--hours", str(24 * 1000), "--json").json["destinations"]
    assert [(row["destination"], row["accepted"], row["retry"]) for row in status] == [("meta", 1, 1)]


def test_prune_says_how_many_rows_went_and_what_the_ledger_takes(grown: Capi) -> None:
    done = grown("prune")
    assert "Pruned" in done.out
    assert "The ledger had" in done.out
    assert "gone" in done.out
    assert "2/2" in done.err  # the bar


def test_prune_refuses_a_retention_that_a_platform_outlasts(grown: Capi) -> None:
    """One of a destination: Rokt's year is nobody's business here."""
    names = ["CAPI_LEDGER_DAYS is 91", "Meta", "62 days", "92"]
    grown.mistake("prune", names=names, CAPI_LEDGER_DAYS="91")
    grown.mistake("sync", names=names, CAPI_LEDGER_DAYS="91")
    assert grown("prune", "--dry-run", "--json", CAPI_LEDGER_DAYS="92").json["rows"] == {"meta": 2, "gone": 1}
