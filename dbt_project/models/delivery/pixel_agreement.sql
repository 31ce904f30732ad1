{{
    config(
        materialized='incremental',
        incremental_strategy='replace_hours',
        on_schema_change='append_new_columns',
        indexes=[{'columns': ['recorded_at', 'pixel']}],
        pre_hook=["{{ plan_for_hours() }}"],
    )
}}

-- Whether the browser's pixels and the server tell of the same events under the same ids: a platform knows a repetition by them.
-- Of the server: conversions of a browser or an app that landed in the hour, but for refusals of consent. Of the pixel: what landed in
-- the hour before, so that an order that lands a little after its thank-you page is not taken for missing.
with fired as (
    select *
    from {{ ref('stg_pixel_events') }}
    where event_name in ({{ quoted(['purchase', 'generate_lead'] + var('conversion_events')) }})
),

served as (
    select
        {{ hour_of('recorded_at') }} as recorded_at,
        event_name,
        event_id
    from {{ ref('conversions') }}
    where {{ in_hours_of(this, 'recorded_at') }}
        and action_source in ('website', 'app')
        and event_name <> 'refund'
        and consent_ad_storage is distinct from 'denied'
),

-- What the pixels sent in the hour before, each event once per pixel.
fired_before as (
    select
        {{ hour_of(add_minutes('landed_at', 60)) }} as recorded_at,
        pixel,
        event_name,
        event_id,
        max(business_key) as business_key
    from fired
    where {{ in_hours_later(this, 'landed_at', 60) }}
    group by 1, 2, 3, 4
),

-- A pixel that sent nothing in these two hours is not judged.
pixels as (
    select recorded_at, pixel from fired_before
    union
    select {{ hour_of('landed_at') }} as recorded_at, pixel from fired where {{ in_hours_of(this, 'landed_at') }}
),

server_side as (
    select
        served.recorded_at,
        pixels.pixel,
        served.event_name,
        count(*) as server_events,
        sum(case when exists (
            select 1
            from fired
            where fired.event_id = served.event_id
                and fired.event_name = served.event_name
                and fired.pixel = pixels.pixel
        ) then 1 else 0 end) as agreed
    from served
    inner join pixels on pixels.recorded_at = served.recorded_at
    group by served.recorded_at, pixels.pixel, served.event_name
),

pixel_alone as (
    select fired_before.*
    from fired_before
    where not exists (
        select 1
        from {{ ref('conversions') }} as conversions
        where conversions.event_name = fired_before.event_name
            and conversions.event_id = fired_before.event_id
    )
),

-- The same order, lead or id on the server, told under another id: a platform would count both.
recent as (
    select event_name, event_id, transaction_id, lead_id, {{ bare_id('event_id') }} as bare_id
    from {{ ref('conversions') }}
    where recorded_at >= (select {{ add_minutes('min(recorded_at)', -1440) }} from pixel_alone)
        and event_name <> 'refund'
),

twice as (
    select pixel_alone.recorded_at, pixel_alone.pixel, pixel_alone.event_name, pixel_alone.event_id, recent.event_id as server_id
    from pixel_alone
    inner join recent
        on recent.event_name = pixel_alone.event_name
        and recent.transaction_id = pixel_alone.business_key
    where pixel_alone.event_name = 'purchase'
    union
    select pixel_alone.recorded_at, pixel_alone.pixel, pixel_alone.event_name, pixel_alone.event_id, recent.event_id as server_id
    from pixel_alone
    inner join recent
        on recent.event_name = pixel_alone.event_name
        and recent.lead_id = pixel_alone.business_key
    where pixel_alone.event_name = 'generate_lead'
    union
    select pixel_alone.recorded_at, pixel_alone.pixel, pixel_alone.event_name, pixel_alone.event_id, recent.event_id as server_id
    from pixel_alone
    inner join recent
        on recent.event_name = pixel_alone.event_name
        and recent.bare_id = {{ bare_id('pixel_alone.event_id') }}
),

numbered as (
    select
        *,
        row_number() over (partition by recorded_at, pixel, event_name order by event_id, server_id) as place
    from twice
),

pixel_side as (
    select recorded_at, pixel, event_name, count(*) as pixel_events
    from fired_before
    group by recorded_at, pixel, event_name
),

alone_side as (
    select recorded_at, pixel, event_name, count(*) as pixel_only
    from pixel_alone
    group by recorded_at, pixel, event_name
),

twice_side as (
    select
        recorded_at,
        pixel,
        event_name,
        count(distinct event_id) as other_ids,
        {{ json_array_agg_where(json_object({'pixel': 'event_id', 'server': 'server_id'}), order_by='place', where='place <= 3') }} as examples
    from numbered
    group by recorded_at, pixel, event_name
),

every as (
    select recorded_at, pixel, event_name from server_side
    union
    select recorded_at, pixel, event_name from pixel_side
)

select
    every.recorded_at,
    every.pixel,
    every.event_name,
    coalesce(server_side.server_events, 0) as server_events,
    coalesce(server_side.agreed, 0) as agreed,
    coalesce(server_side.server_events - server_side.agreed, 0) as server_only,
    coalesce(pixel_side.pixel_events, 0) as pixel_events,
    coalesce(alone_side.pixel_only, 0) as pixel_only,
    coalesce(twice_side.other_ids, 0) as other_ids,
    twice_side.examples
from every
{%- for side in ['server_side', 'pixel_side', 'alone_side', 'twice_side'] %}
left join {{ side }}
    on {{ side }}.recorded_at = every.recorded_at
    and {{ side }}.pixel = every.pixel
    and {{ side }}.event_name = every.event_name
{%- endfor %}
