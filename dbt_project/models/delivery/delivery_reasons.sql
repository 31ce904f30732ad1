-- Why conversions were withheld or are held, and with which code a platform took or rejected them.
select
    hour,
    destination,
    platform,
    state,
    reason,
    code,
    sum(events) as events
from {{ source('delivery_log', 'outcomes') }}
group by hour, destination, platform, state, reason, code
