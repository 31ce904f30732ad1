"""What people do in one hour: visits, orders, refunds, leads, choices and requests."""

from __future__ import annotations

from random import Random

from capi_pipeline.demo import goods, sales
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
CHOICE_AGAIN = 0.06  # of visits: the banner is opened again
WITHDRAWN = 0.15  # of choices made again
CHOICE_BY_CUSTOMER = 0.25  # of those asked: the account's settings
CHOICE_BY_EMAIL = 0.1  # of those asked: the newsletter's form
CHOICE_SHOUTED = 0.04  # of choices: a consent tool that writes GRANTED and leaves questions null or empty
CUSTOMER_CHANGED = 0.02  # per conversion: a newer customer row
ERASED = 0.0006  # per conversion: a few requests

TCF = "CQSh5oAQSh5oAAfABCENBxFgAP_AAAAAAAYgAAAAAAAA"
_DRAW = [name for name, weight in JOURNEYS.items() for _ in range(weight)]


def arrive(hour: Hour, who: Person, regular: bool) -> None:
    """A person's customer record and first choices land; regulars have been customers for up to two years."""
    rng = hour.rng
    at = hour.start + 3000 * rng.random()
    if who.customer_id:
        _customer(hour, who, at, at - (700 * 24 * HOUR * rng.random() if regular else 0) - 300, None)
    for device in who.devices:
        if who.asked or who.opted_out:
            _choice(hour, who, ("anonymous_id", device), at)
    if who.asked and who.customer_id and rng.random() < CHOICE_BY_CUSTOMER:
        _choice(hour, who, ("customer_id", who.customer_id), at)
    if who.asked and rng.random() < CHOICE_BY_EMAIL:
        _choice(hour, who, ("email", who.email), at)


def trade(hour: Hour, people: int, conversions: int) -> None:
    """Journeys of random people until this many conversions landed in the hour."""
    rng, seed = hour.rng, hour.seed
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
        hour.knows(who, at, customer_id=who.customer_id, email=email, phone=phone)


def _journey(hour: Hour, who: Person, aim: str) -> None:
    rng, chance = hour.rng, hour.rng.random
    if aim in ("store", "phone"):
        sales.order(hour, who, goods.basket(rng, who.country), aim, None)
        return
    visit = Visit(hour, who, app=aim == "buy_app")
    if visit.app is None:
        visit.enter()
    else:
        visit.event("app_open", None, None)
    if visit.app is None and visit.device not in who.devices and who.asked:
        _choice(hour, who, ("anonymous_id", visit.device), visit.clock)  # a private window asks again
    elif (who.asked or who.opted_out) and chance() < CHOICE_AGAIN:
        _choice(hour, who, ("anonymous_id", visit.device), visit.clock, withdrawn=chance() < WITHDRAWN)
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


def _customer(hour: Hour, who: Person, at: float, created: float, updated: float | None) -> None:
    rng = hour.rng
    email, phone = typed_email(rng, who), typed_phone(rng, who)
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
    hour.knows(who, at + 5, **{subject[0]: subject[1]})
