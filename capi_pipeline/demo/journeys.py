"""One hour of the shop: visits and what comes of them, as rows of the raw tables with the time at which each lands.

An hour's plan is a pure function of (seed, hour); rows that land later (refunds, lead stages, late and repeated loads)
belong to the plan of the hour in which their story began, and land at most LONGEST after it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from capi_pipeline.demo.people import Person, person, typed_country, typed_email, typed_name, typed_phone

LONGEST = timedelta(hours=47)
Planned = tuple[datetime, str, dict[str, Any]]  # lands at, table, row

# What a visit leads to. Together about PER_VISIT conversions a visit.
AD_CLICK = 0.6
CART, CHECKOUT, PAYMENT, ORDER = 0.45, 0.80, 0.92, 0.95  # each of those that came so far
SIGN_UP, LEAD, OTHER = 0.07, 0.08, 0.04
OFFLINE_ORDER = 0.10  # per visit: store and phone
REFUND, CANCELLED = 0.07, 0.03
PER_VISIT = 2.0

APP = 0.12  # of visits
PIXEL_BLOCKED = 0.15
GUEST = 0.25
LATE, VERY_LATE = 0.02, 0.003  # up to five days; over eight days (beyond what Meta takes)
FUTURE_CLOCK = 0.001
LOADED_TWICE = 0.01  # the same row again, an hour later

PRODUCTS = [
    ("SKU-1", "Trail Shoe", "Shoes", "Acme", "blue/42", "99.99"), ("SKU-2", "Wool Sock", "Apparel", "Acme", None, "24.99"),
    ("SKU-3", "Regenjacke „Föhn“", "Jackets", "Nordwind", "L", "189.00"), ("SKU-4", "Bottle", "Gear", None, None, "12.50"),
    ("SKU-5", "帽子", "Apparel", "Kumo", "M", "35.40"), ("SKU-6", "Tent", "Gear", "Acme", "2P", "449.95"),
]  # fmt: skip
RATES = {"JPY": Decimal(150), "KWD": Decimal("0.31"), "INR": Decimal(84), "BRL": Decimal("5.4")}
DECIMALS = {"JPY": 0, "KWD": 3}
# URL parameters of an ad's click, by how often that platform's ads are clicked.
CLICKS = (
    (("gclid",), 26), (("gbraid",), 2), (("fbclid",), 24), (("ttclid",), 12), (("msclkid",), 8), (("obclid", "dicbo"), 6),
    (("ScCid",), 4), (("epik",), 3), (("li_fat_id",), 2), (("rdt_cid",), 3), (("twclid",), 2), (("qclid",), 1),
    (("ndclid",), 1), (("tblci",), 2), (("irclickid",), 1), (("awc",), 1), (("cjevent",), 1), (("yclid",), 1),
)  # fmt: skip
AGENTS = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0",
]
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


@dataclass(frozen=True)
class World:
    """What an hour needs to know of the shop. `visits`: in an average hour; `people`: how many there are."""

    seed: int
    visits: float
    people: int


def weight(hour: datetime) -> float:
    """How busy an hour of the day is; 1 on average."""
    return (0.4, 0.3, 0.25, 0.25, 0.3, 0.5, 0.7, 0.9, 1.0, 1.1, 1.2, 1.3, 1.3, 1.2, 1.2, 1.2, 1.3, 1.4, 1.5, 1.6, 1.6, 1.5,
            1.2, 0.8)[hour.hour]  # fmt: skip


def plan(world: World, hour: datetime) -> Iterator[Planned]:
    """Everything that begins in this hour."""
    r = random.Random(f"{world.seed}/hour/{hour.isoformat()}")
    expected = world.visits * weight(hour)
    visits = int(expected) + (r.random() < expected % 1)
    for number in range(visits):
        visit = Visit(world, hour, number, r)
        yield from visit.rows()
        if r.random() < OFFLINE_ORDER:
            yield from visit.order(r.choice(["store", "phone"]), None)


class Visit:
    """One session of one person on one device."""

    def __init__(self, world: World, hour: datetime, number: int, r: random.Random) -> None:
        self.r, self.key = r, f"{world.seed}{hour:%y%m%d%H}{number:04d}"
        self.who: Person = person(world.seed, r.randrange(world.people))
        self.device = r.randrange(self.who.devices)
        self.anonymous_id = self.who.anonymous_id(self.device)
        self.app = r.random() < APP
        self.lands = hour + timedelta(seconds=r.randrange(300, 3300))
        self.at = self.lands - timedelta(seconds=r.randrange(30, 240)) - self._delay()
        self.logged_in = bool(self.who.customer_id) and r.random() < 0.5
        self.agent = AGENTS[self.who.number % len(AGENTS)]
        block = r.choice(["192.0.2", "198.51.100", "203.0.113"])
        number_ip = self.who.number
        self.ip = f"2001:db8::{number_ip:x}" if number_ip % 5 == 0 else f"{block}.{number_ip % 254 + 1}"
        self.click: dict[str, str] = {}
        if not self.app and r.random() < AD_CLICK:
            names = r.choices([names for names, _ in CLICKS], [share for _, share in CLICKS])[0]
            self.click = {name: self._click_value(name) for name in names}
        self.blocked = r.random() < PIXEL_BLOCKED
        self.events = 0

    def _delay(self) -> timedelta:
        chance = self.r.random()
        if chance < VERY_LATE:
            return timedelta(days=8, hours=self.r.randrange(1, 40))
        if chance < VERY_LATE + LATE:
            return timedelta(minutes=self.r.randrange(60, 5 * 1440))
        if chance > 1 - FUTURE_CLOCK:
            return -timedelta(days=self.r.randrange(2, 30))
        return timedelta(0)

    def _click_value(self, name: str) -> str:
        if name == "msclkid":
            return f"{self.r.getrandbits(128):032x}"
        return "".join(self.r.choices(_ALPHABET, k=self.r.randrange(18, 60)))

    def rows(self) -> Iterator[Planned]:
        r = self.r
        yield self.web("page_view", page="/", landing=True)
        if r.random() < 0.25:
            yield self.web("search", page="/search?q=shoes", search_term=r.choice(["shoes", "Regenjacke", "帽子"]))
        items = self.items()
        yield self.web("view_item", page=f"/p/{items[0]['id']}", items=items[:1])
        if r.random() < SIGN_UP:
            yield self.web("sign_up", page="/account", email=typed_email(self.who, r))
        if r.random() < OTHER:
            yield self.web(r.choice(["subscribe", "start_trial", "contact"]), page="/club")
        if r.random() < LEAD:
            yield from self.lead()
        for name, share, page in (("add_to_cart", CART, "/cart"), ("begin_checkout", CHECKOUT, "/checkout"),
                                  ("add_payment_info", PAYMENT, "/checkout/payment")):  # fmt: skip
            if r.random() >= share:
                return
            yield self.web(name, page=page, items=items)
        if r.random() < ORDER:
            yield from self.order("app" if self.app else "web", items)

    def items(self) -> list[dict[str, Any]]:
        return [
            {"id": p[0], "name": p[1], "category": p[2], "brand": p[3], "variant": p[4],
             "quantity": self.r.choice([1, 1, 1, 2, 3]), "price": float(self.price(p[5]))}
            for p in self.r.sample(PRODUCTS, self.r.choice([1, 1, 2, 3]))
        ]  # fmt: skip

    def price(self, euros: str) -> Decimal:
        places = Decimal(1).scaleb(-DECIMALS.get(self.who.currency, 2))
        return (Decimal(euros) * RATES.get(self.who.currency, Decimal(1))).quantize(places)

    def total(self, items: list[dict[str, Any]]) -> Decimal:
        return sum((Decimal(str(item["price"])) * item["quantity"] for item in items), Decimal(0))

    def web(
        self, name: str, page: str, items: list[dict[str, Any]] | None = None, landing: bool = False, **properties: Any
    ) -> Planned:
        """One row of web_events, a little after the one before."""
        self.events += 1
        step = timedelta(seconds=20 * self.events)
        if items:
            properties |= {"items": items, "value": float(self.total(items)), "currency": self.who.currency}
        query = (
            "&".join(["utm_source=ad", *(f"{k}={v}" for k, v in self.click.items())]) if landing and self.click else ""
        )
        when = self.at - timedelta(seconds=200) + step
        row = {
            "event_id": f"ev-{self.key}-{self.events}",
            "event_name": name,
            "anonymous_id": self.anonymous_id,
            "user_id": self.who.customer_id if self.logged_in else None,
            "session_id": f"s-{self.key}",
            "page_url": None if self.app else f"https://shop.example.com{page}{'?' if query else ''}{query}",
            "referrer_url": self.r.choice([None, "", "https://www.example.org/"]),
            "ip_address": self.ip,
            "user_agent": self.agent,
            "cookies": json.dumps(self.cookies(when)) if not self.app else "{}",
            "properties": json.dumps({k: v for k, v in properties.items() if v is not None}, ensure_ascii=False),
            "device": json.dumps(self.app_device() if self.app else {"language": "en-US"}),
            "pixels": json.dumps([] if self.blocked or self.app else ["meta", "tiktok", "google"]),
            "occurred_at": when,
        }
        return self.lands - timedelta(seconds=200) + step, "web_events", row

    def cookies(self, when: datetime) -> dict[str, str]:
        first = 1_780_000_000_000 + self.who.number * 1000 + self.device
        session = int(self.lands.timestamp())
        out = {"_fbp": f"fb.1.{first}.{self.who.number + 10**9}", "_ga": f"GA1.1.{self.who.number + 10**9}.{first // 1000}",
               "_ga_ABC123": f"GS1.1.{session}.1.1.{session}.0.0.0"}  # fmt: skip
        if self.r.random() < 0.6:
            out["_ttp"] = f"ttp{self.who.number:06d}{self.device}xYz"
        if "fbclid" in self.click:
            out["_fbc"] = f"fb.1.{int(when.timestamp() * 1000)}.{self.click['fbclid']}"
        if "gclid" in self.click:
            out["_gcl_aw"] = f"GCL.{session}.{self.click['gclid']}"
        if "msclkid" in self.click:
            out["_uetmsclkid"] = f"_uet{self.click['msclkid']}"
        return out

    def app_device(self) -> dict[str, Any]:
        ios = self.who.number % 2 == 0
        tail = f"{self.who.number:012d}"
        return {
            "os": "iOS" if ios else "Android", "os_version": "18.5" if ios else "15", "model": "iPhone17,1" if ios else "Pixel 9",
            "app_id": "com.example.shop", "app_version": "4.2.0", "advertising_id": f"6D92078A-8246-4BA4-AE5B-{tail}",
            "vendor_id": f"1A2B3C4D-8246-4BA4-AE5B-{tail}" if ios else None,
            "att_status": ("authorized" if self.who.number % 4 == 0 else "denied") if ios else None, "language": "en-US",
            "screen_width": 390, "screen_height": 844,
        }  # fmt: skip

    def order(self, channel: str, items: list[dict[str, Any]] | None) -> Iterator[Planned]:
        r, who = self.r, self.who
        items = items or self.items()
        order_id = f"ORD-{self.key}{'' if channel in ('web', 'app') else '-' + channel[0]}"
        total = self.total(items)
        online = channel in ("web", "app")
        guest = not who.customer_id or r.random() < GUEST
        if online and not self.blocked:
            yield self.web("purchase", page="/thank-you", items=items, order_id=order_id)
        created = self.at + timedelta(seconds=60)
        row = {
            "order_id": order_id,
            "customer_id": None if guest else who.customer_id,
            "anonymous_id": self.anonymous_id if online else None,
            "channel": channel,
            "status": "cancelled" if r.random() < CANCELLED else r.choice(["placed", "paid"]),
            "email": typed_email(who, r) if online or r.random() < 0.5 else None,
            "phone": typed_phone(who, r),
            "first_name": typed_name(who.first, r),
            "last_name": typed_name(who.last, r),
            "street": who.street,
            "city": r.choice([who.city, f" {who.city}"]),
            "region": who.region,
            "postal_code": who.postal,
            "country": typed_country(who, r),
            "total": total,
            "tax": (total * Decimal("0.08")).quantize(Decimal("0.001")),
            "shipping": self.price("5.00"),
            "currency": who.currency if r.random() > 0.02 else who.currency.lower(),
            "coupon": r.choice([None, "", "AUTUMN"]),
            "page_url": "https://shop.example.com/thank-you" if channel == "web" else None,
            "referrer_url": None,
            "ip_address": self.ip if online else None,
            "user_agent": self.agent if online else None,
            "created_at": created,
        }
        lands = self.lands + timedelta(seconds=120)
        yield lands, "orders", row
        for line, item in enumerate(items, 1):
            yield lands, "order_items", {
                "order_id": order_id, "line": line, "product_id": item["id"], "product_name": item["name"],
                "category": item["category"], "brand": item["brand"], "variant": item["variant"],
                "quantity": item["quantity"], "unit_price": item["price"],
            }  # fmt: skip
        if r.random() < LOADED_TWICE:
            yield lands + timedelta(hours=1), "orders", row
        yield from self.truth("order", order_id, created if online else None)
        if row["status"] != "cancelled" and r.random() < REFUND:
            yield from self.refunds(order_id, total, lands)

    def refunds(self, order_id: str, total: Decimal, lands: datetime) -> Iterator[Planned]:
        """Full, partial, or in two parts."""
        places = Decimal(1).scaleb(-DECIMALS.get(self.who.currency, 2))
        part = (total / 4).quantize(places)
        amounts = self.r.choice([[total], [part], [part, part]])
        for number, amount in enumerate(amounts, 1):
            at = lands + timedelta(hours=self.r.randrange(2, 20) * number)
            yield at, "refunds", {
                "refund_id": f"R{number}-{order_id}", "order_id": order_id, "amount": amount, "currency": self.who.currency,
                "reason": self.r.choice(["too small", "damaged", ""]), "items": "[]", "created_at": at - timedelta(minutes=3),
            }  # fmt: skip

    def lead(self) -> Iterator[Planned]:
        r, who = self.r, self.who
        lead_id = f"lead-{self.key}"
        if r.random() < 0.7:
            yield self.web("generate_lead", page="/b2b", lead_id=lead_id)
        clicked = {name: {"value": value, "clicked_at": self.at.isoformat()} for name, value in self.click.items()}
        base = {
            "lead_id": lead_id, "customer_id": None, "anonymous_id": self.anonymous_id if r.random() < 0.8 else None,
            "email": typed_email(who, r), "phone": typed_phone(who, r), "first_name": typed_name(who.first, r),
            "last_name": typed_name(who.last, r), "company": r.choice(["Acme GmbH", "", None]), "country": typed_country(who, r),
            "source": r.choice(["webinar", "form", "fair"]), "click_ids": json.dumps(clicked),
        }  # fmt: skip
        lands, when = self.lands + timedelta(seconds=150), self.at + timedelta(seconds=90)
        worth = {"value": self.price("500.00"), "currency": who.currency}
        nothing = {"value": None, "currency": None}
        yield lands, "leads", {**base, **nothing, "stage": "new", "changed_at": when}
        yield from self.truth("lead", lead_id, when)
        for stage, share in (("qualified", 0.5), ("converted", 0.5)):
            if r.random() > share:
                lands += timedelta(hours=r.randrange(2, 20))
                yield lands, "leads", {**base, **nothing, "stage": "lost", "changed_at": lands - timedelta(minutes=5)}
                return
            lands += timedelta(hours=r.randrange(1, 20))
            yield lands, "leads", {**base, **worth, "stage": stage, "changed_at": lands - timedelta(minutes=5)}

    def truth(self, kind: str, id_: str, at: datetime | None) -> Iterator[Planned]:
        yield self.lands, "people", {"person": self.who.number, "id_type": f"{kind}_id", "id_value": id_}
        for name, value in self.click.items() if at else ():
            yield self.lands, "attribution", {
                "conversion_type": kind, "conversion_id": id_, "parameter": name, "click_value": value,
                "clicked_at": self.at - timedelta(seconds=180), "knowable": True,
            }  # fmt: skip
