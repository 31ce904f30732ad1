{{ config(schema='staging') }}

-- Which platforms' browser pixels sent which event: a row per event and pixel, for every landing of it.
select
    events.event_id,
    events.event_name,
    {{ business_key() }} as business_key,
    pixels.pixel,
    events._loaded_at as landed_at
from {{ source('raw', 'web_events') }} as events
cross join lateral {{ json_texts(clean_json('events.pixels', 'array')) }} as pixels (pixel)
where events.event_id <> ''
