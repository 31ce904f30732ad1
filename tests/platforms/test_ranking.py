"""Every identifier that the match quality counts for a platform is one that the platform is sent."""

from __future__ import annotations

from typing import Any

import pytest

from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.conversion import conversions
from capi_pipeline.conversions.match_quality import Signal, Tally
from capi_pipeline.conversions.transform import transform
from capi_pipeline.platforms import NAMES, platform
from capi_pipeline.platforms.base import Platform
from capi_pipeline.platforms.outcomes import Withhold
from capi_pipeline.platforms.ranking import DEFAULT, RANKINGS, signals
from capi_pipeline.rendering import to_batch
from tests.platforms.support import NOW, cases, event

PERSON = {
    "first_name": "Jane", "last_name": "Doe", "gender": "female", "date_of_birth": "1988-02-09", "city": "San Francisco",
    "street_address": "1 Main Street", "region": "CA", "postal_code": "94105", "user_agent": "Mozilla/5.0 (X11) Firefox/140.0",
}  # fmt: skip
APP = {"action_source": "app"}
SYSTEMS = ("iOS", "Android", "roku")
ACCOUNTS: dict[str, list[dict[str, Any]]] = {  # what else an account may say for its platform to use an identifier
    "campaign_manager": [
        {"match_id_from": "user_id"}, {"match_id_from": "anonymous_id"}, {"mode": "enhancements", "match_id_from": "user_id"}
    ],
    "google_ads": [{"mode": "web_enhancements"}],
    "stackadapt": [{"conversion_ids": {"purchase": "9Kx2conversionEXAMPLE"}}],
    "yandex_metrica": [{"send_user_id": True}],
}  # fmt: skip
EVERY = [(name, signal) for name in NAMES for signal in signals(platform(name))]


def test_every_platform_is_ranked_and_the_default_is_for_the_next_one() -> None:
    assert set(RANKINGS) == set(NAMES)
    assert DEFAULT.levels()["emails"]


@pytest.mark.parametrize("name", NAMES)
def test_a_ranking_names_only_what_the_platform_can_use(name: str) -> None:
    assert set(RANKINGS[name].levels()) == {
        signal.name for signal in signals(platform(name)) if signal.name in RANKINGS[name].levels()
    }
    assert signals(platform(name)), "nothing would ever be matched"
    assert set(RANKINGS[name].click_cookies) <= set(platform(name).browser_ids)


@pytest.mark.parametrize(("name", "signal"), EVERY, ids=[f"{name}-{signal.name}" for name, signal in EVERY])
def test_what_counts_for_a_platform_is_sent_to_it(name: str, signal: Signal) -> None:
    """With and without it, the platform is sent something else (or nothing)."""
    for account in ({}, *ACCOUNTS.get(name, [])):
        for base in _events(name):
            for whole in (base, _scarce(base, signal, name)):
                if _has(name, signal, whole) and _sent(name, whole, account) != _sent(
                    name, _without(whole, signal), account
                ):
                    assert signal in signals(_made(name, account))
                    return
    raise AssertionError("it changes nothing that is sent")


@pytest.mark.parametrize("name", ["google_ads", "campaign_manager", "stackadapt"])
def test_what_an_account_does_not_send_does_not_count(name: str) -> None:
    plain, every = signals(_made(name, {})), signals(platform(name))
    left = set(every) - set(plain)
    assert left
    for signal in left:
        for base in _events(name):
            assert _sent(name, base, {}) == _sent(name, _without(base, signal), {})


def _events(name: str) -> list[dict[str, Any]]:
    person = event(**PERSON, user_id="Customer42", browser_ids=_cookies(name))
    devices = [
        {
            "os": system, "os_version": "18.5", "model": "X", "app_id": "com.acme", "app_version": "1.2", "language": "en-US",
            "att_status": "authorized", "advertising_id": "AEBE52E7-03EE-455A-B3C4-E57283966239",
        }
        for system in SYSTEMS
    ]  # fmt: skip
    return [
        event(**PERSON),
        person,
        *({**person, **more, "device": device} for device in devices for more in ({}, APP)),
    ]


def _cookies(name: str) -> dict[str, str]:
    return {cookie: COOKIES.get(cookie, "fb.1.1790000000000.1234567890") for cookie in platform(name).browser_ids}


COOKIES = {"ga_client_id": "123.456", "ga_session_id": "1790000000", "_ym_uid": "1790000000123456789"}


def _scarce(base: dict[str, Any], signal: Signal, name: str) -> dict[str, Any]:
    """Only the signal itself, so that nothing that is better takes its place."""
    out = base
    for other in signals(platform(name)):
        if other.name != signal.name:
            out = _without(out, other)
    return out


def _without(base: dict[str, Any], signal: Signal) -> dict[str, Any]:
    if signal.name == "click_id":
        cookies = {k: v for k, v in base.get("browser_ids", {}).items() if k not in signal.cookies}
        return {
            **base,
            "click_ids": {k: v for k, v in base["click_ids"].items() if k not in signal.clicks},
            "browser_ids": cookies,
        }
    if signal.name == "cookie":
        return {
            **base,
            "browser_ids": {k: v for k, v in base.get("browser_ids", {}).items() if k not in signal.cookies},
        }
    if signal.name == "advertising_id":
        return {**base, "device": {k: v for k, v in base.get("device", {}).items() if k != "advertising_id"}}
    return {**base, signal.name: None}


def _hashed(name: str, given: dict[str, Any]) -> Any:
    (c,) = conversions(transform(to_batch([given]), platform(name).recipes(), ConsentPolicy(opt_in_if_unknown=False)))
    return c


def _has(name: str, signal: Signal, given: dict[str, Any]) -> bool:
    tally = Tally([signal])
    tally.add([_hashed(name, given)])
    return tally.quality.coverage()[0].after == 1


def _made(name: str, account: dict[str, Any]) -> Platform:
    kind = platform(name)
    return kind(kind.Config.model_validate({**cases(name).CONFIG, **account}))


def _sent(name: str, given: dict[str, Any], account: dict[str, Any]) -> Any:
    try:
        return _made(name, account).prepare(_hashed(name, given), NOW)
    except Withhold as no:
        return no.reason
