-- Click ids that came with the lead itself (form, CRM, import): {"gclid": "…"} or {"gclid": {"value": "…", "clicked_at": "…"}}.
-- No `with`, so that asking for a few leads reads only theirs.
select
    entries.lead_id,
    entries.parameter,
    entries.value,
    entries.clicked_at,
    coalesce(entries.clicked_at, entries.changed_at) as seen_at
from (
    select
        leads.lead_id,
        leads.changed_at,
        entry.key as parameter,
        {{ clean_text("case when jsonb_typeof(entry.value) = 'object' then entry.value ->> 'value' else entry.value #>> '{}' end") }} as value,
        {{ clean_time("(case when jsonb_typeof(entry.value) = 'object' then entry.value ->> 'clicked_at' end)") }} as clicked_at
    from {{ ref('stg_leads') }} as leads
    cross join lateral jsonb_each(leads.click_ids) as entry (key, value)
) as entries
where entries.value is not null
