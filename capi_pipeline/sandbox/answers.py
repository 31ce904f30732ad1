"""How an answer leaves: as it is, or as an injected fault spoils it, down to the TCP connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from email.utils import format_datetime

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from capi_pipeline.sandbox.faults import Fault
from capi_pipeline.sandbox.platform import HTML_ERROR, Platform, Reply

CONNECTION = "capi_pipeline.sandbox.connection"  # where server.py leaves the connection's transport in the ASGI scope


def spoiled(reply: Reply, fault: Fault, platform: Platform, now: datetime, request: str = "") -> Reply:
    """The reply that a fault puts in the place of the real one. `request`: what an `echo` repeats."""
    parameters = fault.parameters
    match fault.kind:
        case "rate_limit":
            return with_retry_after(platform.rate_limited(parameters), fault, now)
        case "server_error":
            status = int(parameters["status"])
            page = Reply(HTML_ERROR, status, {}, "text/html")
            return with_retry_after(page if parameters["html"] else platform.server_error(status), fault, now)
        case "html":
            return Reply(HTML_ERROR, 200, {}, "text/html")
        case "echo":
            error = reply if reply.status >= 400 else platform.server_error(int(parameters["status"]))
            as_page = parameters["html"] or not isinstance(error.content, dict | list)
            content = (
                HTML_ERROR.replace("</body>", f"<pre>{request}</pre></body>")
                if as_page
                else said(error.content, request)
            )
            return Reply(content, error.status, error.headers, "text/html" if as_page else error.media_type)
        case "empty":
            return Reply(b"", 200, {}, reply.media_type)
        case "truncated":
            body = reply.body()
            return Reply(body[: max(len(body) // 2, 1)], reply.status, reply.headers, reply.media_type)
        case "wrong_content_type":
            return Reply(reply.content, reply.status, reply.headers, str(parameters["media_type"]))
        case "redirect":
            return Reply(b"", int(parameters["status"]), {"Location": str(parameters["location"])}, "text/plain")
    return reply


def said(content: object, words: str) -> object:
    """A JSON answer in which every sentence (a text with a blank) is `words`."""
    match content:
        case dict():
            return {key: said(value, words) for key, value in content.items()}
        case list():
            return [said(value, words) for value in content]
        case str():
            return words if " " in content else content
    return content


def with_retry_after(reply: Reply, fault: Fault, now: datetime) -> Reply:
    """Adds the header as the fault asks: seconds, a text as it is, or seconds written as an HTTP date."""
    after = fault.parameters["retry_after"]
    if after is None:
        return reply
    if fault.parameters["as_date"]:
        after = format_datetime(now + timedelta(seconds=float(after)), usegmt=True)
    return Reply(reply.content, reply.status, {**reply.headers, "Retry-After": str(after)}, reply.media_type)


def response(reply: Reply) -> Response:
    return Response(reply.body(), reply.status, dict(reply.headers), reply.media_type)


def dripping(reply: Reply, seconds: float, pieces: int = 10) -> Response:
    """The body in small pieces, spread over some seconds."""
    body = reply.body()
    size = max(-(-len(body) // pieces), 1)

    async def drip() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            await asyncio.sleep(seconds / pieces)
            yield body[start : start + size]

    headers = {**reply.headers, "Content-Length": str(len(body))}
    return StreamingResponse(drip(), reply.status, headers, reply.media_type)


class Reset(Response):
    """No answer at all: the client sees its connection reset without one byte of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope.get("extensions", {}).get(CONNECTION)
        if transport is None:
            raise ConnectionResetError("the sandbox cuts the connection")
        connection = transport.get_extra_info("socket")
        # Without lingering, closing sends a reset (RST) instead of an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class Late(Response):
    """The answer, after so many seconds; given up when the client has gone before."""

    def __init__(self, reply: Reply, seconds: float) -> None:
        super().__init__(reply.body(), reply.status, dict(reply.headers), reply.media_type)
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        waiting = asyncio.create_task(gone())
        done, _ = await asyncio.wait({waiting}, timeout=self._seconds)
        if not done:
            waiting.cancel()
            await super().__call__(scope, receive, send)
