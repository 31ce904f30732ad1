"""Documented answers, damaged: by one to three of the ways in which servers, gateways and wires get answers wrong.

Every choice comes from the given `random.Random`, so an answer is known again by its seed.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from capi_pipeline.platforms.wire import Response

Damage = Callable[[random.Random, Response, Sequence[Response]], Response]

SECRETS = ("access-token-1234", "jane.doe@example.com", "86e0b9e5" * 8)  # must never be read in what is kept
WORDS = ("", " ", "0", "1", "-1", "2", "OK", "SUCCESS", "FAILED", "PARTIAL_SUCCESS", "PROCESSING", "INVALID_ARGUMENT", "²", "١",
         "\x00", "\ud800", "a\nb", "Ä", "9" * 5000, "x" * 3000, "Batch.1.x Batch.9.x", "Batch.0.x: no", "data[-1] data[0]",
         "events[0].x", "events[9].x", "events[-1].x", "destinations[0]", f"no user {SECRETS[1]}, bearer {SECRETS[0]}",
         f"digest {SECRETS[2]} of {SECRETS[1]}", "invalid_grant", "server_error", "reduce the amount of data",
         "PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID")  # fmt: skip
NUMBERS = (0, 1, 2, 3, 4, 5, -1, True, False, 0.0, 1.0, 2.0, 1.5, -2, 10**9, 2**63, 10**400, 1e308, float("nan"), float("inf"),
           float("-inf"), 33, 100, 190, 200, 201, 613, 5604, 5612, 5613, 20001, 40001, 40002, 40100, 50000)  # fmt: skip
STATUSES = (-1, 0, 100, 101, 103, 200, 201, 202, 203, 204, 205, 206, 207, 226, 299, 300, 301, 302, 303, 304, 307, 308, 400, 401,
            403, 404, 405, 408, 409, 410, 413, 414, 418, 421, 422, 425, 429, 451, 499, 500, 501, 502, 503, 504, 520, 599, 600,
            999)  # fmt: skip
WAITS = ("0", "1", "-1", "-99999999999", "3600", "99999999999999999999", "1e9", "1.5", "NaN", "", " ", "soon", "60, 120", "60;60",
         "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2359",
         "Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00", "Mon, 99 Foo 2026", "²", "9" * 400)  # fmt: skip
USAGES = ('{"1": [{"estimated_time_to_regain_access": 7}]}', '{"1": [{"estimated_time_to_regain_access": 1e400}]}',
          '{"1": [{"estimated_time_to_regain_access": "NaN"}]}', '{"1": [{"estimated_time_to_regain_access": -5}]}', "{}", "[]",
          '{"1": 5}', '{"1": [{}]}', "[" * 5000, '{"1": [{"estimated_time_to_regain_access": 999999999}]}')  # fmt: skip
TYPES = ("application/json", "text/html", "application/json; charset=utf-16", "image/gif", "", "multipart/mixed", "x" * 9000,
         "text/javascript; charset=UTF-8")  # fmt: skip
TWICE = "\x01"  # ends a name that is to stand twice in its object


def value(rng: random.Random, depth: int = 2) -> Any:
    """Some JSON."""
    kind = rng.randrange(10)
    if kind < 3:
        return rng.choice(NUMBERS)
    if kind < 7 or not depth:
        return rng.choice(WORDS) if kind < 6 else rng.choice((None, True, False))
    if kind == 7:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    names = ("error", "code", "Code", "Index", "reason", "recordCount", "field", "message", "x")
    return {rng.choice(names): value(rng, depth - 1) for _ in range(rng.randrange(4))}


def paths(document: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every member."""
    members = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    found: list[tuple[Any, ...]] = []
    for key, member in members:
        found += [(*prefix, key), *paths(member, (*prefix, key))]
    return found


def changed(rng: random.Random, old: Any) -> Any:
    """Another value in the place of this one."""
    if isinstance(old, int | float) and rng.random() < 0.5:
        return rng.choice((old + 1, old - 1, -old, str(old), f"{old}.0", f" {old}", [old], old * 10**9, old != 0))
    if isinstance(old, str) and rng.random() < 0.4:
        digits = int(old) if old.isdecimal() and old.isascii() and len(old) < 20 else None
        return rng.choice(
            (old + " ", old.upper(), old[:-1], [old], {"value": old}, old.encode("utf-8", "replace").hex(), digits)
        )
    if isinstance(old, list) and rng.random() < 0.6:
        more = [rng.choice(old) if old else value(rng, 1) for _ in range(rng.randrange(1, 7))]
        return rng.choice((old + more, more, old[1:], old[::-1], dict(enumerate(map(str, old))), [old]))
    return rng.choice((value(rng), None, [old], {"x": old}))


def member(rng: random.Random, response: Response, others: Sequence[Response]) -> Response:
    """One member is gone, renamed, repeated or another; or members of another documented answer stand beside them."""
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return response
    found = paths(document)
    if not found or rng.random() < 0.06:
        return written(rng, response, value(rng))
    *way, key = rng.choice(found)
    holder = document
    for step in way:
        holder = holder[step]
    kind = rng.randrange(10)
    if isinstance(holder, list):
        if kind < 3:
            holder.insert(key, holder[key])
        elif kind < 5:
            del holder[key]
        else:
            holder[key] = changed(rng, holder[key])
    elif kind == 0:
        del holder[key]
    elif kind == 1:
        holder[rng.choice((key.upper(), key + "s", key[:-1], "_" + key, ""))] = holder.pop(key)
    elif kind == 2:
        first, second = holder[key], changed(rng, holder[key])
        holder[key], holder[key + TWICE] = (first, second) if rng.random() < 0.5 else (second, first)
    elif kind == 3:
        try:
            other = json.loads(rng.choice(others).body)
        except (ValueError, RecursionError):
            other = {}
        if isinstance(other, dict) and isinstance(document, dict):
            document = {**other, **document} if rng.random() < 0.5 else {**document, **other}
    else:
        holder[key] = changed(rng, holder[key])
    return written(rng, response, document)


def written(rng: random.Random, response: Response, document: Any) -> Response:
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, None, 2)))
    text = text.replace(json.dumps(TWICE)[1:-1], "")
    return Response(response.status, response.headers, text.encode("utf-8", "surrogatepass"))


def raw(rng: random.Random, response: Response, others: Sequence[Response]) -> Response:
    """The body's bytes are cut, mixed, wrapped or in another encoding."""
    body, size = response.body, len(response.body)
    here, there = sorted((rng.randint(0, size), rng.randint(0, size)))
    kind = rng.randrange(18)
    if kind == 0:
        body = body[:there]
    elif kind == 1:
        body = body[here:]
    elif kind == 2:
        body = body[:here] + rng.randbytes(rng.randint(1, 8)) + body[here:]
    elif kind == 3:
        body = body[:here] + body[there:]
    elif kind == 4:
        body = body[:there] + body[here:]
    elif kind == 5 and size:
        flipped = bytearray(body)
        flipped[here % size] ^= 1 << rng.randrange(8)
        body = bytes(flipped)
    elif kind == 6:
        text = body.decode("utf-8", "replace")
        body = text.encode(
            rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-7", "utf-8-sig"))
        )
    elif kind == 7:
        body = body.replace(b"}", '"é": "\xfc"}'.encode("latin-1"), 1)
    elif kind == 8:
        body = b"<html><body><pre>" + body + b"</pre></body></html>"
    elif kind == 9:
        body = b""
    elif kind == 10:
        body = rng.choice((b")]}',\n", b"\r\n\r\n", b"\x00", b"callback(", b"\xef\xbb\xbf\xef\xbb\xbf")) + body
    elif kind == 11:
        body += rng.choice((b"\n", b"\x00", b",", b"}", b";", b"null", rng.choice(others).body))
    elif kind == 12:
        depth = rng.choice((3, 40, 400, 3000) if rng.random() < 0.99 else (100_000,))
        opened, closed = rng.choice(
            ((b"[", b"]"), (b'{"a":', b"}"), (b'{"error":', b"}"), (b'{"PartialErrors":[', b"]}"))
        )
        body = opened * depth + (body or b"0") + closed * depth
    elif kind == 13:
        body = gzip.compress(body, 1, mtime=0)
    elif kind == 14:
        body = rng.choice(others).body
    elif kind == 15:
        body = rng.randbytes(rng.randint(0, 40))
    elif kind == 16:
        depth = rng.choice((5, 300, 900, 2000))
        body = body.replace(b":", b":" + b"[" * depth + b"0" + b"]" * depth + b',"z":', 1)
    else:
        body = rng.choice((b"null", b"true", b"0", b'"OK"', b"[]", b"{}", b"NaN", b'{"": {}}', b"9" * 5000))
    return Response(response.status, response.headers, body)


def status(rng: random.Random, response: Response, others: Sequence[Response]) -> Response:
    """The status of another answer."""
    return Response(rng.choice(STATUSES), response.headers, response.body)


def header(rng: random.Random, response: Response, others: Sequence[Response]) -> Response:
    """A header is odd, or none is left."""
    if rng.random() < 0.1:
        return Response(response.status, {}, response.body)
    odd = rng.choice((
        {"retry-after": rng.choice(WAITS)},
        {"retry-after": rng.choice(WAITS), "date": rng.choice(WAITS)},
        {"content-type": rng.choice(TYPES)},
        {"x-business-use-case-usage": rng.choice(USAGES)},
        {"trackingid": rng.choice(WORDS)},
    ))  # fmt: skip
    return Response(response.status, {**response.headers, **odd}, response.body)


DAMAGES: tuple[Damage, ...] = (member, member, member, member, raw, raw, status, header)


def damaged(rng: random.Random, response: Response, others: Sequence[Response]) -> Response:
    """The answer after one to three mishaps (now and then none)."""
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 2, 3))):
        with suppress(RecursionError):  # it is nested too deep by now to be damaged further
            response = rng.choice(DAMAGES)(rng, response, others)
    return response
