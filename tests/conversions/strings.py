"""Consent strings made for tests, by the specification and without the decoder's code."""

from __future__ import annotations

from collections.abc import Iterable

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
EVERYTHING = frozenset(range(1, 11))


def base64url(bits: str) -> str:
    bits += "0" * (-len(bits) % 6)
    return "".join(LETTERS[int(bits[start : start + 6], 2)] for start in range(0, len(bits), 6))


def tc_string(
    purposes: Iterable[int] = EVERYTHING,
    vendors: Iterable[int] = (),
    *,
    ranged: bool = False,
    ranges: list[tuple[int, int]] | None = None,
    restrictions: list[tuple[int, int, int]] | None = None,
    one_elsewhere: bool = False,
) -> str:
    """A TC string; `restrictions`: (purpose, type, vendor); `ranges`: of vendors, instead of `vendors`."""
    purposes, vendors = set(purposes), sorted(vendors)
    bits = f"{2:06b}" + "0" * (36 + 36 + 12 + 12 + 6 + 12 + 12 + 6 + 1 + 1 + 12)
    bits += "".join("1" if n in purposes else "0" for n in range(1, 25)) + "0" * 24
    bits += "1" if one_elsewhere else "0"
    bits += "0" * 12
    if ranges is not None or ranged:
        given = [(n, n) for n in vendors] if ranges is None else ranges
        bits += f"{65535:016b}1{len(given):012b}"
        bits += "".join(f"0{a:016b}" if a == b else f"1{a:016b}{b:016b}" for a, b in given)
    else:
        most = max(vendors, default=0)
        bits += f"{most:016b}0" + "".join("1" if n in vendors else "0" for n in range(1, most + 1))
    bits += f"{0:016b}0"
    bits += f"{len(restrictions or ()):012b}"
    for purpose, kind, vendor in restrictions or ():
        bits += f"{purpose:06b}{kind:02b}{1:012b}0{vendor:016b}"
    return base64url(bits)


ALL_VENDORS = tc_string(ranges=[(1, 2000)])
REFUSED = tc_string(purposes=())
OPTED_OUT = "DBABTA~1YYN"  # IAB Tech Lab's: US Privacy, opted out of sale
NOT_OPTED_OUT = "DBABTA~1YNN"
