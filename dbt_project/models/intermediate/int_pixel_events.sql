-- The pixel's events of orders and of new leads, by order or lead. A plain filter, so that asking for a few keys reads little.
select
    event_name,
    business_key,
    event_id,
    nullif(anonymous_id, '') as anonymous_id,
    user_id,
    page_url,
    referrer_url,
    ip_address,
    user_agent,
    properties,
    device,
    occurred_at,
    landed_at
from {{ ref('base_web_events') }}
where event_name in ('purchase', 'generate_lead')
    and business_key is not null
    and event_id <> ''
