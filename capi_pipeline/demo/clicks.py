"""Ad clicks and what a browser carries: click ids in the address, first-party cookies, network addresses."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

# Of browsers; the rest block the tag or clear its cookies.
COOKIE_SHARES = {
    "_ga": 0.9,
    "_ga_ABC123": 0.8,
    "_fbp": 0.85,
    "_ttp": 0.6,
    "_scid": 0.4,
    "_rdt_uuid": 0.35,
    "_uetvid": 0.5,
    "_pin_unauth": 0.3,
    "_ym_uid": 0.2,
    "_axwrt": 0.3,
    "crto_mapped_user_id": 0.3,
    "tdid": 0.3,
    "sa-userid": 0.2,
}
# Click id -> the cookie in which its tag keeps the bare value.
KEPT = {"epik": "_epik", "li_fat_id": "li_fat_id", "ttclid": "ttclid", "awc": "awin_awc", "cjevent": "cje"}

_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_URL64 = [a + b for a in _WORD + "-_" for b in _WORD + "-_"]


def token(rng: Random, length: int) -> str:
    """Letters of both cases, digits, - and _."""
    bits = rng.getrandbits(6 * (length + 1))
    out = []
    for _ in range((length + 1) // 2):
        out.append(_URL64[bits & 4095])
        bits >>= 12
    return "".join(out)[:length]


def _hex(rng: Random, length: int) -> str:
    return f"{rng.getrandbits(4 * length):0{length}x}"


def uuid_text(digits: str) -> str:
    """32 hex digits in the spelling of a UUID."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _uuid(rng: Random) -> str:
    return uuid_text(_hex(rng, 32))


# (weight, utm_source, parameter, value)
_NETWORKS: tuple[tuple[int, str, str, Callable[[Random, int], str]], ...] = (
    (22, "google", "gclid", lambda rng, at: "Cj0KCQ" + token(rng, 50)),
    (4, "google", "gbraid", lambda rng, at: "0AAAAA" + token(rng, 36)),
    (2, "google", "wbraid", lambda rng, at: "CjgKCA" + token(rng, 44)),
    (22, "facebook", "fbclid", lambda rng, at: "IwZXh0" + token(rng, 54)),
    (12, "tiktok", "ttclid", lambda rng, at: "E.C.P." + token(rng, 60)),
    (9, "bing", "msclkid", lambda rng, at: _hex(rng, 32)),
    (4, "outbrain", "obclid", lambda rng, at: "v3-" + token(rng, 40)),
    (4, "outbrain", "dicbo", lambda rng, at: "v4-" + token(rng, 24)),
    (4, "snapchat", "ScCid", lambda rng, at: _uuid(rng)),
    (4, "pinterest", "epik", lambda rng, at: "dj0y" + token(rng, 52)),
    (3, "linkedin", "li_fat_id", lambda rng, at: _uuid(rng)),
    (3, "reddit", "rdt_cid", lambda rng, at: str(rng.randrange(10**18, 10**19))),
    (2, "twitter", "twclid", lambda rng, at: "2-" + token(rng, 24)),
    (1, "quora", "qclid", lambda rng, at: token(rng, 44)),
    (1, "nextdoor", "ndclid", lambda rng, at: token(rng, 32)),
    (2, "taboola", "tblci", lambda rng, at: "GiC" + token(rng, 52)),
    (2, "impact", "irclickid", lambda rng, at: token(rng, 30)),
    (2, "awin", "awc", lambda rng, at: f"{rng.randrange(1000, 99999)}_{at}_{_hex(rng, 32)}"),
    (3, "cj", "cjevent", lambda rng, at: _hex(rng, 32)),
    (2, "yandex", "yclid", lambda rng, at: str(rng.randrange(10**18, 10**19))),
    (2, "dv360", "dclid", lambda rng, at: "CPq" + token(rng, 24)),
    (3, "rakuten", "ranSiteID", lambda rng, at: token(rng, 34)),
    (2, "amazon", "aref", lambda rng, at: token(rng, 10)),
    (1, "thetradedesk", "ttd_imp", lambda rng, at: _uuid(rng)),
    (1, "yahoo", "_ly_c", lambda rng, at: token(rng, 40)),
    (1, "openai", "oppref", lambda rng, at: token(rng, 36)),
    (1, "axon", "aleid", lambda rng, at: _uuid(rng)),
    (1, "rokt", "rtid", lambda rng, at: token(rng, 30)),
    (1, "stackadapt", "sapid", lambda rng, at: token(rng, 22)),
)
_DRAW = [network for network in _NETWORKS for _ in range(network[0])]
PARAMETERS = tuple(network[2] for network in _NETWORKS)


def ad_click(rng: Random, at: int) -> tuple[str, dict[str, str]]:
    """Source and click ids of a click on an ad at this second; Google sometimes gives two."""
    _, source, parameter, value = rng.choice(_DRAW)
    ids = {parameter: value(rng, at)}
    if parameter == "gbraid" and rng.random() < 0.3:
        ids["gclid"] = "EAIaIQ" + token(rng, 50)
    return source, ids


def cookies(device: str, clicks: dict[str, str], at: float, marketing: bool) -> dict[str, str]:
    """What the device's browser holds: stable ids of the device, and the last click where a tag keeps it."""
    # derived from the device's own id, so that every visit finds them again
    first, second, third, fourth = (int(device[i : i + 7], 16) for i in (0, 7, 14, 21))
    born = 1_700_000_000 + first % 40_000_000
    jar: dict[str, str] = {}
    if first % 100 < COOKIE_SHARES["_ga"] * 100:
        jar["_ga"] = f"GA1.1.{second + 100_000_000}.{born}"
    if second % 100 < COOKIE_SHARES["_ga_ABC123"] * 100:
        jar["_ga_ABC123"] = f"GS2.1.s{int(at)}$o{first % 9 + 1}$g1$t{int(at) + 40}$j60$l0$h0"
    if not marketing:
        return jar
    if third % 100 < COOKIE_SHARES["_fbp"] * 100:
        jar["_fbp"] = f"fb.1.{born}{first % 1000:03}.{third + 1_000_000_000}"
    if fourth % 100 < COOKIE_SHARES["_ttp"] * 100:
        jar["_ttp"] = f"01{device[:24].upper()}_.tt.1"
    if first % 97 < COOKIE_SHARES["_scid"] * 97:
        jar["_scid"] = uuid_text(device[8:] + device[:8])
    if second % 97 < COOKIE_SHARES["_rdt_uuid"] * 97:
        jar["_rdt_uuid"] = f"{born}{second % 1000:03}.{uuid_text(device[16:] + device[:16])}"
    if third % 97 < COOKIE_SHARES["_uetvid"] * 97:
        jar["_uetvid"] = device[24:] + device[:24]
    for number, name in enumerate(("_pin_unauth", "_axwrt", "crto_mapped_user_id", "tdid", "sa-userid")):
        if int(device[number : number + 4], 16) % 89 < COOKIE_SHARES[name] * 89:
            jar[name] = uuid_text(device[number:] + device[:number])
    if int(device[5:9], 16) % 89 < COOKIE_SHARES["_ym_uid"] * 89:
        jar["_ym_uid"] = f"{born}{second:09}"
    for parameter, value in clicks.items():
        if parameter == "fbclid":
            jar["_fbc"] = f"fb.1.{int(at * 1000)}.{value}"
        elif parameter == "gclid":
            jar["_gcl_aw"] = f"GCL.{int(at)}.{value}"
        elif parameter == "msclkid":
            jar["_uetmsclkid"] = f"_uet{value}"
        elif parameter in KEPT:
            jar[KEPT[parameter]] = value
    return jar


def address(device: str) -> str:
    """The address of a device or a home's line (32 hex digits), of the ranges that RFC 5737 and RFC 3849 keep for documents."""
    kind, last = int(device[-6:-4], 16), int(device[:2], 16) % 254 + 1
    if kind < 60:
        return f"2001:db8:{device[2:6]}:{device[6:10]}::{device[10:14]}"
    return f"{('192.0.2', '198.51.100', '203.0.113')[kind % 3]}.{last}"
