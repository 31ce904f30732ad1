with landings as (
    {{ first_landings(source('raw', 'refunds'), ['refund_id']) }}
)

select
    refund_id,
    order_id,
    amount,
    {{ clean_currency('currency') }} as currency,
    {{ clean_text('reason') }} as reason,
    {{ clean_json('items', 'array') }} as items,
    created_at,
    _loaded_at as landed_at
from landings
where refund_id <> ''
    and order_id <> ''
    and amount is not null
    and created_at is not null
