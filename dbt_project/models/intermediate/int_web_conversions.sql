-- Pixel events that are conversions by themselves.
select
    event_id,
    event_name,
    occurred_at as event_time,
    landed_at as recorded_at,
    {{ web_or_app('device') }} as action_source,
    page_url as source_url,
    referrer_url,
    cast({{ clean_amount(json_text('properties', 'value')) }} as numeric(18, 4)) as value,
    {{ clean_currency(json_text('properties', 'currency')) }} as currency,
    {{ json_text('properties', 'search_term') }} as search_term,
    {{ json_value('properties', 'items') }} as items,
    user_id,
    {{ clean_id('anonymous_id') }} as anonymous_id,
    {{ json_text('properties', 'email') }} as email,
    {{ json_text('properties', 'phone') }} as phone,
    ip_address,
    user_agent,
    device,
    properties,
    occurred_at as attributed_at
from {{ ref('stg_web_events') }}
where event_name in ({{ quoted(var('conversion_events')) }})
