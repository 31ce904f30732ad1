select
    order_id,
    line,
    nullif(product_id, '') as product_id,
    {{ clean_text('product_name') }} as product_name,
    {{ clean_text('category') }} as category,
    {{ clean_text('brand') }} as brand,
    {{ clean_text('variant') }} as variant,
    quantity,
    unit_price,
    _loaded_at as landed_at
from {{ source('raw', 'order_items') }} as landed
where {{ first_landing(source('raw', 'order_items'), ['order_id', 'line'], complete="order_id <> ''") }}
