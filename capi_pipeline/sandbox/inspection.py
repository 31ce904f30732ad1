"""Looking into the sandbox and steering it: /_sandbox/* and the page at /."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from capi_pipeline.sandbox.faults import Faults
from capi_pipeline.sandbox.platform import Platform
from capi_pipeline.sandbox.settings import Settings
from capi_pipeline.sandbox.store import Store

FILTERS = ("platform", "account", "event_name", "event_id", "identity", "outcome", "request_id")
COUNTS = ("requests", "accepted", "duplicates", "adjustments", "double_counted", "ignored", "rejected")
LIMIT = 100_000


class Steerable(Protocol):
    """What this module needs of the sandbox."""

    platforms: Sequence[Platform]
    store: Store
    faults: Faults
    settings: Settings

    def now(self) -> datetime: ...
    def change_settings(self, changes: dict[str, object]) -> Settings: ...


def as_json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def page_of(request: Request) -> tuple[int, int]:
    """`limit` and `offset` of a list; ValueError when they are no numbers."""
    limit = int(request.query_params.get("limit", 100))
    offset = int(request.query_params.get("offset", 0))
    if not 0 <= limit <= LIMIT or offset < 0:
        raise ValueError(f"limit must lie between 0 and {LIMIT}, offset must not be negative")
    return limit, offset


class Inspection:
    """Handlers of /_sandbox/*; each answers JSON, and 400 with `error` when it is asked something it cannot do."""

    def __init__(self, sandbox: Steerable) -> None:
        self.sandbox = sandbox

    def counts(self) -> dict[str, dict[str, int]]:
        found = self.sandbox.store.counts()
        return {
            platform.slug: {name: found.get(platform.slug, {}).get(name) or 0 for name in COUNTS}
            for platform in self.sandbox.platforms
        }

    async def get_health(self, request: Request) -> Response:
        return as_json({"status": "ok", "now": self.sandbox.now().isoformat(), "pid": os.getpid()})

    async def get_counts(self, request: Request) -> Response:
        return as_json(self.counts())

    async def get_events(self, request: Request) -> Response:
        filters = {name: request.query_params[name] for name in FILTERS if name in request.query_params}
        try:
            limit, offset = page_of(request)
        except ValueError as error:
            return as_json({"error": str(error)}, 400)
        return as_json(self.sandbox.store.events(filters, limit, offset))

    async def delete_events(self, request: Request) -> Response:
        with self.sandbox.store.transaction():
            self.sandbox.store.clear_events()
        return as_json({"cleared": True})

    async def get_requests(self, request: Request) -> Response:
        try:
            limit, offset = page_of(request)
        except ValueError as error:
            return as_json({"error": str(error)}, 400)
        return as_json(self.sandbox.store.requests(request.query_params.get("platform"), limit, offset))

    async def get_faults(self, request: Request) -> Response:
        return as_json(self.sandbox.faults.all())

    async def post_faults(self, request: Request) -> Response:
        try:
            fault = self.sandbox.faults.add(await self._object(request), self.sandbox.store.last_token())
        except ValueError as error:
            return as_json({"error": str(error)}, 400)
        return as_json(fault.as_dict(), 201)

    async def delete_faults(self, request: Request) -> Response:
        number = request.query_params.get("id")
        if number is not None and not number.isdigit():
            return as_json({"error": "id must be a number"}, 400)
        cleared = self.sandbox.faults.clear(
            request.query_params.get("platform"), None if number is None else int(number)
        )
        return as_json({"cleared": cleared})

    async def get_settings(self, request: Request) -> Response:
        return as_json(self.sandbox.settings.as_dict())

    async def post_settings(self, request: Request) -> Response:
        try:
            settings = self.sandbox.change_settings(await self._object(request))
        except ValueError as error:
            return as_json({"error": str(error)}, 400)
        return as_json(settings.as_dict())

    async def delete_tokens(self, request: Request) -> Response:
        with self.sandbox.store.transaction():
            self.sandbox.store.clear_tokens()
        return as_json({"cleared": True})

    async def elsewhere(self, request: Request) -> Response:
        return HTMLResponse("<!DOCTYPE html><title>Elsewhere</title><p>This is not the API.</p>")

    async def index(self, request: Request) -> Response:
        return HTMLResponse(index_page(self.sandbox.platforms, self.counts(), self.sandbox.now()))

    async def _object(self, request: Request) -> dict[str, Any]:
        try:
            value = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            raise ValueError("the body must be JSON") from error
        if not isinstance(value, dict):
            raise ValueError("the body must be a JSON object")
        return value


def routes(sandbox: Steerable) -> list[BaseRoute]:
    inspection = Inspection(sandbox)
    return [
        Route("/", inspection.index),
        Route("/_sandbox/health", inspection.get_health),
        Route("/_sandbox/counts", inspection.get_counts),
        Route("/_sandbox/events", inspection.get_events, methods=["GET"]),
        Route("/_sandbox/events", inspection.delete_events, methods=["DELETE"]),
        Route("/_sandbox/requests", inspection.get_requests),
        Route("/_sandbox/faults", inspection.get_faults, methods=["GET"]),
        Route("/_sandbox/faults", inspection.post_faults, methods=["POST"]),
        Route("/_sandbox/faults", inspection.delete_faults, methods=["DELETE"]),
        Route("/_sandbox/settings", inspection.get_settings, methods=["GET"]),
        Route("/_sandbox/settings", inspection.post_settings, methods=["POST"]),
        Route("/_sandbox/tokens", inspection.delete_tokens, methods=["DELETE"]),
        Route("/_sandbox/elsewhere", inspection.elsewhere, methods=["GET", "POST"]),
    ]


STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{padding:.35rem .6rem;border-bottom:1px solid #ddd;text-align:right}"
    "th:first-child,td:first-child{text-align:left}td{font-variant-numeric:tabular-nums}"
    ".bad{color:#b00020;font-weight:600}"
)


def index_page(platforms: Sequence[Platform], counts: Mapping[str, Mapping[str, int]], now: datetime) -> str:
    """The page at /: one table, and where to look further."""

    def row(platform: Platform) -> str:
        numbers = counts[platform.slug]
        cells = "".join(
            f'<td class="bad">{numbers[name]}</td>'
            if name == "double_counted" and numbers[name]
            else f"<td>{numbers[name]}</td>"
            for name in COUNTS
        )
        link = f'<a href="/_sandbox/events?platform={platform.slug}">{escape(platform.title)}</a>'
        return f"<tr><td>{link}</td>{cells}</tr>"

    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in COUNTS)
    links = " · ".join(
        f'<a href="/_sandbox/{name}">{name}</a>'
        for name in ("events", "requests", "counts", "faults", "settings", "health")
    )
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Sandbox</title>'
        f"<style>{STYLE}</style></head><body><h1>Sandbox of the ad platforms</h1>"
        f"<p>What the stand-ins have received until {now:%Y-%m-%d %H:%M:%S} UTC. <em>Accepted</em> conversions are "
        "counted; <em>duplicates</em> were recognised and dropped; <em>double counted</em> ones were not.</p>"
        f"<table><thead><tr><th>platform</th>{head}</tr></thead><tbody>{''.join(map(row, platforms))}</tbody></table>"
        f"<p>{links}</p></body></html>"
    )
