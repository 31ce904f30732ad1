-- Stage changes of leads as conversions.
select
    case stage
        when 'new' then 'lead-' || lead_id
        else 'lead-' || lead_id || '-' || stage
    end as event_id,
    case stage
        when 'new' then 'generate_lead'
        when 'qualified' then 'qualify_lead'
        else 'close_convert_lead'
    end as event_name,
    changed_at as event_time,
    landed_at as recorded_at,
    'system_generated' as action_source,
    lead_id,
    value,
    currency,
    source,
    customer_id as user_id,
    anonymous_id,
    email,
    phone,
    first_name,
    last_name,
    country,
    -- only the form itself is an event of the pixel; later stages are the CRM's
    case stage when 'new' then 'generate_lead' end as pixel_name,
    lead_id as pixel_key,
    {{ known_by('landed_at') }} as pixel_until,
    changed_at as attributed_at
from {{ ref('stg_leads') }}
where stage in ('new', 'qualified', 'converted')
