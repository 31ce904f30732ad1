"""What each platform offers a person's choices and requests, in one table, as a privacy officer reads it.

Sources: the platforms' documentation (linked from their pages in docs/destinations). Vendor numbers are those of IAB Europe's
Global Vendor List; None where a registration could not be confirmed, and then vendor consent is not asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from capi_pipeline.conversions.consent import PlatformClass

WRITE = "No call for single events is documented: write to the platform's privacy office, with the event ids and times."
_SNAPCHAT = (
    'A web event with `data_processing_options: ["DELETE"]` asks for deletion; this pipeline does not send it. Otherwise '
    "write to the platform's privacy office."
)
_IMPACT = (
    "`DELETE /Advertisers/{account_sid}/Actions` reverses an action, which takes the partner's commission back; it does not "
    "erase. Write to the platform's privacy office."
)
_ANALYTICS = (
    "The User Deletion API, `userDeletion.userDeletionRequests.upsert`, by client id or user id: "
    "https://developers.google.com/analytics/devguides/config/userdeletion/v3"
)
_TRADE_DESK = (
    "`POST /data/deletion-optout/advertiser` of the Data API, by the ids that were sent: "
    "https://open.thetradedesk.com/advertiser/docsApp/GuidesAdvertiser/data/doc/post-data-deletion-optout-advertiser"
)


@dataclass(frozen=True)
class Privacy:
    """`kind`: how it can honour a choice; `vendor`: its number in the Global Vendor List; `deletion`: how it is asked to
    forget a person."""

    kind: PlatformClass
    vendor: int | None = None
    deletion: str = WRITE


PRIVACY: dict[str, Privacy] = {
    "amazon_ads": Privacy(PlatformClass.CONSENT_AND_LIMITED_DATA, 793),
    "applovin": Privacy(PlatformClass.PLAIN),
    "awin": Privacy(PlatformClass.AFFILIATE),
    "campaign_manager": Privacy(PlatformClass.CONSENT_AND_LIMITED_DATA, 755),
    "cj": Privacy(PlatformClass.AFFILIATE),
    "criteo": Privacy(PlatformClass.PLAIN, 91),
    "ga4": Privacy(PlatformClass.ANALYTICS, 755, _ANALYTICS),
    "google_ads": Privacy(PlatformClass.CONSENT_FIELDS, 755),
    "google_data_manager": Privacy(PlatformClass.CONSENT_FIELDS, 755),
    "impact": Privacy(PlatformClass.AFFILIATE, None, _IMPACT),
    "linkedin": Privacy(PlatformClass.PLAIN),
    "meta": Privacy(PlatformClass.LIMITED_DATA),
    "microsoft_offline": Privacy(PlatformClass.PLAIN),
    "microsoft_uet": Privacy(PlatformClass.CONSENT_FIELDS),
    "nextdoor": Privacy(PlatformClass.LIMITED_DATA),
    "openai_ads": Privacy(PlatformClass.LIMITED_DATA),
    "outbrain": Privacy(PlatformClass.PLAIN, 164),
    "pinterest": Privacy(PlatformClass.LIMITED_DATA),
    "podscribe": Privacy(PlatformClass.PLAIN),
    "quora": Privacy(PlatformClass.PLAIN),
    "rakuten": Privacy(PlatformClass.AFFILIATE, 60),
    "reddit": Privacy(PlatformClass.LIMITED_DATA),
    "rokt": Privacy(PlatformClass.PLAIN),
    "roku": Privacy(PlatformClass.LIMITED_DATA, 71),
    "snapchat": Privacy(PlatformClass.LIMITED_DATA, None, _SNAPCHAT),
    "spotify": Privacy(PlatformClass.LIMITED_DATA),
    "stackadapt": Privacy(PlatformClass.PLAIN, 238),
    "taboola": Privacy(PlatformClass.PLAIN, 42),
    "the_trade_desk": Privacy(PlatformClass.CONSENT_AND_LIMITED_DATA, 21, _TRADE_DESK),
    "tiktok": Privacy(PlatformClass.LIMITED_DATA),
    "vibe": Privacy(PlatformClass.PLAIN),
    "x": Privacy(PlatformClass.PLAIN),
    "yahoo": Privacy(PlatformClass.PLAIN),
    "yandex_metrica": Privacy(PlatformClass.PLAIN),
}
