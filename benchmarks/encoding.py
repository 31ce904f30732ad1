"""What encoding costs, platform by platform: `python benchmarks/encoding.py --write`. No server, no database.

The same purchases for each platform, with its own click ids and cookies; the accounts are those of the demo's documents. From
hashed rows to the bytes of the requests: decide, encode, batch, serialise.
"""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import typer
from common import machine, put

from capi_pipeline.conversions.consent import ConsentPolicy
from capi_pipeline.conversions.conversion import conversions
from capi_pipeline.conversions.transform import transform
from capi_pipeline.destinations import load
from capi_pipeline.platforms.base import Platform
from capi_pipeline.platforms.batching import batches
from capi_pipeline.rendering import to_batch
from capi_pipeline.sandbox.platforms import ENVIRONMENT
from capi_pipeline.settings import DESTINATIONS

NOW = datetime.now(UTC)
SLOWEST = 4  # times the median: a quarter of its speed


def main(rows: int = 4000, repetitions: int = 5, write: bool = False) -> None:
    """Print the table; with --write, put it into benchmarks/README.md."""
    platforms = [config.resolve(ENVIRONMENT) for config in load(DESTINATIONS)]
    costs = {}
    for platform in platforms:
        hashed = transform(to_batch([purchase(n, platform) for n in range(rows)]), platform.recipes(), ConsentPolicy())
        runs = [encoded(platform, hashed) for _ in range(repetitions)]
        costs[platform.name] = (min(cost for cost, _ in runs), runs[0][1])
    median = statistics.median(cost for cost, _ in costs.values())
    lines = [
        f"{machine()}. {rows:,} purchases, best of {repetitions}. Median {median:.1f} µs; {SLOWEST} times that is too slow.",
        "",
        "| platform | µs per event | of the median | bytes per event |",
        "|---|---:|---:|---:|",
    ]
    for name, (cost, size) in sorted(costs.items(), key=lambda entry: entry[1][0]):
        mark = "" if cost <= SLOWEST * median else " **too slow**"
        lines.append(f"| {name} | {cost:.1f} | {cost / median:.2f}{mark} | {size:,.0f} |")
    page = "\n".join(lines)
    print(page)
    if write:
        put("encoding", page)


def purchase(number: int, platform: Platform) -> dict[str, Any]:
    """A purchase that every platform takes."""
    when = NOW - timedelta(hours=1)
    cookies = dict.fromkeys(platform.browser_ids, "fb.1.1758000000000.1098115397")
    clicked = (when - timedelta(hours=9)).isoformat()
    return {
        "event_id": f"order-{number}", "event_name": "purchase", "event_time": when, "recorded_at": when,
        "action_source": "website", "source_url": "https://shop.example/thanks", "transaction_id": str(number),
        "value": "149.97", "currency": "EUR", "country": "US", "region": "CA", "city": "San Francisco", "postal_code": "94105",
        "first_name": "Jane", "last_name": f"Doe {number}", "emails": [f"person{number}@example.com"],
        "phones": [f"+1415555{number % 10000:04d}"], "user_id": f"c{number}", "anonymous_id": f"b{number}",
        "ip_address": "203.0.113.7", "user_agent": "Mozilla/5.0", "browser_ids": cookies,
        "click_ids": {name: {"value": f"{name}-{number}".ljust(34, "x"), "clicked_at": clicked} for name in platform.click_ids},
        "contents": [{"id": "SKU-1", "name": "Shoe", "category": "Shoes", "brand": "Acme", "quantity": 3, "price": 49.99}],
        "consent_ad_storage": "granted", "consent_ad_user_data": "granted", "consent_ad_personalization": "granted",
    }  # fmt: skip


def encoded(platform: Platform, hashed: Any) -> tuple[float, float]:
    """CPU microseconds per event, and bytes of what is sent for it."""
    count = size = 0
    begun = time.process_time()
    ready = ((0, platform.group(c), platform.prepare(c, NOW)) for c in conversions(hashed))
    for group, members in batches(ready, platform.limits):
        request = platform.request([payload for _, payload in members], group)
        size += len(orjson.dumps(request.json or request.form or request.multipart or request.params))
        count += len(members)
    return (time.process_time() - begun) / count * 1e6, size / count


if __name__ == "__main__":
    typer.run(main)
