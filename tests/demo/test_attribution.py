"""The truth about clicks on worlds of a few rows: which click is right, and whether the rows can tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine

from capi_pipeline.demo import attribution, load
from capi_pipeline.demo.circles import NO_ID
from capi_pipeline.demo.rows import HOUR, TRUTH, stamp

NOON = 1_749_556_800
DAY = 24 * HOUR


class World:
    """Clicks and conversions of hand; `attributed` is what the truth makes of them."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor
        load.create(cursor)

    def click(
        self,
        value: str,
        device: str | None,
        at: float,
        *,
        person: int = 1,
        landed: float | None = None,
        recorded: bool = True,
        parameter: str = "gclid",
    ) -> str:
        """Returns the node of its session."""
        row = (str(person), device, f"of-{value}", parameter, value, stamp(at), stamp(landed or at + 60), str(recorded))
        load.copy(self.cursor, "truth._clicks", TRUTH["_clicks"], [row])
        return f"s:of-{value}"

    def order(self, device: str | None, at: float = NOON, *, person: int = 1, click_ids: str | None = None) -> str:
        """Returns its node."""
        row = (str(person), "order", "O1", device, None, click_ids, stamp(at), stamp(at + 90))
        load.copy(self.cursor, "truth._conversions", TRUTH["_conversions"], [row])
        return "o:O1"

    def row(self, at: float, *nodes: str) -> None:
        links = [(nodes[0], other, stamp(at)) for other in nodes[1:]]
        load.copy(self.cursor, "truth._links", TRUTH["_links"], links)

    def attributed(self) -> dict[str, tuple[str, bool]]:
        """Parameter -> the right click, and whether it is knowable."""
        attribution.attribute(self.cursor, NOON - 365 * DAY, NOON + 30 * DAY)
        self.cursor.execute("select parameter, click_value, knowable from truth.attribution")
        return {parameter: (value, knowable) for parameter, value, knowable in self.cursor.fetchall()}


@pytest.fixture(scope="module")
def connection(module_database_url: str) -> Iterator[Any]:
    engine = create_engine(module_database_url)
    made = engine.raw_connection()
    yield made
    made.close()
    engine.dispose()


@pytest.fixture
def world(connection: Any) -> Iterator[World]:
    yield World(connection.cursor())
    connection.rollback()


def test_a_click_on_the_same_device_is_knowable(world: World) -> None:
    world.click("A", "phone", NOON - DAY)
    world.order("phone")
    assert world.attributed() == {"gclid": ("A", True)}


def test_the_latest_click_of_each_parameter_is_right(world: World) -> None:
    world.click("A", "phone", NOON - 2 * DAY)
    world.click("B", "phone", NOON - DAY)
    world.click("C", "phone", NOON - 3 * DAY, parameter="fbclid")
    world.order("phone")
    assert world.attributed() == {"gclid": ("B", True), "fbclid": ("C", True)}


@pytest.mark.parametrize("at", [NOON + 1, NOON - 91 * DAY])
def test_a_click_after_the_order_or_out_of_reach_led_to_nothing(world: World, at: float) -> None:
    world.click("A", "phone", at)
    world.order("phone")
    assert world.attributed() == {}


def test_a_click_of_somebody_else_led_to_nothing(world: World) -> None:
    world.click("A", "phone", NOON - DAY, person=2)
    world.order("phone")
    assert world.attributed() == {}


def test_a_click_id_that_was_lost_or_blocked_is_right_and_not_knowable(world: World) -> None:
    world.click("A", "phone", NOON - 2 * DAY)
    world.click("B", "phone", NOON - DAY, recorded=False)
    world.order("phone")
    assert world.attributed() == {"gclid": ("B", False)}


def test_a_click_that_lands_after_the_orders_hour_is_not_knowable(world: World) -> None:
    world.click("A", "phone", NOON - DAY, landed=NOON + HOUR + 1)
    world.order("phone")
    assert world.attributed() == {"gclid": ("A", False)}


def test_a_login_on_both_devices_connects_them(world: World) -> None:
    click = world.click("A", "phone", NOON - 5 * DAY)
    order = world.order("laptop")
    world.row(NOON - 5 * DAY, click, "a:phone", "c:C1")
    world.row(NOON + 90, order, "a:laptop", "c:C1")
    assert world.attributed() == {"gclid": ("A", True)}


def test_a_chain_of_mail_address_and_number_connects_a_store_order(world: World) -> None:
    click = world.click("A", "phone", NOON - 5 * DAY)
    order = world.order(None)
    world.row(NOON - 5 * DAY, click, "a:phone")
    world.row(NOON - 4 * DAY, "a:phone", "e:me@example.com")
    world.row(NOON - 3 * DAY, "e:me@example.com", "p:US2125550123")
    world.row(NOON + 90, order, "p:US2125550123")
    assert world.attributed() == {"gclid": ("A", True)}


def test_a_link_that_lands_after_the_orders_hour_comes_too_late(world: World) -> None:
    click = world.click("A", "phone", NOON - 5 * DAY)
    order = world.order("laptop")
    world.row(NOON - 5 * DAY, click, "a:phone")
    world.row(NOON + 90, order, "c:C1")
    world.row(NOON + 2 * HOUR, "a:phone", "c:C1")
    assert world.attributed() == {"gclid": ("A", False)}


def test_without_a_link_another_device_is_not_knowable(world: World) -> None:
    world.click("A", "phone", NOON - DAY)
    world.order("laptop")
    assert world.attributed() == {"gclid": ("A", False)}


def test_on_a_shared_tablet_only_the_last_click_is_knowable(world: World) -> None:
    world.click("A", "tablet", NOON - 2 * HOUR)
    world.order("tablet")
    assert world.attributed() == {"gclid": ("A", True)}
    world.click("B", "tablet", NOON - HOUR, person=2)
    assert world.attributed() == {"gclid": ("A", False)}


def test_a_broken_id_is_no_device(world: World) -> None:
    world.click("A", NO_ID, NOON - DAY)
    world.order(NO_ID)
    assert world.attributed() == {"gclid": ("A", False)}


def test_a_click_that_came_with_the_conversion_is_knowable(world: World) -> None:
    world.click("A", "phone", NOON - DAY, recorded=False)
    world.order(None, click_ids='{"gclid": "A"}')
    assert world.attributed() == {"gclid": ("A", True)}
