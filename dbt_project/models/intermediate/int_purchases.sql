-- Orders as purchases, with the pixel's event of the same order where it had landed in time.
with purchases as (
    {{ first_landings(
        ref('stg_orders'), ['order_id'], order_by='created_at, status', landed='landed_at',
        where="status in (" ~ quoted(var('order_statuses')) ~ ")"
    ) }}
),

-- A thank-you page that is opened again sends a second event: the first one is the conversion's.
with_pixel as (
    select
        purchases.*,
        pixel.event_id as pixel_event_id,
        pixel.occurred_at as pixel_at,
        {{ clean_text('pixel.anonymous_id') }} as pixel_anonymous_id,
        pixel.user_id as pixel_user_id,
        pixel.page_url as pixel_url,
        pixel.referrer_url as pixel_referrer,
        pixel.ip_address as pixel_ip,
        pixel.user_agent as pixel_agent,
        pixel.device as pixel_device,
        pixel.properties as pixel_properties,
        row_number() over (
            partition by purchases.order_id, purchases.landed_at order by pixel.occurred_at, pixel.event_id
        ) as sight
    from purchases
    left join {{ ref('base_web_events') }} as pixel
        on pixel.event_name = 'purchase'
        and pixel.order_id = purchases.order_id
        and pixel.event_id is not null
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
where sight = 1
