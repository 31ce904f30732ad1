with landings as (
    {{ first_landings(source('raw', 'erasures'), ['request_id'], order_by='requested_at, customer_id, email, phone') }}
)

select
    {{ clean_text('request_id') }} as request_id,
    {{ clean_text('customer_id') }} as customer_id,
    {{ clean_text('email') }} as email,
    {{ clean_text('phone') }} as phone,
    requested_at,
    _loaded_at as landed_at
from landings
