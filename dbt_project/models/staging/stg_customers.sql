-- A newer `updated_at` is a new version of the customer; the same version loaded again is a duplicate.
select
    customer_id,
    {{ clean_text('email') }} as email,
    {{ clean_text('phone') }} as phone,
    {{ clean_text('first_name') }} as first_name,
    {{ clean_text('last_name') }} as last_name,
    case
        when {{ clean_word('gender') }} in ('female', 'f', 'woman') then 'female'
        when {{ clean_word('gender') }} in ('male', 'm', 'man') then 'male'
    end as gender,
    case when birth_date between '1900-01-01' and current_date then birth_date end as date_of_birth,
    {{ clean_text('street') }} as street_address,
    {{ clean_text('city') }} as city,
    {{ clean_text('region') }} as region,
    {{ clean_text('postal_code') }} as postal_code,
    {{ clean_country('country') }} as country,
    coalesce(updated_at, created_at, _loaded_at) as updated_at,
    _loaded_at as landed_at
from {{ source('raw', 'customers') }} as landed
where {{ first_landing(source('raw', 'customers'), ['customer_id', 'updated_at'], complete='not ' ~ is_no_id('customer_id')) }}
