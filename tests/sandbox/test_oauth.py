"""Refreshing access tokens (RFC 6749, section 6), with and without rotation."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from capi_pipeline.sandbox import accounts
from capi_pipeline.sandbox.platforms import ENVIRONMENT
from capi_pipeline.sandbox.server import in_thread

from .conftest import Client, Clock
from .payloads import google_event, microsoft_row


def refresh(sandbox: Client, token: str) -> Any:
    return sandbox.microsoft_token(refresh_token=token)


def test_google_answers_as_documented(sandbox: Client) -> None:
    answer = sandbox.google_token()
    body = answer.json()
    assert answer.status_code == 200
    assert (body["expires_in"], body["token_type"]) == (3599, "Bearer")
    assert "refresh_token" not in body
    assert sandbox.google_token().json()["access_token"] != body["access_token"]


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"client_secret": "other"}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"refresh_token": "other"}, 400, "invalid_grant"),
        ({"refresh_token": None}, 400, "invalid_request"),
    ],
)
def test_refusals(sandbox: Client, form: dict[str, str | None], status: int, error: str) -> None:
    for answer in (sandbox.google_token(**form), sandbox.microsoft_token(**form)):
        assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_microsoft_needs_the_scope(sandbox: Client) -> None:
    assert sandbox.microsoft_token(scope="offline_access").json()["error"] == "invalid_scope"


def test_access_tokens_expire(sandbox: Client, clock: Clock) -> None:
    sandbox.google(google_event())
    sandbox.microsoft(microsoft_row())
    clock.forward(seconds=3598)
    assert sandbox.google(google_event()).status_code == 200
    clock.forward(seconds=2)
    assert sandbox.google(google_event()).status_code == 401
    assert sandbox.microsoft(microsoft_row()).json()["Errors"][0]["Code"] == 109
    sandbox.tokens.clear()
    assert sandbox.google(google_event()).status_code == 200


def test_lifetime_can_be_set(sandbox: Client, clock: Clock) -> None:
    sandbox.settings(access_token_seconds=60)
    assert sandbox.google_token().json()["expires_in"] == 60
    sandbox.google(google_event())
    clock.forward(seconds=61)
    assert sandbox.google(google_event()).status_code == 401


def test_each_refresh_brings_a_new_refresh_token(sandbox: Client) -> None:
    token = accounts.MICROSOFT_REFRESH_TOKEN
    for _ in range(5):
        rotated = refresh(sandbox, token).json()["refresh_token"]
        assert rotated != token
        token = rotated


def test_the_old_token_dies_when_the_new_one_is_used(sandbox: Client) -> None:
    first = accounts.MICROSOFT_REFRESH_TOKEN
    second = refresh(sandbox, first).json()["refresh_token"]
    assert refresh(sandbox, second).status_code == 200
    assert refresh(sandbox, first).json()["error"] == "invalid_grant"


def test_a_lost_rotation_is_survived_exactly_once(sandbox: Client) -> None:
    first = accounts.MICROSOFT_REFRESH_TOKEN
    refresh(sandbox, first)  # this answer gets lost in a crash
    again = refresh(sandbox, first)
    assert again.status_code == 200
    assert refresh(sandbox, first).json()["error"] == "invalid_grant"
    assert refresh(sandbox, again.json()["refresh_token"]).status_code == 200


def test_strict_rotation_forgives_nothing(sandbox: Client) -> None:
    sandbox.settings(strict_rotation=True)
    second = refresh(sandbox, accounts.MICROSOFT_REFRESH_TOKEN).json()["refresh_token"]
    assert refresh(sandbox, accounts.MICROSOFT_REFRESH_TOKEN).json()["error"] == "invalid_grant"
    assert refresh(sandbox, second).status_code == 200


def test_google_refresh_tokens_stay(sandbox: Client) -> None:
    sandbox.settings(strict_rotation=True)
    assert [sandbox.google_token().status_code for _ in range(3)] == [200, 200, 200]


def test_clearing_the_tokens_starts_afresh(sandbox: Client) -> None:
    sandbox.settings(strict_rotation=True)
    refresh(sandbox, accounts.MICROSOFT_REFRESH_TOKEN)
    sandbox.delete("tokens")
    assert refresh(sandbox, accounts.MICROSOFT_REFRESH_TOKEN).status_code == 200


def test_an_answer_that_is_lost_on_the_way_has_rotated_the_token(sandbox: Client) -> None:
    sandbox.fault("microsoft_offline", "truncated", path="token", times=1, stored=True)
    assert refresh(sandbox, accounts.MICROSOFT_REFRESH_TOKEN).text.endswith("}") is False
    assert refresh(sandbox, accounts.MICROSOFT_REFRESH_TOKEN).status_code == 200
    assert refresh(sandbox, accounts.MICROSOFT_REFRESH_TOKEN).json()["error"] == "invalid_grant"


def test_tokens_survive_a_restart_and_are_never_written_in_the_clear(tmp_path: Path) -> None:
    database = tmp_path / "sandbox.sqlite"
    with in_thread(database) as base:
        client = Client(base)
        body = refresh(client, accounts.MICROSOFT_REFRESH_TOKEN).json()
        client.meta({"event_name": "x"}, query={"access_token": accounts.META_ACCESS_TOKEN}, token="")
        client.http.close()
    with in_thread(database) as base:
        client = Client(base)
        assert refresh(client, body["refresh_token"]).status_code == 200
        assert refresh(client, accounts.MICROSOFT_REFRESH_TOKEN).json()["error"] == "invalid_grant"
        client.tokens["microsoft"] = body["access_token"]
        assert client.microsoft(microsoft_row()).status_code == 200
        client.http.close()
    connection = sqlite3.connect(database)
    dump = "\n".join(connection.iterdump())
    connection.close()
    for secret in (*body.values(), *ENVIRONMENT.values()):
        if isinstance(secret, str) and len(secret) > 10 and not secret.startswith("https:"):
            assert secret not in dump
