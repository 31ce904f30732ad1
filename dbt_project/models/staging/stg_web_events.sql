with landings as (
    {{ first_landings(source('raw', 'web_events'), ['event_name', 'event_id'], order_by='occurred_at, anonymous_id, page_url') }}
)

select {{ web_event_columns() }}
from landings
where occurred_at is not null
    and {{ clean_text('event_id') }} is not null
