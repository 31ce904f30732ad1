"""Small good events of each platform at a fixed moment, and a way to spoil one field of them."""

from __future__ import annotations

import copy
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from capi_pipeline.sandbox import accounts

NOW = datetime(2026, 10, 1, 16, 0, tzinfo=UTC)
ABSENT = object()
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


EMAIL, PHONE, NAME = sha256("jane.doe@example.com"), sha256("+14155552671"), sha256("jane")
EMPTY = sha256("")


def changed(event: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy in which the field at `a.b.0.c` has another value, or is gone (ABSENT)."""
    result = copy.deepcopy(event)
    target: Any = result
    *parents, last = path.split(".")
    for step in parents:
        target = target[int(step)] if isinstance(target, list) else target.setdefault(step, {})
    if value is ABSENT:
        target.pop(last, None)
    else:
        target[int(last) if isinstance(target, list) else last] = value
    return result


def seconds(age: timedelta = timedelta(hours=1)) -> int:
    return int((NOW - age).timestamp())


def meta_event(number: object = 1) -> dict[str, Any]:
    return {
        "event_name": "Purchase",
        "event_time": seconds(),
        "event_id": f"evt-{number}",
        "action_source": "website",
        "event_source_url": "https://shop.example.com/thank-you",
        "user_data": {
            "em": [EMAIL],
            "ph": [PHONE],
            "external_id": [sha256("cust-42")],
            "client_ip_address": "203.0.113.7",
            "client_user_agent": AGENT,
            "fbc": "fb.1.1790755200000.clk-fbclid-0001",
            "fbp": "fb.1.1790000000000.1234567890",
        },
        "custom_data": {
            "value": 149.97,
            "currency": "USD",
            "order_id": f"ORD-{number}",
            "content_type": "product",
            "content_ids": ["SKU-1"],
            "contents": [{"id": "SKU-1", "quantity": 1, "item_price": 149.97}],
            "num_items": 1,
        },
    }


def tiktok_event(number: object = 1) -> dict[str, Any]:
    return {
        "event": "Purchase",
        "event_time": seconds(),
        "event_id": f"evt-{number}",
        "user": {
            "email": [EMAIL],
            "phone": [PHONE],
            "external_id": [sha256("cust-42")],
            "ttclid": "clk-ttclid-0001",
            "ttp": "ttp-abc",
            "ip": "203.0.113.7",
            "user_agent": AGENT,
            "first_name": NAME,
            "city": "sanfrancisco",
            "country": "us",
        },
        "properties": {
            "contents": [{"content_id": "SKU-1", "quantity": 1, "price": 149.97}],
            "content_type": "product",
            "value": 149.97,
            "currency": "USD",
            "order_id": f"ORD-{number}",
        },
        "page": {"url": "https://shop.example.com/thank-you"},
    }


def google_event(number: object = 1) -> dict[str, Any]:
    return {
        "transactionId": f"ORD-{number}",
        "eventTimestamp": "2026-10-01T14:23:05Z",
        "eventSource": "WEB",
        "userData": {
            "userIdentifiers": [
                {"emailAddress": EMAIL},
                {"phoneNumber": PHONE},
                {
                    "address": {
                        "givenName": NAME,
                        "familyName": sha256("doe"),
                        "regionCode": "US",
                        "postalCode": "94105",
                    }
                },
            ]
        },
        "adIdentifiers": {"gclid": "clk-gclid-0001"},
        "eventDeviceInfo": {"userAgent": AGENT, "ipAddress": "203.0.113.7"},
        "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_DENIED"},
        "currency": "USD",
        "conversionValue": 149.97,
        "cartData": {
            "merchantId": accounts.GOOGLE_MERCHANT_ID,
            "items": [{"merchantProductId": "SKU-1", "quantity": "1", "unitPrice": 149.97}],
        },
        "userProperties": {"customerType": "NEW"},
    }


def google_destination(event_name: str = "purchase") -> dict[str, Any]:
    return {
        "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": accounts.GOOGLE_OPERATING_ACCOUNT_ID},
        "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": accounts.GOOGLE_LOGIN_ACCOUNT_ID},
        "productDestinationId": accounts.GOOGLE_CONVERSION_ACTIONS[event_name],
    }


def microsoft_row(number: object = 1) -> dict[str, Any]:
    return {
        "MicrosoftClickId": f"clk-msclkid-{number}",
        "ConversionName": "Offline Purchase",
        "ConversionTime": "2026-10-01T14:23:05.000Z",
        "ConversionValue": 149.97,
        "ConversionCurrencyCode": "USD",
        "HashedEmailAddress": EMAIL,
        "HashedPhoneNumber": PHONE,
    }


def microsoft_adjustment(number: object = 1) -> dict[str, Any]:
    row = microsoft_row(number)
    del row["ConversionValue"], row["ConversionCurrencyCode"]
    return row | {
        "AdjustmentType": "Restate",
        "AdjustmentTime": "2026-10-01T15:00:00.000Z",
        "AdjustmentValue": 124.98,
        "AdjustmentCurrencyCode": "USD",
    }


def outbrain_query(number: object = 1) -> dict[str, str]:
    return {
        "ob_click_id": "clk-obclid-0001",
        "name": "Purchase",
        "orderId": f"ORD-{number}",
        "orderValue": "149.97",
        "currency": "USD",
        "timestamp": "2026-10-01T14:23:05Z",
    }
