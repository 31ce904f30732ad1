-- Each sight of a platform's first-party cookie, by device. A plain join, so that asking for a few devices reads only theirs.
select
    pages.anonymous_id,
    case
        {%- for cookie, name in browser_id_cookies().items() if cookie != name %}
        when cookie.name = '{{ cookie }}' then '{{ name }}'
        {%- endfor %}
        when cookie.name = '_ga' then 'ga_client_id'
        when cookie.name like '\_ga\_%' then 'ga_session_id'
        else cookie.name
    end as name,
    case
        -- GA1.1.<client id>, also GA1.2 on a subdomain
        when cookie.name = '_ga' then regexp_replace(cookie.value, '^GA[0-9]+[.][0-9]+[.]', '')
        -- GS1.1.<session id>.… and GS2.1.s<session id>$…
        when cookie.name like '\_ga\_%' then substring(cookie.value from '^GS[0-9]+[.][0-9]+[.]s?([0-9]+)')
        else cookie.value
    end as value,
    pages.occurred_at as seen_at
from {{ ref('base_web_events') }} as pages
cross join lateral jsonb_each_text(pages.cookies) as cookie (name, value)
where cookie.value <> ''
    and (cookie.name in ('_ga', {{ quoted(browser_id_cookies().keys()) }}) or cookie.name like '\_ga\_%')
