-- Per identifier that a platform can use: how many conversions had it before and after identity resolution, and what it would add.
select
    hour,
    destination,
    platform,
    identifier,
    max(case when measure = 'covered_before' then value end) as covered_before,
    max(case when measure = 'covered' then value end) as covered,
    max(case when measure = 'gain' then value end) as gain
from {{ source('delivery_log', 'measures') }}
where identifier is not null
group by hour, destination, platform, identifier
