{{
    config(
        materialized='table',
        schema='identity',
        pre_hook=["{{ plan_for_hours() }}"],
    )
}}

{%- set people = this.incorporate(path={'identifier': 'identity_ids'}) %}
{%- set begun = execute and not flags.FULL_REFRESH and load_relation(people) is not none %}

-- The ids that have to be looked at again, each with all its links: those that new links touch, the people of those, and whoever shares
-- a phone or a device with them. The first time, all of them.
with fresh as (
    select *
    from {{ ref('identity_links') }}
    {%- if begun %}
    where built_at > coalesce((select max(built_at) from {{ people }}), '-infinity')
    {%- endif %}
),

touched as materialized (
    {{ ids_of('fresh') }}
),
{%- if begun %}

touched_links as materialized (
    {{ links_of('touched', ref('identity_links')) }}
),

-- An id in very many links is no one person's: its links lead to strangers, and are not followed.
hubs as (
    select id_type, id_key
    from touched_links
    group by id_type, id_key
    having count(*) > {{ var('identity_hub_links') }}
),

beside as (
    {{ ids_of("(select * from touched_links where (id_type, id_key) not in (select id_type, id_key from hubs))") }}
),

near as materialized (
    select id_type, id_key from touched
    union
    select id_type, id_key from beside
    union
    {{ ids_of_people_of(people, '(select id_type, id_key from touched union select id_type, id_key from beside)') }}
),

-- Phones and devices that several people share keep those apart until something shows that they are one.
between as materialized (
    select distinct shared.id_type, shared.id_key
    from ({{ ids_of('(' ~ links_of('near', ref('identity_links')) ~ ')') }}) as neighbours
    inner join {{ people }} as shared on shared.id_type = neighbours.id_type and shared.id_key = neighbours.id_key
    where shared.quarantine in ('several_people', 'shared_device')
),

around as materialized (
    {{ ids_of('(' ~ links_of('between', ref('identity_links')) ~ ')') }}
),

area as materialized (
    select id_type, id_key from near
    union
    select id_type, id_key from around
    union
    {{ ids_of_people_of(people, 'around') }}
),
{%- else %}

area as (
    select id_type, id_key from touched
),
{%- endif %}

area_links as (
    {{ links_of('area', ref('identity_links')) }}
)

select
    area_links.*,
    fresh.link_id is not null as fresh
from area_links
left join fresh on fresh.link_id = area_links.link_id
