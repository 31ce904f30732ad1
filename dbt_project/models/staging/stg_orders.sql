-- A change of status is a landing of its own; the same order and status loaded again is a duplicate.
select
    order_id,
    status,
    {{ clean_word('channel') }} as channel,
    {{ clean_id('customer_id') }} as customer_id,
    {{ clean_id('anonymous_id') }} as anonymous_id,
    {{ clean_text('email') }} as email,
    {{ clean_text('phone') }} as phone,
    {{ clean_text('first_name') }} as first_name,
    {{ clean_text('last_name') }} as last_name,
    {{ clean_text('street') }} as street_address,
    {{ clean_text('city') }} as city,
    {{ clean_text('region') }} as region,
    {{ clean_text('postal_code') }} as postal_code,
    {{ clean_country('country') }} as country,
    total,
    tax,
    shipping,
    {{ clean_currency('currency') }} as currency,
    {{ clean_text('coupon') }} as coupon,
    {{ clean_text('page_url') }} as page_url,
    {{ clean_text('referrer_url') }} as referrer_url,
    {{ clean_text('ip_address') }} as ip_address,
    {{ clean_text('user_agent') }} as user_agent,
    created_at,
    _loaded_at as landed_at
from {{ source('raw', 'orders') }} as landed
where {{ first_landing(source('raw', 'orders'), ['order_id', 'status'], complete="order_id <> '' and created_at is not null") }}
