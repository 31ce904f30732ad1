"""What conversions leave behind: forms, orders with their refunds, leads with their stages."""

from __future__ import annotations

from capi_pipeline.demo import goods
from capi_pipeline.demo.circles import TILL_EMAILS, TILL_PHONE
from capi_pipeline.demo.goods import Basket
from capi_pipeline.demo.people import Person, contact_email, typed_address, typed_country, typed_name, typed_phone
from capi_pipeline.demo.rows import HOUR, Landed, document, stamp
from capi_pipeline.demo.visits import EMPTY_NOT_NULL, SITE, Hour, Visit

PIXEL_LOST = 0.1  # of web orders and leads, besides those of browsers that block the tag: the page was closed too soon
THANK_YOU_REOPENED = 0.01  # a second purchase event of one order, with another event id
GUEST_ANYWAY = 0.08  # customers who order without logging in
ORDER_WITHOUT_DEVICE = 0.08  # the back end did not get the cookie
CARD_SHOWN = 0.3  # of customers in the store; the others are known by e-mail address or phone number, if at all
TILL_TYPED = 0.1  # of store orders, for each: the clerk types the store's own address, or number
PLACED_FIRST = 0.25  # paid an hour or more later
CANCELLED = 0.03  # was never a conversion
REFUNDED = 0.19  # of orders paid at once: whole, one line, or twice
COUPON = 0.15
CURRENCY_LOWER = 0.03  # of orders: one checkout writes "usd"
LEAD_QUALIFIED = 0.5
LEAD_CONVERTED = 0.45
LEAD_WITH_CLICKS = 0.3
LEAD_BY_IMPORT = 0.12  # no device; the click came with the file


def known(visit: Visit, properties: dict[str, object], share: float) -> dict[str, object]:
    """The properties with what the person typed into the page's form, for this share of events."""
    rng, who = visit.rng, visit.who
    if rng.random() >= share:
        return properties
    email = contact_email(rng, who)
    phone = typed_phone(rng, who) if rng.random() < 0.3 else None
    return {**properties, "email": email, **({"phone": phone} if phone is not None else {})}


def order(hour: Hour, who: Person, bag: Basket, channel: str, visit: Visit | None) -> None:
    """An order with its items, mostly preceded by the pixel's event of it, and what becomes of it."""
    rng, chance = hour.rng, hour.rng.random
    order_id = hour.id("O")
    if visit:
        visit.clock += 20 + 60 * chance()
        at, late = visit.clock, visit.late
    else:
        at, late = hour.start + 2900 * chance(), 0.0
    landed = at + 90 + 500 * chance()
    customer_id = visit.user_id if visit and visit.user_id else who.customer_id
    if (visit and not visit.user_id and chance() < 0.6) or chance() < GUEST_ANYWAY:
        customer_id = None
    email, phone = contact_email(rng, who), typed_phone(rng, who)
    if channel == "store":
        if chance() >= CARD_SHOWN:
            customer_id = None
        if chance() < 0.6:
            email = rng.choice(TILL_EMAILS) if chance() < TILL_TYPED / 0.6 else None  # nobody asks for it at the till
        if chance() < TILL_TYPED:
            phone = TILL_PHONE
    first, last = typed_name(rng, who)
    street, city, region, postal, country = typed_address(rng, who)
    shipping = 0 if channel == "store" or bag.worth > 10**bag.decimals * 60 else bag.worth // 12
    total, tax = bag.worth + shipping, bag.worth // 9
    status = "paid"
    luck = chance()
    if luck < CANCELLED:
        status = "cancelled"
    elif luck < CANCELLED + PLACED_FIRST:
        status = "placed"
    cookie = visit.anonymous_id if visit and not visit.device.blocked else None
    device = cookie if chance() >= ORDER_WITHOUT_DEVICE else None
    web = visit if visit and not visit.app else None
    nobody = "" if customer_id is None and chance() < EMPTY_NOT_NULL else customer_id

    def cells(status: str) -> tuple[str | None, ...]:
        return (
            order_id,
            nobody,
            device,
            channel,
            status,
            email,
            phone,
            first,
            last,
            street,
            city,
            region,
            postal,
            country,
            bag.text(total),
            bag.text(tax),
            bag.text(shipping),
            currency,
            coupon,
            f"{SITE}/checkout/thank-you" if web else None,
            f"{SITE}/checkout" if web else None,
            visit.ip if visit else None,
            web.agent if web else None,
            stamp(at - late),
        )

    coupon = rng.choice(("WELCOME10", "spring ", "")) if chance() < COUPON else None
    currency = bag.currency.lower() if chance() < CURRENCY_LOWER else bag.currency
    pixel = visit is not None and not visit.device.blocked and (channel == "app" or chance() >= PIXEL_LOST)
    if visit and pixel:
        worth: dict[str, object] = {"order_id": order_id, "value": bag.number(total), "currency": bag.currency}
        page = "/checkout/thank-you"
        shown = known(visit, {**worth, "items": bag.items()}, 0.4)
        visit.event("purchase", page, shown, delay=(landed - at) * 0.5 * chance())
        if chance() < THANK_YOU_REOPENED:
            visit.clock = landed + HOUR * 3 * chance()
            visit.event("purchase", page, worth)
    landed = max(landed, at + 60)
    hour.land_twice(landed, "orders", cells(status), conversion=status != "cancelled")
    for number, line in enumerate(bag.lines, 1):
        product = line.product
        hour.land(
            landed,
            "order_items",
            (
                order_id,
                str(number),
                product.id,
                product.name,
                product.category,
                product.brand,
                line.variant,
                str(line.quantity),
                bag.text(line.price),
            ),
        )
    tied = device if visit and not visit.device.shared else None  # an id that several people use connects nothing
    hour.knows(who, landed, order_id=order_id, customer_id=customer_id, email=email, phone=phone, anonymous_id=tied)
    if status == "cancelled":
        return
    seen = device or (cookie if pixel else None)
    made = (str(who.number), "order", order_id, seen, customer_id, None, stamp(at - late), stamp(landed))
    hour.rows.append(Landed(landed, "_conversions", made))
    if status == "placed":
        settled = landed + HOUR * (1 + 3 * chance())
        hour.land(settled, "orders", cells("paid" if chance() < 0.9 else "cancelled"))
    elif chance() < REFUNDED:
        _refunds(hour, order_id, bag, total, landed)


def _refunds(hour: Hour, order_id: str, bag: Basket, total: int, ordered: float) -> None:
    """All of it, one line of it, or two payments that together are all of it."""
    rng, chance = hour.rng, hour.rng.random
    line, kind = rng.choice(bag.lines), chance()
    part = min(line.price, total)
    amounts = [total] if kind < 0.45 else [part] if kind < 0.8 else [part, total - part]
    due = ordered
    for amount in amounts:
        if amount <= 0:
            continue
        due += HOUR * (1 + min(70.0, rng.expovariate(1 / 8)))
        items = None
        if amount == part and chance() < 0.7:
            items = document([{"product_id": line.product.id, "quantity": 1, "unit_price": bag.number(line.price)}])
        reason = rng.choice(("damaged", "too late", "changed my mind", "", None))
        hour.land(
            due,
            "refunds",
            (hour.id("R"), order_id, bag.text(amount), bag.currency, reason, items, stamp(due - 60 - 400 * chance())),
            conversion=True,
        )


def lead(hour: Hour, who: Person, visit: Visit) -> None:
    """A form sent, or a partner's file; its later stages land in later hours."""
    rng, chance = hour.rng, hour.rng.random
    lead_id = hour.id("L")
    visit.clock += 15 + 60 * chance()
    at, landed = visit.clock, visit.clock + 100 + 400 * chance()
    imported = chance() < LEAD_BY_IMPORT
    ids: dict[str, object] = {}
    if visit.ids and (imported or chance() < LEAD_WITH_CLICKS):
        for name, value in visit.ids.items():
            ids[name] = {"value": value, "clicked_at": stamp(visit.entered)} if imported else value
    email, phone = contact_email(rng, who), typed_phone(rng, who)
    first, last = typed_name(rng, who)
    company = f"{who.last} Fictional {rng.choice(('Ltd', 'GmbH', 'SARL', '& Söhne', 'LLC'))}" if chance() < 0.6 else ""
    currency, decimals, rate = goods.MONEY[who.country]
    worth = f"{rng.randrange(50, 5000) * rate:.{decimals}f}" if chance() < 0.6 else None
    device = None if imported or visit.device.blocked else visit.anonymous_id
    source = "partner import" if imported else rng.choice(("web form", "newsletter", "Webinar ", None))
    country, late = typed_country(rng, who), visit.late
    if not imported and chance() >= PIXEL_LOST:
        visit.event("generate_lead", "/quote", known(visit, {"lead_id": lead_id}, 0.4), delay=80 * chance())
    stages = ["new"]
    if chance() < LEAD_QUALIFIED:
        stages.append("qualified")
        stages.append("converted" if chance() < LEAD_CONVERTED else "lost")
    elif chance() < 0.4:
        stages.append("lost")
    due, changed = landed, at - late
    for stage in stages:
        hour.land(
            due,
            "leads",
            (
                lead_id,
                stage,
                visit.user_id,
                device,
                email,
                phone,
                first,
                last,
                company,
                country,
                worth,
                currency if worth else None,
                source,
                document(ids) if ids else None,
                stamp(changed),
            ),
            conversion=stage != "lost",
        )
        due += HOUR * (0.6 + min(60.0, rng.expovariate(1 / 6)))
        changed = due - 120
    tied = None if visit.device.shared else device
    hour.knows(who, landed, lead_id=lead_id, customer_id=visit.user_id, email=email, phone=phone, anonymous_id=tied)
    plain = document(visit.ids) if ids else None
    made = (str(who.number), "lead", lead_id, device, visit.user_id, plain, stamp(at - late), stamp(landed))
    hour.rows.append(Landed(landed, "_conversions", made))
