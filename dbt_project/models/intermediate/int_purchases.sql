-- Orders as purchases, from the first landing on that has a status that counts.
select
    'order-' || order_id as event_id,
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
    page_url as source_url,
    referrer_url,
    order_id as transaction_id,
    total as value,
    currency,
    tax,
    shipping,
    coupon,
    customer_id as user_id,
    anonymous_id,
    email,
    phone,
    first_name,
    last_name,
    street_address,
    city,
    region,
    postal_code,
    country,
    ip_address,
    user_agent,
    'purchase' as pixel_name,
    order_id as pixel_key,
    {{ known_by('landed_at') }} as pixel_until,
    created_at as attributed_at
from {{ ref('stg_orders') }} as landed
where {{ first_landing(
    ref('stg_orders'), ['order_id'], landed='landed_at', complete="status in (" ~ quoted(var('order_statuses')) ~ ")"
) }}
