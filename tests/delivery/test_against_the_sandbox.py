"""The real sender against the sandbox of each platform, many batches at once: what a refusal costs in requests."""

from __future__ import annotations

import math
import time

import pytest
import requests

from capi_pipeline.errors import AuthenticationError
from capi_pipeline.platforms.outcomes import State
from tests.delivery.site import DOCUMENTS, Site

MANY = 4500  # three requests and more, of the platform with the largest ones
WRONG: dict[str, dict[str, str]] = {  # an account that the sandbox does not have
    "google_data_manager": {"operating_account_id": "1111111111"},
    "meta": {"pixel_id": "999999999999999"},
    "microsoft_offline": {"customer_account_id": "1111111"},
    "tiktok": {"pixel_code": "CWRONGPIXEL000000000"},
}


REFUSALS = (
    [(name, "revoked") for name in WRONG] + [(name, "wrong account") for name in WRONG] + [("outbrain", "blocked")]
)


@pytest.mark.parametrize(("platform", "refusal"), REFUSALS)
def test_a_refused_account_costs_one_request_a_run_and_names_what_to_renew(
    site: Site, platform: str, refusal: str
) -> None:
    account = WRONG[platform] if refusal == "wrong account" else {}
    if refusal == "revoked":
        site.fault(platform, "revoked_token")
    elif refusal == "blocked":  # it has no credentials: what it can refuse is our address
        site.fault(platform, "server_error", status=403)
    for run in (1, 2):
        begun = time.monotonic()
        report = site.deliver(platform, MANY, **account)
        assert time.monotonic() - begun < 10
        assert len(site.asked(platform)) <= run
        assert isinstance(report.error, AuthenticationError)
        if refusal == "blocked" or (platform, refusal) == ("meta", "wrong account"):
            assert "`account` of this destination" in report.error.remedy
        else:
            for variable in DOCUMENTS[platform].variables.values():
                assert variable in report.error.remedy
        assert report.unfinished + report.count(State.WITHHELD) > 0
        assert report.count(State.ACCEPTED, State.PENDING, State.REJECTED, State.HELD) == 0
    assert requests.get(f"{site.address}/_sandbox/counts", timeout=10).json()[platform]["accepted"] == 0


@pytest.mark.parametrize("poison", [0, 499, 999], ids=["first", "middle", "last"])
def test_one_bad_event_of_a_thousand_is_found_in_few_requests(site: Site, poison: int) -> None:
    """Meta refuses the whole request and names no event: halving needs two requests for each halving."""
    site.fault("meta", "reject_event", match=f"order-{poison:05d}")
    report = site.deliver("meta", 1000)
    assert (report.count(State.ACCEPTED), report.count(State.REJECTED)) == (999, 1)
    extra = len(site.asked("meta")) - 1
    assert math.log2(1000) < extra <= 2 * math.ceil(math.log2(1000)) + 1
    counts = requests.get(f"{site.address}/_sandbox/counts", timeout=10).json()["meta"]
    assert (counts["accepted"], counts["duplicates"]) == (999, 0)
    again = len(site.asked("meta"))
    assert site.deliver("meta", 1000).count(State.ACCEPTED) == 999
    assert len(site.asked("meta")) == again
