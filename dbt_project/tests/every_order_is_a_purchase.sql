-- Two orders under one pixel event id leave one conversion: the second order is missing from the mart.
select orders.order_id, orders.landed_at
from {{ ref('stg_orders') }} as orders
left join {{ ref('conversions') }} as conversions
    on conversions.transaction_id = orders.order_id
    and conversions.event_name = 'purchase'
where orders.status in ({{ quoted(var('order_statuses')) }})
    and {{ in_hours('orders.landed_at') }}
    and conversions.event_id is null
