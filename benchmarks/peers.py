"""The others, measured in this process: `python peers.py PEER ROWS HOUR SINK`, by the Python of an environment of peers.txt.

Called by throughput.py with the same rows of the same PostgreSQL. Imports nothing of this package.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
from common import Result, sampled

REQUEST = 1000  # events of one request
COLUMNS = (
    "event_id, event_name, event_time, recorded_at, action_source, source_url, referrer_url, transaction_id, value, currency, "
    "contents, customer_type, user_id, anonymous_id, first_name, last_name, gender, date_of_birth, street_address, city, region, "
    "postal_code, country, ip_address, user_agent, click_ids, browser_ids, consent_ad_storage, consent_ad_user_data, "
    "consent_ad_personalization, opt_out_of_sale"
)
META_NAMES = {
    "purchase": "Purchase", "generate_lead": "Lead", "add_to_cart": "AddToCart", "sign_up": "CompleteRegistration",
}  # fmt: skip
HASHED = ("email", "phone", "first_name", "last_name", "gender", "date_of_birth", "city", "region", "postal_code", "country",
          "user_id", "anonymous_id")  # fmt: skip
BATCH = {
    "body_mode": "batch",
    "batch_template": '{"data": {{ rows | tojson_safe }}}',
    "max_records_per_request": REQUEST,
}


def facebook(rows: int, _: str) -> Result:
    """Meta's own package: its objects, `EventRequest.get_params()` (normalise, hash, JSON of each event), nothing sent."""
    from facebook_business.adobjects.serverside.action_source import ActionSource
    from facebook_business.adobjects.serverside.content import Content
    from facebook_business.adobjects.serverside.custom_data import CustomData
    from facebook_business.adobjects.serverside.event import Event
    from facebook_business.adobjects.serverside.event_request import EventRequest
    from facebook_business.adobjects.serverside.gender import Gender
    from facebook_business.adobjects.serverside.user_data import UserData

    genders = {"female": Gender.FEMALE, "male": Gender.MALE}

    def event(row: dict[str, Any]) -> Event:
        click = row["click_ids"].get("fbclid")
        user = UserData(
            emails=row["emails"], phones=row["phones"], first_name=row["first_name"], last_name=row["last_name"],
            gender=genders[row["gender"]], date_of_birth=row["date_of_birth"].strftime("%Y%m%d"), city=row["city"],
            state=row["region"], zip_code=row["postal_code"], country_code=row["country"],
            external_ids=[row["user_id"], row["anonymous_id"]], client_ip_address=row["ip_address"],
            client_user_agent=row["user_agent"], fbp=row["browser_ids"]["fbp"],
            fbc=f"fb.1.{datetime.fromisoformat(click['clicked_at']).timestamp():.0f}000.{click['value']}" if click else None,
        )  # fmt: skip
        items = row["contents"] or ()
        custom = CustomData(
            value=None if row["value"] is None else float(row["value"]), currency=row["currency"], order_id=row["transaction_id"],
            content_type="product" if items else None, content_ids=[item["id"] for item in items] or None,
            contents=[
                Content(product_id=item["id"], quantity=item["quantity"], item_price=item["price"], title=item["name"],
                        brand=item["brand"], category=item["category"]) for item in items
            ] or None,
            num_items=sum(item["quantity"] for item in items) or None,
        )  # fmt: skip
        return Event(
            event_name=META_NAMES[row["event_name"]], event_time=int(row["event_time"].timestamp()),
            event_id=row["event_id"], action_source=ActionSource.WEBSITE, event_source_url=row["source_url"],
            referrer_url=row["referrer_url"], user_data=user, custom_data=custom,
        )  # fmt: skip

    result, made = Result(), 0
    for chunk in _chunks(rows):
        with result.part("facebook-business").of(len(chunk)):
            request = EventRequest(pixel_id="123456789012345", events=[event(row) for row in chunk])
            made += len(request.get_params()["data"])
    return _complete(result, made, rows)


def drt_batch(rows: int, sink: str) -> Result:
    """Rows as they are, 1,000 a request: nothing normalised, hashed or remembered."""
    return _drt("drt batch", f"select {COLUMNS}, emails, phones from marts.conversions_{rows}", BATCH, {}, rows, sink)


def drt_same(rows: int, sink: str) -> Result:
    """1,000 a request, identifiers hashed by `mask`, each event remembered by its idempotency ledger."""
    query = f"select {COLUMNS}, emails ->> 0 as email, phones ->> 0 as phone from marts.conversions_{rows}"
    more = {"mask": dict.fromkeys(HASHED, "hash"), "idempotency_key": "{{ row.event_id }}"}
    return _drt("drt batch, hash, ledger", query, BATCH, more, rows, sink)


def drt_rows(rows: int, sink: str) -> Result:
    """Its default: a request for each row."""
    return _drt("drt rows", f"select {COLUMNS}, emails, phones from marts.conversions_{rows}", {
        "body_template": "{{ row | tojson_safe }}"
    }, {}, rows, sink)  # fmt: skip


def _drt(name: str, query: str, destination: dict[str, Any], sync: dict[str, Any], rows: int, sink: str) -> Result:
    """`drt run` of a project with one sync, without the start of Python and its imports."""
    result = Result()
    with tempfile.TemporaryDirectory(prefix="capi-bench-drt-") as made:
        folder = Path(made)
        os.environ |= {"HOME": made, "DO_NOT_TRACK": "1"}
        where = dict(pair.split("=", 1) for pair in os.environ["CAPI_BENCH_LIBPQ"].split())
        profile = {"type": "postgres", "fetch_size": 10000, **where, "port": int(where["port"])}
        _write(folder / ".drt" / "profiles.yml", {"default": profile})
        state = {"state": {"backend": "warehouse", "connection_profile": "default", "idempotency": True}}
        _write(folder / "drt_project.yml", {"name": "bench", "profile": "default", **(state if sync else {})})
        target = {
            "type": "rest_api", "url": f"http://127.0.0.1:{sink}/", "method": "POST",
            "headers": {"Content-Type": "application/json"}, **destination,
        }  # fmt: skip
        options = {"batch_size": 20_000, "rate_limit": {"requests_per_second": 0}, **sync}
        _write(folder / "syncs" / "move.yml", {"name": "move", "model": query, "destination": target, "sync": options})
        os.chdir(folder)
        from drt.cli.main import app

        sys.argv = ["drt", "run", "--output", "json"]
        printed, sys.stdout = sys.stdout, (folder / "out").open("w+")
        with result.part(name).of(rows):
            try:
                app()
            except SystemExit as end:
                if end.code:
                    sys.exit((folder / "out").read_text()[-3000:])
        sys.stdout.flush()
        said = (folder / "out").read_text()
        sys.stdout = printed
    synced = json.loads(said)["syncs"][0]["rows_synced"]
    return _complete(result, synced, rows)


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))  # JSON is YAML


def _chunks(rows: int) -> Iterator[list[dict[str, Any]]]:
    with psycopg2.connect(os.environ["CAPI_BENCH_LIBPQ"]) as connection:
        cursor = connection.cursor("bench", cursor_factory=psycopg2.extras.RealDictCursor)
        cursor.execute(f"select * from marts.conversions_{rows}")
        while chunk := cursor.fetchmany(REQUEST):
            yield chunk


def _complete(result: Result, number: int, rows: int) -> Result:
    if number != rows:
        sys.exit(f"{number} rows came through, not {rows}")
    return result


def main(peer: str, rows: str, _: str, sink: str) -> None:
    profile: list[str] = []
    if os.environ.get("CAPI_BENCH_PROFILE"):
        with sampled(profile):
            result = globals()[peer](int(rows), sink)
    else:
        result = globals()[peer](int(rows), sink)
    result.profile = profile
    result.show()


if __name__ == "__main__":
    main(*sys.argv[1:])
