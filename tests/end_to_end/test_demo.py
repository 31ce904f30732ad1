"""README.md word by word: the demo, once and again, which leaves no raw identifier anywhere; then every other command."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from capi_pipeline import destinations, embedded
from capi_pipeline.demo import FIVE
from tests.end_to_end.conftest import Installation

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
# What each `capi` command says on an installation in which the demo has run, and whether it fails.
SAYS = {
    "destinations --platforms": ("microsoft_offline", False),
    "destinations add meta --name meta_germany": ("check it with", False),
    "doctor": ("META_GERMANY_PIXEL_ID", True),  # the new document names variables that are not set yet
    "sync --hour 2026-10-01T14": ("accepted", False),
    "status": ("accepted", False),
    "retry": ("Nothing is left to send", False),
    "resolve": ("Nothing is held", False),
    "prune --dry-run": ("Nothing", False),
    "forget --email jane@example.com --dry-run": ("keyed digests", False),
}
MAKE = {"demo": "$(BIN)/capi demo", "up": "$(BIN)/capi up", "test": "$(BIN)/pytest"}


def test_demo_delivers_everything_once_and_survives_the_failed_hour(demo: tuple[Installation, Any]) -> None:
    _, report = demo
    rows = {row["destination"]: row for row in report["destinations"]}
    assert set(rows) == set(FIVE)
    for name, row in rows.items():
        assert row["accepted"] > 0, name
        assert row["left"] == row["held"] == row["duplicates"] == 0, row
    assert rows["tiktok"]["retried"] > 0  # the hour in which it was down


def test_second_demo_sends_nothing_again(demo: tuple[Installation, Any]) -> None:
    there, first = demo
    again = there.json("demo", "--conversions", "600")
    assert again["sent_now"] == 0
    for before, after in zip(first["destinations"], again["destinations"], strict=True):
        assert {k: v for k, v in before.items() if k != "seconds"} == {k: v for k, v in after.items() if k != "seconds"}


def test_every_hour_reconciles_with_the_warehouse(demo: tuple[Installation, Any]) -> None:
    """rows of the mart = ledger + what a destination's document leaves out, for each hour and destination."""
    there, _ = demo
    from capi_pipeline.destinations import load

    with embedded.postgres(there.home / "postgres") as sockets:
        warehouse = create_engine(embedded.url(sockets, "warehouse"))
        ledger = create_engine(embedded.url(sockets, "ledger"))
        with warehouse.connect() as connection:
            mart = list(
                connection.execute(
                    text(
                        "select event_name, date_trunc('hour', recorded_at), count(*) from marts.conversions group by 1, 2"
                    )
                )
            )
        with ledger.connect() as connection:
            query = "select destination, hour, count(*) from capi.deliveries group by 1, 2"
            known = {(name, hour): count for name, hour, count in connection.execute(text(query))}
        for engine in (warehouse, ledger):
            engine.dispose()
    hours = {hour for _, hour in known}
    for config in load(there.destinations):
        for hour in hours:
            want = sum(count for event, when, count in mart if when == hour and event in (config.events or ()))
            assert known.get((config.name, hour), 0) == want, (config.name, hour)


def test_no_raw_identifier_rests_outside_the_warehouse(demo: tuple[Installation, Any]) -> None:
    """Every demo e-mail, phone and name against the bytes on disk and every row of ledger and Dagster's storage."""
    there, _ = demo
    with embedded.postgres(there.home / "postgres") as sockets:
        needles = _identifiers(embedded.url(sockets, "warehouse"))
        assert len(needles) > 300
        haystacks = {database: _everything(embedded.url(sockets, database)) for database in ("ledger", "dagster")}
    for path in there.home.rglob("*"):
        if path.is_file() and (there.home / "postgres") not in path.parents:
            haystacks[str(path.relative_to(there.home))] = path.read_bytes().decode("utf-8", "replace").lower()
    assert any(name.endswith(".parquet") for name in haystacks)
    assert any(name.endswith("sandbox.db") for name in haystacks)
    found = [(needle, place) for place, hay in haystacks.items() for needle in needles if needle in hay]
    assert not found, found[:10]


def _identifiers(url: str) -> set[str]:
    """E-mails, phones (as typed and digits only), and names long enough not to occur by chance, lower case."""
    engine = create_engine(url)
    out: set[str] = set()
    with engine.connect() as connection:
        for table in ("customers", "orders", "leads"):
            for email, phone, first, last in connection.execute(
                text(f"select email, phone, first_name, last_name from raw.{table}")
            ):
                out |= {value.strip().lower() for value in (email, phone) if value and len(value.strip()) >= 8}
                full = f"{(first or '').strip()} {(last or '').strip()}".lower()
                if len(full) >= 10 and " " in full.strip():
                    out.add(full)
                digits = "".join(c for c in phone or "" if c.isdigit())
                if len(digits) >= 9:
                    out.add(digits)
    engine.dispose()
    return {needle for needle in out if not _is_digest(needle)}


def _is_digest(value: str) -> bool:
    return len(value) == 64 and all(c in "0123456789abcdef" for c in value)


def _everything(url: str) -> str:
    """All rows of all tables of a database as lower-case text."""
    engine = create_engine(url)
    parts: list[str] = []
    with engine.connect() as connection:
        for schema in inspect(engine).get_schema_names():
            if schema in ("information_schema",) or schema.startswith("pg_"):
                continue
            for name in inspect(engine).get_table_names(schema):
                parts += [row[0] for row in connection.execute(text(f'select t::text from "{schema}"."{name}" t'))]
    engine.dispose()
    return "\n".join(parts).lower()


def test_staging_is_encrypted(demo: tuple[Installation, Any]) -> None:
    there, _ = demo
    files = list(Path(there.home).rglob("*.parquet"))
    assert len(files) == 24
    for path in files:
        assert b"event_id" not in path.read_bytes()


# --- the commands and documents of README.md -------------------------------------------------------------------------


def commands() -> Iterator[str]:
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL):
        yield from (
            line.split("  #")[0].strip() for line in block.splitlines() if not line.startswith(("#", "export "))
        )


def test_every_command_of_the_readme_is_run_here() -> None:
    assert {line for line in commands() if line} == {
        *(f"make {target}" for target in MAKE),
        *(f".venv/bin/capi {arguments}" for arguments in SAYS),
    }


@pytest.mark.parametrize("target", MAKE)
def test_the_make_targets_do_what_is_tested_elsewhere(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    assert MAKE[target] in recipe[1]


def test_the_commands_do_what_the_readme_says(demo: tuple[Installation, Any], tmp_path: Path) -> None:
    there, _ = demo
    mine = replace(there, destinations=tmp_path / "destinations")
    shutil.copytree(there.destinations, mine.destinations)
    hour = datetime.now(UTC) - timedelta(hours=2)
    added = mine.destinations / "meta_germany"
    for arguments, (words, fails) in SAYS.items():
        line = arguments.replace("2026-10-01T14", f"{hour:%Y-%m-%dT%H}")
        done = mine.run(*line.split(), fails=fails)
        assert words in done.stdout + done.stderr, line
        if arguments == "doctor":
            shutil.rmtree(added)


def test_the_document_of_the_readme_is_a_destination(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "meta_de").mkdir()
    (tmp_path / "meta_de" / "defs.yaml").write_text(block, "utf-8")
    (config,) = destinations.load(tmp_path)
    assert config.name == "meta_de"
    assert config.variables == {"access_token": "META_ACCESS_TOKEN"}


def test_the_pictures_are_there() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).stat().st_size > 10_000, path
