"""The real sender against a sandbox of its own: an hour of purchases, delivered by a platform's document of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import requests

from capi_pipeline import steps
from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.transform import schema, transform
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.delivery.report import Report
from capi_pipeline.destinations import DestinationConfig, load
from capi_pipeline.platforms import all_recipes
from capi_pipeline.platforms import platform as platform_class
from capi_pipeline.rendering import to_batch
from capi_pipeline.sandbox.platforms import ENVIRONMENT
from capi_pipeline.settings import DESTINATIONS, Settings

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
DOCUMENTS = {config.platform: config for config in load(DESTINATIONS)}
CLICKS = sorted({parameter for name in DOCUMENTS for parameter in platform_class(name).click_ids})

COOKIES = {"fbp": "fb.1.1758000000000.1098115397", "ttp": "01ABCDEF_.tt.1", "ga_client_id": "1166987786.1684617844"}


def purchase(number: int) -> dict[str, Any]:
    """A purchase that every platform takes."""
    before = (HOUR - timedelta(hours=1)).isoformat()
    clicked = {name: {"value": f"{name}-{number}", "clicked_at": before} for name in CLICKS}
    clicked["ranSiteID"]["value"] = f"ranSiteID-{number}".ljust(34, "x")
    return {
        "event_id": f"order-{number:05d}", "event_name": "purchase", "event_time": HOUR + timedelta(seconds=number % 3600),
        "recorded_at": HOUR + timedelta(minutes=20), "action_source": "website", "source_url": "https://shop.example/thanks",
        "transaction_id": str(number), "value": "19.90", "currency": "EUR", "country": "US", "user_agent": "Mozilla/5.0",
        "ip_address": "192.0.2.7", "emails": [f"person{number}@example.com"], "phones": [f"+1415555{number:04d}"],
        "user_id": f"customer-{number}", "anonymous_id": f"browser-{number}", "click_ids": clicked, "browser_ids": COOKIES,
        "contents": [{"id": "SKU-1", "name": "Shoe", "category": "Shoes", "brand": "Acme", "quantity": 2, "price": 9.95}],
        "consent_ad_storage": "granted", "consent_ad_user_data": "granted",
    }  # fmt: skip


@dataclass
class Site:
    """A sandbox, and the hour's conversions staged."""

    address: str
    settings: Settings

    def deliver(self, platform: str, count: int, changes: tuple[tuple[str, Any], ...] = (), **account: str) -> Report:
        """One run of the platform's document, four requests at once. `changes`: of the purchases."""
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
        line = steps.Line(config, ledger, self.settings, ENVIRONMENT)
        store = steps.staging(self.settings)
        store.write(HOUR, schema(all_recipes()), iter([hashed(count, changes)]))
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
def hashed(count: int, changes: tuple[tuple[str, Any], ...]) -> Any:
    events = [{**purchase(number), **dict(changes)} for number in range(count)]
    return transform(to_batch(events), all_recipes(), ConsentPolicy())
