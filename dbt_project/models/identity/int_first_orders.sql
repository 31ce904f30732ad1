-- When a customer, and when an e-mail address, first ordered.
with orders as (
    select customer_id, lower(email) as email, created_at
    from {{ ref('stg_orders') }}
    where status in ({{ quoted(var('order_statuses')) }})
)

select 'customer_id' as subject_type, customer_id as subject, min(created_at) as first_order_at
from orders
where customer_id is not null
group by customer_id

union all

select 'email' as subject_type, email as subject, min(created_at) as first_order_at
from orders
where email is not null
group by email
