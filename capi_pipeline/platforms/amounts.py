"""Money as platforms write it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from capi_pipeline.conversions.conversion import Amount
from capi_pipeline.platforms.outcomes import Reason, Withhold

# ISO 4217: currencies whose smallest unit is not a hundredth of the main one.
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()  # noqa: SIM905
_THOUSANDTHS = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]
DECIMALS = {**dict.fromkeys(_WHOLE, 0), **dict.fromkeys(_THOUSANDTHS, 3)}


def not_negative(amount: Amount | None) -> Amount | None:
    """The amount, where a platform documents none below zero. Raises Withhold."""
    if amount is not None and amount < 0:
        raise Withhold(Reason.INVALID_VALUE, "a negative value")
    return amount


def text(amount: Amount, least: int = 0, most: int = 4) -> str:
    """A plain decimal with a point, at least and at most so many decimals: 149.9 -> `149.9`, with `least=2` `149.90`."""
    whole, _, fraction = f"{amount:.{most}f}".partition(".")
    fraction = fraction.rstrip("0").ljust(least, "0")
    return f"{whole}.{fraction}" if fraction else whole


def whole_lines(contents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of an order; none where one lacks its id, price or quantity: a part of an order is another amount."""
    whole = all(
        line["id"] and line["price"] is not None and line["price"] >= 0 and (line["quantity"] or 0) >= 1
        for line in contents
    )
    return contents if whole else []


def total(lines: list[dict[str, Any]]) -> Decimal:
    """What whole lines come to, exactly."""
    return sum((Decimal(repr(line["price"])) * line["quantity"] for line in lines), Decimal())


def minor_units(amount: Amount, currency: str) -> int:
    """In the currency's smallest unit: 149.97 USD -> 14997, 12000 JPY -> 12000, 12.345 KWD -> 12345."""
    scaled = Decimal(repr(amount)).scaleb(DECIMALS.get(currency, 2))
    return int(scaled.to_integral_value(ROUND_HALF_UP))
