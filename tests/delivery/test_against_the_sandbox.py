"""The real sender against the sandbox of each platform, many batches at once: what a refusal costs in requests."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests

from capi_pipeline import steps
from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.transform import schema, transform
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.delivery.report import Report
from capi_pipeline.destinations import DestinationConfig, load
from capi_pipeline.errors import AuthenticationError
from capi_pipeline.platforms import NAMES, all_recipes
from capi_pipeline.platforms.base import State
from capi_pipeline.rendering import to_batch
from capi_pipeline.sandbox import accounts, server
from capi_pipeline.settings import DESTINATIONS, Settings

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
MANY = 4500  # three requests and more, of the platform with the largest ones
CLICKS = ("gclid", "fbclid", "ttclid", "msclkid", "obclid")
DOCUMENTS = {config.platform: config for config in load(DESTINATIONS)}
WRONG: dict[str, dict[str, str]] = {  # an account that the sandbox does not have
    "google_data_manager": {"operating_account_id": "1111111111"},
    "meta": {"pixel_id": "999999999999999"},
    "microsoft_offline": {"customer_account_id": "1111111"},
    "tiktok": {"pixel_code": "CWRONGPIXEL000000000"},
}


def purchase(number: int) -> dict[str, Any]:
    """A purchase that every platform takes."""
    clicked = {name: {"value": f"{name}-{number}", "clicked_at": HOUR.isoformat()} for name in CLICKS}
    return {
        "event_id": f"order-{number:05d}", "event_name": "purchase", "event_time": HOUR + timedelta(seconds=number % 3600),
        "recorded_at": HOUR + timedelta(minutes=20), "action_source": "website", "source_url": "https://shop.example/thanks",
        "transaction_id": str(number), "value": "19.90", "currency": "EUR", "country": "US", "user_agent": "Mozilla/5.0",
        "ip_address": "192.0.2.7", "emails": [f"person{number}@example.com"], "click_ids": clicked,
        "consent_ad_storage": "granted", "consent_ad_user_data": "granted",
    }  # fmt: skip


@dataclass
class Site:
    """A sandbox, and the hour's conversions staged."""

    address: str
    settings: Settings

    def deliver(self, platform: str, count: int, **account: str) -> Report:
        """One run of the platform's document, four requests at once."""
        document = DOCUMENTS[platform]
        config = DestinationConfig.model_validate(
            {
                **document.model_dump(),
                "account": {**document.account, **account},
                "base_url": f"{self.address}/{platform}",
                "concurrency": 4,
            }
        )
        ledger = Ledger.open(self.settings.require("ledger_url"))
        line = steps.Line(config, ledger, self.settings, accounts.ENVIRONMENT)
        store = steps.staging(self.settings)
        store.write(HOUR, schema(all_recipes()), iter([hashed(count)]))
        try:
            return line.deliver(HOUR, "run")
        finally:
            line.send.close()
            ledger.engine.dispose()

    def asked(self, platform: str) -> list[dict[str, Any]]:
        """Requests with events that reached this platform."""
        found = requests.get(f"{self.address}/_sandbox/requests", {"platform": platform, "limit": 9999}, timeout=10)
        return [row for row in found.json() if "token" not in row["path"]]

    def fault(self, platform: str, kind: str, **given: Any) -> None:
        body = {"platform": platform, "kind": kind, **given}
        assert requests.post(f"{self.address}/_sandbox/faults", json=body, timeout=10).status_code == 201


@cache
def hashed(count: int) -> Any:
    return transform(to_batch([purchase(number) for number in range(count)]), all_recipes(), ConsentPolicy())


@pytest.fixture
def site(ledger_url: str, tmp_path: Path) -> Iterator[Site]:
    with server.in_thread() as address:
        yield Site(address, Settings(ledger_url=ledger_url, home=tmp_path, patience=5))


def test_everything_goes_where_nothing_is_wrong(site: Site) -> None:
    for platform in NAMES:
        report = site.deliver(platform, 20)
        assert report.count(State.ACCEPTED, State.PENDING) == 20, (platform, report.outcomes)


REFUSALS = (
    [(name, "revoked") for name in WRONG] + [(name, "wrong account") for name in WRONG] + [("outbrain", "blocked")]
)


@pytest.mark.parametrize(("platform", "refusal"), REFUSALS)
def test_a_refused_account_costs_one_request_a_run_and_names_what_to_renew(
    site: Site, platform: str, refusal: str
) -> None:
    account = WRONG[platform] if refusal == "wrong account" else {}
    if refusal == "revoked":
        site.fault(platform, "revoked_token")
    elif refusal == "blocked":  # it has no credentials: what it can refuse is our address
        site.fault(platform, "server_error", status=403)
    for run in (1, 2):
        begun = time.monotonic()
        report = site.deliver(platform, MANY, **account)
        assert time.monotonic() - begun < 10
        assert len(site.asked(platform)) <= run
        assert isinstance(report.error, AuthenticationError)
        if refusal == "blocked" or (platform, refusal) == ("meta", "wrong account"):
            assert "`account` of this destination" in report.error.remedy
        else:
            for variable in DOCUMENTS[platform].variables.values():
                assert variable in report.error.remedy
        assert report.unfinished + report.count(State.WITHHELD) > 0
        assert report.count(State.ACCEPTED, State.PENDING, State.REJECTED, State.HELD) == 0
    assert requests.get(f"{site.address}/_sandbox/counts", timeout=10).json()[platform]["accepted"] == 0


@pytest.mark.parametrize("poison", [0, 499, 999], ids=["first", "middle", "last"])
def test_one_bad_event_of_a_thousand_is_found_in_few_requests(site: Site, poison: int) -> None:
    """Meta refuses the whole request and names no event: halving needs two requests for each halving."""
    site.fault("meta", "reject_event", match=f"order-{poison:05d}")
    report = site.deliver("meta", 1000)
    assert (report.count(State.ACCEPTED), report.count(State.REJECTED)) == (999, 1)
    extra = len(site.asked("meta")) - 1
    assert math.log2(1000) < extra <= 2 * math.ceil(math.log2(1000)) + 1
    counts = requests.get(f"{site.address}/_sandbox/counts", timeout=10).json()["meta"]
    assert (counts["accepted"], counts["duplicates"]) == (999, 0)
    again = len(site.asked("meta"))
    assert site.deliver("meta", 1000).count(State.ACCEPTED) == 999
    assert len(site.asked("meta")) == again
