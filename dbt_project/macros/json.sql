{#- JSON, written once per warehouse. -#}

{#- A raw column (json, jsonb or text) as JSON of one kind (`object` or `array`); null when it is anything else. -#}
{% macro clean_json(column, kind) %}{{ return(adapter.dispatch('clean_json')(column, kind)) }}{% endmacro %}
{% macro postgres__clean_json(column, kind) -%}
    case
        when pg_typeof({{ column }}) = 'jsonb'::regtype then
            case when jsonb_typeof({{ column }}::jsonb) = '{{ kind }}' then {{ column }}::jsonb end
        when left(ltrim({{ column }}::text, e' \t\r\n'), 1) = '{{ "{" if kind == "object" else "[" }}' then
            case when pg_input_is_valid({{ column }}::text, 'jsonb') then {{ column }}::text::jsonb end
    end
{%- endmacro %}

{#- The same as json_text(clean_json(column, 'object'), key), but of immutable functions only, so that an index can hold it. The one
    difference: a document with \u0000 or half a surrogate pair anywhere is an error to `json`, and is left out by its escapes. -#}
{% macro json_key(column, key) %}{{ return(adapter.dispatch('json_key')(column, key)) }}{% endmacro %}
{% macro postgres__json_key(column, key) -%}
    {%- set half = "'\\\\u(0000|[dD][89a-fA-F])'" -%}
    {%- set pair = "'\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}'" -%}
    case
        when {{ column }}::text is json object
            and regexp_replace({{ column }}::text, {{ pair }}, '', 'g') !~ {{ half }}
        then {{ json_text(column ~ "::text::json", key) }}
    end
{%- endmacro %}

{#- One key of a JSON object as text, trimmed, null when empty. -#}
{% macro json_text(object, key) %}{{ return(adapter.dispatch('json_text')(object, key)) }}{% endmacro %}
{% macro postgres__json_text(object, key) -%} {{ clean_text("(" ~ object ~ " ->> '" ~ key ~ "')") }} {%- endmacro %}

{#- One key of a JSON object as JSON. -#}
{% macro json_value(object, key) %}{{ return(adapter.dispatch('json_value')(object, key)) }}{% endmacro %}
{% macro postgres__json_value(object, key) -%} ({{ object }} -> '{{ key }}') {%- endmacro %}

{#- A JSON object of {key: expression}; nulls stay as nulls. -#}
{% macro json_object(pairs) %}{{ return(adapter.dispatch('json_object')(pairs)) }}{% endmacro %}
{% macro postgres__json_object(pairs) -%}
    jsonb_build_object({% for key, value in pairs.items() %}'{{ key }}', {{ value }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{#- Aggregates: rows to a JSON array, rows to a JSON object. -#}
{% macro json_array_agg(value, order_by) %}{{ return(adapter.dispatch('json_array_agg')(value, order_by)) }}{% endmacro %}
{% macro postgres__json_array_agg(value, order_by) -%} jsonb_agg({{ value }} order by {{ order_by }}) {%- endmacro %}

{% macro json_object_agg(key, value) %}{{ return(adapter.dispatch('json_object_agg')(key, value)) }}{% endmacro %}
{% macro postgres__json_object_agg(key, value) -%} jsonb_object_agg({{ key }}, {{ value }}) {%- endmacro %}

{#- The texts as a JSON array: in this order (best first), distinct, without nulls; null when none is left. -#}
{% macro json_distinct(texts) %}{{ return(adapter.dispatch('json_distinct')(texts)) }}{% endmacro %}
{% macro postgres__json_distinct(texts) -%}
    (
        select jsonb_agg(best.value order by best.position)
        from (
            select value, min(position) as position
            from unnest(array[{{ texts | join(', ') }}]) with ordinality as given (value, position)
            where value is not null
            group by value
        ) as best
    )
{%- endmacro %}

{#- The listed keys of a JSON object, without nulls and empty texts; null when none is left. -#}
{% macro json_pick(object, keys) %}{{ return(adapter.dispatch('json_pick')(object, keys)) }}{% endmacro %}
{% macro postgres__json_pick(object, keys) -%}
    (
        select jsonb_object_agg(key, value)
        from jsonb_each({{ object }}) as entry (key, value)
        where key in ({{ quoted(keys) }}) and value not in ('null', '""')
    )
{%- endmacro %}

{#- A JSON object without the listed keys, without nested objects, and without anything that looks like an e-mail address;
    null when nothing is left. -#}
{% macro json_impersonal(object, without) %}{{ return(adapter.dispatch('json_impersonal')(object, without)) }}{% endmacro %}
{% macro postgres__json_impersonal(object, without) -%}
    (
        select jsonb_object_agg(key, value)
        from jsonb_each({{ object }}) as entry (key, value)
        where lower(key) not in ({{ quoted(without) }})
            and jsonb_typeof(value) in ('string', 'number', 'boolean')
            and value <> '""'
            and value::text !~ '[^[:space:]"@]+@[^[:space:]"@]+[.]'
    )
{%- endmacro %}

{#- An array of items (the pixel's, GA4's or the shop's spelling) in the contract's shape of `contents`; null when empty. -#}
{% macro json_contents(items) %}{{ return(adapter.dispatch('json_contents')(items)) }}{% endmacro %}
{% macro postgres__json_contents(items) -%}
    {%- set field = {
        'id': ['id', 'item_id', 'product_id', 'sku'],
        'name': ['name', 'item_name', 'product_name'],
        'category': ['category', 'item_category'],
        'brand': ['brand', 'item_brand'],
        'variant': ['variant', 'item_variant'],
    } -%}
    (
        select jsonb_agg(
            jsonb_build_object(
                {%- for name, spellings in field.items() %}
                '{{ name }}', coalesce({% for spelling in spellings %}{{ json_text('item', spelling) }}{{ ', ' if not loop.last }}{% endfor %}),
                {%- endfor %}
                'quantity', coalesce(trim_scale({{ clean_amount("(item ->> 'quantity')") }}), 1),
                'price', trim_scale({{ clean_amount("coalesce(item ->> 'price', item ->> 'unit_price', item ->> 'item_price')") }})
            ) order by position
        )
        from jsonb_array_elements(case when jsonb_typeof({{ items }}) = 'array' then {{ items }} end) with ordinality as line (item, position)
        where jsonb_typeof(item) = 'object'
    )
{%- endmacro %}

{#- A JSON object (or null) with one more key. -#}
{% macro json_with(object, key, value) %}{{ return(adapter.dispatch('json_with')(object, key, value)) }}{% endmacro %}
{% macro postgres__json_with(object, key, value) -%}
    (coalesce({{ object }}, '{}'::jsonb) || jsonb_build_object('{{ key }}', {{ value }}))
{%- endmacro %}

{% macro json_kind_of(column) %}{{ return(adapter.dispatch('json_kind_of')(column)) }}{% endmacro %}
{% macro postgres__json_kind_of(column) -%} jsonb_typeof({{ column }}) {%- endmacro %}
