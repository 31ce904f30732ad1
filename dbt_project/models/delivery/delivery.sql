-- What became of each hour at each destination, and how well its conversions could be matched.
with outcomes as (
    select
        destination,
        platform,
        hour,
        sum(events) as conversions,
        {%- for state in ['accepted', 'pending', 'rejected', 'withheld', 'held', 'retry'] %}
        coalesce(sum(case when state = '{{ state }}' then events end), 0) as {{ state }},
        {%- endfor %}
        max(written_at) as written_at
    from {{ source('delivery_log', 'outcomes') }}
    group by destination, platform, hour
),

measures as (
    select
        destination,
        hour,
        {%- for measure, column in delivery_measures().items() %}
        max(case when measure = '{{ measure }}' then value end) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ source('delivery_log', 'measures') }}
    where identifier is null
    group by destination, hour
)

select
    outcomes.hour,
    outcomes.destination,
    outcomes.platform,
    outcomes.conversions,
    outcomes.accepted,
    outcomes.pending,
    outcomes.rejected,
    outcomes.withheld,
    outcomes.held,
    outcomes.retry,
    {%- for column in delivery_measures().values() %}
    measures.{{ column }},
    {%- endfor %}
    outcomes.written_at
from outcomes
left join measures
    on measures.destination = outcomes.destination
    and measures.hour = outcomes.hour
