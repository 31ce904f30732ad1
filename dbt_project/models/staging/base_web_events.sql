-- Every landing of every event. For evidence (clicks, cookies) a page that landed twice is the same page: nothing to remove,
-- and so a look-up by device needs no look at other rows.
select {{ web_event_columns() }}
from {{ source('raw', 'web_events') }}
where occurred_at is not null
