"""Every platform by the real sender and its sandbox: nothing wrong, each common fault, and the errors that it documents.

A case file's `AT_SANDBOX` lists the platform's own: a fault, and what its events then are.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests

from capi_pipeline.errors import AuthenticationError
from capi_pipeline.platforms import NAMES, platform
from capi_pipeline.platforms.outcomes import State
from tests.delivery.site import DOCUMENTS, Site
from tests.platforms.support import Struck, cases

COUNT = 12
TAKEN = (State.ACCEPTED, State.PENDING)
PARTLY = [name for name in NAMES if platform(name).deduplication.only and not platform(name).restates]
every = pytest.mark.parametrize("name", NAMES)


def of(site: Site, name: str) -> dict[str, Any]:
    return dict(requests.get(f"{site.address}/_sandbox/counts", timeout=10).json()[name])


def remembers(name: str) -> bool:
    return platform(name).deduplication.window is not None


@every
def test_everything_goes_once(site: Site, name: str) -> None:
    report = site.deliver(name, COUNT)
    assert report.error is None
    assert report.count(*TAKEN) == COUNT, report.outcomes
    asked = len(site.asked(name))
    assert site.deliver(name, COUNT).count(*TAKEN) == COUNT
    assert len(site.asked(name)) == asked  # nothing is left to send
    counts = of(site, name)
    assert (counts["accepted"], counts["duplicates"], counts["rejected"], counts["double_counted"]) == (COUNT, 0, 0, 0)


@every
def test_a_rate_limit_loses_nothing(site: Site, name: str) -> None:
    """Some platforms ask for minutes: what is left then waits for a rerun, in its own words."""
    site.fault(name, "rate_limit", times=1, retry_after=0)
    report = site.deliver(name, COUNT)
    assert report.count(*TAKEN) + report.count(State.RETRY) == COUNT
    assert (report.error is not None) == (report.count(State.RETRY) > 0)
    assert of(site, name)["accepted"] == report.count(*TAKEN)


@every
@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "server_error"])
def test_what_may_have_arrived_is_counted_once_or_held(site: Site, name: str, kind: str) -> None:
    site.fault(name, kind, times=1)
    site.deliver(name, COUNT)
    report = site.deliver(name, COUNT)
    counts = of(site, name)
    assert counts["double_counted"] == 0
    assert report.count(*TAKEN) + report.count(State.HELD) == COUNT
    if remembers(name):
        assert report.count(State.HELD) == 0
        assert counts["accepted"] == COUNT


@pytest.mark.parametrize("kind", ["reset_before", "reset_after"])
@pytest.mark.parametrize("name", PARTLY)
def test_what_the_platform_would_count_again_is_held(site: Site, name: str, kind: str) -> None:
    """Where it knows some events again, and these are none of them."""
    changes = tuple(cases(name).COUNTED_AGAIN.items())
    site.fault(name, kind, times=1)
    site.deliver(name, COUNT, changes)
    report = site.deliver(name, COUNT, changes)
    assert of(site, name)["accepted"] <= COUNT  # nothing went twice
    assert report.count(State.HELD) > 0
    assert report.count(*TAKEN) + report.count(State.HELD) == COUNT


@every
def test_a_revoked_credential_ends_the_run(site: Site, name: str) -> None:
    if not DOCUMENTS[name].variables or getattr(cases(name), "NO_TOKEN_ERROR", False):
        pytest.skip("the platform tells nobody of a wrong credential, or has none")
    site.fault(name, "revoked_token")
    report = site.deliver(name, COUNT)
    assert isinstance(report.error, AuthenticationError)
    assert report.count(*TAKEN, State.REJECTED) == of(site, name)["accepted"] == 0


@pytest.mark.parametrize(
    ("name", "struck"),
    [pytest.param(n, s, id=f"{n}: {s.title}") for n in NAMES for s in getattr(cases(n), "AT_SANDBOX", [])],
)
def test_a_documented_error_becomes_its_outcome(site: Site, name: str, struck: Struck) -> None:
    for fault in struck.faults:
        site.fault(name, **fault)
    report = site.deliver(name, COUNT, **struck.account)
    found = {(state, code): number for (state, code), number in report.outcomes.items() if state is not State.ACCEPTED}
    assert {state: sum(n for (s, _), n in found.items() if s is state) for state, _ in found} == dict(struck.want), (
        found
    )
    if struck.code:
        assert struck.code in {code for _, code in found}
    assert (report.error is not None) == struck.failed, report.error
    assert report.reconciles
