"""mParticle Events API v2, as Rokt Ads takes conversions:
https://docs.rokt.com/developers/integration-guides/getting-started/advertisers/ads-events-api-integration"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import orjson

from capi_pipeline.sandbox import rules
from capi_pipeline.sandbox.platform import Call, Endpoint, Platform, Refused, Reply, Token, payload_digest
from capi_pipeline.sandbox.store import FOREVER, NEVER, Event

API_KEY, API_SECRET = "sandbox-rokt-key", "sandbox-rokt-secret"
MAXIMUM: Final = 100
LARGEST_REQUEST: Final = 256 * 1024
LARGEST_BATCH: Final = 128 * 1024
ATTRIBUTES: Final = rules.words("firstnamesha256 lastnamesha256 mobilesha256 billingzipsha256")
DEVICE: Final = rules.words("http_header_user_agent ios_advertising_id android_advertising_id ios_idfv android_uuid")


class Rokt(Platform):
    """A bad batch object is named by its path in a 202, the others are taken. An order is known again by its
    reference; anything else that is sent twice counts twice. Development events are kept apart."""

    slug = "rokt"
    title = "Rokt Ads"
    documentation = (
        "https://docs.rokt.com/developers/integration-guides/getting-started/advertisers/ads-events-api-integration"
    )
    environment: ClassVar = {"ROKT_API_KEY": API_KEY, "ROKT_API_SECRET": API_SECRET}

    def endpoints(self) -> Sequence[Endpoint]:
        return [Endpoint("POST", "/v2/bulkevents", self.bulk)]

    def bulk(self, call: Call) -> Reply:
        expected = "Basic " + b64encode(f"{API_KEY}:{API_SECRET}".encode()).decode()
        if call.static_token(call.headers.get("authorization", ""), expected) is not Token.GOOD:
            raise Refused(answer(401, "UNAUTHORIZED", "The key or the secret is wrong"))
        if len(call.body) > LARGEST_REQUEST:
            raise Refused(answer(413, "REQUEST_ENTITY_TOO_LARGE", "The request is too large"))
        try:
            batches = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            batches = None
        if not isinstance(batches, list) or not batches or not all(isinstance(batch, dict) for batch in batches):
            raise Refused(answer(400, "BAD_REQUEST", "The body is not a list of batch objects"))
        call.events = len(batches)
        if len(batches) > MAXIMUM:
            raise Refused(answer(400, "BAD_REQUEST", f"More than {MAXIMUM} batch objects"))
        errors, good = [], []
        for index, batch in enumerate(batches):
            code, message = call.refusal(batch, "INVALID_EVENT"), problem(batch)
            if message or code is not None:
                errors.append(
                    {"code": code or "INVALID_EVENT", "message": message or "Not valid", "Path": f"[{index}]"}
                )
            else:
                good.append(batch)
        call.rejected = len(errors)
        call.record([accepted(batch) for batch in good])
        return Reply({"errors": errors}, 202) if errors else Reply(b"", 202)

    def rate_limited(self, parameters: Mapping[str, Any]) -> Reply:
        return Reply(b"", parameters.get("status") or 429, {"X-mp-rate-limit-exceeded": "eventbatch"})


def answer(status: int, code: str, message: str) -> Reply:
    return Reply({"errors": [{"code": code, "message": message}]}, status)


def accepted(batch: Mapping[str, Any]) -> Event:
    data = batch["events"][0]["data"]
    attributes, message_id = data["custom_attributes"], data.get("source_message_id")
    kind, order = attributes["conversiontype"], attributes.get("confirmationref")
    once = kind == "purchase" and order
    return Event(
        account=batch["environment"], identity=f"order\x1f{order}" if once else message_id or payload_digest(batch), name=kind,
        id=message_id, payload=batch, window=FOREVER if once else NEVER,
        outcome="test" if batch["environment"] == "development" else None,
        value=float(attributes["amount"]) if "amount" in attributes else None, currency=attributes.get("currency"),
    )  # fmt: skip


def problem(batch: Mapping[str, Any]) -> str | None:
    """The first rule that a batch object breaks."""
    if len(orjson.dumps(batch)) > LARGEST_BATCH:
        return "The batch object is too large"
    if batch.get("environment") not in ("production", "development"):
        return "environment is production or development"
    for part in ("user_identities", "user_attributes", "device_info", "integration_attributes"):
        if not isinstance(batch.get(part, {}), dict):
            return f"{part} is not an object"
    if "ip" in batch and not (rules.is_text(batch["ip"]) and rules.is_ip_address(batch["ip"])):
        return "ip is not an address"
    return person_problem(batch) or event_problem(batch.get("events"))


def person_problem(batch: Mapping[str, Any]) -> str | None:
    identities, device = batch.get("user_identities", {}), batch.get("device_info", {})
    if not all(map(rules.is_text, [*identities.values(), *device.values()])):
        return "identities and device ids are texts"
    if "other" in identities and not rules.is_digest(identities["other"]):
        return "other is the SHA-256 of an e-mail address"
    if any(rules.looks_hashed(identities.get(field)) for field in ("customerid", "other2")):
        return "customerid and other2 are not hashed"
    for field, value in batch.get("user_attributes", {}).items():
        if field in ATTRIBUTES and not rules.is_digest(value):
            return f"{field} is a SHA-256"
        if field == "gender" and value not in ("f", "m"):
            return "gender is f or m"
    if not device.keys() <= DEVICE:
        return "device_info has an unknown field"
    if not identities and not device.keys() - {"http_header_user_agent"}:
        return "An identity is required"
    click = identities.get("other2")
    if batch.get("integration_attributes", {}) != ({"1277": {"passbackconversiontrackingid": click}} if click else {}):
        return "The click id is given twice, and nowhere else"
    return None


def event_problem(events: object) -> str | None:
    if not isinstance(events, list) or len(events) != 1 or not isinstance(events[0], dict):
        return "One event in each batch object"
    data = events[0].get("data")
    if events[0].get("event_type") != "custom_event" or not isinstance(data, dict):
        return "event_type is custom_event, with data"
    if (data.get("event_name"), data.get("custom_event_type")) != ("conversion", "transaction"):
        return "event_name is conversion, custom_event_type transaction"
    at = data.get("timestamp_unixtime_ms")
    if not rules.is_integer(at) or at < 10**11:
        return "timestamp_unixtime_ms is not in milliseconds"
    if not rules.is_text(data.get("source_message_id", "m")):
        return "source_message_id is a text"
    attributes = data.get("custom_attributes")
    if not isinstance(attributes, dict) or not all(map(rules.is_text, attributes.values())):
        return "custom_attributes are texts"
    if "conversiontype" not in attributes:
        return "conversiontype is required"
    if "amount" in attributes and not rules.is_decimal(attributes["amount"]):
        return "amount is a number"
    if "amount" in attributes and not rules.is_currency(attributes.get("currency")):
        return "amount goes with a currency"
    return None
