{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['id_type', 'spelling', 'id_key'],
        schema='identity',
        indexes=[{'columns': ['id_type', 'id_key']}, {'columns': ['id_type', 'spelling']}, {'columns': ['last_landed_at']}],
        pre_hook=["{{ plan_for_hours() }}"],
    )
}}

-- As which key each id counts, the way it was typed, and when it was last seen so: what a conversion is enriched with is one of these.
with sights as (
    select *
    from {{ ref('int_identity_sights') }}
    where {{ landed_since(this) }}
),

typed as (
    select 'customer_id' as id_type, customer_id as spelling, customer_id as id_key, seen_at, landed_at from sights
    union all
    select 'anonymous_id' as id_type, anonymous_id as spelling, anonymous_id as id_key, seen_at, landed_at from sights
    union all
    select 'email' as id_type, email as spelling, {{ identity_email_key('email') }} as id_key, seen_at, landed_at from sights
    union all
    select 'phone' as id_type, phone as spelling, {{ identity_phone_key('phone', 'country') }} as id_key, seen_at, landed_at from sights
)

select
    id_type,
    spelling,
    id_key,
    max(least(seen_at, landed_at)) as last_seen_at,
    max(landed_at) as last_landed_at
from typed
where id_key is not null
group by id_type, spelling, id_key
