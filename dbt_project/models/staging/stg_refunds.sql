select
    refund_id,
    order_id,
    amount,
    {{ clean_currency('currency') }} as currency,
    -- null means the order's; a currency that cannot be read does not
    {{ clean_text('currency') }} is not null as has_currency,
    {{ clean_text('reason') }} as reason,
    {{ clean_json('items', 'array') }} as items,
    created_at,
    _loaded_at as landed_at
from {{ source('raw', 'refunds') }} as landed
where {{ first_landing(source('raw', 'refunds'), ['refund_id'], complete="refund_id <> '' and order_id <> '' and amount is not null and created_at is not null") }}
