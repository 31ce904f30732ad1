-- Refunds of purchases, with what each leaves of the order.
with numbered as (
    select
        refunds.*,
        row_number() over (partition by refund_id order by created_at, amount) as copy
    from {{ ref('stg_refunds') }} as refunds
),

refunds as (
    select * from numbered where copy = 1
),

given_back as (
    select
        refunds.refund_id,
        refunds.order_id,
        refunds.amount,
        refunds.currency,
        refunds.items,
        refunds.created_at,
        refunds.landed_at,
        sum(earlier.amount) as so_far,
        count(distinct coalesce(earlier.currency, refunds.currency)) > 1 as mixes_currencies
    from refunds
    inner join refunds as earlier
        on earlier.order_id = refunds.order_id
        and (earlier.created_at, earlier.refund_id) <= (refunds.created_at, refunds.refund_id)
        and earlier.landed_at < {{ known_by('refunds.landed_at') }}
    group by
        refunds.refund_id,
        refunds.order_id,
        refunds.amount,
        refunds.currency,
        refunds.items,
        refunds.created_at,
        refunds.landed_at
)

select
    'refund-' || given_back.refund_id as event_id,
    'refund' as event_name,
    given_back.created_at as event_time,
    -- complete, and so recorded, once both the refund and its order have landed
    greatest(given_back.landed_at, purchases.recorded_at) as recorded_at,
    purchases.action_source,
    purchases.transaction_id,
    given_back.amount as value,
    coalesce(given_back.currency, purchases.currency) as currency,
    given_back.items,
    cast(
        case
            when not given_back.mixes_currencies and coalesce(given_back.currency, purchases.currency) = purchases.currency
            then greatest(purchases.value - given_back.so_far, 0)
        end as numeric(18, 4)
    ) as remaining_value,
    purchases.event_id as original_event_id,
    purchases.event_time as original_event_time,
    purchases.user_id,
    purchases.anonymous_id,
    purchases.email,
    purchases.phone,
    purchases.first_name,
    purchases.last_name,
    purchases.street_address,
    purchases.city,
    purchases.region,
    purchases.postal_code,
    purchases.country,
    -- the pixel's event of the order is the purchase's; what led to the order is what led to this
    purchases.pixel_name,
    purchases.pixel_key,
    purchases.pixel_until,
    purchases.attributed_at
from given_back
inner join {{ ref('int_purchases') }} as purchases on purchases.transaction_id = given_back.order_id
