"""GPP strings of IAB Tech Lab's Global Privacy Platform: opt-outs of the US sections, Global Privacy Control, the EU's TC string.

https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform ("Consent String Specification", "Section
Information", and each section's page). Canada's section is not read. Checked against IAB Tech Lab's own vectors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from capi_pipeline.conversions.bits import Bits, MalformedString

HEADER, VERSION = 3, 1
TCF_EU, US_PRIVACY, US_NATIONAL = 2, 6, 7
_LEFT_ASIDE = (1, 4, 5)  # the first TCF, signal integrity, Canada: no answer to what is asked here
# States have six bits of version, then fields of two bits. Maryland, Indiana, Kentucky and Rhode Island (24 to 27) have a
# layout of their own, in public comment and without a vector: a string in which they are in force is not understood.
_STATES = {"usca": 8, "usva": 9, "usco": 10, "usut": 11, "usct": 12, "usfl": 13, "usmt": 14, "usor": 15, "ustx": 16,
           "usde": 17, "usia": 18, "usne": 19, "usnh": 20, "usnj": 21, "ustn": 22, "usmn": 23}  # fmt: skip
# Section -> how many of these fields (notices) precede its opt-outs, and how many opt-outs there are: of sale, of sharing
# where the law has it, of targeted advertising where it is apart.
_OPT_OUTS = {
    **dict.fromkeys(_STATES.values(), (3, 2)),
    US_NATIONAL: (6, 3),
    _STATES["usut"]: (4, 2),  # with a notice on sensitive data
    _STATES["usia"]: (4, 2),
}
_GPC_SEGMENT = 1
_OPTED_OUT, _DID_NOT = 1, 2


@dataclass(frozen=True)
class Signals:
    """`opted_out`: of sale, sharing or targeted advertising, or by Global Privacy Control; None where nobody answered.
    `tcf`: the EU section's TC string."""

    opted_out: bool | None
    tcf: str | None


@lru_cache(maxsize=4096)
def decode(text: str, in_force: str | None = None) -> Signals:
    """The signals of a GPP string. `in_force` (`gpp_sid`): the sections that apply, separated by comma or underscore; the
    others are left aside, but for Global Privacy Control, which is the browser's. Without it all apply.
    Raises MalformedString."""
    head, *sections = text.split("~")
    ids = _header(head)
    if len(ids) != len(sections):
        raise MalformedString(f"its header names {len(ids)} sections, and {len(sections)} follow")
    applied = _applied(in_force)
    answers: set[bool | None] = set()
    tcf, unread = None, []
    for section, body in zip(ids, sections, strict=True):
        applies = not applied or section in applied
        if section == TCF_EU and applies:
            tcf = body
        elif section == US_PRIVACY:
            answers |= {_us_privacy(body)} if applies else set()
        elif section in _OPT_OUTS:
            opted_out, control = _us(section, body)
            answers |= {opted_out} if applies else set()
            answers |= {True} if control else set()
        elif applies and section not in _LEFT_ASIDE:
            unread.append(section)
    if unread and True not in answers:
        raise MalformedString(f"its section {unread[0]} is of a layout that is not known here")
    return Signals(True if True in answers else False if False in answers else None, tcf)


def _header(text: str) -> list[int]:
    bits = Bits(text)
    if (kind := bits.read(6)) != HEADER:
        raise MalformedString(f"it begins with type {kind}, not with the header's {HEADER}")
    if (version := bits.read(6)) != VERSION:
        raise MalformedString(f"it is of version {version}, not {VERSION}")
    ids: list[int] = []
    last = 0
    for _ in range(bits.read(12)):
        many = bits.flag()
        first = last + bits.fibonacci()
        last = first + bits.fibonacci() if many else first
        if last > 63:
            raise MalformedString("its header names a section that does not exist")
        ids.extend(range(first, last + 1))
    return ids


def _applied(in_force: str | None) -> frozenset[int]:
    """-1 and 0 stand for "none determined"; then, as without a list, every section counts."""
    numbers = (int(word) for word in re.findall(r"-?\d+", in_force or ""))
    return frozenset(number for number in numbers if number > 0)


def _us_privacy(text: str) -> bool | None:
    """The older US Privacy string: version, notice, opt-out of sale, LSPA, e.g. `1YNN`."""
    if not re.fullmatch(r"1[YN-]{3}", text, re.IGNORECASE):
        raise MalformedString("its US Privacy section is not `1` and three of Y, N and -")
    return {"Y": True, "N": False}.get(text[2].upper())


def _us(section: int, text: str) -> tuple[bool | None, bool]:
    """Opted out, and Global Privacy Control, of a US section."""
    core, *segments = text.split(".")
    bits = Bits(core)
    if bits.read(6) == 0:
        raise MalformedString(f"its section {section} has no version")
    notices, opt_outs = _OPT_OUTS[section]
    bits.read(2 * notices)
    answers = [bits.read(2) for _ in range(opt_outs)]
    if max(answers) > _DID_NOT:
        raise MalformedString(f"its section {section} holds an answer that is none")
    control = False
    for segment in segments:
        part = Bits(segment)
        if part.read(2) == _GPC_SEGMENT:
            control = part.flag()
    return (True if _OPTED_OUT in answers else False if _DID_NOT in answers else None), control
