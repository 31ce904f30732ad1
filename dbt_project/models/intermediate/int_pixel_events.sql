-- The pixel's event of each order and of each new lead. A thank-you page that is opened again sends a second event, and an event may
-- land twice: the one that landed first is the conversion's.
select
    sights.event_name,
    sights.business_key,
    sights.event_id,
    nullif(sights.anonymous_id, '') as anonymous_id,
    sights.user_id,
    sights.page_url,
    sights.referrer_url,
    sights.ip_address,
    sights.user_agent,
    sights.properties,
    sights.device,
    sights.occurred_at,
    sights.landed_at
from {{ ref('base_web_events') }} as sights
where sights.event_name in ('purchase', 'generate_lead')
    and sights.business_key is not null
    and sights.event_id <> ''
    and not exists (
        select 1
        from {{ ref('base_web_events') }} as earlier
        where earlier.event_name = sights.event_name
            and earlier.business_key = sights.business_key
            and earlier.event_id <> ''
            and (earlier.landed_at, earlier.occurred_at, earlier.event_id) < (sights.landed_at, sights.occurred_at, sights.event_id)
    )
