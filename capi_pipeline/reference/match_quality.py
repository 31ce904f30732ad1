"""How match quality is measured, and in which order each platform ranks its identifiers."""

from __future__ import annotations

from capi_pipeline.components.quality import DEFAULT_LEAST
from capi_pipeline.conversions.match_quality import DECISIVE, FRESH, GOOD, HELPFUL, STRONG, Signal
from capi_pipeline.platforms import NAMES, platform
from capi_pipeline.platforms.ranking import signals
from capi_pipeline.platforms.times import span
from capi_pipeline.reference.tables import MADE, table

LEVELS = {DECISIVE: "decisive", STRONG: "strong", GOOD: "good", HELPFUL: "helpful"}


def page() -> str:
    rows = [
        [
            f"[{platform(name).title}](destinations/{name}.md)",
            *(_named(signals(platform(name)), level) for level in LEVELS),
        ]
        for name in NAMES
    ]
    levels = ", ".join(f"{words} {level:g}" for level, words in LEVELS.items())
    return f"""# Match quality

{MADE}
A platform can use a conversion only if it finds the person who saw or clicked an ad. How likely that is depends on the
identifiers that come with the conversion. Each delivery measures it, per hour and destination, before and after identity
resolution: *before* is without what the person's other rows told (the column `enriched` of the conversions table; a table
without it shows the same number twice).

## The score

Of each event, 0 to 10: ten times the chance that at least one of its identifiers finds the person, if each found it on its own
with the chance of its rank ({levels}). Platforms publish an order of their parameters at best, never numbers: the order below is
theirs (`capi_pipeline/platforms/ranking.py` quotes it), the four chances are ours. So a score says which destination, hour or
shop is worse off and what would help most; it is not the number that a platform shows in its own tool.

Counted is what the platform has or could have of the hour: events that are withheld for lack of an identifier count, those
withheld for consent, age or their kind do not, nor do those of other platforms' clicks where a platform takes only its own.

| measure | meaning |
|---|---|
| `match_quality`, `match_quality_before` | average score after and before identity resolution |
| `coverage_<identifier>` | share of events with it |
| `click_id_share` | share with a click id of the platform, also from its cookie |
| `two_strong_share` | share with two or more strong (or decisive) identifiers |
| `fresh_share` | share that landed within {span(FRESH)} of the event, or within the platform's age limit if that is less |
| `minutes_landing_p50`, `_p95` | from the event to the warehouse: half, and 95 of 100, took no longer |
| `minutes_delivery_p50`, `_p95` | from the warehouse to the platform's yes |
| `minutes_total_p50`, `_p95` | both together |

All of them are numeric metadata of the asset `destinations/<name>`, so Dagster plots them over time; tables beside them show
coverage before and after, the distribution, and the three identifiers that would raise the score most. An advertising id is
never among these: a browser has none, and in an app the person decides.

## Checks

`match_quality` warns below {DEFAULT_LEAST:g}. With `min_match_quality` in the destination's document it is an error below that.

`pixel_deduplication` compares the server's conversions with the browser pixel's own log (`pixels` in the raw table `web_events`,
model `delivery.pixel_agreement`): a platform counts an event once only if both send it under the same name and id. It warns when
more than 1 % of the pixel's events are on the server under another id (the same order or lead, or the same id spelled
otherwise), with examples, and when fewer than `min_pixel_agreement` of the server's events were sent by the pixel too. `pixel` in
the document names the pixel where it is not the usual one. Without the dbt project nothing is known, and the check passes.

## In the warehouse

Every delivery writes counts and measures, never an identifier or an event id, into the schema `delivery_log`
(`CAPI_DELIVERY_LOG=false` turns it off; a warehouse that cannot be written costs a warning, no delivery). The dbt models
`delivery` (a row per hour and destination), `delivery_reasons`, `delivery_identifiers` and `pixel_agreement` build on it; each
destination of the demo is an exposure. For example:

```sql
select destination, sum(accepted) as accepted, avg(match_quality) as match_quality, avg(match_quality_before) as before
from delivery.delivery where hour > now() - interval '7 days' group by destination order by 3
```

`capi report` writes the week as one HTML page; `capi explain EVENT_ID` tells the story of one conversion.

## Rankings

{table(("platform", *LEVELS.values()), rows)}"""


def _named(found: tuple[Signal, ...], level: float) -> str:
    return ", ".join(signal.title for signal in found if signal.weight == level)
