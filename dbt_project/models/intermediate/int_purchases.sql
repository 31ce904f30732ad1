-- Orders as purchases, with the pixel's event of the same order where it had landed in time.
with purchases as (
    {{ first_landings(
        ref('stg_orders'), ['order_id'], landed='landed_at',
        where="status in (" ~ quoted(var('order_statuses')) ~ ")"
    ) }}
),

with_pixel as (
    select
        purchases.*,
        pixel.event_id as pixel_event_id,
        pixel.occurred_at as pixel_at,
        pixel.anonymous_id as pixel_anonymous_id,
        pixel.user_id as pixel_user_id,
        pixel.page_url as pixel_url,
        pixel.referrer_url as pixel_referrer,
        pixel.ip_address as pixel_ip,
        pixel.user_agent as pixel_agent,
        pixel.device as pixel_device,
        pixel.properties as pixel_properties
    from purchases
    left join {{ ref('int_pixel_events') }} as pixel
        on pixel.event_name = 'purchase'
        and pixel.business_key = purchases.order_id
        and pixel.landed_at < {{ known_by('purchases.landed_at') }}
)

select
    coalesce(pixel_event_id, 'order-' || order_id) as event_id,
    'purchase' as event_name,
    created_at as event_time,
    landed_at as recorded_at,
    case channel
        when 'web' then 'website'
        when 'app' then 'app'
        when 'store' then 'physical_store'
        when 'phone' then 'phone_call'
        else 'other'
    end as action_source,
    coalesce(page_url, pixel_url) as source_url,
    coalesce(referrer_url, pixel_referrer) as referrer_url,
    order_id as transaction_id,
    total as value,
    currency,
    tax,
    shipping,
    coupon,
    coalesce(customer_id, pixel_user_id) as user_id,
    coalesce(anonymous_id, pixel_anonymous_id) as anonymous_id,
    email,
    {{ json_text('pixel_properties', 'email') }} as pixel_email,
    phone,
    {{ json_text('pixel_properties', 'phone') }} as pixel_phone,
    first_name,
    last_name,
    street_address,
    city,
    region,
    postal_code,
    country,
    coalesce(ip_address, pixel_ip) as ip_address,
    coalesce(user_agent, pixel_agent) as user_agent,
    pixel_device as device,
    pixel_properties as properties,
    created_at as attributed_at,
    greatest(created_at, pixel_at) as seen_until
from with_pixel
