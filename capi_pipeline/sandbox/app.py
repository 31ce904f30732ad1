"""The sandbox as one Starlette app: each platform under its slug, faults in between, inspection under /_sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from capi_pipeline.sandbox import answers, inspection
from capi_pipeline.sandbox.faults import COMPOSED, Fault, Faults
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Spoiled
from capi_pipeline.sandbox.platforms import PLATFORMS
from capi_pipeline.sandbox.settings import Settings
from capi_pipeline.sandbox.store import Store

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Sandbox:
    """Everything that the platforms share: store, faults, settings and the clock."""

    def __init__(self, database: Path | None, clock: Clock) -> None:
        self.platforms: Sequence[Platform] = tuple(platform() for platform in PLATFORMS)
        self.store = Store(database)
        self.faults = Faults([platform.slug for platform in self.platforms])
        self.settings = Settings().changed(self.store.settings())
        self._clock = clock

    def now(self) -> datetime:
        return self._clock() + timedelta(seconds=self.settings.clock_offset)

    def change_settings(self, changes: dict[str, object]) -> Settings:
        self.settings = self.settings.changed(changes)
        for name in changes:
            self.store.set_setting(name, self.settings.as_dict()[name])
        return self.settings

    def handle(
        self, platform: Platform, endpoint: Endpoint, call: Call, faults: Sequence[Fault], address: str
    ) -> Reply:
        """Lets the platform answer a call and logs it; a fault that spoils the answer may undo what was stored."""
        spoiler = next((fault for fault in faults if fault.kind not in COMPOSED), None)
        with self.store.transaction():
            try:
                with self.store.transaction():
                    reply = endpoint.answer(call)
                    if spoiler is not None and not spoiler.stored:
                        raise Refused(reply)
            except Refused as refused:
                reply = refused.reply
                call.rejected = refused.rejected
            if spoiler is not None:
                reply = answers.spoiled(reply, spoiler, platform, call.now, written(endpoint.method, address, call))
            status = 0 if spoiler is not None and spoiler.kind.startswith("reset") else reply.status
            names = " ".join(fault.kind for fault in faults)
            self.store.log(
                platform.slug, call.now, endpoint.method, endpoint.path, status, call.events, call.rejected, names
            )
        return reply

    def route(self, platform: Platform, endpoint: Endpoint) -> Route:
        async def answer(request: Request) -> Response:
            body = await request.body()
            query = request.url.query
            faults = self.faults.striking(platform.slug, endpoint.kind, request.url.path, body, query)
            for fault in faults:
                if fault.kind == "latency":
                    await asyncio.sleep(fault.parameters["seconds"])
            call = Call(
                platform.slug,
                request.path_params,
                request.headers,
                request.query_params,
                body,
                self.now(),
                self.store,
                self.settings,
            )
            spoil(call, faults)
            return leaving(self.handle(platform, endpoint, call, faults, str(request.url)), faults)

        return Route(endpoint.path, answer, methods=[endpoint.method])

    def routes(self) -> list[BaseRoute]:
        return [
            Mount(
                f"/{platform.slug}",
                # A missing trailing slash is a wrong path, as it is at the platforms.
                Router([self.route(platform, endpoint) for endpoint in platform.endpoints()], redirect_slashes=False),
            )
            for platform in self.platforms
        ]


def spoil(call: Call, faults: Sequence[Fault]) -> None:
    """Tells the platform which events and tokens an injected fault has made bad."""
    marks = {
        kind: [Spoiled((fault.match or "").encode(), fault.parameters) for fault in faults if fault.kind == kind]
        for kind in ("reject_event", "bad_verdict")
    }
    call.refusals, call.verdicts = marks["reject_event"], marks["bad_verdict"]
    for fault in faults:
        if fault.kind == "revoked_token":
            call.token_fault = "revoked"
        elif fault.kind == "expired_token":
            call.token_fault = call.token_fault or "expired"
            call.expired_up_to = max(call.expired_up_to, fault.tokens_up_to)


def written(method: str, address: str, call: Call) -> str:
    """A request as text: what an error answer that echoes it holds."""
    headers = "\n".join(f"{name}: {value}" for name, value in call.headers.items())
    return f"{method} {address}\n{headers}\n\n{call.body.decode('utf-8', 'replace')}"


def leaving(reply: Reply, faults: Sequence[Fault]) -> Response:
    """The reply as it goes onto the wire."""
    for fault in faults:
        match fault.kind:
            case "reset_before" | "reset_after":
                return answers.Reset()
            case "timeout_after":
                return answers.Late(reply, fault.parameters["seconds"])
    for fault in faults:
        if fault.kind == "slow_drip":
            return answers.dripping(reply, fault.parameters["seconds"])
    return answers.response(reply)


def create_app(database: Path | None = None, clock: Clock | None = None) -> Starlette:
    """The sandbox with its state in `database`, or in memory. `clock` gives the time in UTC."""
    sandbox = Sandbox(database, clock or utc_now)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        sandbox.store.close()

    return Starlette(routes=[*sandbox.routes(), *inspection.routes(sandbox)], lifespan=lifespan)
