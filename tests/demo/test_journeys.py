"""Each kind of journey leaves the rows and the truth that it should."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

from capi_pipeline.demo import goods, journeys, sales
from capi_pipeline.demo.circles import NO_ID, TEST_ACCOUNT, TILL_EMAILS, TILL_PHONE
from capi_pipeline.demo.links import node
from capi_pipeline.demo.people import Person, is_person_email, person, typed_email
from capi_pipeline.demo.rows import RAW, TRUTH
from capi_pipeline.demo.visits import Hour, Visit

START = 1_749_513_600
DEVICE = replace(person(1, 7).devices[0], blocked=False, expires=False, behind=0.0)
PLAIN = replace(
    person(1, 7), customer_id="C7", second_account=None, former_phone=None, staff=False, mailbox=None, devices=(DEVICE,),
    tablet=None, home=None, app=None,
)  # fmt: skip


def hour() -> Hour:
    return Hour(Random(5), 1, START)


def buys(who: Person, times: int = 200) -> Hour:
    made = hour()
    for _ in range(times):
        visit = Visit(made, who)
        visit.enter()
        sales.order(made, who, goods.basket(made.rng, who.country), "web", visit)
    return made


def rows(made: Hour, table: str) -> list[dict[str, str | None]]:
    columns = {**RAW, **TRUTH}[table]
    return [dict(zip(columns, row.cells, strict=True)) for row in made.rows if row.table == table]


def ids(made: Hour, kind: str) -> set[str | None]:
    return {row["id_value"] for row in rows(made, "people") if row["id_type"] == kind}


def links(made: Hour, keep: Callable[[str], bool]) -> set[str]:
    return {
        str(value)
        for row in rows(made, "_links")
        for key, value in row.items()
        if key != "landed_at" and keep(str(value))
    }


def test_every_id_of_a_row_is_the_persons() -> None:
    made = buys(PLAIN)
    typed = {row["email"] for row in rows(made, "orders")}
    assert ids(made, "email") >= {email for email in typed if email and is_person_email(email)}
    assert ids(made, "customer_id") == {"C7"}
    assert ids(made, "order_id") == {row["order_id"] for row in rows(made, "orders")}


def test_a_blocked_tag_leaves_the_order_alone() -> None:
    made = buys(replace(PLAIN, devices=(replace(DEVICE, blocked=True),)))
    assert not rows(made, "web_events")
    assert len({row["order_id"] for row in rows(made, "orders")}) == 200
    assert {row["anonymous_id"] for row in rows(made, "orders")} == {None}
    assert made.clicks
    assert {click[-1] for click in made.clicks} == {"f"}
    assert not links(made, lambda found: found[0] in "as")


def test_a_click_id_lost_on_the_way_is_a_click_all_the_same() -> None:
    made = buys(PLAIN)
    pages = " ".join(str(row["page_url"]) for row in rows(made, "web_events"))
    for _, _, _, name, value, _, _, recorded in made.clicks:
        assert (f"{name}={value}" in pages) == (recorded == "t")
    assert {click[-1] for click in made.clicks} == {"t", "f"}


def test_a_slow_clock_is_behind_in_the_events_and_in_the_truth() -> None:
    made = buys(replace(PLAIN, devices=(replace(DEVICE, behind=600.0),)))
    occurred = {row["occurred_at"] for row in rows(made, "web_events") if row["event_name"] == "page_view"}
    assert {click[5] for click in made.clicks if click[-1] == "t"} <= occurred


def test_a_shared_tablet_is_both_peoples_and_connects_nobody() -> None:
    tablet = replace(DEVICE, shared=True)
    made = buys(replace(PLAIN, devices=(tablet,)))
    assert DEVICE.key in ids(made, "anonymous_id")
    assert f"a:{DEVICE.key}" not in links(made, lambda found: found[0] == "a")
    assert links(made, lambda found: found == "c:C7")


def test_a_broken_tag_names_no_device() -> None:
    made = buys(PLAIN, 2000)
    found = {row["anonymous_id"] for row in rows(made, "web_events")}
    assert {None, "", NO_ID} <= found
    assert not {"", NO_ID} & ids(made, "anonymous_id")


def test_members_of_staff_use_the_test_account_and_it_connects_nobody() -> None:
    made = buys(replace(PLAIN, staff=True))
    assert {row["user_id"] for row in rows(made, "web_events")} >= {TEST_ACCOUNT, "C7"}
    assert TEST_ACCOUNT in ids(made, "customer_id")
    assert not links(made, lambda found: found == f"c:{TEST_ACCOUNT}")


def test_a_second_account_is_the_same_person_with_the_same_number_or_address() -> None:
    made = hour()
    who = replace(PLAIN, second_account="D7", second_email="old-shopper@example.com")
    journeys.arrive(made, who, regular=True)
    accounts = {row["customer_id"]: row["email"] for row in rows(made, "customers")}
    assert accounts.keys() == {"C7", "D7"}
    assert {row["person"] for row in rows(made, "people")} == {str(PLAIN.number)}
    assert {row["user_id"] for row in rows(buys(who), "web_events")} >= {"C7", "D7"}


def test_a_number_given_up_stands_in_an_old_row_of_its_account() -> None:
    made = hour()
    journeys.arrive(made, replace(PLAIN, former_phone="+1 2125559999"), regular=True)
    old, new = rows(made, "customers")
    assert old["phone"] == "+1 2125559999"
    assert new["phone"] != old["phone"]
    assert str(old["updated_at"]) < "2022" < str(new["updated_at"])
    assert "+1 2125559999" in ids(made, "phone")


def test_the_till_stands_in_for_those_who_give_nothing() -> None:
    made = hour()
    for _ in range(400):
        sales.order(made, PLAIN, goods.basket(made.rng, "US"), "store", None)
    orders = rows(made, "orders")
    assert {row["email"] for row in orders} >= set(TILL_EMAILS)
    assert TILL_PHONE in {row["phone"] for row in orders}
    with_card = sum(row["customer_id"] == "C7" for row in orders) / len(orders)
    assert 0.2 < with_card < 0.35
    assert not links(made, lambda found: found.startswith("e:till"))


def test_who_acts_for_a_company_often_gives_its_mailbox() -> None:
    made = buys(replace(PLAIN, mailbox="info@company1.example.com"))
    assert "info@company1.example.com" in ids(made, "email")
    assert not links(made, lambda found: found.startswith("e:info@"))


def test_a_typing_error_is_the_persons_and_nobody_elses() -> None:
    rng = Random(1)
    typed = {typed_email(rng, PLAIN) for _ in range(4000)}
    typing_errors = {email for email in typed if email and re.fullmatch(r"shopper[psdr]-.*", email)}
    assert len(typing_errors) == 4
    assert all(node(PLAIN, "email", email) == f"e:{email}" for email in typing_errors)


def test_households_come_from_one_address() -> None:
    home = "0" * 26 + "ff" + "0000"
    made = buys(replace(PLAIN, home=home))
    assert len({row["ip_address"] for row in rows(made, "web_events")}) == 1
    alone = buys(PLAIN)
    assert {row["ip_address"] for row in rows(made, "web_events")} != {
        row["ip_address"] for row in rows(alone, "web_events")
    }
