with landings as (
    {{ first_landings(source('raw', 'web_events'), ['event_name', 'event_id']) }}
)

select {{ web_event_columns() }}
from landings
where occurred_at is not null
    and event_id <> ''
