-- When people ordered, with the keys by which they are known. A plain filter, so that asking for a few people reads only theirs.
select
    customer_id,
    {{ email_key('email') }} as email_key,
    created_at as ordered_at
from {{ ref('stg_orders') }}
where status in ({{ quoted(var('order_statuses')) }})
