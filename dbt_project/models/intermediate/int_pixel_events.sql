-- The pixel's events of orders and of new leads, by order or lead. A plain filter, so that asking for a few keys reads little.
-- An id that the pixel sent for two orders (a tag with a fixed id) is the first one's only: the others keep their own, and are not lost.
select
    events.event_name,
    events.business_key,
    events.event_id,
    {{ clean_id('events.anonymous_id') }} as anonymous_id,
    events.user_id,
    events.page_url,
    events.referrer_url,
    events.ip_address,
    events.user_agent,
    events.properties,
    events.device,
    events.occurred_at,
    events.landed_at
from {{ ref('base_web_events') }} as events
where events.event_name in ('purchase', 'generate_lead')
    and events.business_key is not null
    and events.event_id <> ''
    and not exists (
        select 1
        from {{ ref('base_web_events') }} as other
        where other.event_name in ('purchase', 'generate_lead')
            and other.event_name = events.event_name
            and other.event_id = events.event_id
            and other.business_key <> events.business_key
            and (other.landed_at, other.business_key) < (events.landed_at, events.business_key)
    )
