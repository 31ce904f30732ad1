"""The one door to the network. Says of a failure whether the platform can have got the request."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import orjson
import requests
from oauthlib.oauth1 import Client as OAuth1Client
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from capi_pipeline.platforms.auth import OAuth1
from capi_pipeline.platforms.wire import Request, Response

LARGEST_ANSWER = 8 * 1024 * 1024
MOST_REDIRECTS = 5
_NO_CREDENTIALS = {"accept", "accept-encoding", "connection", "content-length", "content-type", "user-agent"}


class NotSent(Exception):
    """The request cannot have reached the platform (no connection): sending again is always safe."""


class Unanswered(Exception):
    """The request left, and no whole answer came: the platform may have the events."""


@dataclass(frozen=True)
class Exchange:
    """One request and its answer: body bytes sent, seconds until the whole answer was there."""

    response: Response
    bytes: int
    seconds: float


Send = Callable[[Request], Exchange]


class _NoAuth(AuthBase):
    """Keeps `requests` from taking credentials out of a .netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Signed(AuthBase):
    """Signs a request just before it leaves, so that every attempt has a time and a random word of its own."""

    def __init__(self, keys: OAuth1) -> None:
        self._keys = keys

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = signed(self._keys, str(request.method), str(request.url))
        return request


def signed(keys: OAuth1, method: str, url: str, nonce: str | None = None, timestamp: str | None = None) -> str:
    """The Authorization header of OAuth 1.0a (RFC 5849, HMAC-SHA1) for a request whose body is no form: such a body is not
    signed. `nonce` and `timestamp` (epoch seconds) are made anew unless given."""
    client = OAuth1Client(
        keys.consumer_key, keys.consumer_secret, keys.token, keys.token_secret, nonce=nonce, timestamp=timestamp
    )
    _, headers, _ = client.sign(url, method)  # type: ignore[arg-type]  # any method that HTTP has
    return str(headers["Authorization"])


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where a redirect leads, if it may be followed (see wire.Request); else it is the answer."""
        target: str | None = super().get_redirect_target(resp)
        if not target or resp.request.method == "GET":
            return target
        if resp.status_code not in (307, 308):  # would go on as a GET without the events, and its answer read as theirs
            return None
        there = urljoin(resp.url, target)
        host, downgraded = urlsplit(there).hostname, urlsplit(there).scheme != urlsplit(resp.url).scheme
        known = host in _Journey.here.current.redirect_hosts and not downgraded
        return target if known or not self.should_strip_auth(resp.url, there) else None  # type: ignore[no-untyped-call]

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """On a redirect: credentials stay with their host, and none are taken out of a .netrc file."""
        if self.should_strip_auth(response.request.url, prepared_request.url):  # type: ignore[no-untyped-call]
            for name in list(prepared_request.headers):
                if name.lower() not in _NO_CREDENTIALS:
                    del prepared_request.headers[name]


class _Journey:
    """One request under way in this thread: whether anything of it has left, and its end when its time is over."""

    here = threading.local()

    def __init__(self, seconds: float, redirect_hosts: tuple[str, ...] = ()) -> None:
        self.left = self.over = False
        self.redirect_hosts = redirect_hosts
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> _Journey:
        _Journey.here.current = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._socket = None
        _Journey.here.current = None

    def watch(self, connection: socket.socket | None) -> None:
        with self._lock:
            self._socket = connection
        if self.over:
            self._end()

    def _end(self) -> None:
        # A platform can hold a connection open by one byte a second; the socket's own time limit never fires then.
        with self._lock:
            self.over = True
            if self._socket is not None:
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # below TLS: wakes the thread that reads


class _Observed(HTTPConnection):
    """A connection that tells the journey of its thread how far it got."""

    def connect(self) -> None:
        journey = _Journey.here.current
        before = journey.left
        try:
            super().connect()
        finally:
            journey.left = before  # what a proxy is told is not the request

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _Journey.here.current.left = True
        _Journey.here.current.watch(self.sock)
        super().send(data)


class _ObservedTls(_Observed, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Observed


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _ObservedTls


_OAUTHLIB = ("oauthlib", "oauthlib.oauth1.rfc5849", "oauthlib.oauth1.rfc5849.signature")
_POOLS = {"http": _Pool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class Transport:
    """Pooled HTTP. `connect`, `read` and `total` are seconds; `total` also ends an answer that only drips, and lies below
    the 30 s that a process commonly has between SIGTERM and SIGKILL: what is in flight is recorded in time."""

    def __init__(self, connections: int = 8, connect: float = 5.0, read: float = 20.0, total: float = 25.0) -> None:
        # urllib3 logs addresses with their query, and some platforms take click ids there.
        # oauthlib logs what it signs, and with it the keys.
        for name in ("urllib3", "urllib3.connectionpool", *_OAUTHLIB):  # by name, each can have a level of its own
            logging.getLogger(name).setLevel(logging.ERROR)
        self._timeout, self._total = (connect, read), total
        self._session = _Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.max_redirects = MOST_REDIRECTS
        self._session.headers["User-Agent"] = "capi-pipeline"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(pool_connections=4, pool_maxsize=connections))

    def __call__(self, request: Request) -> Exchange:
        """Send one request. Raises NotSent or Unanswered; every HTTP status is an answer."""
        headers, data = dict(request.headers), None
        if request.json is not None:
            data = orjson.dumps(request.json)
            headers.setdefault("Content-Type", "application/json")
        elif request.form is not None:
            data = dict(request.form)  # type: ignore[assignment]
        files = request.multipart and {
            name: (part.get("filename", name), part["content"], part.get("content_type"))
            for name, part in request.multipart.items()
        }
        started = time.monotonic()
        with _Journey(self._total, request.redirect_hosts) as journey:
            try:
                answer = self._session.request(
                    request.method,
                    request.url,
                    params=dict(request.params) or None,
                    data=data,
                    files=files or None,
                    headers=headers,
                    timeout=self._timeout,
                    allow_redirects=request.follow_redirects,
                    auth=_Signed(request.oauth1) if request.oauth1 else _NoAuth(),
                    stream=True,
                )
            except (requests.exceptions.RequestException, HTTPError, OSError, ValueError) as error:
                if journey.left:
                    raise Unanswered(self._no_answer(error, journey)) from None
                raise NotSent(self._no_way(error)) from None
            with answer:
                body = self._body(answer, journey, started)
        sent = answer.request.body
        return Exchange(
            Response(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, body),
            len(sent) if isinstance(sent, bytes | str) else len(answer.request.path_url),
            time.monotonic() - started,
        )

    def _body(self, answer: requests.Response, journey: _Journey, started: float) -> bytes:
        parts, size = [], 0
        try:
            for part in answer.iter_content(65536):
                parts.append(part)
                size += len(part)
                if size > LARGEST_ANSWER:
                    break
        except (requests.exceptions.RequestException, HTTPError, OSError, AttributeError, ValueError):
            if not journey.over:
                raise Unanswered(f"the answer broke off after {size} bytes") from None
        if journey.over or size > LARGEST_ANSWER:
            raise Unanswered(f"the answer did not end ({size} bytes in {time.monotonic() - started:.0f} s)")
        return b"".join(parts)

    def _no_way(self, error: Exception) -> str:
        if isinstance(error, requests.exceptions.ConnectTimeout):
            return f"no connection within {self._timeout[0]:g} s"
        if isinstance(error, requests.exceptions.SSLError):
            return f"no trusted TLS connection ({_cause(error)})"
        if isinstance(error, requests.exceptions.ConnectionError):
            return f"no connection ({_cause(error)})"
        if isinstance(error, requests.exceptions.InvalidHeader | UnicodeError):
            return f"a header holds characters that may not stand there: check the secrets ({type(error).__name__})"
        return f"the address is not usable ({type(error).__name__})"

    def _no_answer(self, error: Exception, journey: _Journey) -> str:
        if journey.over:
            return f"no whole answer within {self._total:g} s"
        if isinstance(error, requests.exceptions.ReadTimeout):
            return f"no answer within {self._timeout[1]:g} s"
        if isinstance(error, requests.exceptions.ConnectionError):
            return f"the connection broke ({_cause(error)})"
        return f"no usable answer ({_cause(error)})"

    def close(self) -> None:
        self._session.close()


def _cause(error: BaseException) -> str:
    """The innermost cause by its class, never its text: texts of HTTP libraries hold addresses and bodies."""
    seen: BaseException = error
    while True:
        reason = getattr(seen, "reason", None)
        inner = next((cause for cause in (reason, *seen.args) if isinstance(cause, BaseException)), None)
        if inner is None:
            return type(seen).__name__
        seen = inner
