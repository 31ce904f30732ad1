select {{ web_event_columns() }}
from {{ source('raw', 'web_events') }} as landed
where {{ first_landing(source('raw', 'web_events'), ['event_name', 'event_id'], complete="event_id <> '' and occurred_at is not null") }}
