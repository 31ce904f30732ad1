-- Raw rows that hold, where an id should be, what is none (macro is_no_id): a broken tag's `undefined`, a guest's customer number 0. For
-- stitching they have no id. A column that is only empty is none of these, unless the table is about that id.
select
    'customers' as told_by,
    'customer_id' as id_type,
    customer_id as written,
    coalesce(updated_at, created_at, _loaded_at) as seen_at,
    _loaded_at as landed_at
from {{ source('raw', 'customers') }}
where coalesce({{ is_no_id('customer_id') }}, true)
{%- for table, time in [('orders', 'created_at'), ('leads', 'changed_at')] %}
{%- for column in ['customer_id', 'anonymous_id'] %}

union all

select '{{ table }}' as told_by, '{{ column }}' as id_type, {{ column }} as written, coalesce({{ time }}, _loaded_at) as seen_at, _loaded_at as landed_at
from {{ source('raw', table) }}
where {{ is_no_id(column) }}
    and {{ column }} <> ''
{%- endfor %}
{%- endfor %}

union all

select 'web_events' as told_by, 'customer_id' as id_type, user_id as written, coalesce(occurred_at, _loaded_at) as seen_at, _loaded_at as landed_at
from {{ source('raw', 'web_events') }}
where {{ is_no_id('user_id') }}
    and user_id <> ''

union all

select 'web_events' as told_by, 'anonymous_id' as id_type, anonymous_id as written, coalesce(occurred_at, _loaded_at) as seen_at, _loaded_at as landed_at
from {{ source('raw', 'web_events') }}
where coalesce({{ is_no_id('anonymous_id') }}, true)
