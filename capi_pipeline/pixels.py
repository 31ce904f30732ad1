"""Whether the browser's pixel and the server tell a platform of the same events under the same ids.

The dbt model `delivery.pixel_agreement` compares them by the pixel's own log in `web_events`; this reads it, and judges it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import orjson
from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from capi_pipeline.errors import DeliveryError, address, first_line
from capi_pipeline.warehouse import Warehouse

TABLE = ("delivery", "pixel_agreement")
EXAMPLES = 5
# The tag of a platform, where it goes by another name than the platform's API.
PIXELS = {
    "google_ads": "google", "google_data_manager": "google", "campaign_manager": "google", "ga4": "google",
    "microsoft_offline": "microsoft", "microsoft_uet": "microsoft", "amazon_ads": "amazon", "yandex_metrica": "yandex",
}  # fmt: skip


@dataclass
class Agreement:
    """Of one pixel and some hours. `server`: server events; `agreed`: those whose id and name the pixel sent too; `pixel`: the
    pixel's events; `pixel_only`: those that no server event has; `other_ids`: of these, those that the server tells under another
    id, so that the platform counts both; `examples`: (pixel's id, server's id)."""

    server: int = 0
    agreed: int = 0
    pixel: int = 0
    pixel_only: int = 0
    other_ids: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        return self.agreed / self.server if self.server else None

    def problem(self, least: float, most_twice: float = 0.01) -> str:
        """What is wrong, in words; empty if nothing is. `least`: the wanted share of server events that the pixel sent too."""
        if self.other_ids > most_twice * max(1, self.pixel):
            return (
                f"{self.other_ids} of {self.pixel} events of the pixel are on the server under another id: the platform would "
                "count both."
            )
        if self.share is not None and self.share < least:
            return (
                f"The pixel sent {self.share:.0%} of the {self.server} server events under their id; at least {least:.0%} is "
                "wanted."
            )
        return ""


def pixel_of(platform: str) -> str:
    return PIXELS.get(platform, platform)


def agreements(warehouse: Warehouse, since: datetime, until: datetime) -> dict[str, Agreement] | None:
    """By pixel, for the hours [since, until). None where the warehouse has no such model. Raises DeliveryError."""
    schema, name = TABLE
    query = text(
        f"""select pixel, server_events, agreed, pixel_events, pixel_only, other_ids, examples from {schema}.{name}
            where recorded_at >= :since and recorded_at < :until order by recorded_at, pixel, event_name"""
    )
    try:
        with warehouse.engine.connect() as connection:
            if not inspect(connection).has_table(name, schema):
                return None
            found: dict[str, Agreement] = {}
            for row in connection.execute(query, {"since": since, "until": until}):
                one = found.setdefault(row.pixel, Agreement())
                one.server += int(row.server_events)
                one.agreed += int(row.agreed)
                one.pixel += int(row.pixel_events)
                one.pixel_only += int(row.pixel_only)
                one.other_ids += int(row.other_ids)
                known = orjson.loads(row.examples) if isinstance(row.examples, str) else row.examples or []
                one.examples += [(str(e["pixel"]), str(e["server"])) for e in known][: EXAMPLES - len(one.examples)]
            return found
    except SQLAlchemyError as error:
        raise DeliveryError(
            f"{schema}.{name} in the warehouse ({address(warehouse.url)}) cannot be read: {first_line(error)}",
            "Build the dbt models, or correct the rights of CAPI_WAREHOUSE_URL's user.",
        ) from None
