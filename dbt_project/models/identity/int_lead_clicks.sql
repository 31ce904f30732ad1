-- Click ids that came with the lead itself (form, CRM, import): {"gclid": "…"} or {"gclid": {"value": "…", "clicked_at": "…"}}.
with entries as (
    select
        leads.lead_id,
        leads.changed_at,
        entry.key,
        {{ clean_text("case when jsonb_typeof(entry.value) = 'object' then entry.value ->> 'value' else entry.value #>> '{}' end") }} as value,
        {{ clean_time("(case when jsonb_typeof(entry.value) = 'object' then entry.value ->> 'clicked_at' end)") }} as clicked_at
    from {{ ref('stg_leads') }} as leads
    cross join lateral jsonb_each(leads.click_ids) as entry (key, value)
)

select
    lead_id,
    key as parameter,
    value,
    clicked_at,
    coalesce(clicked_at, changed_at) as seen_at
from entries
where value is not null
