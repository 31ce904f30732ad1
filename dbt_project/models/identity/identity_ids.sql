{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['id_type', 'id_key'],
        schema='identity',
        indexes=[{'columns': ['id_type', 'id_key'], 'unique': true}, {'columns': ['person_id']}, {'columns': ['built_at']}],
        pre_hook=["{{ plan_for_sets() }}"],
    )
}}

{%- set columns = identity_columns() %}
{%- set place = {'customer_id': 1, 'email': 2, 'phone': 3, 'anonymous_id': 4} %}

-- Which person each id belongs to. The id of a person is a digest of the oldest id that landed of them, so a merge keeps the oldest, and
-- building everything anew gives the same.
with area_links as (
    select * from {{ ref('identity_area') }}
),

touched as (
    select distinct id_type, id_key from area_links where fresh
),

-- By name, when: an id whose holders follow each other after years has changed hands.
holders as (
    select
        id_type,
        id_key,
        name_key,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from area_links
    where name_key is not null
    group by id_type, id_key, name_key
),

successions as (
    select
        id_type,
        id_key,
        first_seen_at - max(last_seen_at) over (
            partition by id_type, id_key
            order by first_seen_at, name_key
            rows between unbounded preceding and 1 preceding
        ) as pause
    from holders
),

reused as (
    select distinct id_type, id_key
    from successions
    where pause > interval '{{ var("identity_reuse_days") }} days'
),

profiles as (
    select
        id_type,
        id_key,
        count(*) as links,
        count(distinct customer_id) as customers,
        count(distinct email_key) as emails,
        count(distinct phone_key) as phones,
        count(distinct name_key) as names,
        bool_or(role_address) as role_address,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        min(first_landed_at) as first_landed_at
    from area_links
    group by id_type, id_key
),

-- What is nobody's own id, by how many it was seen with.
guarded as materialized (
    select
        profiles.*,
        case
            when profiles.id_type = 'email' and role_address and greatest(names, customers, phones) > 1 then 'role_address'
            when profiles.id_type = 'customer_id' and (emails > {{ var('identity_most_emails') }} or names > {{ var('identity_most_names') }})
                then 'many_people'
            when profiles.id_type <> 'customer_id' and customers > {{ var('identity_most_customers') }} then 'many_customers'
            when profiles.id_type <> 'customer_id' and names > {{ var('identity_most_names') }} then 'many_people'
            when profiles.id_type = 'anonymous_id' and emails > {{ var('identity_most_emails') }} then 'many_people'
            when links > {{ var('identity_hub_links') }} and profiles.id_type <> 'customer_id' then 'many_people'
            when reused.id_key is not null and profiles.id_type <> 'anonymous_id' then 'reused'
        end as guard,
        row_number() over (order by first_landed_at, {{ case_of(place, 'profiles.id_type') }}, profiles.id_key) as node
    from profiles
    left join reused on reused.id_type = profiles.id_type and reused.id_key = profiles.id_key
),

links as materialized (
    select distinct
        area_links.link_id,
        area_links.name_key,
        {%- for type in columns %}
        {{ type }}.node as {{ type }}_node{{ ',' if not loop.last }}
        {%- endfor %}
    from area_links
    {%- for type, column in columns.items() %}
    left join guarded as {{ type }}
        on {{ type }}.id_type = '{{ type }}'
        and {{ type }}.id_key = area_links.{{ column }}
        and {{ type }}.guard is null
    {%- endfor %}
),

-- First: customer numbers and e-mail addresses.
accounts as (
    select node, node as label from guarded where guard is null and id_type in ('customer_id', 'email')
),

account_edges as (
    select distinct customer_id_node as one, email_node as other from links where customer_id_node is not null and email_node is not null
    union
    select distinct email_node as one, customer_id_node as other from links where customer_id_node is not null and email_node is not null
),

{{ components('by_account', 'accounts', 'account_edges') }},

account_links as materialized (
    select links.*, coalesce(customers.label, emails.label) as account
    from links
    left join by_account as customers on customers.node = links.customer_id_node
    left join by_account as emails on emails.node = links.email_node
),

-- Second: a phone makes one person of the accounts that it was seen with, if they have the same name, or one of only two has none.
account_names as (
    select distinct account, name_key from account_links where account is not null and name_key is not null
),

{{ bridged('by_phone', 'account_links', 'account', 'phone_node', 'account_names', nameless=true) }},

phone_links as materialized (
    select account_links.*, by_phone.label as owner
    from account_links
    left join by_phone on by_phone.node = account_links.account
),

-- A phone that only devices were seen with is a person of its own.
phones as materialized (
    select
        phones.node,
        case count(distinct phone_links.owner) when 0 then phones.node when 1 then min(phone_links.owner) end as owner
    from guarded as phones
    left join phone_links on phone_links.phone_node = phones.node
    where phones.guard is null and phones.id_type = 'phone'
    group by phones.node
),

device_links as materialized (
    select phone_links.anonymous_id_node, phone_links.name_key, coalesce(phone_links.owner, phones.owner) as owner
    from phone_links
    left join phones on phones.node = phone_links.phone_node
),

-- Third: a device likewise, but only by the name; two people of a household keep it apart.
owner_names as (
    select distinct owner, name_key from phone_links where owner is not null and name_key is not null
),

{{ bridged('by_device', 'device_links', 'owner', 'anonymous_id_node', 'owner_names') }},

people as (
    select by_account.node, by_device.label
    from by_account
    inner join by_phone on by_phone.node = by_account.label
    left join by_device on by_device.node = by_phone.label
),

placed as (
    select node, coalesce(label, node) as label, cast(null as text) as shared from people

    union all

    select
        phones.node,
        case when count(distinct by_device.label) <= 1 then coalesce(min(by_device.label), phones.node) end as label,
        case when count(distinct by_device.label) > 1 then 'several_people' end as shared
    from phones
    left join phone_links on phone_links.phone_node = phones.node
    left join by_device on by_device.node = coalesce(phone_links.owner, phones.owner)
    group by phones.node

    union all

    select
        devices.node,
        case when count(distinct by_device.label) <= 1 then coalesce(min(by_device.label), devices.node) end as label,
        case when count(distinct by_device.label) > 1 then 'shared_device' end as shared
    from guarded as devices
    left join device_links on device_links.anonymous_id_node = devices.node
    left join by_device on by_device.node = device_links.owner
    where devices.guard is null and devices.id_type = 'anonymous_id'
    group by devices.node
),

-- The oldest of a person's ids names the person, whichever kind it is.
eldest as (
    select label, min(node) as node from placed where label is not null group by label
),

named as (
    select
        ids.id_type,
        ids.id_key,
        md5(oldest.id_type || '|' || oldest.id_key) as person_id,
        ids.first_seen_at,
        ids.last_seen_at,
        ids.first_landed_at,
        coalesce(ids.guard, placed.shared) as quarantine,
        ids.customers,
        ids.emails,
        ids.phones,
        ids.names,
        ids.links
    from guarded as ids
    left join placed on placed.node = ids.node
    left join eldest on eldest.label = placed.label
    left join guarded as oldest on oldest.node = eldest.node
)

select
    named.id_type,
    named.id_key,
    named.person_id,
    named.first_seen_at,
    named.last_seen_at,
    named.first_landed_at,
    named.quarantine,
    named.customers,
    named.emails,
    named.phones,
    named.names,
    named.links,
    {%- if is_incremental() %}
    case when known.person_id is distinct from named.person_id then known.person_id else known.previous_person_id end as previous_person_id,
    case when known.id_key is null or known.person_id is distinct from named.person_id then current_timestamp else known.changed_at end as changed_at,
    {%- else %}
    cast(null as text) as previous_person_id,
    current_timestamp as changed_at,
    {%- endif %}
    (select max(built_at) from area_links) as built_at
from named
{%- if is_incremental() %}
left join {{ this }} as known on known.id_type = named.id_type and known.id_key = named.id_key
where known.id_key is null
    or known.person_id is distinct from named.person_id
    or known.quarantine is distinct from named.quarantine
    or (named.id_type, named.id_key) in (select id_type, id_key from touched)
{%- endif %}
