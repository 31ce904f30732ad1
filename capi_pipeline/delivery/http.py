"""The one door to the network. Says of a failure whether the platform can have got the request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy

import orjson
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import NewConnectionError

from capi_pipeline.platforms.base import Request, Response

LARGEST_ANSWER = 8 * 1024 * 1024


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


class Transport:
    """Pooled HTTP. `connect`, `read` and `total` are seconds; `total` also ends an answer that only drips."""

    def __init__(self, connections: int = 8, connect: float = 5.0, read: float = 30.0, total: float = 60.0) -> None:
        # At debug level urllib3 logs addresses with their query, and some platforms take click ids there.
        logging.getLogger("urllib3").setLevel(logging.INFO)
        self._timeout, self._total = (connect, read), total
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers["User-Agent"] = "capi-pipeline"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=connections))

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
                auth=_NoAuth(),
                stream=True,
            )
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
        ) as e:
            raise NotSent(f"the address is not usable ({type(e).__name__})") from None
        except requests.exceptions.ConnectTimeout:
            raise NotSent(f"no connection within {self._timeout[0]:g} s") from None
        except requests.exceptions.ReadTimeout:
            raise Unanswered(f"no answer within {self._timeout[1]:g} s") from None
        except requests.exceptions.SSLError as error:
            raise NotSent(f"no trusted TLS connection ({_cause(error)})") from None
        except requests.exceptions.ConnectionError as error:
            if _never_connected(error):
                raise NotSent(f"no connection ({_cause(error)})") from None
            raise Unanswered(f"the connection broke ({_cause(error)})") from None
        except requests.exceptions.RequestException as error:
            raise Unanswered(f"no usable answer ({_cause(error)})") from None
        with answer:
            body = self._body(answer, started)
        sent = answer.request.body
        return Exchange(
            Response(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, body),
            len(sent) if isinstance(sent, bytes | str) else len(answer.request.path_url),
            time.monotonic() - started,
        )

    def _body(self, answer: requests.Response, started: float) -> bytes:
        parts, size = [], 0
        # A platform can hold a connection open by one byte a second; the socket's own time limit never fires then.
        cut = threading.Timer(max(0.0, started + self._total - time.monotonic()), answer.close)
        cut.daemon = True
        cut.start()
        try:
            for part in answer.iter_content(65536):
                parts.append(part)
                size += len(part)
                if size > LARGEST_ANSWER or time.monotonic() - started > self._total:
                    raise Unanswered(f"the answer did not end ({size} bytes in {time.monotonic() - started:.0f} s)")
        except (requests.exceptions.RequestException, OSError, AttributeError, ValueError):
            raise Unanswered(f"the answer broke off after {size} bytes") from None
        finally:
            cut.cancel()
        return b"".join(parts)

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


def _never_connected(error: requests.exceptions.ConnectionError) -> bool:
    inner = error.args[0] if error.args else None
    return isinstance(getattr(inner, "reason", inner), NewConnectionError)
