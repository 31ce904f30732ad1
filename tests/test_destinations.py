"""Documents of destinations: what they may say, and that no mistake in one is silent."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from capi_pipeline.destinations import DestinationConfig, Filter, load
from capi_pipeline.errors import ConfigurationError
from capi_pipeline.platforms import NAMES
from capi_pipeline.platforms.outcomes import Reason
from capi_pipeline.settings import DESTINATIONS

HEAD = "type: capi_pipeline.components.Destination\nattributes:\n"
META = HEAD + "  platform: meta\n  account: {pixel_id: '0123', access_token: {env: META_TOKEN}}\n"


def write(folder: Path, text: str | bytes, name: str = "meta") -> Path:
    path = folder / name / "defs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def one(folder: Path, text: str) -> DestinationConfig:
    write(folder, text)
    (config,) = load(folder)
    return config


def test_the_shipped_documents_load() -> None:
    assert [config.name for config in load(DESTINATIONS)] == list(NAMES)


def test_the_folders_name_is_the_destinations_name_unless_it_says_another(tmp_path: Path) -> None:
    assert one(tmp_path, META).name == "meta"
    assert one(tmp_path, META + "  name: meta_de\n").name == "meta_de"


def test_several_documents_may_stand_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(f"{META}  name: b\n---\n{META}  name: a\n---\n")
    assert [config.name for config in load(tmp_path)] == ["a", "b"]


def test_values_stay_as_they_are_written(tmp_path: Path) -> None:
    names = "{purchase: 1_000, sign_up: 0123, generate_lead: 1e3, custom: yes, page_view: 2026-01-01, search: 0x1F}"
    config = one(tmp_path, f"{HEAD}  platform: outbrain\n  account:\n    event_names: {names}\n")
    assert config.account["event_names"] == {
        "purchase": "1_000", "sign_up": "0123", "generate_lead": "1e3", "custom": "yes", "page_view": "2026-01-01",
        "search": "0x1F",
    }  # fmt: skip
    config = one(tmp_path, META + "  filter: {country: [NO]}\n  max_rejected_share: 0.1\n  concurrency: 2\n")
    assert config.filter is not None
    assert config.filter.country == ["NO"]
    assert (config.max_rejected_share, config.concurrency) == (0.1, 2)


# --- mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[str, list[str]]] = {
    "unknown platform": (META.replace("platform: meta", "platform: facebook"), ["`facebook`", "Known platforms", "meta"]),
    "platform missing": (META.replace("  platform: meta\n", ""), ["platform: Field required"]),
    "account missing": (HEAD + "  platform: meta\n", ["account: Field required"]),
    "account key missing": (META.replace("pixel_id: '0123', ", ""), ["account.pixel_id", "Field required"]),
    "unknown account key": (META.replace("pixel_id", "pixel"), ["account.pixel:", "Known keys", "pixel_id"]),
    "unknown key": (META + "  event: [purchase]\n", ["event: Extra inputs"]),
    "lost indent": (META + "events: [purchase]\n", ["events: no such key beside", "under `attributes:`"]),
    "secret in the file": (
        META.replace("{env: META_TOKEN}", "geheim"),
        ["account.access_token", "may not stand in a file", "{env: META_ACCESS_TOKEN}"],
    ),
    "secret as the variable's name": (
        META.replace("META_TOKEN", "geheim-EAAB.x"),
        ["account.access_token", "not the name of an environment variable"],
    ),
    "variable without a name": (META.replace("{env: META_TOKEN}", "{env: }"), ["account.access_token", "not the name"]),
    "variable as a list": (META.replace("META_TOKEN", "[A]"), ["account.access_token", "not the name"]),
    "wrong account value": (META.replace("'0123'", "abc"), ["account.pixel_id", "pattern"]),
    "base_url in the account": (META.replace("{pixel", "{base_url: http://x, pixel"), ["account.base_url", "no such key"]),
    "key twice": (META.replace("pixel_id: '0123'", "pixel_id: '1', pixel_id: '2'"), ["line 4", "`pixel_id` stands twice"]),
    "not YAML": (META + "  events: [purchase\n", ["line", "not YAML"]),
    "a tab": (META + "\tevents: [purchase]\n", ["not YAML"]),
    "a list as a key": (META + "  ? [a, b]\n  : c\n", ["not YAML", "unhashable"]),
    "not a destination": ("hello: world\n", ["`type: capi_pipeline.components.Destination`"]),
    "a list": ("- a\n", ["`attributes:`"]),
    "unknown event": (META + "  events: [buy]\n", ["events:", "buy", "canonical names are", "purchase"]),
    "no events": (META + "  events: []\n", ["events:", "at least 1"]),
    "events as text": (META + "  events: purchase\n", ["events:", "list"]),
    "unknown country": (META + "  filter: {country: [UK]}\n", ["filter.country", "UK", "GB"]),
    "unknown source": (META + "  filter: {action_source: [web]}\n", ["filter.action_source", "web", "website"]),
    "unknown customer": (META + "  filter: {customer_type: [old]}\n", ["filter.customer_type"]),
    "unknown currency": (META + "  filter: {currency: [euro]}\n", ["filter.currency"]),
    "unknown filter": (META + "  filter: {countries: [DE]}\n", ["filter.countries", "Extra inputs"]),
    "no number": (META + "  filter: {min_value: .nan}\n", ["filter.min_value"]),
    "wrong name": (META + "  name: Meta DE\n", ["name:", "pattern"]),
    "no address": (META + "  base_url: graph.example\n", ["base_url: Value error, not an address such as https://"]),
    "address with a password": (META + "  base_url: https://me:geheim@proxy.example\n", ["base_url: "]),
    "address with a port that is none": (META + "  base_url: http://127.0.0.1:99999/meta\n", ["base_url: "]),
    "unknown policy": (META + "  on_unknown: guess\n", ["on_unknown:", "'auto', 'hold' or 'resend'"]),
    "share above one": (META + "  max_rejected_share: 5\n", ["max_rejected_share:", "less than or equal to 1"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_file_key_and_remedy_and_without_values_of_secrets(tmp_path: Path, name: str) -> None:
    text, words = MISTAKES[name]
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path)
    assert str(path) in error.value.message
    assert error.value.remedy
    for word in words:
        assert word in str(error.value), str(error.value)
    assert "geheim" not in str(error.value)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = write(tmp_path, "# Stra\xdfe\n".encode("latin-1") + META.encode())
    with pytest.raises(ConfigurationError, match="not UTF-8") as error:
        load(tmp_path)
    assert str(path) in error.value.message


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "meta" / "defs.yaml").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"defs\.yaml"):
        load(tmp_path)


def test_two_destinations_of_one_name_are_both_named(tmp_path: Path) -> None:
    first, second = write(tmp_path, META, "a"), write(tmp_path, META + "  name: a\n", "b")
    with pytest.raises(ConfigurationError, match="already taken") as error:
        load(tmp_path)
    assert str(first) in error.value.message
    assert str(second) in error.value.message
    assert "another `name`" in error.value.remedy


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no folder") as error:
        load(tmp_path / "nowhere")
    assert "CAPI_DESTINATIONS" in error.value.remedy


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_are_read_from_the_environment_of_the_run(tmp_path: Path) -> None:
    config = one(tmp_path, META + "  base_url: http://127.0.0.1:8765/meta\n")
    platform = config.resolve({"META_TOKEN": "geheim"})
    assert platform.token() == "geheim"
    assert platform.config.pixel_id == "0123"
    assert platform.url("/x") == "http://127.0.0.1:8765/meta/x"
    assert "geheim" not in repr(platform.config)


@pytest.mark.parametrize("environment", [{}, {"META_TOKEN": ""}])
def test_a_variable_that_is_not_set_is_named_with_destination_and_key(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError) as error:
        one(tmp_path, META).resolve(environment)
    for word in ("`meta`", "META_TOKEN", "account.access_token"):
        assert word in error.value.message
    assert "Nothing was sent" in error.value.remedy


def test_a_variable_with_a_wrong_value_is_told_by_key_and_not_shown(tmp_path: Path) -> None:
    config = one(tmp_path, META.replace("'0123'", "{env: PIXEL}"))
    with pytest.raises(ConfigurationError, match="pixel_id") as error:
        config.resolve({"META_TOKEN": "x", "PIXEL": "geheim"})
    assert "geheim" not in str(error.value)


def test_names_and_values_may_come_from_the_environment_as_a_json_object(tmp_path: Path) -> None:
    config = one(tmp_path, HEAD + "  platform: outbrain\n  account: {event_names: {env: NAMES}}\n")
    assert config.resolve({"NAMES": '{"purchase": "Sale"}'}).config.event_names == {"purchase": "Sale"}
    for wrong in ("purchase", "[1]"):
        with pytest.raises(ConfigurationError, match="event_names"):
            config.resolve({"NAMES": wrong})


# --- what is sent -----------------------------------------------------------------------------------------------------


def sale(**changes: Any) -> Any:
    known = {"event_name": "purchase", "country": "DE", "action_source": "website", "currency": "EUR",
             "customer_type": "new", "custom_event_name": None, "value": 10}  # fmt: skip
    return SimpleNamespace(**{**known, **changes})


def config_of(**changes: Any) -> DestinationConfig:
    return DestinationConfig(name="meta", platform="meta", account={}, **changes)


def test_events_that_are_not_listed_are_not_sent() -> None:
    config = config_of(events=["purchase"])
    assert config.select(sale()) is None
    assert config.select(sale(event_name="refund")) is Reason.NOT_SELECTED
    assert config_of().select(sale(event_name="refund")) is None


@pytest.mark.parametrize(
    ("lines", "kept", "left_out"),
    [
        ({"country": ["DE", "AT"]}, {}, {"country": "US"}),
        ({"country": ["DE"]}, {}, {"country": None}),
        ({"action_source": ["website"]}, {}, {"action_source": "app"}),
        ({"currency": ["EUR"]}, {}, {"currency": None}),
        ({"customer_type": ["new"]}, {}, {"customer_type": "returning"}),
        ({"custom_event_name": ["Demo"]}, {"custom_event_name": "Demo"}, {}),
        ({"min_value": 10}, {}, {"value": 9.99}),
        ({"min_value": 0}, {"value": 0}, {"value": None}),
        ({"country": ["DE"], "min_value": 5}, {}, {"value": 4}),
    ],
)
def test_a_filter_keeps_what_matches_every_line(
    lines: dict[str, Any], kept: dict[str, Any], left_out: dict[str, Any]
) -> None:
    config = config_of(filter=Filter(**lines))
    assert config.select(sale(**kept)) is None
    assert config.select(sale(**left_out)) is Reason.FILTERED
