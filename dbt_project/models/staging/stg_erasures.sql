with landings as (
    {{ first_landings(source('raw', 'erasures'), ['request_id']) }}
)

select
    request_id,
    nullif(customer_id, '') as customer_id,
    {{ clean_text('email') }} as email,
    {{ clean_text('phone') }} as phone,
    requested_at,
    _loaded_at as landed_at
from landings
