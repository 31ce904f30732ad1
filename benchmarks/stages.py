"""One stage of the road, measured in this process: `python stages.py STAGE ROWS HOUR SINK`. Called by throughput.py.

Reading what a stage works on is outside its clock, unless the stage is a whole step.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import orjson
import pyarrow as pa
import requests
from common import Result, sampled
from data import table

from capi_pipeline import steps
from capi_pipeline.conversions.conversion import conversions
from capi_pipeline.conversions.identifiers import Recipe
from capi_pipeline.conversions.transform import schema, transform
from capi_pipeline.delivery.ledger import Item, Ledger, Settlement
from capi_pipeline.demo import FIVE
from capi_pipeline.destinations import DestinationConfig
from capi_pipeline.platforms import all_recipes, platform
from capi_pipeline.platforms.base import Platform
from capi_pipeline.platforms.batching import batches
from capi_pipeline.platforms.outcomes import State, Withhold
from capi_pipeline.settings import Settings
from capi_pipeline.warehouse import Warehouse

REQUEST = 1000  # events of one request to Meta, and rows of one statement of the ledger
SECRET = {"env": "CAPI_BENCH_SECRET"}
NAMED = {"purchase": "1", "generate_lead": "2", "add_to_cart": "3", "sign_up": "4"}
ACCOUNTS = {
    "meta": {"pixel_id": "123456789012345", "access_token": SECRET},
    "google_data_manager": {
        "operating_account_id": "1234567890", "oauth_client_id": SECRET, "oauth_client_secret": SECRET,
        "oauth_refresh_token": SECRET, "conversion_actions": NAMED,
    },
    "tiktok": {"access_token": SECRET, "pixel_code": "C4EXAMPLEPIXEL00000"},
    "microsoft_offline": {
        "client_id": SECRET, "client_secret": SECRET, "refresh_token": SECRET, "developer_token": SECRET,
        "customer_id": "1234567", "customer_account_id": "7654321", "enhanced_conversions": True,
        "conversion_names": NAMED,
    },
    "outbrain": {"event_names": NAMED},
}  # fmt: skip


class Stages:
    """`rows` conversions of one hour; `sink`: port of the server that does nothing."""

    def __init__(self, rows: int, hour: datetime, sink: int) -> None:
        self.rows, self.hour, self.sink = rows, hour, sink
        self.settings = Settings()
        self.result = Result()

    def destination(self, name: str) -> DestinationConfig:
        address = f"http://127.0.0.1:{self.sink}"
        return DestinationConfig(name=name, platform=name, account=ACCOUNTS[name], base_url=address)

    def batches(self) -> Iterator[pa.RecordBatch]:
        warehouse = Warehouse(self.settings.require("warehouse_url"), table(self.rows))
        return warehouse.hour(steps.window_of(self.hour))

    def extract(self) -> None:
        """Read and check the hour."""
        with self.result.part("extract").of(self.rows):
            self.expect(sum(batch.num_rows for batch in self.batches()), "rows read")

    def hash_meta(self) -> None:
        """Normalise and hash by the recipes of Meta."""
        self.transform("hash meta", platform("meta").recipes())

    def hash_all(self) -> None:
        """Normalise and hash by the recipes of all platforms; a process of its own, for phone numbers are remembered."""
        self.transform("hash all", all_recipes())

    def transform(self, name: str, recipes: Sequence[Recipe]) -> None:
        for batch in self.batches():
            with self.result.part(name).of(batch.num_rows):
                transform(batch, recipes, self.settings.consent)

    def meta(self) -> None:
        """Normalise, hash and encode for Meta alone, to the bytes of its requests; and the least that this work can cost:
        SHA-256 of the same texts, JSON of the same dictionaries, and the same POSTs by the same HTTP library."""
        meta = self.destination("meta").resolve(os.environ)
        session, sent = requests.Session(), 0
        for batch in self.batches():
            with self.result.part("normalise, hash, encode").of(batch.num_rows):
                hashed = transform(batch, meta.recipes(), self.settings.consent)
                payloads = [payload for payload, _ in _encoded(meta, hashed)]
                bodies = [
                    orjson.dumps(meta.request(payloads[start : start + REQUEST], None).json)
                    for start in range(0, len(payloads), REQUEST)
                ]
            sent += len(payloads)
            sources = [batch[recipe.source].drop_null() for recipe in meta.recipes() if recipe.hashed]
            texts = [text for source in sources for text in source.cast(pa.string()).to_pylist()]
            with self.result.part("floor: SHA-256").of(batch.num_rows):
                for text in texts:
                    hashlib.sha256(text.encode()).hexdigest()
            with self.result.part("floor: JSON").of(batch.num_rows):
                for start in range(0, len(payloads), REQUEST):
                    orjson.dumps({"data": payloads[start : start + REQUEST]})
            with self.result.part("floor: POST").of(batch.num_rows):
                for body in bodies:
                    session.post(f"http://127.0.0.1:{self.sink}/", data=body).json()
            self.result.facts["hashes"] = self.result.facts.get("hashes", 0) + len(texts)
            self.result.facts["bytes"] = self.result.facts.get("bytes", 0) + sum(map(len, bodies))
        self.expect(sent, "events encoded")

    def step(self) -> None:
        """The whole first step of an hour: extract, check, hash for all platforms, encrypt and store."""
        os.environ["CAPI_CONVERSIONS_TABLE"] = table(self.rows)
        with self.result.part("extract and transform").of(self.rows):
            profile = steps.extract_transform(Settings(), self.hour)
        self.expect(profile.rows, "rows staged")
        self.result.facts |= {f"share {recipe}": n / self.rows for recipe, n in profile.coverage.items()}

    def encode(self) -> None:
        """From staged rows to the bodies of requests, platform by platform."""
        for name in FIVE:
            target = self.destination(name).resolve(os.environ)
            for batch in steps.staging(self.settings).read(self.hour, schema(target.recipes()).names):
                with self.result.part(f"encode {name}").of(batch.num_rows):
                    found = ((0, group, payload) for payload, group in _encoded(target, batch))
                    for group, members in batches(found, target.limits):
                        request = target.request([payload for _, payload in members], group)
                        orjson.dumps(request.json or request.params)
                        self.result.facts[name] = self.result.facts.get(name, 0) + len(members)

    def ledger(self) -> None:
        """Claim and settle every event, in the statements of a delivery to Meta; and look each of them up once."""
        time = int(self.hour.timestamp() * 1e6)
        keys = [("purchase", hashlib.md5(b"%d" % i).hexdigest()) for i in range(self.rows)]
        with Ledger.open(self.settings.require("ledger_url")).hour("ledger", self.hour, "bench") as ledger:
            for start in range(0, self.rows, REQUEST):
                some = keys[start : start + REQUEST]
                with self.result.part("ledger: look up").of(len(some)):
                    ledger.states(some)
                with self.result.part("ledger: claim, settle").of(len(some)):
                    mine = ledger.claim([Item(*key, time, time, payload_digest="0" * 32) for key in some])
                    ledger.settle(
                        [Settlement(key, State.ACCEPTED, trace_id="A1", position=i) for i, key in enumerate(some)]
                    )
                assert len(mine) == len(some)

    def deliver(self) -> None:
        """The whole step of the destination Meta: read what is staged, decide, encode, claim, send, settle."""
        line = steps.Line(
            self.destination("meta"), Ledger.open(self.settings.require("ledger_url")), self.settings, os.environ
        )
        with self.result.part("deliver to Meta").of(self.rows):
            report = line.deliver(self.hour, "bench")
        self.expect(report.count(State.ACCEPTED), f"events accepted ({report.error})")

    def expect(self, number: int, what: str) -> None:
        if number != self.rows:
            sys.exit(f"{number} {what}, not {self.rows}")


def _encoded(target: Platform, batch: pa.RecordBatch) -> Iterator[tuple[dict[str, object], object]]:
    now = datetime.now(UTC)
    for conversion in conversions(batch):
        try:
            yield target.prepare(conversion, now), target.group(conversion)
        except Withhold:
            continue


def main(stage: str, rows: str, hour: str, sink: str) -> None:
    os.environ["CAPI_BENCH_SECRET"] = "a-secret-of-nobody"
    stages = Stages(int(rows), datetime.fromisoformat(hour), int(sink))
    work: Callable[[], None] = getattr(stages, stage)
    if os.environ.get("CAPI_BENCH_PROFILE"):
        with sampled(stages.result.profile):
            work()
    else:
        with steps.few_collections():
            work()
    stages.result.show()


if __name__ == "__main__":
    main(*sys.argv[1:])
