-- A loader that commits long after the time that it writes as `_loaded_at` leaves rows behind an hour that is built, and so unsent.
-- Looked for in the six hours before those of this run, in the hours that the mart holds. (A lead's form may bear the pixel's id: not
-- looked for.)
{% set start = time_literal(hours().start or '1970-01-01') %}
select told.event_name, told.event_id, {{ hour_of('told.recorded_at') }} as rebuild_this_hour
from {{ ref('int_conversion_events') }} as told
where told.recorded_at >= {{ add_minutes(start, -360) }}
    and told.recorded_at < {{ start }}
    and told.event_name <> 'generate_lead'
    and not exists (
        select 1
        from {{ ref('conversions') }} as built
        where built.event_name = told.event_name and built.event_id = told.event_id
    )
    and not exists (
        select 1
        from {{ ref('conversions') }} as built
        where told.event_name = 'purchase' and built.event_name = 'purchase' and built.transaction_id = told.transaction_id
    )
    and exists (
        select 1
        from {{ ref('conversions') }} as built
        where built.recorded_at >= {{ hour_of('told.recorded_at') }}
            and built.recorded_at < {{ add_minutes(hour_of('told.recorded_at'), 60) }}
    )
