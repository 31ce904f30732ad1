-- Each sight of a click id in a page address, by device. A plain join, so that asking for a few devices reads only theirs.
select
    pages.anonymous_id,
    case lower(split_part(address.parameter, '=', 1))
        {%- for parameter in click_id_parameters() if parameter != parameter | lower %}
        when '{{ parameter | lower }}' then '{{ parameter }}'
        {%- endfor %}
        else lower(split_part(address.parameter, '=', 1))
    end as parameter,
    {{ url_decode("substring(address.parameter from position('=' in address.parameter) + 1)") }} as value,
    pages.occurred_at as seen_at
from {{ ref('base_web_events') }} as pages
cross join lateral {{ url_parameters('pages.page_url') }} as address (parameter)
where pages.page_url like '%?%'
    and lower(split_part(address.parameter, '=', 1)) in ({{ quoted(click_id_parameters() | map('lower')) }})
    -- an unfilled macro or a script's empty variable is no click
    and lower(split_part(address.parameter, '=', 2)) not in ('', 'null', 'undefined', 'none')
    and left(split_part(address.parameter, '=', 2), 1) not in ('{', '[', '$')
    and split_part(address.parameter, '=', 2) not like '\%7%'
