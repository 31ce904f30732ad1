"""What people do in one hour: visits, orders, refunds, leads, choices and requests."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from capi_pipeline.demo import goods, sales
from capi_pipeline.demo.circles import NO_ID, TEST_ACCOUNT, TEST_EMAIL
from capi_pipeline.demo.people import (
    EEA,
    Person,
    person,
    typed_address,
    typed_email,
    typed_name,
    typed_phone,
)
from capi_pipeline.demo.rows import HOUR, stamp
from capi_pipeline.demo.visits import Hour, Visit

# What a person came for, of 100 journeys.
JOURNEYS = {
    "buy": 29,
    "buy_app": 5,
    "store": 5,
    "phone": 2,
    "browse": 19,
    "sign_up": 7,
    "subscribe": 4,
    "start_trial": 3,
    "contact": 5,
    "lead": 8,
    "look": 14,
}
LOOKS_BEFORE = 4  # per conversion of the days before the window: visits that end where they began, often after a click
CHOICE_AGAIN = 0.06  # of visits: the banner is opened again
WITHDRAWN = 0.15  # of choices made again
CHOICE_BY_CUSTOMER = 0.25  # of those asked: the account's settings
CHOICE_BY_EMAIL = 0.1  # of those asked: the newsletter's form
CHOICE_SHOUTED = 0.04  # of choices: a consent tool that writes GRANTED and leaves questions null or empty
CUSTOMER_CHANGED = 0.02  # per conversion: a newer customer row
FORMER_PHONE_YEARS = 4  # since an account was made with a number that is another person's now
ERASED = 0.0006  # per conversion: a few requests

TCF = "CQSh5oAQSh5oAAfABCENBxFgAP_AAAAAAAYgAAAAAAAA"
_DRAW = [name for name, weight in JOURNEYS.items() for _ in range(weight)]


def arrive(hour: Hour, who: Person, regular: bool) -> None:
    """A person's customer record and first choices land; regulars have been customers for up to two years."""
    rng = hour.rng
    at = hour.start + 3000 * rng.random()
    if who.customer_id:
        created = at - (700 * 24 * HOUR * rng.random() if regular else 0) - 300
        if who.former_phone:
            created = at - FORMER_PHONE_YEARS * 365 * 24 * HOUR
            _customer(hour, who, at - 1, created, None, phone=who.former_phone)
        _customer(hour, who, at, created, at - 300 if who.former_phone else None)
    if who.second_account:
        _customer(hour, replace(who, customer_id=who.second_account), at, at - 300, None, email=who.second_email)
    if who.number == 0:
        _customer(hour, replace(who, customer_id=TEST_ACCOUNT), at, at - 300, None, email=TEST_EMAIL)
    for device in who.devices:
        if (who.asked or who.opted_out) and not device.blocked:
            _choice(hour, who, ("anonymous_id", device.cookie(at)), at)
    if who.asked and who.customer_id and rng.random() < CHOICE_BY_CUSTOMER:
        _choice(hour, who, ("customer_id", who.customer_id), at)
    if who.asked and rng.random() < CHOICE_BY_EMAIL:
        _choice(hour, who, ("email", who.email), at)


def trade(hour: Hour, people: int, conversions: int, looks: int = 0) -> None:
    """Journeys of random people until this many conversions landed in the hour, and visits that only look."""
    rng, seed = hour.rng, hour.seed
    for _ in range(looks):
        _enter(hour, Visit(hour, person(seed, int(people * rng.random() ** 1.5))))
    changes, erasures = conversions * CUSTOMER_CHANGED, conversions * ERASED
    while hour.made < conversions:
        _journey(hour, person(seed, int(people * rng.random() ** 1.5)), rng.choice(_DRAW))
    for _ in range(int(changes + rng.random())):
        who = person(seed, rng.randrange(people))
        if who.customer_id:
            at = hour.start + 3000 * rng.random()
            _customer(hour, who, at, at - 710 * 24 * HOUR, at - 200)
    for _ in range(int(erasures + rng.random())):
        who = person(seed, rng.randrange(people))
        at = hour.start + 3000 * rng.random()
        email = who.email if rng.random() < 0.7 or not who.customer_id else None
        phone = who.phone if rng.random() < 0.3 else None
        hour.land(at, "erasures", (hour.id("E"), who.customer_id, email, phone, stamp(at - 1200)))
        hour.owns(who, at, customer_id=who.customer_id, email=email, phone=phone)


def _journey(hour: Hour, who: Person, aim: str) -> None:
    rng, chance = hour.rng, hour.rng.random
    if aim in ("store", "phone"):
        sales.order(hour, who, goods.basket(rng, who.country), aim, None)
        return
    visit = Visit(hour, who, app=aim == "buy_app")
    _enter(hour, visit)
    bag = goods.basket(rng, who.country)
    first = bag.lines[0]
    if aim in ("buy", "buy_app", "browse", "look"):
        if chance() < 0.35:
            visit.event("search", "/search", {"search_term": rng.choice(goods.SEARCHES)})
        for line in (bag.lines * 4)[: 1 + int(4 * chance())]:
            visit.event("view_item", f"/products/{line.product.id.lower()}", {"items": [{"item_id": line.product.id}]})
    if aim == "look":
        return
    worth: dict[str, object] = {"value": bag.number(bag.worth), "currency": bag.currency, "items": bag.items()}
    if aim in ("buy", "buy_app"):
        for name, share in (("add_to_cart", 0.5), ("begin_checkout", 0.4), ("add_payment_info", 0.3)):
            if chance() < share:
                visit.event(name, "/checkout", sales.known(visit, worth, 0.2), conversion=True)
        sales.order(hour, who, bag, "app" if visit.app else "web", visit)
    elif aim == "browse":
        text = {**worth, "value": bag.text(bag.worth)} if chance() < 0.1 else worth  # some tags send text
        visit.event("add_to_cart", f"/products/{first.product.id.lower()}", text, conversion=True)
        if chance() < 0.4:
            visit.event("begin_checkout", "/checkout", sales.known(visit, worth, 0.3), conversion=True)
    elif aim == "lead":
        sales.lead(hour, who, visit)
    else:
        fee: dict[str, object] = {}
        if aim == "subscribe":
            fee = {"value": bag.number(first.price), "currency": bag.currency}
        visit.event(aim, f"/{aim.replace('_', '-')}", sales.known(visit, fee, 0.7), conversion=True)


def _enter(hour: Hour, visit: Visit) -> None:
    """The first page, or the app's start, and the banner's question: who forgot the answer asks again."""
    who, chance = visit.who, hour.rng.random
    if visit.app is None:
        visit.enter()
    else:
        visit.event("app_open", None, None)
    if not visit.anonymous_id or visit.anonymous_id == NO_ID or visit.device.blocked:
        return
    forgot = visit.app is None and (visit.device not in who.devices or visit.device.expires)
    if forgot and who.asked:
        _choice(hour, who, ("anonymous_id", visit.anonymous_id), visit.clock)
    elif (who.asked or who.opted_out) and chance() < CHOICE_AGAIN:
        _choice(hour, who, ("anonymous_id", visit.anonymous_id), visit.clock, withdrawn=chance() < WITHDRAWN)


def _customer(
    hour: Hour,
    who: Person,
    at: float,
    created: float,
    updated: float | None,
    *,
    email: str | None = None,
    phone: str | None = None,
) -> None:
    """A row of their account; with another address or number than their own, if one is given."""
    rng = hour.rng
    email, phone = typed_email(rng, who, email), phone or typed_phone(rng, who)
    first, last = typed_name(rng, who)
    street, city, region, postal, country = typed_address(rng, who)
    hour.land(
        at,
        "customers",
        (
            who.customer_id,
            email,
            phone,
            first,
            last,
            who.gender,
            who.birth_date,
            street,
            city,
            region,
            postal,
            country,
            stamp(created),
            stamp(updated or created),
        ),
    )
    hour.knows(who, at, customer_id=who.customer_id, email=email, phone=phone)


def _choice(hour: Hour, who: Person, subject: tuple[str, str], at: float, withdrawn: bool = False) -> None:
    """One answer to the banner; Californians answer with an opt-out."""
    rng: Random = hour.rng
    choice = "denied" if withdrawn else who.choice
    storage = "denied" if choice == "denied" else "granted"
    user_data = storage if choice != "partly" else "denied"
    personal: str | None = storage if choice == "granted" else "denied"
    answers: tuple[str | None, ...] = (storage, user_data, personal, "granted" if rng.random() < 0.9 else storage)
    if not who.asked:
        answers = (None, None, None, None)
    elif rng.random() < CHOICE_SHOUTED:
        answers = (storage.upper(), user_data, None, "")
    signal = rng.random() < 0.5
    state = who.country == "US" and who.region == "CA"
    hour.land(
        at + 5,
        "consents",
        (*subject, *answers)
        + (
            ("t" if signal else "f", "t" if not signal or rng.random() < 0.5 else "f")
            if who.opted_out
            else (None, None)
        )
        + (TCF if who.country in EEA else None, "DBABLA~BVQqAAAAAgA.QA" if state else None, "7" if state else None)
        + (who.country, who.region_words if state and rng.random() < 0.3 else who.region, stamp(at)),
    )
    hour.owns(who, at + 5, **{subject[0]: subject[1]})
