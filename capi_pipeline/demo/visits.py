"""One visit to the website or the app: its events, with what the browser or the device knows."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from capi_pipeline.demo import clicks, goods
from capi_pipeline.demo.circles import NO_ID, TEST_ACCOUNT
from capi_pipeline.demo.devices import Device
from capi_pipeline.demo.links import node
from capi_pipeline.demo.people import Person, is_person_email, is_person_phone
from capi_pipeline.demo.rows import HOUR, Cell, Landed, document, stamp

# Shares of visits.
AD_CLICK = 0.6  # the shop lives on paid traffic
CLICK_ID_LOST = 0.06  # a redirect dropped the parameters
LOGGED_IN = 0.45  # of customers
SECOND_LOGIN = 0.4  # of logins of those who have a second account
TEST_LOGIN = 0.5  # of visits of staff
OTHER_DEVICE = 0.4  # of people who have a second one
ON_TABLET = 0.3  # of people whose household has one
WITHOUT_ID = 0.004  # null, empty or "undefined" instead of the device's id: a broken tag
PRIVATE_WINDOW = 0.04  # a device id that is seen once
RELOADED = 0.04  # the landing page is opened again with its click id, which is no new click
LONG_ADDRESS = 0.002  # a page address of 3,000 characters: trackers append what they like
LATE = 0.02  # landed up to five days after it happened: phones without a connection, a loader that was down
VERY_LATE = 0.003  # landed eight to ten days after it happened: older than Meta's seven days

# Shares of rows.
DUPLICATE = 0.01  # lands again an hour later: loaders deliver at least once
FUTURE_CLOCK = 0.002  # of page events: the device's clock is up to two days ahead
EMPTY_NOT_NULL = 0.05  # '' where null is meant, as CSV imports do

SITE = "https://shop.example.com"
REFERRERS = ("https://www.google.com/", "https://news.example.org/", "", None)
PIXELS = (("meta", "tiktok"), ("meta", "tiktok", "google"), ("meta",), ())
IOS = ("iOS", ("17.6.1", "18.4", "18.5"), ("iPhone14,5", "iPhone16,2"))
ANDROID = ("Android", ("13", "14", "15"), ("Pixel 8", "SM-S918B"))
NO_ADVERTISING_ID = "00000000-0000-0000-0000-000000000000"


class Hour:
    """What the shop writes in one hour: rows, the people behind them, and the seconds in which they land."""

    def __init__(self, rng: Random, seed: int, start: int) -> None:
        self.rng, self.seed, self.start = rng, seed, start
        self.rows: list[Landed] = []
        self.clicks: list[tuple[Cell, ...]] = []
        self.made = 0
        self._ids = 0

    def id(self, prefix: str) -> str:
        """An id that no other hour gives: the hour and a number within it."""
        self._ids += 1
        return f"{prefix}{self.start // HOUR:x}-{self._ids:04x}"

    def land(self, at: float, table: str, cells: tuple[Cell, ...], conversion: bool = False) -> None:
        """Add a row. A conversion counts for this hour only if it lands in it."""
        self.rows.append(Landed(at, table, cells, conversion))
        if conversion and at < self.start + HOUR:
            self.made += 1

    def land_twice(self, at: float, table: str, cells: tuple[Cell, ...], conversion: bool = False) -> None:
        """Add a row that, now and then, is loaded again an hour later."""
        self.land(at, table, cells, conversion)
        if self.rng.random() < DUPLICATE:
            self.land(at + HOUR, table, cells)

    def owns(self, who: Person, at: float, **ids: str | None) -> dict[str, str]:
        """Note the ids of a person that a row of this second holds; returns those that are ids at all."""
        known = {}
        for kind, value in ids.items():
            if not value or value == NO_ID or (kind == "email" and not is_person_email(value)):
                continue
            if kind == "phone" and not is_person_phone(value):
                continue
            known[kind] = value
            self.rows.append(Landed(at, "people", (str(who.number), kind, value)))
        return known

    def knows(self, who: Person, at: float, visit: Visit | None = None, **ids: str | None) -> None:
        """Note the ids of a person that the row of this second connects, with the session of the visit, if it holds one."""
        nodes = [visit.node] if visit else []
        for kind, value in self.owns(who, at, **ids).items():
            found = node(who, kind, value)
            if found and not (visit and visit.device.shared and kind == "anonymous_id"):
                nodes.append(found)
        self.connects(at, *nodes)

    def connects(self, at: float, *nodes: str) -> None:
        """Note that the row that lands at this second holds all of these ids (as in `links`)."""
        when = stamp(at)
        for other in nodes[1:]:
            self.rows.append(Landed(at, "_links", (nodes[0], other, when)))


class Visit:
    """A person on one of their devices, from `clock` on."""

    def __init__(self, hour: Hour, who: Person, app: bool = False) -> None:
        rng = hour.rng
        chance = rng.random
        self.hour, self.who, self.rng = hour, who, rng
        luck = chance()
        self.late = 0.0
        if luck < VERY_LATE:
            self.late = rng.uniform(8 * 24 * HOUR, 10 * 24 * HOUR)
        elif luck < VERY_LATE + LATE:
            self.late = rng.uniform(HOUR, 5 * 24 * HOUR)
        self.clock = hour.start + 3480 * chance()
        self.device = self._device()
        self.app: str | None = None
        if app and who.app:
            self.device, self.app = Device(who.app, "", False, False, 0.0), self._app()
        self.behind = self.late + self.device.behind  # seconds by which the events' own times lie before the clock
        self.entered = self.clock - self.behind
        self.anonymous_id: str | None = self.device.cookie(self.clock - self.late)
        if chance() < WITHOUT_ID and not self.app:
            self.anonymous_id = rng.choice((None, "", NO_ID))
        self.user_id = self._login(app)
        self.session = f"s{int(self.clock)}.{self.device.key[:6]}"
        self.node = f"s:{self.session}"
        self.ip, self.agent = clicks.address(who.home or self.device.key), self.device.agent
        self.ids: dict[str, str] = {}
        self.jar: str | None = None
        self.referrer: str | None = rng.choice(REFERRERS)
        self.pixels = document(rng.choice(PIXELS)) if who.choice != "denied" else "[]"
        self.seen = False

    def _device(self) -> Device:
        who, chance = self.who, self.rng.random
        device = who.devices[0]
        if len(who.devices) > 1 and chance() < OTHER_DEVICE:
            device = who.devices[1]
        if who.tablet and chance() < ON_TABLET:
            device = who.tablet
        if chance() < PRIVATE_WINDOW:
            device = replace(device, key=f"{self.rng.getrandbits(128):032x}", expires=False, shared=False)
        return device

    def _login(self, app: bool) -> str | None:
        who, chance = self.who, self.rng.random
        if who.staff and chance() < TEST_LOGIN:
            return TEST_ACCOUNT
        if not app and chance() >= LOGGED_IN:
            return None
        return who.second_account if who.second_account and chance() < SECOND_LOGIN else who.customer_id

    def enter(self) -> None:
        """The landing page, often after a click on an ad."""
        rng, chance = self.rng, self.rng.random
        page = f"{SITE}/products/{rng.choice(goods.PRODUCTS).id.lower()}" if chance() < 0.6 else f"{SITE}/"
        url = page
        if chance() < AD_CLICK:
            source, ids = clicks.ad_click(rng, int(self.clock))
            recorded = chance() >= CLICK_ID_LOST and not self.device.blocked
            url = f"{page}?utm_source={source}&utm_medium=cpc"
            if recorded:
                self.ids = ids
                url += "".join(f"&{name}={value}" for name, value in ids.items())
            for name, value in ids.items():
                self.hour.clicks.append(
                    (
                        str(self.who.number),
                        self.anonymous_id,
                        self.session,
                        name,
                        value,
                        stamp(self.clock - self.behind),
                        stamp(self.clock + 60),
                        "t" if recorded else "f",
                    )
                )
            self.referrer = f"https://{source}.example.net/"
        if chance() < LONG_ADDRESS:
            url += f"{'&' if '?' in url else '?'}session_note={clicks.token(rng, 3000)}"
        # milliseconds before the click would be a cookie from the future
        held = self.device.cookie(self.clock - self.late)
        jar = clicks.cookies(held, self.ids, self.clock - self.behind, self.who.choice != "denied")
        self.jar = document(jar) if jar else ("{}" if chance() < 0.5 else None)
        self.event("page_view", url, None, delay=60.0)
        if chance() < RELOADED:
            self.clock += 30
            self.event("page_view", url, None, delay=30.0)

    def event(
        self,
        name: str,
        path: str | None,
        properties: dict[str, object] | None,
        *,
        conversion: bool = False,
        delay: float | None = None,
    ) -> None:
        """One event of this visit, seconds after the one before. A browser that blocks the tag sends none."""
        rng, chance = self.rng, self.rng.random
        self.clock += 2 + 40 * chance() if name != "page_view" else 0
        landed = self.clock + (20 + 180 * chance() if delay is None else delay)
        occurred = self.clock - self.behind
        if name != "page_view" and chance() < FUTURE_CLOCK:
            occurred = landed + 48 * HOUR * chance()
        event_id = f"{rng.getrandbits(64):016x}-{rng.getrandbits(32):08x}"
        if self.device.blocked:
            return
        if not self.seen:
            self.hour.knows(self.who, landed, self, anonymous_id=self.anonymous_id, customer_id=self.user_id)
            self.seen = True
        if properties:
            self._told(landed, properties)
        url = None if self.app else path if path is None or path.startswith("http") else SITE + path
        blank = "" if chance() < EMPTY_NOT_NULL else None
        self.hour.land_twice(
            landed,
            "web_events",
            (
                event_id,
                name,
                self.anonymous_id,
                self.user_id or blank,
                self.session,
                url,
                None if self.app else self.referrer,
                self.ip,
                None if self.app else self.agent,
                self.jar,
                document(properties) if properties else rng.choice(("{}", None)),
                self.app,
                self.pixels,
                stamp(occurred),
            ),
            conversion,
        )

    def _told(self, landed: float, properties: dict[str, object]) -> None:
        """Note the ids that came with an event."""
        email, phone = properties.get("email"), properties.get("phone")
        if email or phone:
            self.hour.knows(
                self.who, landed, self, email=str(email) if email else None, phone=str(phone) if phone else None
            )
        for key in ("order_id", "lead_id"):
            if key in properties:
                self.hour.connects(landed, self.node, f"{key[0]}:{properties[key]}")

    def _app(self) -> str:
        who, rng = self.who, self.rng
        number = int(str(who.app)[:8], 16)
        os, versions, models = IOS if number % 2 else ANDROID
        status = ("authorized", "denied", "notDetermined", "restricted")[number // 2 % 4] if os == "iOS" else None
        vendor = clicks.uuid_text(str(who.app)).upper()
        advertising = clicks.uuid_text(str(who.app)[::-1])
        allowed = status in (None, "authorized")
        device = {
            "os": os,
            "os_version": rng.choice(versions),
            "model": models[number % len(models)],
            "app_id": "com.example.shop",
            "app_version": f"4.{number % 6}.0",
            "advertising_id": (advertising.upper() if os == "iOS" else advertising) if allowed else NO_ADVERTISING_ID,
            "vendor_id": vendor if os == "iOS" else None,
            "att_status": status,
            "language": {"US": "en-US", "GB": "en-GB", "DE": "de-DE", "FR": "fr-FR", "JP": "ja-JP"}.get(
                who.country, "en"
            ),
        }
        return document({key: value for key, value in device.items() if value is not None})
