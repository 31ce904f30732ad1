"""Pages that are made from the code are what the code makes; and the README names only what exists."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from capi_pipeline.cli import app
from capi_pipeline.destinations import documents
from capi_pipeline.platforms import NAMES
from capi_pipeline.reference import PAGES, pages
from capi_pipeline.reference.platforms import BEGIN, END
from capi_pipeline.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
TEXTS = {path: path.read_text("utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]}
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
ELSEWHERE = {
    "CAPI_DBT_HOST",
    "CAPI_DBT_PORT",
    "CAPI_DBT_USER",
    "CAPI_DBT_PASSWORD",
    "CAPI_DBT_DATABASE",
}  # profiles.yml


MADE = pages(ROOT / "docs")


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
def test_a_page_is_not_stale(path: Path) -> None:
    assert path.read_text("utf-8") == MADE[path], "run: python -m capi_pipeline.reference docs"


@pytest.mark.parametrize("name", NAMES)
def test_a_platform_has_a_page_that_says_how_to_get_its_credentials(name: str) -> None:
    text = (ROOT / "docs" / "destinations" / f"{name}.md").read_text("utf-8")
    hand = text.split(BEGIN)[1].split(END)[0]
    assert hand.startswith("## Get the credentials\n")
    assert "## Good to know\n" in hand
    assert len(hand) > 500


def test_there_is_no_page_without_a_platform() -> None:
    assert {path.stem for path in (ROOT / "docs" / "destinations").glob("*")} == set(NAMES)


def test_every_setting_and_every_account_key_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
    assert "| required |  |" not in PAGES["destinations.md"]()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def commands() -> list[list[str]]:
    """Every command line in a code block or in backticks of README and docs."""
    lines = [line for text in TEXTS.values() for block in blocks(text, "sh") for line in block.splitlines()]
    lines += [code for text in TEXTS.values() for code in re.findall(r"`((?:capi|make) [^`]+)`", text)]
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_the_readme_has_commands_at_all() -> None:
    assert len(commands()) > 10
    assert {words[0] for words in commands()} >= {"make", ".venv/bin/capi", "export"}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_in_the_documentation_exists(words: list[str]) -> None:
    tool, *arguments = words
    if tool == "make":
        assert set(arguments) <= TARGETS
    elif tool == "export":
        assert arguments[0].split("=")[0].removeprefix("CAPI_").lower() in Settings.model_fields
    elif tool in ("capi", ".venv/bin/capi"):
        parse(arguments)
    else:
        assert words[:3] == ["python", "-m", "capi_pipeline.reference"], words


def parse(arguments: list[str]) -> None:
    """Let Typer parse the whole line, but run nothing."""
    command, name = get_command(app), "capi"
    while (known := getattr(command, "commands", None)) and arguments and not arguments[0].startswith("-"):
        name, *arguments = arguments
        assert name in known, f"capi has no command `{name}`"
        command = known[name]
    command.make_context(name, arguments)


def test_every_environment_variable_in_the_documentation_is_a_setting() -> None:
    known = {f"CAPI_{name.upper()}" for name in Settings.model_fields} | ELSEWHERE
    for path, text in TEXTS.items():
        assert set(re.findall(r"\bCAPI_[A-Z_]+[A-Z]", text)) <= known, path


def test_every_path_and_page_in_the_readme_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    pages = [link for link in links if not link.endswith(".png")]
    assert len(pages) > 3
    for link in pages:
        assert (ROOT / link).exists(), link
    for folder in re.findall(r"`((?:capi_pipeline|dbt_project|docs)/[^`<]*)", README):
        assert (ROOT / folder).exists(), folder


def test_the_document_in_the_readme_is_one(tmp_path: Path) -> None:
    (block,) = blocks(README, "yaml")
    path = tmp_path / "meta" / "defs.yaml"
    path.parent.mkdir()
    path.write_text(block)
    (config,) = documents(path)
    assert config.variables == {"access_token": "META_ACCESS_TOKEN"}
    assert config.resolve({**os.environ, "META_ACCESS_TOKEN": "x"}).name == "meta"
