"""One sandbox over a real port for all tests of a run, emptied before each; its clock stands still until moved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from capi_pipeline.sandbox import accounts
from capi_pipeline.sandbox.server import in_thread
from capi_pipeline.sandbox.settings import Settings

from .payloads import NOW, google_destination


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class Client:
    """Sends to a sandbox as a good sender would; keyword arguments replace headers or parts of the envelope."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.http = requests.Session()
        self.tokens: dict[str, str] = {}

    # --- the sandbox itself ---

    def get(self, path: str, **query: str | int) -> Any:
        return self.http.get(f"{self.base}/_sandbox/{path}", params=query).json()

    def post(self, path: str, data: object) -> requests.Response:
        return self.http.post(f"{self.base}/_sandbox/{path}", json=data)

    def delete(self, path: str, **query: str | int) -> Any:
        return self.http.delete(f"{self.base}/_sandbox/{path}", params=query).json()

    def fault(self, platform: str, kind: str, **parameters: object) -> None:
        answer = self.post("faults", {"platform": platform, "kind": kind, **parameters})
        assert answer.status_code == 201, answer.text

    def settings(self, **changes: object) -> None:
        assert self.post("settings", changes).status_code == 200

    def counts(self, platform: str) -> dict[str, int]:
        counts: dict[str, int] = self.get("counts")[platform]
        return counts

    def outcomes(self, platform: str) -> list[str]:
        return [event["outcome"] for event in self.get("events", platform=platform)]

    def reset(self) -> None:
        self.tokens.clear()
        self.settings(**Settings().as_dict())
        for path in ("faults", "events", "tokens"):
            self.delete(path)

    # --- platforms ---

    def meta(self, *events: object, token: str = accounts.META_ACCESS_TOKEN, version: str = "v26.0",
             pixel: str = accounts.META_PIXEL_ID, query: dict[str, str] | None = None,
             **root: object) -> requests.Response:  # fmt: skip
        return self.http.post(
            f"{self.base}/meta/{version}/{pixel}/events",
            json={"data": list(events), **root},
            params=query,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )

    def tiktok(self, *events: object, token: str = accounts.TIKTOK_ACCESS_TOKEN, source: object = "web",
               source_id: object = accounts.TIKTOK_PIXEL_CODE, **root: object) -> requests.Response:  # fmt: skip
        return self.http.post(
            f"{self.base}/tiktok/open_api/v1.3/event/track/",
            json={"event_source": source, "event_source_id": source_id, "data": list(events), **root},
            headers={"Access-Token": token} if token else {},
        )

    def outbrain(self, query: dict[str, str]) -> requests.Response:
        return self.http.get(f"{self.base}/outbrain/unifiedPixel", params=query)

    def google_token(self, **form: str | None) -> requests.Response:
        return self.http.post(
            f"{self.base}/google_data_manager/token",
            data={
                "grant_type": "refresh_token",
                "client_id": accounts.GOOGLE_CLIENT_ID,
                "client_secret": accounts.GOOGLE_CLIENT_SECRET,
                "refresh_token": accounts.GOOGLE_REFRESH_TOKEN,
                **form,
            },
        )

    def google_headers(self) -> dict[str, str]:
        if "google" not in self.tokens:
            self.tokens["google"] = self.google_token().json()["access_token"]
        return {"Authorization": f"Bearer {self.tokens['google']}"}

    def google(self, *events: object, headers: dict[str, str] | None = None, **root: object) -> requests.Response:
        body = {"destinations": [google_destination()], "encoding": "HEX", "events": list(events), **root}
        return self.http.post(
            f"{self.base}/google_data_manager/v1/events:ingest",
            json={name: value for name, value in body.items() if value is not None},
            headers=self.google_headers() if headers is None else headers,
        )

    def google_status(self, request_id: str) -> requests.Response:
        return self.http.get(
            f"{self.base}/google_data_manager/v1/requestStatus:retrieve",
            params={"requestId": request_id},
            headers=self.google_headers(),
        )

    def microsoft_token(self, **form: str | None) -> requests.Response:
        return self.http.post(
            f"{self.base}/microsoft_offline/common/oauth2/v2.0/token",
            data={
                "grant_type": "refresh_token",
                "client_id": accounts.MICROSOFT_CLIENT_ID,
                "client_secret": accounts.MICROSOFT_CLIENT_SECRET,
                "refresh_token": accounts.MICROSOFT_REFRESH_TOKEN,
                "scope": "https://ads.microsoft.com/msads.manage offline_access",
                **form,
            },
        )

    def microsoft(self, *rows: object, adjust: bool = False, headers: dict[str, str | None] | None = None,
                  body: object = None) -> requests.Response:  # fmt: skip
        if "microsoft" not in self.tokens:
            self.tokens["microsoft"] = self.microsoft_token().json()["access_token"]
        name = "OfflineConversionAdjustments" if adjust else "OfflineConversions"
        return self.http.post(
            f"{self.base}/microsoft_offline/CampaignManagement/v13/{name}/Apply",
            json={name: list(rows)} if body is None else body,
            headers={
                "Authorization": f"Bearer {self.tokens['microsoft']}",
                "DeveloperToken": accounts.MICROSOFT_DEVELOPER_TOKEN,
                "CustomerId": accounts.MICROSOFT_CUSTOMER_ID,
                "CustomerAccountId": accounts.MICROSOFT_CUSTOMER_ACCOUNT_ID,
                **(headers or {}),
            },
        )

    def microsoft_codes(self, *rows: object, adjust: bool = False) -> dict[int, int]:
        """Error code by index."""
        answer = self.microsoft(*rows, adjust=adjust)
        assert answer.status_code == 200, answer.text
        return {error["Index"]: error["Code"] for error in answer.json()["PartialErrors"]}


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[tuple[Client, Clock]]:
    clock = Clock()
    with in_thread(clock=clock) as base:
        client = Client(base)
        yield client, clock
        client.http.close()


@pytest.fixture
def clock(running_sandbox: tuple[Client, Clock]) -> Clock:
    clock = running_sandbox[1]
    clock.now = NOW
    return clock


@pytest.fixture
def sandbox(running_sandbox: tuple[Client, Clock], clock: Clock) -> Client:
    client = running_sandbox[0]
    client.reset()
    return client
