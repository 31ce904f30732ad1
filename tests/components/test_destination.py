"""One destination as Dagster sees it: asset, checks, metadata, failures; real Dagster, ledger, staging and HTTP."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing.utils import create_defs_folder_sandbox

from capi_pipeline.components import Destination
from capi_pipeline.components.destination import destination_defs
from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.transform import schema, transform
from capi_pipeline.delivery_log import DeliveryLog
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.platforms import all_recipes
from capi_pipeline.rendering import to_batch
from capi_pipeline.settings import settings
from capi_pipeline.steps import key_of, staging
from capi_pipeline.warehouse import Warehouse
from tests import table

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
TOKEN = "meta-token-of-the-test"


class Platform:
    """A server that answers the POSTs with `first`, one each, then with `answer`, and keeps the bodies."""

    def __init__(self) -> None:
        self.first: list[tuple[int, Any]] = []
        self.answer: tuple[int, Any] = (200, None)
        self.bodies: list[Any] = []
        platform = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                platform.bodies.append(body)
                status, answer = platform.first.pop(0) if platform.first else platform.answer
                if answer is None:
                    answer = {"events_received": len(body["data"]), "messages": [], "fbtrace_id": "T1"}
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def events(self) -> list[str]:
        return [event["event_id"] for body in self.bodies for event in body["data"]]


@pytest.fixture
def platform() -> Iterator[Platform]:
    made = Platform()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ledger_url: str) -> None:
    for name, value in {
        "CAPI_HOME": str(tmp_path),
        "CAPI_LEDGER_URL": ledger_url,
        "CAPI_PATIENCE": "0",
        "CAPI_STEP_RETRIES": "0",
        "META_ACCESS_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)


def stage(count: int, **changes: Any) -> None:
    """`count` purchases, hashed, in staging."""
    events = [
        {
            "event_id": f"e{number}", "event_name": "purchase", "event_time": HOUR + timedelta(minutes=5),
            "recorded_at": HOUR + timedelta(minutes=20), "action_source": "website", "source_url": "https://shop.example/",
            "user_agent": "Mozilla/5.0 (test)", "value": "10.00", "currency": "EUR", "country": "DE",
            "emails": ["jane.doe@example.com"], "consent_ad_storage": "granted", "consent_ad_user_data": "granted",
            **changes,
        }
        for number in range(count)
    ]  # fmt: skip
    recipes = all_recipes()
    staging(settings()).write(HOUR, schema(recipes), [transform(to_batch(events), recipes, ConsentPolicy())])


def document(url: str, **changes: Any) -> DestinationConfig:
    account = {"pixel_id": "123456789012345", "access_token": {"env": "META_ACCESS_TOKEN"}}
    return DestinationConfig.model_validate(
        {"name": "meta", "platform": "meta", "account": account, "base_url": url, **changes}
    )


def materialize(config: DestinationConfig, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = dg.Definitions.merge(destination_defs(config)).resolve_job_def(f"destination_{config.name}")
    return job.execute_in_process(instance=instance, partition_key=key_of(HOUR), raise_on_error=False)


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.get_asset_materialization_events()
    return {key: value.value for key, value in event.materialization.metadata.items()}


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def why(result: dg.ExecuteInProcessResult) -> dg.Failure | Any:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data.user_failure_data


def test_an_hour_arrives_with_numbers_that_the_ui_plots(platform: Platform, instance: dg.DagsterInstance) -> None:
    stage(3)
    result = materialize(document(platform.url), instance)
    assert result.success
    metadata = metadata_of(result)
    assert {k: metadata[k] for k in ("rows", "accepted", "rejected", "withheld", "retry", "requests")} == {
        "rows": 3, "accepted": 3, "rejected": 0, "withheld": 0, "retry": 0, "requests": 1,
    }  # fmt: skip
    assert {"request_seconds_p50", "request_seconds_p95", "lag_minutes_p50", "lag_minutes_p95"} <= metadata.keys()
    assert metadata["bytes_sent"] > 100
    assert all(check.passed and check.partition == key_of(HOUR) for check in checks_of(result).values())
    assert set(checks_of(result)) == {
        "reconciliation", "rejected_share", "nothing_held", "match_quality", "pixel_deduplication",
    }  # fmt: skip


def test_the_example_payload_shows_the_shape_and_no_identifier(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    stage(1)
    example = metadata_of(materialize(document(platform.url), instance))["example_payload_redacted"]
    assert example["event_name"] == "Purchase"
    assert example["user_data"]["em"] == [platform.bodies[0]["data"][0]["user_data"]["em"][0][:6] + "…"]
    assert example["user_data"]["client_user_agent"] == "***"


def test_a_rerun_sends_nothing_again(platform: Platform, instance: dg.DagsterInstance) -> None:
    stage(3)
    for _ in range(2):
        assert materialize(document(platform.url), instance).success
    assert platform.events() == ["e0", "e1", "e2"]


def test_a_platform_that_is_down_fails_the_partition_with_the_reason(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    stage(2)
    platform.answer = (503, {"error": {"code": 2, "message": "Service temporarily unavailable", "is_transient": True}})
    result = materialize(document(platform.url), instance)
    assert not result.success
    assert not result.get_asset_materialization_events()  # a materialisation would make the partition green
    words = why(result).description
    assert "does not take requests: Service temporarily unavailable" in words
    assert "Rerun this partition" in words
    assert "2 left to send" in words
    assert why(result).metadata["retry"].value == 2
    (error,) = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    assert "Exceeded max_retries" not in error.message
    assert checks_of(result)["reconciliation"].passed
    platform.answer = (200, None)
    assert materialize(document(platform.url), instance).success
    assert platform.events()[-2:] == ["e0", "e1"]


def test_a_passing_failure_is_repeated_by_dagster_and_then_succeeds(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPI_STEP_RETRIES", "1")
    monkeypatch.setenv("CAPI_STEP_RETRY_DELAY", "0")
    stage(2)
    platform.first = [(503, {})]
    result = materialize(document(platform.url), instance)
    assert result.success
    assert [event for event in result.all_events if event.is_step_up_for_retry]


def test_a_refused_token_names_its_variable_and_is_not_repeated(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPI_STEP_RETRIES", "5")
    stage(2)
    platform.answer = (400, {"error": {"code": 190, "message": f"Invalid token {TOKEN}"}})
    result = materialize(document(platform.url), instance)
    assert "Renew META_ACCESS_TOKEN" in why(result).description
    assert TOKEN not in str(result.all_events)
    assert len(platform.bodies) == 1


def test_rejected_conversions_leave_the_partition_green_with_a_failing_check(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    stage(1)
    platform.answer = (400, {"error": {"code": 100, "error_subcode": 2804050, "message": "Invalid parameter"}})
    result = materialize(document(platform.url), instance)
    assert result.success
    check = checks_of(result)["rejected_share"]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    (row,) = metadata_of(result)["rejections"].records
    assert row.data == {"code": "100/2804050", "platform_says": "Invalid parameter", "events": 1}


def test_withheld_conversions_are_counted_by_reason(platform: Platform, instance: dg.DagsterInstance) -> None:
    stage(2, consent_ad_user_data="denied")
    result = materialize(document(platform.url), instance)
    assert result.success
    assert metadata_of(result)["withheld_consent_denied"] == 2
    assert not platform.bodies


def test_an_unset_secret_sends_nothing_and_says_which(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("META_ACCESS_TOKEN")
    stage(1)
    result = materialize(document(platform.url), instance)
    assert "META_ACCESS_TOKEN" in why(result).description
    assert not platform.bodies


def test_an_hour_that_was_never_hashed_says_what_to_materialise(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    result = materialize(document(platform.url), instance)
    assert "Materialise `hashed_conversions`" in why(result).description


@pytest.mark.filterwarnings("ignore")
def test_the_component_keeps_account_ids_as_they_are_written() -> None:
    attributes = {
        "platform": "meta",
        "account": {"pixel_id": "123456789012345", "access_token": {"env": "META_ACCESS_TOKEN"}},
        "base_url": "http://127.0.0.1:1",
    }
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=Destination,
            defs_path="germany",
            defs_yaml_contents={"type": "capi_pipeline.components.Destination", "attributes": attributes},
        )
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, defs):
            assert isinstance(component, Destination)
            assert component.account["pixel_id"] == "123456789012345"
            assert defs.resolve_asset_graph().has(dg.AssetKey(["destinations", "germany"]))


# --- match quality, pixel, delivery log -------------------------------------------------------------------------------


def test_match_quality_is_plotted_before_and_after_identity_resolution(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    stage(4, phones=["+4915112345678"], enriched=["phones"])
    metadata = metadata_of(materialize(document(platform.url), instance))
    assert metadata["match_quality"] > metadata["match_quality_before"] > 0
    assert metadata["coverage_emails"] == metadata["coverage_phones"] == metadata["fresh_share"] == 1
    assert metadata["coverage_click_id"] == metadata["click_id_share"] == metadata["two_strong_share"] == 0
    assert "| phone | 0% | 100% | `████████████████████` |" in metadata["identifiers"]
    assert "| click id | 4 of 4 | +" in metadata["missing_identifiers"].splitlines()[2]
    assert metadata["minutes_total_p95"] >= metadata["minutes_delivery_p50"] > 0


def test_a_rerun_says_the_same_of_match_quality(platform: Platform, instance: dg.DagsterInstance) -> None:
    stage(3)
    first, again = (metadata_of(materialize(document(platform.url), instance)) for _ in range(2))
    assert len(platform.bodies) == 1
    assert again["match_quality"] == first["match_quality"]
    assert again["identifiers"] == first["identifiers"]


@pytest.mark.parametrize(
    ("least", "passed", "severity"), [(None, True, "WARN"), (9.5, False, "ERROR"), (0, True, "ERROR")]
)
def test_the_document_says_which_match_quality_is_enough(
    platform: Platform, instance: dg.DagsterInstance, least: float | None, passed: bool, severity: str
) -> None:
    stage(1)
    result = materialize(document(platform.url, min_match_quality=least), instance)
    check = checks_of(result)["match_quality"]
    assert result.success
    assert (check.passed, check.severity.value) == (passed, severity)
    assert "Most would add: click id" in (check.description or "")


def test_an_hour_without_conversions_has_no_match_quality(platform: Platform, instance: dg.DagsterInstance) -> None:
    stage(0)
    result = materialize(document(platform.url), instance)
    assert checks_of(result)["match_quality"].passed
    assert "match_quality" not in metadata_of(result)


AGREEMENT = """create schema delivery;
    create table delivery.pixel_agreement (recorded_at timestamptz, pixel text, event_name text,
    server_events bigint, agreed bigint, pixel_events bigint, pixel_only bigint, other_ids bigint, examples jsonb);
    insert into delivery.pixel_agreement values ('{hour}', 'meta', 'purchase', 10, 7, 9, 2, {others}, '{examples}'),
    ('{hour}', 'google', 'purchase', 10, 1, 9, 9, 9, null), ('2020-01-01', 'meta', 'purchase', 5, 0, 5, 5, 5, null)"""


@pytest.mark.parametrize(
    ("others", "wanted", "passed", "words"),
    [(0, 0.5, True, "7 of 10"), (0, 0.8, False, "70% of the 10"), (1, 0.0, False, "under another id")],
)
def test_pixel_and_server_are_held_against_each_other(
    platform: Platform,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    warehouse_url: str,
    others: int,
    wanted: float,
    passed: bool,
    words: str,
) -> None:
    examples = '[{"pixel": "ORDER-1", "server": "order-1"}]' if others else "[]"
    table.sql(
        warehouse_url, AGREEMENT.format(hour=HOUR.isoformat(), others=others, examples=examples).replace(":", r"\:")
    )
    monkeypatch.setenv("CAPI_WAREHOUSE_URL", warehouse_url)
    stage(1)
    check = checks_of(materialize(document(platform.url, min_pixel_agreement=wanted), instance))["pixel_deduplication"]
    assert check.passed == passed
    assert words in (check.description or "")
    if others:
        assert "| `ORDER-1` | `order-1` |" in check.metadata["examples"].value


def test_what_became_of_the_hour_stands_in_the_warehouse_once(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, warehouse_url: str
) -> None:
    monkeypatch.setenv("CAPI_WAREHOUSE_URL", warehouse_url)
    stage(3)
    for _ in range(2):
        assert materialize(document(platform.url, events=["purchase"]), instance).success
    log = DeliveryLog(Warehouse(warehouse_url, "marts.conversions"))
    outcomes, measures = log.read(HOUR, HOUR + timedelta(hours=1))
    assert [(row["destination"], row["state"], row["events"]) for row in outcomes] == [("meta", "accepted", 3)]
    found = {row["measure"]: row["value"] for row in measures if row["identifier"] is None}
    assert found["judged"] == 3
    assert found["score"] == found["score_before"] > 5
    assert found["total_p50"] > found["landing_p50"] == 15 * 60
    covered = {row["identifier"]: row["value"] for row in measures if row["measure"] == "covered"}
    assert (covered["emails"], covered["phones"]) == (3, 0)
    assert "jane.doe" not in str(outcomes + measures)


def test_a_warehouse_that_cannot_be_written_costs_no_delivery(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPI_WAREHOUSE_URL", "postgresql+psycopg2://nobody@127.0.0.1:1/nowhere")
    stage(2)
    assert materialize(document(platform.url), instance).success
    assert len(platform.events()) == 2
