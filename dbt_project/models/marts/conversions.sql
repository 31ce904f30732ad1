{{
    config(
        materialized='incremental',
        incremental_strategy='replace_hours',
        on_schema_change='append_new_columns',
        indexes=[{'columns': ['recorded_at']}, {'columns': ['event_name', 'event_id'], 'unique': true}, {'columns': ['transaction_id']}],
        pre_hook=["{{ plan_for_hours() }}"],
    )
}}

-- What the sources tell of these hours (told) gets its id (identified), is there once (events), and is then joined, by row, with what
-- belongs to it: items, clicks, cookies, the person, the choice, the request for erasure.
with told as (
    select *
    from {{ ref('int_conversion_events') }}
    where {{ in_hours_of(this, 'recorded_at') }}
),

-- The pixel's event of the same order or lead, if it had landed in time. A thank-you page that is opened again sends another one:
-- the first to land is the conversion's.
pixel_sights as (
    select
        told.event_name as told_name,
        told.event_id as told_id,
        pixel.*
    from told
    inner join {{ ref('int_pixel_events') }} as pixel
        on pixel.event_name = told.pixel_name
        and pixel.business_key = told.pixel_key
        and pixel.landed_at < told.pixel_until
),

pixel_events as (
    {{ first_rows('pixel_sights', ['told_name', 'told_id'], order_by='landed_at, occurred_at, event_id') }}
),

identified as (
    select
        told.event_name,
        told.event_time,
        told.recorded_at,
        {#- the pixel's event of a refund is the one of its purchase #}
        case told.event_name when 'refund' then told.event_id else coalesce(pixel.event_id, told.event_id) end as event_id,
        case told.event_name when 'refund' then coalesce(pixel.event_id, told.original_event_id) end as original_event_id,
        told.original_event_time,
        told.remaining_value,
        case
            when told.event_name = 'generate_lead' and pixel.event_id is not null then {{ web_or_app('pixel.device') }}
            else told.action_source
        end as action_source,
        {%- for column, of_pixel in {
            'source_url': 'page_url', 'referrer_url': 'referrer_url', 'ip_address': 'ip_address', 'user_agent': 'user_agent',
            'device': 'device', 'properties': 'properties',
        }.items() %}
        case told.event_name when 'refund' then null else coalesce(told.{{ column }}, pixel.{{ of_pixel }}) end as {{ column }},
        {%- endfor %}
        told.transaction_id,
        told.lead_id,
        told.value,
        told.currency,
        told.tax,
        told.shipping,
        told.coupon,
        told.items,
        told.search_term,
        told.source,
        coalesce(told.user_id, pixel.user_id) as user_id,
        coalesce(told.anonymous_id, pixel.anonymous_id) as anonymous_id,
        told.email,
        {{ json_text('pixel.properties', 'email') }} as pixel_email,
        told.phone,
        {{ json_text('pixel.properties', 'phone') }} as pixel_phone,
        told.first_name,
        told.last_name,
        told.street_address,
        told.city,
        told.region,
        told.postal_code,
        told.country,
        told.attributed_at,
        greatest(told.attributed_at, pixel.occurred_at) as seen_until
    from told
    left join pixel_events as pixel
        on pixel.told_name = told.event_name
        and pixel.told_id = told.event_id
),

-- The first landing of a conversion stays: within these hours, and against every hour outside of them.
landings as (
    select identified.*
    from identified
    {% if is_incremental() -%}
    where not exists (
        select 1
        from {{ this }} as built
        where built.event_name = identified.event_name
            and built.event_id = identified.event_id
            and not ({{ in_hours_of(this, 'built.recorded_at') }})
    )
    {%- endif %}
),

first_landings as (
    {{ first_rows('landings', ['event_name', 'event_id'], order_by='recorded_at, event_time, transaction_id, value, email, phone, user_id') }}
),

events as (
    select
        *,
        row_number() over (order by event_name, event_id) as row_id
    from first_landings
),

lines as (
    select
        events.row_id,
        items.*
    from events
    inner join {{ ref('stg_order_items') }} as items on items.order_id = events.transaction_id
    where events.event_name = 'purchase'
),

items as (
    {{ first_rows('lines', ['row_id', 'line'], order_by='product_id, quantity, unit_price') }}
),

ordered as (
    select
        row_id,
        {{ json_array_agg(
            json_object({
                'id': 'product_id', 'name': 'product_name', 'category': 'category', 'brand': 'brand', 'variant': 'variant',
                'quantity': 'quantity', 'price': 'trim_scale(unit_price)',
            }), order_by='line'
        ) }} as contents
    from items
    group by row_id
),

-- Click ids: of the device that the conversion was made on, or that came with the lead.
click_sights as (
    select events.row_id, clicks.parameter, clicks.value, clicks.seen_at, clicks.seen_at as clicked_at
    from events
    inner join {{ ref('int_clicks') }} as clicks
        on clicks.anonymous_id = events.anonymous_id
        and clicks.seen_at <= events.attributed_at

    union all

    select events.row_id, clicks.parameter, clicks.value, clicks.seen_at, clicks.clicked_at
    from events
    inner join {{ ref('int_lead_clicks') }} as clicks
        on clicks.lead_id = events.lead_id
        and clicks.seen_at <= events.attributed_at
),

-- A click happened when its id was first seen; an old address that is opened again is no new click.
clicks as (
    select row_id, parameter, value, min(seen_at) as seen_at, min(clicked_at) as clicked_at
    from click_sights
    group by row_id, parameter, value
),

recent_clicks as (
    select clicks.*
    from clicks
    inner join events on events.row_id = clicks.row_id
    where clicks.seen_at >= {{ add_minutes('events.attributed_at', -1440 * var('click_lookback_days')) }}
),

last_clicks as (
    {{ first_rows('recent_clicks', ['row_id', 'parameter'], order_by='seen_at desc, value') }}
),

click_ids as (
    select
        row_id,
        {{ json_object_agg('parameter', json_object({'value': 'value', 'clicked_at': iso_time('clicked_at')})) }} as click_ids
    from last_clicks
    group by row_id
),

-- Cookies: the newest value of each before the conversion, or with its own pixel event. A device shows the same cookies on every page:
-- only their changes are looked at.
cookie_sights as (
    select
        anonymous_id,
        name,
        value,
        seen_at,
        lag(value) over (partition by anonymous_id, name order by seen_at, value) as value_before
    from {{ ref('int_browser_ids') }}
    where anonymous_id in (select anonymous_id from events)
        and value is not null
),

cookies as (
    select
        events.row_id,
        cookies.name,
        cookies.value,
        cookies.seen_at
    from events
    inner join cookie_sights as cookies
        on cookies.anonymous_id = events.anonymous_id
        and cookies.seen_at <= events.seen_until
    where cookies.value_before is null
        or cookies.value_before <> cookies.value
),

last_cookies as (
    {{ first_rows('cookies', ['row_id', 'name'], order_by='seen_at desc, value desc') }}
),

browser_ids as (
    select
        row_id,
        {{ json_object_agg('name', 'value') }} as browser_ids
    from last_cookies
    group by row_id
),

versions as (
    select *
    from {{ ref('stg_customers') }}
    where customer_id in (select user_id from events)
),

customers as (
    {{ first_rows('versions', ['customer_id'], order_by='updated_at desc, landed_at desc, email, phone') }}
),

-- The person of each conversion: what the conversion itself says comes first, the customer record fills the gaps.
-- An address is never mixed from two.
people as (
    select
        events.row_id,
        {{ json_distinct(['events.email', 'events.pixel_email', 'customers.email']) }} as emails,
        {{ json_distinct(['events.phone', 'events.pixel_phone', 'customers.phone']) }} as phones,
        coalesce(events.first_name, customers.first_name) as first_name,
        coalesce(events.last_name, customers.last_name) as last_name,
        customers.gender,
        customers.date_of_birth,
        {% for column in ['street_address', 'city', 'region', 'postal_code'] -%}
        case
            when coalesce(events.street_address, events.city, events.region, events.postal_code) is null
                and coalesce(events.country, customers.country, '') = coalesce(customers.country, '')
            then customers.{{ column }}
            else events.{{ column }}
        end as {{ column }},
        {% endfor -%}
        coalesce(events.country, customers.country) as country,
        customers.email as customer_email,
        customers.phone as customer_phone
    from events
    left join customers
        on customers.customer_id = events.user_id
),

subjects as (
    select row_id, 'anonymous_id' as subject_type, anonymous_id as subject from events where anonymous_id is not null
    union all
    select row_id, 'customer_id' as subject_type, user_id as subject from events where user_id is not null
    {%- for relation, columns in {'events': ['email', 'pixel_email'], 'people': ['customer_email']}.items() %}
    {%- for column in columns %}
    union
    select row_id, 'email' as subject_type, {{ email_key(column) }} as subject from {{ relation }} where {{ email_key(column) }} is not null
    {%- endfor %}
    {%- endfor %}
    {%- for relation, columns in {'events': ['phone', 'pixel_phone'], 'people': ['customer_phone']}.items() %}
    {%- for column in columns %}
    union
    select row_id, 'phone' as subject_type, {{ phone_key(column) }} as subject from {{ relation }} where {{ column }} is not null
    {%- endfor %}
    {%- endfor %}
),

orders as (
    select subjects.row_id, orders.ordered_at
    from subjects
    inner join {{ ref('int_orders_of_people') }} as orders on orders.customer_id = subjects.subject
    where subjects.subject_type = 'customer_id'

    union all

    select subjects.row_id, orders.ordered_at
    from subjects
    inner join {{ ref('int_orders_of_people') }} as orders on orders.email_key = subjects.subject
    where subjects.subject_type = 'email'
),

first_orders as (
    select row_id, min(ordered_at) as ordered_at
    from orders
    group by row_id
),

customer_types as (
    select
        events.row_id,
        case
            when first_orders.ordered_at < coalesce(events.original_event_time, events.event_time) then 'returning'
            else 'new'
        end as customer_type
    from events
    left join first_orders on first_orders.row_id = events.row_id
    where events.row_id in (select row_id from subjects where subject_type in ('customer_id', 'email'))
),

-- The newest choice of the person, whether it was made on this device, as this customer or under this e-mail address. A choice that
-- leaves a question open keeps the earlier answer to it. Anyone can type an address: a choice made under one can take away what the
-- device or the customer granted, and grants only what neither of them has answered. The jurisdiction and the raw strings are those of
-- the newest choice of the device or the customer, or else of the address.
choices as (
    select
        subjects.row_id,
        consents.*,
        consents.subject_type <> 'email' as own,
        -- Global Privacy Control opts out; a browser without the signal takes no earlier opt-out back
        case when consents.gpc then true else consents.opt_out_of_sale end as opt_out,
        row_number() over (
            partition by subjects.row_id
            order by
                consents.given_at desc, consents.landed_at desc, consents.ad_user_data, consents.ad_storage,
                consents.ad_personalization, consents.opt_out_of_sale desc, consents.subject_type, consents.country, consents.region,
                consents.tcf_string, consents.gpp_string
        ) as recency
    from subjects
    inner join {{ ref('stg_consents') }} as consents
        on consents.subject_type = subjects.subject_type
        and consents.subject = subjects.subject
),

consents as (
    select
        choices.row_id,
        {{ answer('ad_storage', refusal="'denied'") }} as ad_storage,
        {{ answer('ad_user_data', refusal="'denied'") }} as ad_user_data,
        {{ answer('ad_personalization', refusal="'denied'") }} as ad_personalization,
        {{ answer('opt_out', refusal='true') }} as opt_out_of_sale,
        max(case when recency = governing then country end) as privacy_country,
        max(case when recency = governing then region end) as privacy_region,
        max(case when recency = governing then tcf_string end) as tcf_string,
        max(case when recency = governing then gpp_string end) as gpp_string,
        max(case when recency = governing then gpp_sid end) as gpp_sid
    from choices
    inner join (
        select row_id, coalesce(min(case when own then recency end), 1) as governing
        from choices
        group by row_id
    ) as leaders on leaders.row_id = choices.row_id
    group by choices.row_id
),

-- People who asked to be erased: the conversion stays countable, nothing in it leads to them.
erased as (
    select distinct subjects.row_id
    from subjects
    inner join {{ ref('int_erased_people') }} as erased
        on erased.subject_type = subjects.subject_type
        and erased.subject = subjects.subject
)

select
    events.event_id,
    events.event_name,
    cast(null as text) as custom_event_name,
    events.event_time,
    events.recorded_at,
    events.action_source,
    {{ unless_erased('events.source_url') }} as source_url,
    {{ unless_erased('events.referrer_url') }} as referrer_url,
    events.transaction_id,
    cast(case when events.currency is not null then events.value end as numeric(18, 4)) as value,
    case when events.value is not null then events.currency end as currency,
    events.tax,
    events.shipping,
    events.coupon,
    coalesce(ordered.contents, {{ json_contents('events.items') }}) as contents,
    events.search_term,
    customer_types.customer_type,
    events.original_event_id,
    events.original_event_time,
    cast(case when events.currency is not null then events.remaining_value end as numeric(18, 4)) as remaining_value,
    case
        when events.event_name = 'refund' then {{ json_object({'original_event_name': "'purchase'"}) }}
        when events.source is not null
            then {{ json_with(json_impersonal('events.properties', keys_outside_properties()), 'lead_source', 'events.source') }}
        else {{ json_impersonal('events.properties', keys_outside_properties()) }}
    end as properties,
    {{ unless_erased('events.user_id') }} as user_id,
    {{ unless_erased('events.anonymous_id') }} as anonymous_id,
    {{ unless_erased('people.emails') }} as emails,
    {{ unless_erased('people.phones') }} as phones,
    {{ unless_erased('people.first_name') }} as first_name,
    {{ unless_erased('people.last_name') }} as last_name,
    {{ unless_erased('people.gender') }} as gender,
    {{ unless_erased('people.date_of_birth') }} as date_of_birth,
    {{ unless_erased('people.street_address') }} as street_address,
    {{ unless_erased('people.city') }} as city,
    {{ unless_erased('people.region') }} as region,
    {{ unless_erased('people.postal_code') }} as postal_code,
    people.country,
    {{ unless_erased('events.ip_address') }} as ip_address,
    {{ unless_erased('events.user_agent') }} as user_agent,
    {{ unless_erased('click_ids.click_ids') }} as click_ids,
    {{ unless_erased('browser_ids.browser_ids') }} as browser_ids,
    {{ unless_erased(json_pick('events.device', device_keys())) }} as device,
    {{ unless_erased('consents.ad_storage', otherwise="'denied'") }} as consent_ad_storage,
    {{ unless_erased('consents.ad_user_data', otherwise="'denied'") }} as consent_ad_user_data,
    {{ unless_erased('consents.ad_personalization', otherwise="'denied'") }} as consent_ad_personalization,
    consents.opt_out_of_sale,
    consents.privacy_country,
    consents.privacy_region,
    {{ unless_erased('consents.tcf_string') }} as tcf_string,
    {{ unless_erased('consents.gpp_string') }} as gpp_string,
    {{ unless_erased('consents.gpp_sid') }} as gpp_sid
from events
inner join people on people.row_id = events.row_id
left join ordered on ordered.row_id = events.row_id
left join click_ids on click_ids.row_id = events.row_id
left join browser_ids on browser_ids.row_id = events.row_id
left join customer_types on customer_types.row_id = events.row_id
left join consents on consents.row_id = events.row_id
left join erased on erased.row_id = events.row_id
