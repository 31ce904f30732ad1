{{ config(schema='identity') }}

-- What leads to nobody, and why: ids of several people, and what stands in raw rows where an id should be.
select
    id_type,
    id_key,
    quarantine,
    customers,
    emails,
    phones,
    names,
    links,
    first_seen_at,
    last_seen_at,
    changed_at as found_at
from {{ ref('identity_ids') }}
where quarantine is not null

union all

select
    id_type,
    coalesce(nullif(lower(btrim(written)), ''), '(empty)') as id_key,
    'no_id' as quarantine,
    cast(null as bigint) as customers,
    cast(null as bigint) as emails,
    cast(null as bigint) as phones,
    cast(null as bigint) as names,
    count(*) as links,
    min(least(seen_at, landed_at)) as first_seen_at,
    max(least(seen_at, landed_at)) as last_seen_at,
    min(landed_at) as found_at
from {{ ref('int_identity_no_ids') }}
group by 1, 2
