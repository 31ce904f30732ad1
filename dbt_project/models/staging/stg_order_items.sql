with landings as (
    {{ first_landings(source('raw', 'order_items'), ['order_id', 'line'], order_by='product_id, quantity, unit_price') }}
)

select
    {{ clean_text('order_id') }} as order_id,
    line,
    {{ clean_text('product_id') }} as product_id,
    {{ clean_text('product_name') }} as product_name,
    {{ clean_text('category') }} as category,
    {{ clean_text('brand') }} as brand,
    {{ clean_text('variant') }} as variant,
    quantity,
    unit_price,
    _loaded_at as landed_at
from landings
where {{ clean_text('order_id') }} is not null
