-- Stage changes of leads as conversions, with the pixel's event of a new lead where it had landed in time.
with stages as (
    select *
    from {{ ref('stg_leads') }}
    where stage in ('new', 'qualified', 'converted')
),

with_pixel as (
    select
        stages.*,
        pixel.event_id as pixel_event_id,
        pixel.occurred_at as pixel_at,
        pixel.anonymous_id as pixel_anonymous_id,
        pixel.user_id as pixel_user_id,
        pixel.page_url,
        pixel.referrer_url,
        pixel.ip_address,
        pixel.user_agent,
        pixel.device,
        pixel.properties
    from stages
    left join {{ ref('int_pixel_events') }} as pixel
        on stages.stage = 'new'
        and pixel.event_name = 'generate_lead'
        and pixel.business_key = stages.lead_id
        and pixel.landed_at < {{ known_by('stages.landed_at') }}
)

select
    lead_id,
    case stage
        when 'new' then coalesce(pixel_event_id, 'lead-' || lead_id)
        else 'lead-' || lead_id || '-' || stage
    end as event_id,
    case stage
        when 'new' then 'generate_lead'
        when 'qualified' then 'qualify_lead'
        else 'close_convert_lead'
    end as event_name,
    changed_at as event_time,
    landed_at as recorded_at,
    case
        when pixel_event_id is null then 'system_generated'
        else {{ web_or_app('device') }}
    end as action_source,
    page_url as source_url,
    referrer_url,
    value,
    currency,
    source,
    coalesce(customer_id, pixel_user_id) as user_id,
    coalesce(anonymous_id, pixel_anonymous_id) as anonymous_id,
    email,
    {{ json_text('properties', 'email') }} as pixel_email,
    phone,
    {{ json_text('properties', 'phone') }} as pixel_phone,
    first_name,
    last_name,
    country,
    ip_address,
    user_agent,
    device,
    properties,
    changed_at as attributed_at,
    greatest(changed_at, pixel_at) as seen_until
from with_pixel
