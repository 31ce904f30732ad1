{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='link_id',
        schema='identity',
        indexes=[
            {'columns': ['link_id'], 'unique': true}, {'columns': ['customer_id']}, {'columns': ['email_key']}, {'columns': ['phone_key']},
            {'columns': ['anonymous_id']}, {'columns': ['built_at']}, {'columns': ['last_landed_at']},
        ],
        pre_hook=["{{ plan_for_hours() }}"],
    )
}}

-- Which ids were ever seen together, each combination once, with its first and last time. Grows with people, not with their visits.
with sights as (
    select customer_id, anonymous_id, email, phone, first_name, last_name, country, seen_at, landed_at
    from {{ ref('int_identity_sights') }}
    where {{ landed_since(this) }}

    union all

    -- whichever of the two landed last makes the link
    select customer_id, anonymous_id, email, phone, first_name, last_name, country, seen_at, greatest(page_landed_at, row_landed_at) as landed_at
    from {{ ref('int_identity_thanks') }}
    where {{ landed_since(this, 'page_landed_at') }}

    {%- if is_incremental() %}

    union all

    select customer_id, anonymous_id, email, phone, first_name, last_name, country, seen_at, greatest(page_landed_at, row_landed_at) as landed_at
    from {{ ref('int_identity_thanks') }}
    where {{ landed_since(this, 'row_landed_at') }}
    {%- endif %}
),

keyed as (
    select
        customer_id,
        anonymous_id,
        {{ identity_email_key('email') }} as email_key,
        {{ identity_phone_key('phone', 'country') }} as phone_key,
        {{ identity_name_key('first_name', 'last_name') }} as name_key,
        coalesce({{ is_role_address('email') }}, false) as role_address,
        -- a clock that is ahead sees nothing before it lands
        least(seen_at, landed_at) as seen_at,
        landed_at
    from sights
),

seen as (
    select
        md5(concat_ws('|', coalesce(customer_id, ''), coalesce(anonymous_id, ''), coalesce(email_key, ''), coalesce(phone_key, ''), coalesce(name_key, ''))) as link_id,
        customer_id,
        anonymous_id,
        email_key,
        phone_key,
        name_key,
        bool_or(role_address) as role_address,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at,
        min(landed_at) as first_landed_at,
        max(landed_at) as last_landed_at
    from keyed
    where coalesce(customer_id, anonymous_id, email_key, phone_key) is not null
    group by customer_id, anonymous_id, email_key, phone_key, name_key
)

select
    seen.link_id,
    seen.customer_id,
    seen.anonymous_id,
    seen.email_key,
    seen.phone_key,
    seen.name_key,
    seen.role_address,
    {%- if is_incremental() %}
    least(seen.first_seen_at, known.first_seen_at) as first_seen_at,
    greatest(seen.last_seen_at, known.last_seen_at) as last_seen_at,
    least(seen.first_landed_at, known.first_landed_at) as first_landed_at,
    greatest(seen.last_landed_at, known.last_landed_at) as last_landed_at,
    -- what is known already links nothing anew
    coalesce(known.built_at, current_timestamp) as built_at
    {%- else %}
    seen.first_seen_at,
    seen.last_seen_at,
    seen.first_landed_at,
    seen.last_landed_at,
    current_timestamp as built_at
    {%- endif %}
from seen
{%- if is_incremental() %}
left join {{ this }} as known on known.link_id = seen.link_id
{%- endif %}
