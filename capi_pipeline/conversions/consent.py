"""The consent decision: made once per conversion, from all that is known of the person's choices, by one table of rules.

Sources, the stricter winning where they differ: the consent columns (Google consent mode's words, as the CMP recorded them),
the TC string (also the one within a GPP string), the GPP string's US sections with Global Privacy Control, and erasure.
`decide` answers for all platforms; what depends on the platform (`refusal`) is asked by the same rules as it encodes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from capi_pipeline.conversions import gpp, tcf
from capi_pipeline.conversions.bits import MalformedString

# European Economic Area, United Kingdom and Switzerland: advertising needs a yes beforehand. The last line holds the parts
# of the European Union with a code of their own: Åland, the French overseas departments and Saint-Martin.
OPT_IN_COUNTRIES = frozenset([
    "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV", "LT", "LU", "MT", "NL",
    "PL", "PT", "RO", "SK", "SI", "ES", "SE", "IS", "LI", "NO", "GB", "CH",
    "AX", "GF", "GP", "MF", "MQ", "RE", "YT",
])  # fmt: skip


@dataclass(frozen=True)
class ConsentPolicy:
    """Where silence means no: the countries, and whether an unknown country counts as one of them."""

    opt_in_countries: frozenset[str] = field(default=OPT_IN_COUNTRIES)
    opt_in_if_unknown: bool = True


class State(StrEnum):
    """What a person said of ad storage and the use of their data for advertising, taken together."""

    GRANTED = "granted"  # yes to both
    UNKNOWN = "unknown"  # no answer to at least one, and no to neither
    UNREADABLE = "unreadable"  # likewise, and the answer may stand in a string that cannot be read
    DENIED = "denied"  # no to at least one
    ERASED = "erased"  # asked to be forgotten


class PlatformClass(StrEnum):
    """How a platform can honour a choice."""

    LIMITED_DATA = "limited_data"  # takes a flag for limited use of the data
    CONSENT_AND_LIMITED_DATA = "consent_and_limited_data"  # takes the choices, and a flag for limited use
    CONSENT_FIELDS = "consent_fields"  # takes the choices in fields of its own, and has no flag for limited use
    ANALYTICS = "analytics"  # measures the site itself: it is told of a refusal, and gets no identifier then
    AFFILIATE = "affiliate"  # settles commissions by click id; cannot be told anything
    PLAIN = "plain"  # cannot be told anything

    @property
    def limits(self) -> bool:
        """Whether it can be told that a person opted out of sale."""
        return self in (self.LIMITED_DATA, self.CONSENT_AND_LIMITED_DATA, self.ANALYTICS)


@dataclass(frozen=True)
class Rule:
    """Withholds for `reason` (a word of platforms.outcomes.Reason) where all that it names is so; None: whichever."""

    reason: str
    because: str
    states: tuple[State, ...] = tuple(State)
    opt_in: bool | None = None  # the jurisdiction wants a yes beforehand
    opted_out: bool | None = None  # of sale, sharing or targeted advertising
    limits: bool | None = None  # the platform can be told so

    def holds(self, state: State, opt_in: bool, opted_out: bool, limits: bool) -> bool:
        asked = ((self.opt_in, opt_in), (self.opted_out, opted_out), (self.limits, limits))
        return state in self.states and all(wanted is None or wanted == found for wanted, found in asked)


# The table. The first rule that holds decides; where none does, the conversion may be sent.
RULES = (
    Rule("erased", "the person asked to be forgotten", states=(State.ERASED,)),
    Rule("consent_denied", "ad storage or the use of their data was refused", states=(State.DENIED,)),
    Rule("consent_unreadable", "only a string could tell, and it cannot be read", states=(State.UNREADABLE,)),
    Rule("consent_unknown", "nobody asked, where silence means no", states=(State.UNKNOWN,), opt_in=True),
    Rule("opted_out", "opted out of sale, and the platform cannot be told", opted_out=True, limits=False),
)


def refusal(state: State, opt_in: bool, opted_out: bool, limits: bool) -> str | None:
    """Why a conversion may not be sent to a platform, or None: the table of rules."""
    return next((rule.reason for rule in RULES if rule.holds(state, opt_in, opted_out, limits)), None)


@dataclass(frozen=True)
class Decisions:
    """Of each row: `withhold` (from every platform; a reason, or null), and the `answers` after all sources were heard, by
    contract column."""

    withhold: pa.Array
    answers: dict[str, pa.Array]


ANSWERS = ("consent_ad_storage", "consent_ad_user_data", "consent_ad_personalization")
_WORDS = ("granted", "denied")  # codes 0 and 1; -1: no answer
_GRANTED, _DENIED, _SILENT = 0, 1, -1
_STATES = tuple(State)
# (state, opt-in) -> the reason that holds for every platform: for one that can be told of an opt-out
_TABLE = [[refusal(state, opt_in, False, True) for opt_in in (False, True)] for state in _STATES]


def decide(batch: pa.RecordBatch, policy: ConsentPolicy, erased: NDArray[np.bool_] | None = None) -> Decisions:
    """The decisions on rows of contract columns. `erased`: the rows whose person asked to be forgotten."""
    spelled = pa.array(_WORDS)  # made here: at import, Arrow would look for pandas, and every command would wait for it
    answers = {name: _codes(pc.index_in(batch[name], spelled)) for name in ANSWERS}
    opted_out = _codes(pc.index_in(batch["opt_out_of_sale"], pa.array([False, True])))
    unheard = np.zeros(batch.num_rows, dtype=bool)
    unreadable = _hear_strings(batch, answers, opted_out, unheard)
    storage, user_data, _ = answers.values()
    state = np.select(
        [
            np.zeros(batch.num_rows, dtype=bool) if erased is None else erased,
            (storage == _DENIED) | (user_data == _DENIED),
            (storage == _GRANTED) & (user_data == _GRANTED),
            unheard,
        ],
        [_STATES.index(s) for s in (State.ERASED, State.DENIED, State.GRANTED, State.UNREADABLE)],
        _STATES.index(State.UNKNOWN),
    )
    reasons = [_TABLE[s][o] for s, o in zip(state.tolist(), _opt_in(batch, policy).tolist(), strict=True)]
    words = {name: spelled.take(pa.array(codes, mask=codes < 0)) for name, codes in answers.items()}
    for name, rows in unreadable.items():  # no platform is handed what nobody can read
        mask = np.zeros(batch.num_rows, dtype=bool)
        mask[rows] = True
        words[name] = pc.if_else(pa.array(mask), pa.scalar(None, pa.string()), batch[name])
    words["opt_out_of_sale"] = pa.array(opted_out == _DENIED, mask=opted_out < 0)
    return Decisions(pa.array(reasons, pa.string()), words)


def _opt_in(batch: pa.RecordBatch, policy: ConsentPolicy) -> NDArray[np.bool_]:
    """The jurisdiction where the choice was made decides, else the conversion's country."""
    country = pc.coalesce(batch["privacy_country"], batch["country"])
    listed = pc.is_in(country, pa.array(sorted(policy.opt_in_countries), pa.string()))
    found = pc.if_else(pc.is_valid(country), listed, pa.scalar(policy.opt_in_if_unknown))
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def _hear_strings(
    batch: pa.RecordBatch,
    answers: dict[str, NDArray[np.int8]],
    opted_out: NDArray[np.int8],
    unheard: NDArray[np.bool_],
) -> dict[str, list[int]]:
    """Add what the strings say to the answers of the columns, in place: a no of either stays, a yes fills silence. What only
    an unreadable string could have answered counts as a no. Returns the rows of unreadable strings, by column."""
    storage, user_data, personalisation = (answers[name] for name in ANSWERS)
    unreadable: dict[str, list[int]] = defaultdict(list)
    for row, heard in _heard(batch):
        _add(storage, row, heard.storage)
        _add(user_data, row, heard.user_data)
        _add(personalisation, row, heard.personalisation)
        _add(opted_out, row, None if heard.opted_out is None else not heard.opted_out)
        for column in heard.unreadable:
            unreadable[column].append(row)
        if heard.wrong:
            unheard[row] = True
            _add(personalisation, row, False if personalisation[row] == _SILENT else None)
            if heard.sale_unread:
                _add(opted_out, row, False if opted_out[row] == _SILENT else None)
    return unreadable


def unreadable(batch: pa.RecordBatch) -> Iterator[tuple[int, str]]:
    """The rows whose strings cannot be read, and what is wrong with them, without a word of them."""
    return ((row, heard.wrong) for row, heard in _heard(batch) if heard.wrong)


def _heard(batch: pa.RecordBatch) -> Iterator[tuple[int, Heard]]:
    """The rows that have a string, and what it says."""
    rows = pc.indices_nonzero(pc.or_(pc.is_valid(batch["tcf_string"]), pc.is_valid(batch["gpp_string"])))
    strings = [batch[name].take(rows).to_pylist() for name in ("tcf_string", "gpp_string", "gpp_sid")]
    for row, *texts in zip(rows.to_pylist(), *strings, strict=True):
        yield row, hear(*texts)


def _add(codes: NDArray[np.int8], row: int, allowed: bool | None) -> None:
    if allowed is not None and codes[row] != _DENIED:
        codes[row] = _GRANTED if allowed else _DENIED


@dataclass(frozen=True)
class Heard:
    """What the strings of one conversion say: True is a yes, `opted_out` True a no to sale; None: nothing. `wrong`: what is
    wrong with them; `unreadable`: the columns of those; `sale_unread`: among them is the one that answers for the sale."""

    storage: bool | None = None
    user_data: bool | None = None
    personalisation: bool | None = None
    opted_out: bool | None = None
    wrong: str = ""
    unreadable: frozenset[str] = frozenset()
    sale_unread: bool = False
    consents: tuple[tcf.Consents, ...] = ()


@lru_cache(maxsize=4096)
def hear(tc_string: str | None, gpp_string: str | None, gpp_sid: str | None) -> Heard:
    """The strings of one conversion, read. Purposes are taken as Google's consent mode takes them: 1 is storage, 1 and 7 the
    use of the data, 3 and 4 personalisation (https://support.google.com/analytics/answer/13802165)."""
    wrong: dict[str, str] = {}
    unreadable: set[str] = set()
    opted_out: bool | None = None
    found = [("TCF", "tcf_string", tc_string)] if tc_string else []
    if gpp_string:
        try:
            signals = gpp.decode(gpp_string, gpp_sid)
            opted_out = signals.opted_out
            found += [("TCF in GPP", "gpp_string", signals.tcf)] if signals.tcf is not None else []
        except MalformedString as error:
            wrong["GPP"] = str(error)
            unreadable.add("gpp_string")
    consents = []
    for name, column, text in found:
        try:
            consents.append(tcf.decode(text))
        except MalformedString as error:
            wrong[name] = str(error)
            unreadable.add(column)
    storage = [c.consents(tcf.STORAGE) for c in consents if c.storage_disclosed]
    user_data = [c.consents(tcf.MEASUREMENT) and (c.consents(tcf.STORAGE) or not c.storage_disclosed) for c in consents]
    profiles = [c.consents(tcf.PROFILE, tcf.PERSONALISED_ADS) for c in consents]
    words = "; ".join(f"{name}: {what}" for name, what in wrong.items())
    said = _all(storage), _all(user_data), _all(profiles), opted_out
    return Heard(*said, words, frozenset(unreadable), "GPP" in wrong, tuple(consents))


def _all(answers: list[bool]) -> bool | None:
    return all(answers) if answers else None


def vendor_refused(tc_string: str | None, gpp_string: str | None, gpp_sid: str | None, vendor: int | None) -> bool:
    """Whether a readable TC string denies this vendor (its number in the Global Vendor List)."""
    if vendor is None or not (tc_string or gpp_string):
        return False
    return any(not consents.allows(vendor) for consents in hear(tc_string, gpp_string, gpp_sid).consents)


def _codes(found: pa.Array) -> NDArray[np.int8]:
    return np.array(pc.fill_null(found, _SILENT), dtype=np.int8)
