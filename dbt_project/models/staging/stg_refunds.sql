with landings as (
    {{ first_landings(source('raw', 'refunds'), ['refund_id'], order_by='created_at, amount') }}
)

select
    {{ clean_text('refund_id') }} as refund_id,
    {{ clean_text('order_id') }} as order_id,
    amount,
    {{ clean_currency('currency') }} as currency,
    {{ clean_text('reason') }} as reason,
    {{ clean_json('items', 'array') }} as items,
    created_at,
    _loaded_at as landed_at
from landings
where {{ clean_text('refund_id') }} is not null
    and {{ clean_text('order_id') }} is not null
    and amount is not null
    and created_at is not null
