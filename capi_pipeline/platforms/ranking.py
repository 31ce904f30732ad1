"""In which order platforms rank what identifies a person, for the score of conversions/match_quality.py.

No platform publishes weights; the order is what its documentation says (in the comment: in its words, shortened), the levels
are ours. A name is a column of the contract, or `click_id` (any of the platform's own), `cookie` (any other cookie that it
reads), `ip_address`, `user_agent`, `advertising_id`. What a platform takes and does not rank counts as HELPFUL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from capi_pipeline.conversions.match_quality import DECISIVE, GOOD, HELPFUL, NOTHING, STRONG, WORDS, Signal
from capi_pipeline.platforms.base import Platform


@dataclass(frozen=True)
class Ranking:
    """Names by level. `click_cookies`: cookies in which the platform's own tag keeps its click id. `rest`: the level of what
    is taken and not named. `used`: whether an account (its configuration) uses one of them at all."""

    decisive: str = ""
    strong: str = ""
    good: str = ""
    helpful: str = ""
    click_cookies: tuple[str, ...] = ()
    rest: float = HELPFUL
    used: Callable[[Any, str], bool] = lambda config, name: True

    def levels(self) -> dict[str, float]:
        named = ((self.decisive, DECISIVE), (self.strong, STRONG), (self.good, GOOD), (self.helpful, HELPFUL))
        return {name: level for names, level in named for name in names.split()}


def _google_ads(config: Any, name: str) -> bool:
    """An address goes with enhancements of the tag's conversions only."""
    return config.mode == "web_enhancements" or name in ("click_id", "emails", "phones")


def _campaign_manager(config: Any, name: str) -> bool:
    """User identifiers go with enhancements only, which name the conversion by the match id; other rows hold one identifier."""
    ids = ("click_id", "advertising_id")
    if name in ("user_id", "anonymous_id"):
        return bool(config.match_id_from == name)
    return (name in ids) is (config.mode != "enhancements")


def _stackadapt(config: Any, name: str) -> bool:
    """The universal pixel takes no click id: a conversion event does."""
    return name != "click_id" or bool(config.conversion_ids)


# Where nothing is published: a click id and what people type rank first, then ids of the advertiser and the browser.
DEFAULT = Ranking(strong="click_id emails phones", good="user_id anonymous_id cookie ip_address advertising_id")

RANKINGS = {
    # "Many identifiers, the geographic fields, user agent and IP, aref tokens"
    "amazon_ads": Ranking(strong="click_id emails phones", good="user_id ip_address advertising_id", helpful="user_agent"),
    # "Requires IP and user agent always, asks for aleid, then axwrt, e-mail, phone, user_id, client_id"
    "applovin": Ranking(
        strong="click_id emails", good="cookie phones user_id anonymous_id ip_address advertising_id", helpful="user_agent",
        click_cookies=("axeid", "_axeid", "axart", "_axart"),
    ),
    # "awc, then publisher assignment, then voucher. Nothing else improves the match"
    "awin": Ranking(decisive="click_id", click_cookies=("awin_awc",)),
    # "dclid/gclid exact; matchId only as good as the tag's coverage; user identifiers only improve cross-device"
    "campaign_manager": Ranking(decisive="click_id", good="user_id anonymous_id advertising_id", used=_campaign_manager),
    # "Only cjEvent attributes; ids help cross-device"
    "cj": Ranking(decisive="click_id", click_cookies=("cje",)),
    # "The GUM id and the e-mail together"; "highly recommends IP, full URL and user agent"
    "criteo": Ranking(strong="cookie emails", good="anonymous_id ip_address", helpful="user_agent"),
    # "A client_id that the tag has seen, session_id, user_id, then user_data"
    "ga4": Ranking(strong="cookie", good="user_id anonymous_id", helpful="emails phones"),
    # "Click id plus user data > click id > hashed e-mail > phone > address"
    "google_ads": Ranking(strong="click_id emails", good="phones", used=_google_ads),
    # "Click id plus every hashed identifier; session attributes or IP where permitted"
    "google_data_manager": Ranking(strong="click_id emails phones", good="ip_address", helpful="user_agent"),
    # "Click id (deterministic) > promo code > customer id > profile id / device ids; e-mail serves fraud checks"
    "impact": Ranking(decisive="click_id", good="user_id", helpful="advertising_id", rest=NOTHING),
    # "E-mail hash and li_fat_id together; names help when there is no e-mail"
    "linkedin": Ranking(strong="click_id emails", good="user_id advertising_id", helpful="ip_address"),
    # Event Match Quality, high: e-mail, click id; medium: birth date, country, phone, external_id, fbp; low: names, city, zip;
    # its best practices stress IP address and user agent beside them
    "meta": Ranking(
        strong="click_id emails", good="date_of_birth country phones user_id anonymous_id cookie ip_address advertising_id",
        helpful="user_agent first_name last_name city postal_code", click_cookies=("fbc",),
    ),
    # "Click id first, add e-mail and phone"
    "microsoft_offline": Ranking(strong="click_id", good="emails phones"),
    # "msclkid, anonymousId, em and ph together, plus IP and user agent"
    "microsoft_uet": Ranking(
        strong="click_id emails phones", good="anonymous_id user_id cookie ip_address advertising_id", helpful="user_agent"
    ),
    # "Combines the signals in customer; the sample uses e-mail and phone"
    "nextdoor": Ranking(strong="click_id emails phones", good="user_id ip_address", helpful="user_agent"),
    # "oppref first, then several hashed identifiers, IP and user agent"
    "openai_ads": Ranking(
        strong="click_id emails phones", good="user_id cookie ip_address advertising_id", helpful="user_agent",
        click_cookies=("__oppref",),
    ),
    # "Only the click id matches"
    "outbrain": Ranking(decisive="click_id", click_cookies=("outbrain_cid",)),
    # "On all events IP, user agent, external_id; at least on checkout click_id, em, ph, hashed_maids, fn, ln"
    "pinterest": Ranking(
        strong="click_id emails phones", good="user_id anonymous_id ip_address advertising_id", helpful="user_agent",
        click_cookies=("epik",),
    ),
    # "IP first (household); user agent, device id and hashed e-mail help"
    "podscribe": Ranking(strong="ip_address", helpful="user_agent anonymous_id emails"),
    # "click_id first, then email; other user fields are only stored"
    "quora": Ranking(strong="click_id", good="emails", click_cookies=("quora_qclid",), rest=NOTHING),
    # "Deterministic on the click id and landing time only"
    "rakuten": Ranking(decisive="click_id", rest=NOTHING),
    # "click_id first, then email, external_id, uuid, phone_number, mobile ids, IP + user agent + screen"
    "reddit": Ranking(
        strong="click_id emails", good="user_id anonymous_id cookie phones advertising_id ip_address", helpful="user_agent"
    ),
    # "The click id is the largest single gain; then e-mail; then customer id, device ids, names, phone, postal code"
    "rokt": Ranking(strong="click_id emails", good="user_id advertising_id", helpful="ip_address user_agent"),
    # "IP address, e-mail and phone as the main keys"
    "roku": Ranking(strong="ip_address emails phones", good="user_id cookie advertising_id", helpful="user_agent"),
    # "Hashed e-mail and phone first, then IP + user agent, sc_click_id, sc_cookie1, external_id, names and location"
    "snapchat": Ranking(
        strong="emails phones", good="ip_address click_id cookie user_id anonymous_id advertising_id", helpful="user_agent"
    ),
    # "IP address and device id together, then hashed e-mail and phone"
    "spotify": Ranking(strong="ip_address advertising_id", good="emails phones cookie"),
    # "Postback id (click), then IP + user agent and the user cookie, then e-mail/phone"
    "stackadapt": Ranking(
        strong="click_id", good="ip_address cookie", helpful="user_agent user_id", click_cookies=("sa-postbackid",),
        used=_stackadapt,
    ),
    # "Only the click id matches"
    "taboola": Ranking(decisive="click_id", click_cookies=("taboola_cid",)),
    # "Best to worst: impression id, TDID / UID2 / EUID, device id, IP address"
    "the_trade_desk": Ranking(strong="click_id cookie", good="advertising_id", helpful="ip_address"),
    # "Click id, email, phone, external id, IP with user agent, and _ttp"
    "tiktok": Ranking(
        strong="click_id emails phones", good="user_id anonymous_id ip_address cookie advertising_id", helpful="user_agent"
    ),
    # "The IP address is what matches (household); user agent, URL and GA client id help"
    "vibe": Ranking(strong="ip_address", helpful="user_agent cookie"),
    # "Always send twclid; e-mail and phone next, IP with user agent as supplement"
    "x": Ranking(strong="click_id", good="emails phones", helpful="ip_address user_agent"),
    # "ly_c, ly_su, hashed e-mail and phone, and LINE user id"
    "yahoo": Ranking(
        strong="click_id cookie emails phones", good="advertising_id", helpful="ip_address user_agent", click_cookies=("ly_c",)
    ),
    # "Yclid for Direct clicks, ClientId for any source, then UserId"
    "yandex_metrica": Ranking(strong="click_id cookie", good="user_id"),
}  # fmt: skip
# What no recipe and no list of the platform declares: taken only where the ranking says so.
_UNDECLARED = ("ip_address", "user_agent", "advertising_id")


def signals(kind: type[Platform] | Platform) -> tuple[Signal, ...]:
    """Every identifier that this platform (this account of it) can use and that counts, best first."""
    ranking = RANKINGS.get(kind.name, DEFAULT)
    levels = ranking.levels()
    recipes: dict[str, list[str]] = {}
    for recipe in kind.recipes():
        recipes.setdefault(recipe.source, []).append(recipe.name)
    cookies = tuple(name for name in kind.browser_ids if name not in ranking.click_cookies)
    found = [Signal(source, levels.get(source, ranking.rest), tuple(names)) for source, names in recipes.items()]
    if kind.click_ids:
        level = levels.get("click_id", ranking.rest)
        found.append(Signal("click_id", level, clicks=kind.click_ids, cookies=ranking.click_cookies))
    if cookies and levels.get("cookie"):
        found.append(Signal("cookie", levels["cookie"], cookies=cookies))
    found += [Signal(name, levels[name]) for name in _UNDECLARED if name in levels and name not in recipes]
    if isinstance(kind, Platform):
        found = [signal for signal in found if ranking.used(kind.config, signal.name)]
    order = list(WORDS)
    return tuple(sorted((s for s in found if s.weight), key=lambda s: (-s.weight, order.index(s.name))))
