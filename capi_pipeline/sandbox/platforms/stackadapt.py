"""StackAdapt server-side pixel: the hits of StackAdapt's own destination at Segment and of its tag template at Google."""

from __future__ import annotations

import secrets
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply
from capi_pipeline.sandbox.store import NEVER, Event

PIXEL_ID: Final = "sqQHa3Ob1hFi__2EcYYVZg1"
CONVERSION_ID: Final = "9Kx2conversionEXAMPLE"
FLAGS: Final = ("segment_ss", "gtm_ss")
PIXEL: Final = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


class StackAdapt(Platform):
    """One GET per event, no authentication, no timestamp and no deduplication: what is sent twice counts twice.

    A pixel or conversion that does not exist is answered like a good one (recorded as `unknown_pixel`, not counted).
    """

    slug = "stackadapt"
    title = "StackAdapt server-side pixel"
    documentation = "https://docs.stackadapt.com"

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("GET", "/saq_pxl", self.pixel), Endpoint("GET", "/conv", self.conversion)]

    def pixel(self, call: Call) -> Reply:
        return self.hit(call, "uid", PIXEL_ID)

    def conversion(self, call: Call) -> Reply:
        return self.hit(call, "cid", CONVERSION_ID)

    def hit(self, call: Call, key: str, known: str) -> Reply:
        call.events = 1
        query = dict(call.query)
        arguments = arguments_of(query.get("args", ""))
        if not valid(query, key) or not valid_arguments(arguments) or not same_person(call):
            raise Refused(empty(400), rejected=1)
        hit = {**query, "args": arguments}
        status = call.refusal(hit, 400)
        if status is not None:
            raise Refused(empty(int(status)), rejected=1)
        order, name = arguments.get("order_id"), arguments["action"]
        call.record(
            [
                Event(
                    account=query[key],
                    # without an order nothing in a hit says that it is the same as another
                    identity="\x1f".join(
                        (name, str(order or secrets.token_hex(8)), query.get("url", ""), query["ip_fwd"])
                    ),
                    name=name,
                    id=order,
                    payload=hit,
                    window=NEVER,
                    outcome=None if query[key] == known else "unknown_pixel",
                    value=arguments.get("revenue"),
                )
            ]
        )
        return Reply(PIXEL, media_type="image/gif")

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return empty(parameters.get("status") or 429)


def empty(status: int) -> Reply:
    return Reply(b"", status, media_type="text/plain")


def arguments_of(text: str) -> dict[str, Any]:
    """The JSON text of `args`; {} for anything else."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def valid(query: Mapping[str, str], key: str) -> bool:
    return (
        any(query.get(flag) == "1" for flag in FLAGS)
        and bool(query.get(key) and query.get("ua_fwd"))
        and rules.is_ip_address(query.get("ip_fwd", ""))
        and query.get("event_type", "track") in ("track", "page")
        and (key == "cid" or "postback_id" not in query)
    )


def valid_arguments(arguments: Mapping[str, Any]) -> bool:
    products = arguments.get("products", [])
    return (
        rules.is_text(arguments.get("action"))
        and rules.is_amount(arguments.get("revenue", 0))
        and all(isinstance(arguments.get(field, ""), str) for field in ("user_id", "order_id"))
        and not rules.looks_hashed(arguments.get("user_id"))
        and isinstance(products, list)
        and all(isinstance(product, dict) and valid_product(product) for product in products)
    )


def valid_product(product: Mapping[str, Any]) -> bool:
    return (
        all(isinstance(product.get(field, ""), str) for field in ("product_id", "product_name", "product_category"))
        and rules.is_number(product.get("product_price", 0))
        and rules.is_integer(product.get("product_quantity", 1))
    )


def same_person(call: Call) -> bool:
    """The headers are the person's, too, and not those of the server that sends."""
    agent = call.query["ua_fwd"]
    written = call.headers.get("user-agent", "")
    return call.headers.get("x-forwarded-for") == call.query["ip_fwd"] and (written == agent or not agent.isascii())
