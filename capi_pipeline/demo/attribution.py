"""The truth about attribution: which click led to an order or lead, and whether the recorded rows can tell."""

from __future__ import annotations

from typing import Any

from capi_pipeline.demo.circles import NO_ID
from capi_pipeline.demo.links import connected
from capi_pipeline.demo.rows import stamp

LOOKBACK_DAYS = 90

# A person's newest click of each parameter led to the conversion. It is knowable if it came with the lead itself; or if its page
# was recorded, had landed with the conversion's hour, and is on the conversion's device with no later click of somebody else,
# or connected with the conversion by a chain of rows.
_RIGHT = f"""
create temp table touched on commit drop as
select made.*, date_trunc('hour', made.landed_at, 'UTC') + interval '1 hour' as until
from truth._conversions as made
where made.landed_at < %(end)s and (
    made.landed_at >= %(after)s
    or exists (
        select from truth._clicks as late
        where late.person = made.person and late.landed_at >= %(after)s and late.clicked_at <= made.at
    )
);
analyze touched;
create temp table judged on commit drop as
select
    chosen.*,
    row_number() over (order by conversion_type, conversion_id, parameter)::integer as number,
    recorded and landed_at < until as seen,
    coalesce(given = click_value, false) or recorded and landed_at < until and nullif(anonymous_id, '{NO_ID}') = device
    and not exists (
        select from truth._clicks as other
        where other.anonymous_id = chosen.anonymous_id and other.parameter = chosen.parameter and other.person <> chosen.person
        and other.recorded and other.clicked_at > chosen.clicked_at and other.clicked_at <= chosen.at
    ) as knowable
from (
    select distinct on (made.conversion_type, made.conversion_id, clicks.parameter)
        made.conversion_type, made.conversion_id, made.at, made.until, made.click_ids ->> clicks.parameter as given,
        made.anonymous_id as device, clicks.*
    from touched as made
    inner join truth._clicks as clicks
        on clicks.person = made.person
        and clicks.clicked_at between made.at - interval '{LOOKBACK_DAYS} days' and made.at
    order by made.conversion_type, made.conversion_id, clicks.parameter, clicks.clicked_at desc, clicks.click_value
) as chosen;
"""
_QUESTIONS = """
select number, left(conversion_type, 1) || ':' || conversion_id, 's:' || session_id, extract(epoch from until)::float
from judged where seen and knowable is not true order by number
"""
_LINKS = """
select left_id, right_id, extract(epoch from min(landed_at))::float from truth._links where landed_at < %(end)s
group by left_id, right_id order by 3, 1, 2
"""
_WRITE = """
delete from truth.attribution as old using touched
where (old.conversion_type, old.conversion_id) = (touched.conversion_type, touched.conversion_id);
insert into truth.attribution
select conversion_type, conversion_id, parameter, click_value, clicked_at, coalesce(knowable, false) or number = any(%(found)s)
from judged order by number;
drop table touched, judged;
"""


def attribute(cursor: Any, after: float, end: float) -> None:
    """Attribute the orders and leads that landed in these seconds, and anew those that a click that landed in them precedes."""
    cursor.execute(_RIGHT, {"after": stamp(after), "end": stamp(end)})
    cursor.execute(_QUESTIONS)
    numbers, questions = [], []
    for number, conversion, session, until in cursor.fetchall():
        numbers.append(number)
        questions.append((conversion, session, until))
    cursor.execute(_LINKS, {"end": stamp(end)})
    answers = connected(cursor.fetchall(), questions)
    found = [number for number, yes in zip(numbers, answers, strict=True) if yes]
    cursor.execute(_WRITE, {"found": found})
