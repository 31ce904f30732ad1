-- Every landing: a request that is loaded again may name more of the person, and never less.
select
    request_id,
    nullif(customer_id, '') as customer_id,
    {{ clean_text('email') }} as email,
    {{ clean_text('phone') }} as phone,
    requested_at,
    _loaded_at as landed_at
from {{ source('raw', 'erasures') }}
