-- One row per lead and stage: a lead that comes back to a stage has been there before.
select
    lead_id,
    stage,
    {{ clean_id('customer_id') }} as customer_id,
    {{ clean_id('anonymous_id') }} as anonymous_id,
    {{ clean_text('email') }} as email,
    {{ clean_text('phone') }} as phone,
    {{ clean_text('first_name') }} as first_name,
    {{ clean_text('last_name') }} as last_name,
    {{ clean_text('company') }} as company,
    {{ clean_country('country') }} as country,
    value,
    {{ clean_currency('currency') }} as currency,
    {{ clean_text('source') }} as source,
    {{ clean_json('click_ids', 'object') }} as click_ids,
    changed_at,
    _loaded_at as landed_at
from {{ source('raw', 'leads') }} as landed
where {{ first_landing(source('raw', 'leads'), ['lead_id', 'stage'], complete="lead_id <> '' and changed_at is not null") }}
