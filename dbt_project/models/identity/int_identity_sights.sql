-- Each raw row that names a person: which ids stand in it together. A plain union, so that asking for what landed lately reads only that.
select
    'customers' as told_by,
    customers.customer_id,
    cast(null as text) as anonymous_id,
    customers.email,
    customers.phone,
    customers.first_name,
    customers.last_name,
    customers.country,
    customers.updated_at as seen_at,
    customers.landed_at
from {{ ref('stg_customers') }} as customers

union all

select
    'orders' as told_by, customer_id, anonymous_id, email, phone, first_name, last_name, country, created_at as seen_at, landed_at
from {{ ref('stg_orders') }}

union all

select
    'leads' as told_by, customer_id, anonymous_id, email, phone, first_name, last_name, country, changed_at as seen_at, landed_at
from {{ ref('stg_leads') }}

union all

-- logins, and forms that the pixel saw
select
    'web_events' as told_by,
    user_id as customer_id,
    anonymous_id,
    {{ json_text('properties', 'email') }} as email,
    {{ json_text('properties', 'phone') }} as phone,
    cast(null as text) as first_name,
    cast(null as text) as last_name,
    cast(null as text) as country,
    occurred_at as seen_at,
    landed_at
from {{ ref('base_web_events') }}
where not {{ is_no_id('anonymous_id') }}
    and (user_id is not null or properties ? 'email' or properties ? 'phone')
