"""What the demo shop generates, looked at without a server: the same every time, messy in the stated shares, valid underneath."""

from __future__ import annotations

import json
from random import Random
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import phonenumbers
import pytest

from capi_pipeline.demo import clicks, goods, journeys, people, shop, visits
from capi_pipeline.demo.rows import HOUR, RAW, TRUTH

START = 1_749_513_600
MANY = 20_000


def traded(seed: int, conversions: int = 400) -> visits.Hour:
    hour = visits.Hour(Random(f"{seed}:{START}"), seed, START)
    journeys.trade(hour, 500, conversions)
    return hour


def cells(hour: visits.Hour, table: str) -> list[dict[str, str | None]]:
    return [dict(zip(RAW[table], row.cells, strict=True)) for row in hour.rows if row.table == table]


def test_people_are_functions_of_seed_and_number() -> None:
    first = [people.person(1, number) for number in range(50)]
    people.person.cache_clear()
    assert [people.person(1, number) for number in range(50)] == first
    assert people.person(2, 7) != first[7]


def test_an_hour_is_a_function_of_its_seed() -> None:
    first, again = traded(1), traded(1)
    assert first.rows == again.rows
    assert first.clicks == again.clicks
    assert traded(2).rows != first.rows


def test_every_row_fits_its_table_and_its_copy() -> None:
    """COPY is given cells as they are: none may hold what ends a cell or a row."""
    for row in traded(1).rows:
        assert len(row.cells) == len({**RAW, **TRUTH}[row.table])
        assert row.at >= START
        assert not any(mark in cell for cell in row.cells if cell for mark in "\t\n\r\x00"), row


@pytest.mark.parametrize("country", people.COUNTRIES)
def test_phones_are_valid_in_their_country(country: str) -> None:
    rng = Random(country)
    crowd = [who for number in range(3000) if (who := people.person(1, number)).country == country][:60]
    assert crowd
    spelled = set()
    for who in crowd * 20:
        typed = people.typed_phone(rng, who)
        if typed and people.is_person_phone(typed):
            dialled = f"+{typed[2:]}" if typed.startswith("00") else typed
            number = phonenumbers.parse(dialled, country)
            assert phonenumbers.is_valid_number(number), (country, typed)
            assert str(number.national_number) == who.phone
            spelled.add("".join("#" if c.isdigit() else c for c in typed))
    assert len(spelled) > len(people.PHONES[country])


@pytest.mark.parametrize(
    ("kind", "share"),
    [
        ("missing", people.EMAIL_MISSING),
        ("upper", people.EMAIL_UPPER),
        ("blanks", people.EMAIL_BLANKS),
        ("invalid", people.EMAIL_INVALID),
        ("hashed", people.EMAIL_HASHED),
    ],
)
def test_shares_of_typed_emails(kind: str, share: float) -> None:
    def kind_of(typed: str | None) -> str:
        if not typed:
            return "missing"
        if not people.is_person_email(typed):
            return "invalid"
        if len(typed) == 64:
            return "hashed"
        return "blanks" if typed != typed.strip() else "upper" if typed != typed.lower() else "plain"

    rng = Random(kind)
    kinds = [kind_of(people.typed_email(rng, people.person(1, rng.randrange(500)))) for _ in range(MANY)]
    assert kinds.count(kind) / MANY == pytest.approx(share, rel=0.25)


def test_shares_of_typed_names_and_countries() -> None:
    rng = Random(1)
    names, countries = [], []
    for _ in range(MANY):
        who = people.person(1, rng.randrange(500))
        names.append((who, *people.typed_name(rng, who)))
        countries.append((who, people.typed_country(rng, who)))

    def share(found: list[bool]) -> float:
        return sum(found) / len(found)

    assert share([last is None for _, _, last in names]) == pytest.approx(people.NAME_MISSING, rel=0.25)
    assert share([(first or "").startswith("Dr. ") for _, first, _ in names]) == pytest.approx(
        people.NAME_TITLE, rel=0.25
    )
    assert share([(last or "") != (last or "").strip() for _, _, last in names]) == pytest.approx(
        people.NAME_BLANKS, rel=0.25
    )
    assert share([len(first or "") == 300 for _, first, _ in names]) == pytest.approx(people.LONG_TEXT, rel=0.5)
    assert share([not country for _, country in countries]) == pytest.approx(people.COUNTRY_MISSING, rel=0.25)
    britons = [country == "UK" for who, country in countries if who.country == "GB"]
    assert share(britons) == pytest.approx(people.COUNTRY_UK, rel=0.25)


def test_refusals_and_typing_errors_are_nobody() -> None:
    wrong = [*people.INVALID_EMAILS, "shopper@@example.com", "shopper.at.example.com", "", None]
    assert not any(people.is_person_email(typed) for typed in wrong)
    assert all(people.is_person_email(typed) for typed in (" shopper@example.com ", "SHOPPER@EXAMPLE.COM", "0a" * 32))


def test_click_ids_have_the_shape_that_their_platforms_give() -> None:
    rng = Random(1)
    seen: dict[str, str] = {}
    for _ in range(3000):
        seen.update(clicks.ad_click(rng, START)[1])
    assert seen.keys() == set(clicks.PARAMETERS)
    assert len(seen["msclkid"]) == 32
    assert int(seen["msclkid"], 16)
    assert str(UUID(seen["li_fat_id"])) == seen["li_fat_id"]
    assert seen["awc"].split("_")[1] == str(START)
    for name, value in seen.items():
        assert parse_qs(urlsplit(f"https://shop.example.com/?{name}={value}").query) == {name: [value]}


def test_cookies_keep_the_last_click_and_the_device() -> None:
    device = people.device_id(1, 1, 1)
    ids = {"fbclid": "Iw", "gclid": "Cj", "msclkid": "0a" * 16, "epik": "dj0"}
    jar = clicks.cookies(device, ids, START + 0.5, marketing=True)
    assert jar["_fbc"] == f"fb.1.{START}500.Iw"
    assert jar["_gcl_aw"] == f"GCL.{START}.Cj"
    assert jar["_uetmsclkid"] == f"_uet{'0a' * 16}"
    assert jar["_epik"] == "dj0"
    later = clicks.cookies(device, {}, START + HOUR, marketing=True)
    assert {"_fbp", "_ga", "_ttp", "_scid", "_rdt_uuid", "_uetvid"} & jar.keys() <= later.keys()
    assert all(later[name] == jar[name] for name in later.keys() - {"_ga_ABC123"})
    assert not {"_fbp", "_fbc", "_ttp", "_scid"} & clicks.cookies(device, ids, START, marketing=False).keys()


def test_app_devices() -> None:
    devices = {row["device"] for row in cells(traded(1, 2000), "web_events") if row["device"]}
    assert len(devices) > 5
    for text in devices:
        device = json.loads(str(text))
        allowed = device.get("att_status") in (None, "authorized")
        assert UUID(device["advertising_id"])
        assert (device["advertising_id"] == visits.NO_ADVERTISING_ID) is not allowed
        assert ("vendor_id" in device) == (device["os"] == "iOS")
        assert {"os", "os_version", "model", "app_id", "app_version"} <= device.keys()


def test_amounts_are_spelled_with_the_decimals_of_their_currency() -> None:
    for country, (_, decimals, _) in goods.MONEY.items():
        bag = goods.basket(Random(1), country)
        assert bag.decimals == decimals
        assert len(bag.text(bag.worth).partition(".")[2]) == decimals


def test_value_and_currency_come_together() -> None:
    hour = traded(1, 2000)
    for event in cells(hour, "web_events"):
        properties = json.loads(event["properties"] or "{}")
        assert ("value" in properties) == ("currency" in properties)
    for order in cells(hour, "orders"):
        assert order["total"]
        assert order["currency"]


def test_the_day_has_a_rhythm_and_the_average_is_one() -> None:
    assert sum(shop.BUSY) == 24 * 100
    assert max(shop.BUSY) > 3 * min(shop.BUSY)
