"""What browsers do to ids."""

from __future__ import annotations

from itertools import pairwise

import pytest

from capi_pipeline.demo.devices import AGENTS, BLOCKED, COOKIE_LIFE, SLOW_CLOCK, Device, browser, device_id
from capi_pipeline.demo.rows import HOUR

START = 1_749_513_600
MANY = [browser(device_id(1, number, 1), "phone") for number in range(8000)]


def test_a_safari_cookie_lives_for_seven_days_and_another_for_ever() -> None:
    for device in MANY[:200]:
        seen = [device.cookie(START + hour * HOUR) for hour in range(24 * 21)]
        changes = [n for n in range(1, len(seen)) if seen[n] != seen[n - 1]]
        if not device.expires:
            assert set(seen) == {device.key}
        else:
            assert len(changes) == len(set(seen)) - 1
            assert 2 <= len(changes) <= 3
            assert {after - before for before, after in pairwise(changes)} == {COOKIE_LIFE // HOUR}


def test_it_is_safari_whose_cookies_expire() -> None:
    agents = {device.agent: device.expires for device in MANY}
    assert set(agents) == set(AGENTS["phone"])
    assert all(expires == ("Version/18.4" in agent) for agent, expires in agents.items())


@pytest.mark.parametrize(("share", "of"), [(BLOCKED, "blocked"), (SLOW_CLOCK, "behind")])
def test_shares_of_devices(share: float, of: str) -> None:
    assert sum(bool(getattr(device, of)) for device in MANY) / len(MANY) == pytest.approx(share, rel=0.3)


def test_a_slow_clock_is_minutes_behind() -> None:
    assert all(device.behind == 0 or 300 <= device.behind <= 1500 for device in MANY)


def test_a_shared_tablet_blocks_nothing() -> None:
    tablets = [browser(device_id(1, number, 5), "tablet", shared=True) for number in range(500)]
    assert not any(device.blocked for device in tablets)
    assert all(isinstance(device, Device) and device.shared for device in tablets)
