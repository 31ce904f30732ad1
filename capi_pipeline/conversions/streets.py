"""Street addresses as Amazon writes them before hashing (its server tag's maps, 2026): words become their abbreviations."""

from __future__ import annotations

import re


def _map(text: str) -> dict[str, str]:
    """`street/str st, road rd` -> {"street": "st", "str": "st", "road": "rd"}."""
    pairs = (entry.split() for entry in text.split(","))
    return {word: short for words, short in pairs for word in words.split("/")}


_EVERYWHERE = _map(
    "avenue ave, circle cir, circles cirs, court ct, centre/center ctr, drive dr, freeway/frwy fwy, highway hwy, lane ln, "
    "parks park, parkway/parkways/parkwy/pky/pkway/pkwys pkwy, place pl, plaza/plza plz, road rd, square/squ/sqr sq, "
    "street/str st"
)
_BY_COUNTRY = {
    "US": _map(
        "alley aly, annex anx, av/avenu/aven ave, beach bch, bluff blf, boul/boulv blvd, branch br, bridge brg, brook brk, "
        "bypass byp, canyon cyn, causeway cswy, cliff clf, club clb, common cmn, corner cor, cove cv, creek crk, "
        "crescent cres, crossing xing, dale dl, estate est, expressway expy, extension ext, falls fls, ferry fry, "
        "field fld, flat flt, ford frd, forest frst, fork frk, fort ft, garden gdn, gardens gdns, gateway gtwy, glen gln, "
        "green grn, grove grv, harbor hbr, haven hvn, heights hts, hill hl, hills hls, hollow holw, inlet inlt, island is, "
        "junction jct, key ky, knoll knl, lake lk, landing lndg, light lgt, lodge ldg, manor mnr, meadow mdw, mill ml, "
        "mission msn, mount mt, mountain mtn, orchard orch, pine pne, pines pnes, plain pln, point pt, port prt, prairie pr, "
        "ranch rnch, rapid rpd, ridge rdg, river riv, route rte, shore shr, skyway skwy, spring spg, springs spgs, "
        "station sta, stream strm, summit smt, terrace ter, trace trce, track trak, trail trl, tunnel tunl, turnpike tpke, "
        "union un, valley vly, viaduct via, view vw, village vlg, ville vl, vista vis, well wl, apartment/appt apt, "
        "building bldg, basement bsmt, department dept, floor fl, front frnt, lobby lbby, lower lowr, office ofc, "
        "penthouse ph, room rm, space spc, suite ste, upper uppr"
    ),
    "FR": _map("ave avenue, che chemin, imp impasse, rte route"),
    "IT": _map("vle viale, cso corso, pza/pzza piazza, lgo largo"),
    "ES": _map(
        "av/avd/avda avenida, c/carrer calle, ctra carretera, pl/plza/pza plaza, paseo/ps/pg passeig, rda ronda"
    ),
}
_POINTS = _map("north n, south s, east e, west w, northeast ne, northwest nw, southeast se, southwest sw")
_NUMBER = _map("numero/número/num/núm/no number")
_SPECIAL = str.maketrans(
    {"á": "a", "é": "e", "í": "i", "ó": "o", "ú": "u", "ß": "ss", "ä": "ae", "ö": "oe", "ü": "ue", "ø": "o", "æ": "ae"}
)


def letters(text: str) -> str:
    """The few letters that Amazon transliterates; it drops all others that are not of ASCII."""
    return text.translate(_SPECIAL)


def kept(text: str, more: str = "") -> str:
    """Only a-z, 0-9 and what else is named."""
    return "".join(c for c in text if c.isascii() and (c.islower() or c.isdigit() or c in more))


def amazon(value: str, country: str | None) -> str | None:
    """`1 Market Street` in the US -> `1marketst`; the order of the steps is Amazon's."""
    local = _BY_COUNTRY.get(country or "", {})
    text = _replaced(value.lower(), _EVERYWHERE, local)
    text = re.sub(r"[,.\[\]/-]", " ", text).replace("#", " number ")
    text = letters(_replaced(text, _POINTS, _NUMBER))
    return kept(_replaced(text, _EVERYWHERE, local))


def _replaced(text: str, *maps: dict[str, str]) -> str:
    """Whole words, by one map after the other."""
    words = text.split()
    for found in maps:
        words = [found.get(word, word) for word in words]
    return " ".join(words)
