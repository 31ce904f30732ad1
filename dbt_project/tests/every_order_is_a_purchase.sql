-- An order that is no conversion would be lost to every platform.
select purchases.transaction_id, purchases.recorded_at
from {{ ref('int_purchases') }} as purchases
left join {{ ref('conversions') }} as conversions
    on conversions.transaction_id = purchases.transaction_id
    and conversions.event_name = 'purchase'
where {{ in_hours('purchases.recorded_at') }}
    and conversions.event_id is null
