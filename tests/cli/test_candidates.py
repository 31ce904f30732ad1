"""`capi fuzzy-candidates`: what it says. What it finds is in tests/test_fuzzy.py."""

from __future__ import annotations

from tests.cli.command import Capi
from tests.test_fuzzy import with_splink, without_splink


@without_splink
def test_without_the_extra_it_says_how_to_install_it(capi: Capi) -> None:
    capi.mistake("fuzzy-candidates", names=["Splink", "not installed", "pip install", "[fuzzy]"])


@with_splink
def test_a_warehouse_without_the_models_is_said(own: Capi) -> None:
    own.mistake("fuzzy-candidates", names=["Persons cannot be read", "capi sync"])


def test_a_threshold_is_a_probability(capi: Capi) -> None:
    capi.mistake("fuzzy-candidates", "--threshold", "95", names=["--threshold"], code=2)


def test_help_has_an_example(capi: Capi) -> None:
    said = " ".join(capi("fuzzy-candidates", "--help").out.split())
    assert "capi fuzzy-candidates --threshold 0.95" in said
    assert "Merges nothing" in said
