"""Whatever arrives, a platform answers; it never breaks."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.conversion import conversions
from capi_pipeline.conversions.transform import transform
from capi_pipeline.delivery.http import Transport
from capi_pipeline.platforms import NAMES
from capi_pipeline.platforms.wire import Request
from capi_pipeline.rendering import to_batch
from capi_pipeline.sandbox.platforms import ENVIRONMENT
from tests.delivery.site import DOCUMENTS, purchase

from .conftest import Client, Clock
from .payloads import meta_event, microsoft_adjustment

TRIES = 60  # odd values for each platform
TOKEN_PATHS = {name: [kind.oauth.path] for name in NAMES if (kind := DOCUMENTS[name].resolve(ENVIRONMENT)).oauth}
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**18, 2**64 - 1, 1e300, "", "x", "0" * 64, "é" * 100, "\x00", [], {}, [None], [[]],
    {"a": None}, [{}], "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+23:59",
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


def spoiled(event: Any, path: tuple[Any, ...], value: Any) -> Any:
    result = copy.deepcopy(event)
    target = result
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return result


def odd_cases(document: Any, tries: int = TRIES) -> list[tuple[tuple[Any, ...], Any]]:
    cases = [(path, value) for path in places(document) for value in ODD]
    return random.Random(1).sample(cases, min(len(cases), tries))


def good_request(name: str, base: str, send: Transport) -> Request:
    """What the connector sends of a purchase, with a token if it needs one."""
    config = DOCUMENTS[name].model_copy(update={"base_url": f"{base}/{name}"})
    platform, now = config.resolve(ENVIRONMENT), datetime.now(UTC)
    hashed = transform(to_batch([purchase(1)]), platform.recipes(), ConsentPolicy())
    (conversion,) = conversions(hashed)
    payload, token = platform.prepare(conversion, now), platform.token()
    if platform.oauth and not token:
        grant = platform.grant()
        form = {"grant_type": "refresh_token", "client_id": grant.client_id, "refresh_token": grant.refresh_token}
        form |= {"client_secret": grant.client_secret or "", "scope": platform.oauth.scope or ""}
        asked = Request(
            "POST", platform.url(platform.oauth.path), form={key: value for key, value in form.items() if value}
        )
        token = send(asked).response.json()["access_token"]
    return platform.authorize(platform.request([payload], platform.group(conversion)), token)


def odd_requests(good: Request) -> Iterator[tuple[Any, Request]]:
    """The request with one odd value in its body, or in the parameters of one that has none."""
    part = (
        "json"
        if good.json is not None
        else "form"
        if good.form is not None
        else "multipart"
        if good.multipart
        else "params"
    )
    document = dict(getattr(good, part)) if part != "json" else good.json
    for path, value in odd_cases(document):
        if part == "json":
            yield (path, value), replace(good, json=spoiled(document, path, value))
        elif part == "multipart":
            file = next(iter(document))
            text = document[file]["content"]
            at = random.Random(repr((path, value))).randrange(len(text))
            yield (
                (at, value),
                replace(good, multipart={file: {**document[file], "content": f"{text[:at]}{value}{text[at:]}"}}),
            )
        else:
            yield (path, value), replace(good, **{part: spoiled(document, path, str(value))})


@pytest.mark.parametrize("name", NAMES)
def test_odd_values_anywhere(sandbox: Client, clock: Clock, name: str) -> None:
    clock.now = datetime.now(UTC)
    send = Transport()
    good = good_request(name, sandbox.base, send)
    assert send(good).response.status < 400  # else the odd ones would be refused for something else
    for odd, request in odd_requests(good):
        assert send(request).response.status < 500, odd
    send.close()


@pytest.mark.parametrize(
    ("event", "send"),
    [
        (
            meta_event() | {"data_processing_options": ["LDU"], "app_data": {"extinfo": []}, "action_source": "app"},
            lambda sandbox, event: sandbox.meta(event),
        ),
        (microsoft_adjustment(), lambda sandbox, event: sandbox.microsoft(event, adjust=True)),
    ],
    ids=["meta app", "microsoft adjustment"],
)
def test_odd_values_in_other_events(
    sandbox: Client, event: dict[str, Any], send: Callable[[Client, dict[str, Any]], requests.Response]
) -> None:
    for path, value in odd_cases(event, 150):
        answer = send(sandbox, spoiled(event, path, value))
        assert answer.status_code < 500, (path, value, answer.text)
        assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("name", NAMES)
def test_odd_bodies(sandbox: Client, clock: Clock, name: str) -> None:
    """Of what takes a body; and of the token endpoint, which is a part of some."""
    clock.now = datetime.now(UTC)
    send = Transport()
    good = good_request(name, sandbox.base, send)
    send.close()
    for body in (b"", b"null", b"[]", b"7", b'"x"', b"\xff\xfe", b"{", b'{"data":', b"{}"):
        answer = sandbox.http.request(
            good.method, good.url, params=dict(good.params), data=body, headers=dict(good.headers)
        )
        assert answer.status_code < 500, body
        for path in TOKEN_PATHS.get(name, ()):
            assert sandbox.http.post(f"{sandbox.base}/{name}{path}", data=body).status_code < 500, body
