"""Every command and every document of README.md, run as it stands there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from capi_pipeline import destinations
from tests.end_to_end.conftest import Installation

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(600)]

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
}
MAKE = {"demo": "$(BIN)/capi demo", "up": "$(BIN)/capi up", "test": "$(BIN)/pytest"}


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
