{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        schema='identity',
        indexes=[{'columns': ['from_person_id']}],
    )
}}

-- Each time that a person turned out to be another, older one: the id that is gone, and the one that stays. (A guard that an id met later
-- takes people apart again: then the id that is gone is the one that was too large.)
select distinct
    previous_person_id as from_person_id,
    person_id as to_person_id,
    changed_at as merged_at
from {{ ref('identity_ids') }}
where previous_person_id is not null
    and person_id is not null
{%- if is_incremental() %}
    and changed_at > coalesce((select max(merged_at) from {{ this }}), '-infinity')
{%- endif %}
