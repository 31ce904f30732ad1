"""One hashed conversion, as a platform's `encode` sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import repeat
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from capi_pipeline.conversions.contract import KEPT, Kind
from capi_pipeline.conversions.identifiers import Recipe

Amount = int | float
_NONE: tuple[str, ...] = ()


@dataclass(slots=True)
class Conversion:
    """A canonical conversion without raw identifiers. Times are epoch microseconds (UTC), amounts plain numbers,
    JSON columns parsed on creation; `identifiers` maps a recipe's name to its values, best first."""

    event_id: str
    event_name: str
    custom_event_name: str | None
    event_time: int
    recorded_at: int
    action_source: str
    source_url: str | None
    referrer_url: str | None
    transaction_id: str | None
    value: Amount | None
    currency: str | None
    tax: Amount | None
    shipping: Amount | None
    coupon: str | None
    contents: list[dict[str, Any]]
    search_term: str | None
    customer_type: str | None
    original_event_id: str | None
    original_event_time: int | None
    remaining_value: Amount | None
    properties: dict[str, Any]
    region: str | None
    country: str | None
    ip_address: str | None
    user_agent: str | None
    click_ids: dict[str, dict[str, Any]]
    browser_ids: dict[str, str]
    device: dict[str, Any]
    consent_ad_storage: str | None
    consent_ad_user_data: str | None
    consent_ad_personalization: str | None
    opt_out_of_sale: bool | None
    privacy_country: str | None
    privacy_region: str | None
    tcf_string: str | None
    gpp_string: str | None
    gpp_sid: str | None
    enriched: list[str]
    withhold: str | None
    identifiers: Mapping[str, Sequence[str]]

    def all(self, *recipes: Recipe) -> list[str]:
        """Every value of these recipes, in order, best first."""
        return [value for recipe in recipes for value in self.identifiers.get(recipe.name, _NONE)]

    def first(self, recipe: Recipe) -> str | None:
        """The best value of one recipe."""
        values = self.identifiers.get(recipe.name)
        return values[0] if values else None

    def click_id(self, *parameters: str) -> str | None:
        """The value of the first of these URL parameters that is there."""
        for parameter in parameters:
            found = self.click_ids.get(parameter)
            if found and found.get("value"):
                return str(found["value"])
        return None

    def clicked_at(self, parameter: str) -> int | None:
        """When that click id was first seen, in epoch milliseconds."""
        when = (self.click_ids.get(parameter) or {}).get("clicked_at")
        return parse_time(when) // 1000 if when else None

    @property
    def name(self) -> str:
        """The advertiser's own name of a `custom` event, else the canonical name."""
        return self.custom_event_name or self.event_name if self.event_name == "custom" else self.event_name

    @property
    def original_event_name(self) -> str:
        """Of a refund: the name of the conversion that it adjusts."""
        return str(self.properties.get("original_event_name") or "purchase")

    @property
    def items(self) -> list[dict[str, Any]]:
        """The contents that have a product id."""
        return [item for item in self.contents if item["id"]]

    @property
    def quantity(self) -> int:
        """Pieces of all `items`; an unknown quantity is one."""
        return sum(item["quantity"] or 1 for item in self.items)

    @property
    def system(self) -> str:
        """Of an app event: `ios`, `android`, or whatever else the device names, in lower case."""
        name = str(self.device.get("os") or "").lower()
        return "ios" if name == "ipados" else name

    @property
    def may_track(self) -> bool:
        """Of an app event: on iOS the person allowed tracking (ATT), elsewhere the device has an advertising id."""
        if self.system == "ios":
            return str(self.device.get("att_status") or "").lower() == "authorized"
        return self.advertising_id is not None

    @property
    def advertising_id(self) -> str | None:
        """The device's advertising id; all zeros mean that the person limited ad tracking, so it names nobody."""
        known = str(self.device.get("advertising_id") or "").strip()
        return known if known.strip("0-") else None

    @property
    def ipv4(self) -> str | None:
        """The person's address, where it is IPv4, dotted: some platforms take no other."""
        return str(self.ip) if isinstance(self.ip, IPv4Address) else None

    @property
    def ip(self) -> IPv4Address | IPv6Address | None:
        """The person's address; None for a text that is none, or is of one network only (fe80::1%eth0). An IPv4 address
        written as IPv6 (::ffff:…) is IPv4."""
        try:
            found = ip_address((self.ip_address or "").strip())
        except ValueError:
            return None
        if isinstance(found, IPv4Address):
            return found
        return None if found.scope_id else found.ipv4_mapped or found

    @property
    def jurisdiction(self) -> tuple[str | None, str | None]:
        """Country and region where the privacy choice was made."""
        if self.privacy_country:
            return self.privacy_country, self.privacy_region
        return self.country, self.privacy_region or self.region


def conversions(batch: pa.RecordBatch) -> Iterator[Conversion]:
    """The rows of a batch of hashed conversions (see transform.schema)."""
    fixed: list[list[Any]] = [_python(batch, column.name, column.kind) for column in KEPT]
    withhold = batch["withhold"].to_pylist()
    names = batch.schema.names[len(KEPT) + 1 :]
    rows = zip(*(_lists(batch[name]) for name in names), strict=True) if names else repeat(())
    identifiers = (dict(zip(names, row, strict=True)) for row in rows)
    build: Any = Conversion  # positional, in the order of KEPT: this is the hot loop
    yield from map(build, *fixed, withhold, identifiers)


def _lists(column: pa.ListArray) -> list[list[str]]:
    """As `to_pylist`, of a column without nulls, and several times as fast."""
    values: list[str] = column.flatten().to_pylist()
    ends: list[int] = np.cumsum(pc.list_value_length(column).to_numpy()).tolist()
    return [values[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _python(batch: pa.RecordBatch, name: str, kind: Kind) -> list[Any]:
    column = batch[name]
    if kind is Kind.TIME:
        return list(column.cast(pa.int64()).to_pylist())
    if kind is Kind.AMOUNT:
        # Through text: Arrow's direct cast scales by a power of ten and leaves 99.99000000000001.
        return [None if x is None else number(x) for x in column.cast(pa.string()).cast(pa.float64()).to_pylist()]
    if kind in (Kind.OBJECT, Kind.ARRAY):
        tidy = _TIDY.get(name, dict)
        empty: Any = {} if kind is Kind.OBJECT else []
        return [
            tidy(orjson.loads(text)) if text and text not in ("{}", "[]") else empty.copy()
            for text in column.to_pylist()
        ]
    return list(column.to_pylist())


# JSON has no column types, and a shop's product ids may well be numbers there. One wrong type refuses a whole request at
# some platforms, so each member gets its own type here, once, and what has none is left out.


def _items(contents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: tidy(item.get(key)) for key, tidy in _ITEM} for item in contents]


def _clicks(clicks: dict[str, Any]) -> dict[str, dict[str, Any]]:
    for click in clicks.values():
        if click:
            click["value"] = _text(click.get("value"))
    return {key: click for key, click in clicks.items() if click}


def _texts(members: dict[str, Any]) -> dict[str, str]:
    return {key: text for key, value in members.items() if (text := _text(value))}


def _device(device: dict[str, Any]) -> dict[str, Any]:
    sizes = {key: _whole(device.get(key)) for key in ("screen_width", "screen_height")}
    return {**_texts(device), **sizes}


_TIDY: dict[str, Callable[[Any], Any]] = {
    "contents": _items,
    "click_ids": _clicks,
    "browser_ids": _texts,
    "device": _device,
    "enriched": lambda names: [name for name in names if name],
}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _number(value: Any) -> Amount | None:
    if type(value) is int and -(10**15) < value < 10**15:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = float(value)
    except ValueError:
        return None
    return number(amount) if abs(amount) < 1e15 else None  # neither infinite nor not a number


def _whole(value: Any) -> int | None:
    amount = _number(value)
    return amount if isinstance(amount, int) else None


_ITEM: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("id", _text), ("name", _text), ("category", _text), ("brand", _text), ("variant", _text), ("quantity", _whole),
    ("price", _number),
)  # fmt: skip


def number(amount: float) -> Amount:
    """A whole amount as an integer (JPY 12000), any other as it is."""
    return int(amount) if amount == int(amount) else amount


def parse_time(text: str) -> int:
    """Epoch microseconds of an ISO 8601 time; one without a zone is UTC."""
    when = datetime.fromisoformat(text)
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1_000_000)
