-- Refunds of purchases, with what each leaves of the order.
-- A refund is complete, and so recorded, once both it and its order have landed: one branch for each order of the two, so that a filter
-- on the time of recording reaches the tables.
with refunds as (
    {%- for recorded_at, order_landed in [('refunds.landed_at', '<='), ('purchases.recorded_at', '>')] %}
    select
        refunds.refund_id,
        refunds.order_id,
        refunds.amount,
        case when refunds.has_currency then refunds.currency else purchases.currency end as currency,
        refunds.items,
        refunds.created_at,
        {{ recorded_at }} as recorded_at,
        purchases.recorded_at as order_recorded_at,
        purchases.value as order_value,
        purchases.currency as order_currency
    from {{ ref('stg_refunds') }} as refunds
    inner join {{ ref('int_purchases') }} as purchases on purchases.transaction_id = refunds.order_id
    where purchases.recorded_at {{ order_landed }} refunds.landed_at
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- The refunds of the order that were told in an earlier hour, or before this one in the same hour: what is left goes down from one to
-- the next in the order in which they are told, whatever the order in which they were given or landed.
told as (
    select
        refunds.*,
        earlier.refund_id as earlier_id,
        earlier.amount as earlier_amount,
        earlier.amount >= 0
            and case when earlier.has_currency then earlier.currency else refunds.order_currency end = refunds.order_currency as adds_up
    from refunds
    inner join {{ ref('stg_refunds') }} as earlier
        on earlier.order_id = refunds.order_id
        and ({{ hour_of('greatest(earlier.landed_at, refunds.order_recorded_at)') }}, earlier.created_at, earlier.refund_id)
        <= ({{ hour_of('refunds.recorded_at') }}, refunds.created_at, refunds.refund_id)
),

given_back as (
    select
        refund_id,
        order_id,
        amount,
        currency,
        items,
        created_at,
        recorded_at,
        order_value,
        sum(earlier_amount) as so_far,
        bool_and(adds_up) as adds_up
    from (
        -- copies within one load are one refund
        select
            refund_id, order_id, amount, currency, items, created_at, recorded_at, order_value,
            earlier_id, min(earlier_amount) as earlier_amount, bool_and(coalesce(adds_up, false)) as adds_up
        from told
        group by refund_id, order_id, amount, currency, items, created_at, recorded_at, order_value, earlier_id
    ) as once
    group by refund_id, order_id, amount, currency, items, created_at, recorded_at, order_value
)

select
    'refund-' || given_back.refund_id as event_id,
    'refund' as event_name,
    given_back.created_at as event_time,
    given_back.recorded_at,
    purchases.action_source,
    purchases.transaction_id,
    given_back.amount as value,
    given_back.currency,
    given_back.items,
    -- unknown, never a guess, when the order has no value or when amounts do not add up: another currency, or one below zero
    cast(
        case when given_back.adds_up and given_back.order_value is not null then greatest(given_back.order_value - given_back.so_far, 0) end
        as numeric(18, 4)
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
