"""`render`: what would be sent, without a network or a ledger. Whole requests, word for word."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from capi_pipeline import render
from capi_pipeline.conversions.contract import COLUMNS
from capi_pipeline.errors import ConfigurationError, ContractError
from capi_pipeline.platforms import NAMES

NOW = datetime(2026, 10, 1, 16, tzinfo=UTC)
META = {"pixel_id": "123456789012345", "access_token": "META-TOKEN"}
PURCHASE: dict[str, Any] = {
    "event_id": "evt-1001",
    "event_name": "purchase",
    "event_time": "2026-10-01T14:23:05Z",
    "recorded_at": "2026-10-01T14:40:00Z",
    "action_source": "website",
    "source_url": "https://shop.example.com/checkout?utm_source=ad",
    "transaction_id": "ORD-5001",
    "value": 149.97,
    "currency": "USD",
    "contents": [{"id": "SKU-1", "name": "Trail Shoe", "quantity": 1, "price": 149.97}],
    "emails": ["Jane.Doe@Example.com"],
    "phones": ["(415) 555-2671"],
    "country": "US",
    "user_agent": "Mozilla/5.0",
    "click_ids": {
        name: {"value": f"clk-{name}", "clicked_at": "2026-09-30T08:00:00Z"}
        for name in ("gclid", "fbclid", "ttclid", "msclkid", "obclid")
    },
    "consent_ad_storage": "granted",
    "consent_ad_user_data": "granted",
}
REFUND = {
    **PURCHASE, "event_id": "refund-1", "event_name": "refund", "event_time": "2026-10-01T15:00:00Z", "value": 24.99,
    "original_event_id": "evt-1001", "original_event_time": "2026-10-01T14:23:05Z", "remaining_value": 124.98,
}  # fmt: skip


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


EMAIL, PHONE = sha("jane.doe@example.com"), sha("+14155552671")
WHOLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "meta": (
        META,
        {
            "method": "POST",
            "url": "https://graph.facebook.com/v26.0/123456789012345/events",
            "headers": {"Content-Type": "application/json", "Authorization": "Bearer META-TOKEN"},
            "params": {},
            "json": {
                "data": [
                    {
                        "event_name": "Purchase",
                        "event_time": 1790864585,
                        "event_id": "evt-1001",
                        "action_source": "website",
                        "event_source_url": "https://shop.example.com/checkout?utm_source=ad",
                        "user_data": {
                            "em": [EMAIL],
                            "ph": [sha("14155552671")],
                            "country": [sha("us")],
                            "client_user_agent": "Mozilla/5.0",
                            "fbc": "fb.1.1790755200000.clk-fbclid",
                        },
                        "custom_data": {
                            "value": 149.97,
                            "currency": "USD",
                            "order_id": "ORD-5001",
                            "content_type": "product",
                            "content_ids": ["SKU-1"],
                            "contents": [{"id": "SKU-1", "quantity": 1, "item_price": 149.97, "title": "Trail Shoe"}],
                            "num_items": 1,
                        },
                    }
                ]
            },
            "event_ids": ["evt-1001"],
        },
    ),
    "tiktok": (
        {"access_token": "TT-TOKEN", "pixel_code": "PIXEL"},
        {
            "method": "POST",
            "url": "https://business-api.tiktok.com/open_api/v1.3/event/track/",
            "headers": {"Content-Type": "application/json", "Access-Token": "TT-TOKEN"},
            "params": {},
            "json": {
                "event_source": "web",
                "event_source_id": "PIXEL",
                "data": [
                    {
                        "event": "Purchase",
                        "event_time": 1790864585,
                        "event_id": "evt-1001",
                        "user": {
                            "email": [EMAIL],
                            "phone": [PHONE],
                            "country": "us",
                            "user_agent": "Mozilla/5.0",
                            "ttclid": "clk-ttclid",
                        },
                        "properties": {
                            "value": 149.97,
                            "currency": "USD",
                            "order_id": "ORD-5001",
                            "content_type": "product",
                            "contents": [
                                {"content_id": "SKU-1", "content_name": "Trail Shoe", "quantity": 1, "price": 149.97}
                            ],
                        },
                        "page": {"url": "https://shop.example.com/checkout?utm_source=ad"},
                    }
                ],
            },
            "event_ids": ["evt-1001"],
        },
    ),
    "google_data_manager": (
        {
            "operating_account_id": "1234567890",
            "oauth_client_id": "cid",
            "oauth_client_secret": "secret",
            "oauth_refresh_token": "refresh",
            "conversion_actions": {"purchase": "111"},
        },
        {
            "method": "POST",
            "url": "https://datamanager.googleapis.com/v1/events:ingest",
            "headers": {"Content-Type": "application/json", "Authorization": "Bearer ACCESS-TOKEN"},
            "params": {},
            "json": {
                "destinations": [
                    {
                        "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                        "productDestinationId": "111",
                    }
                ],
                "encoding": "HEX",
                "events": [
                    {
                        "transactionId": "ORD-5001",
                        "eventTimestamp": "2026-10-01T14:23:05Z",
                        "eventSource": "WEB",
                        "userData": {"userIdentifiers": [{"emailAddress": EMAIL}, {"phoneNumber": PHONE}]},
                        "adIdentifiers": {"gclid": "clk-gclid"},
                        "consent": {"adUserData": "CONSENT_GRANTED"},
                        "currency": "USD",
                        "conversionValue": 149.97,
                        "eventDeviceInfo": {"userAgent": "Mozilla/5.0"},
                    }
                ],
            },
            "event_ids": ["evt-1001"],
        },
    ),
    "microsoft_offline": (
        {
            "client_id": "cid",
            "refresh_token": "refresh-0",
            "developer_token": "dev",
            "customer_id": "1",
            "customer_account_id": "2",
            "conversion_names": {"purchase": "Offline Purchase"},
            "enhanced_conversions": True,
        },
        {
            "method": "POST",
            "url": "https://campaign.api.bingads.microsoft.com/CampaignManagement/v13/OfflineConversions/Apply",
            "headers": {
                "DeveloperToken": "dev",
                "CustomerId": "1",
                "CustomerAccountId": "2",
                "Content-Type": "application/json",
                "Authorization": "Bearer ms-access-token",
            },
            "params": {},
            "json": {
                "OfflineConversions": [
                    {
                        "MicrosoftClickId": "clk-msclkid",
                        "ConversionName": "Offline Purchase",
                        "ConversionTime": "2026-10-01T14:23:05.000Z",
                        "ConversionValue": 149.97,
                        "ConversionCurrencyCode": "USD",
                        "HashedEmailAddress": sha("janedoe@example.com"),
                        "HashedPhoneNumber": PHONE,
                    }
                ]
            },
            "event_ids": ["evt-1001"],
        },
    ),
    "outbrain": (
        {"event_names": {"purchase": "Purchase"}},
        {
            "method": "GET",
            "url": "https://tr.outbrain.com/unifiedPixel",
            "headers": {},
            "params": {
                "ob_click_id": "clk-obclid",
                "name": "Purchase",
                "orderId": "ORD-5001",
                "orderValue": "149.97",
                "currency": "USD",
                "timestamp": "2026-10-01T14:23:05Z",
            },
            "event_ids": ["evt-1001"],
        },
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_purchase_makes_exactly_this_request(name: str) -> None:
    config, request = WHOLE[name]
    assert render(name, config, [PURCHASE], NOW) == {"requests": [request], "withheld": []}


@pytest.mark.parametrize("name", sorted({"google_data_manager", "microsoft_offline"} & set(NAMES)))
def test_a_refund_makes_a_request_with_the_new_total(name: str) -> None:
    config, _ = WHOLE[name]
    (request,) = render(name, config, [REFUND], NOW)["requests"]
    (body,) = request["json"].get("OfflineConversionAdjustments") or request["json"]["events"]
    assert 124.98 in body.values()
    assert 24.99 not in body.values()


def test_the_result_is_json() -> None:
    for name, (config, _) in WHOLE.items():
        assert json.loads(json.dumps(render(name, config, [PURCHASE], NOW)))["withheld"] == []


def test_what_is_not_sent_has_its_reason_and_does_not_stop_the_others() -> None:
    events = [
        PURCHASE,
        REFUND,
        {**PURCHASE, "event_id": "no", "consent_ad_storage": "denied"},
        {**PURCHASE, "event_id": "e2"},
    ]
    result = render("meta", META, events, NOW)
    assert [request["event_ids"] for request in result["requests"]] == [["evt-1001", "e2"]]
    assert result["withheld"] == [
        {"event_id": "refund-1", "reason": "unsupported_event", "detail": "Meta has no `refund` event"},
        {"event_id": "no", "reason": "consent_denied", "detail": ""},
    ]


def test_events_of_different_groups_make_requests_of_their_own() -> None:
    config, _ = WHOLE["microsoft_offline"]
    result = render("microsoft_offline", config, [PURCHASE, REFUND, {**PURCHASE, "event_id": "e2"}], NOW)
    assert [request["event_ids"] for request in result["requests"]] == [["evt-1001", "e2"], ["refund-1"]]


def test_consent_comes_before_the_account() -> None:
    withheld = render("tiktok", {"access_token": "t"}, [{**PURCHASE, "consent_ad_storage": "denied"}], NOW)["withheld"]
    assert [entry["reason"] for entry in withheld] == ["consent_denied"]


def test_no_events_make_no_requests() -> None:
    for name, (config, _) in WHOLE.items():
        assert render(name, config, [], NOW) == {"requests": [], "withheld": []}


@pytest.mark.parametrize(
    "changes",
    [
        {"event_time": datetime(2026, 10, 1, 14, 23, 5, tzinfo=UTC)},
        {"event_time": datetime(2026, 10, 1, 16, 23, 5, tzinfo=timezone(timedelta(hours=2)))},
        {"event_time": "2026-10-01T16:23:05+02:00", "recorded_at": "2026-10-01 14:40:00+00:00"},
        {"value": Decimal("149.9700")},
        {"value": "149.97"},
        {"emails": '["Jane.Doe@Example.com"]', "phones": json.dumps(["(415) 555-2671"]), "opt_out_of_sale": False},
        dict.fromkeys(["tax", "coupon", "date_of_birth", "tcf_string", "device", "properties"]),
    ],
    ids=str,
)
def test_values_may_come_as_python_or_as_text(changes: dict[str, Any]) -> None:
    assert render("meta", META, [{**PURCHASE, **changes}], NOW) == {"requests": [WHOLE["meta"][1]], "withheld": []}


# --- mistakes -------------------------------------------------------------------------------------------------------


def test_an_unknown_platform_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"There is no platform `myspace`\.\nKnown platforms: .*meta"):
        render("myspace", {}, [], NOW)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**META, "pixl_id": "1"}, "`meta` is not usable: pixl_id: Extra inputs are not permitted"),
        ({"access_token": "t"}, "pixel_id: Field required"),
        ({**META, "pixel_id": "act_1"}, "pixel_id: String should match pattern"),
        ({**META, "api_version": "26"}, "api_version: String should match pattern"),
        ({**META, "partner_agent": "1-2"}, "partner_agent: String should match pattern"),
        ({"pixel_id": "x", "access_token": 7}, "pixel_id: String should match"),
    ],
)
def test_a_wrong_account_names_the_key_and_shows_no_value(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        render("meta", config, [], NOW)
    assert words in caught.value.message
    assert "META-TOKEN" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("google_data_manager", {"operating_account_id": "123-456-7890"}, "operating_account_id"),
        ("google_data_manager", {"login_account_id": "123-456-7890"}, "login_account_id"),
        ("google_data_manager", {"operating_account_type": "GOOGLE_ANALYTICS_PROPERTY"}, "operating_account_type"),
        ("google_data_manager", {"conversion_actions": {"purchase": "customers/1/conversionActions/2"}}, "conversion_actions"),
        ("microsoft_offline", {"customer_id": "C1"}, "customer_id"),
        ("microsoft_offline", {"environment": "staging"}, "environment"),
    ],
)  # fmt: skip
def test_an_account_that_the_platform_would_refuse_is_refused_here(
    name: str, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        render(name, {**WHOLE[name][0], **changes}, [], NOW)


def test_an_unknown_column_is_refused_by_its_name() -> None:
    with pytest.raises(ContractError, match="Not columns of a conversion: email, zip"):
        render("meta", META, [PURCHASE, {**PURCHASE, "zip": "1", "email": "a@x.com"}], NOW)


@pytest.mark.parametrize("time", ["2026-10-01T14:23:05", datetime(2026, 10, 1, 14), "2026-10-01"])
def test_a_time_without_a_zone_is_refused(time: object) -> None:
    with pytest.raises(ContractError, match=r"Column `event_time` is not a timestamp.*no zone; give times as 2026-"):
        render("meta", META, [{**PURCHASE, "event_time": time}], NOW)
    with pytest.raises(ContractError, match="`now` is a time without a zone"):
        render("meta", META, [PURCHASE], datetime(2026, 10, 1, 16))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("event_time", "yesterday"), ("value", "ten"), ("value", 1.00001), ("value", float("nan")), ("value", 10**15),
        ("opt_out_of_sale", "maybe"), ("date_of_birth", "9.2.1988"), ("properties", {"a": {1, 2}}), ("coupon", "\ud800"),
        ("original_event_time", ""),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_by_its_column(column: str, value: object) -> None:
    with pytest.raises(ContractError, match=f"Column `{column}` is not a"):
        render("meta", META, [{**PURCHASE, column: value}], NOW)


@pytest.mark.parametrize("column", [column.name for column in COLUMNS if column.required])
def test_an_event_without_a_required_column_is_refused(column: str) -> None:
    with pytest.raises(ContractError, match=f"Column `{column}` of the conversions table breaks the contract"):
        render("meta", META, [{key: value for key, value in PURCHASE.items() if key != column}], NOW)


def test_an_event_that_breaks_the_contract_is_refused() -> None:
    with pytest.raises(ContractError, match=r"Column `currency` .*event_id='evt-1001'"):
        render("meta", META, [{**PURCHASE, "currency": "usd"}], NOW)
