{#- The delivery log: tables that a delivery fills (capi_pipeline/delivery_log.py). They are there from the first build on, so that the
    models above them can be. -#}
{% macro create_delivery_log() %}{{ return(adapter.dispatch('create_delivery_log')()) }}{% endmacro %}
{% macro default__create_delivery_log() -%}
    {%- set schema = var('delivery_log_schema') -%}
    create schema if not exists {{ schema }};
    {%- for table, columns in delivery_log_columns().items() %}
    create table if not exists {{ schema }}.{{ table }} (
        {%- for column, type in columns.items() %}{{ column }} {{ type }}{{ ', ' if not loop.last }}{% endfor -%}
    );
    {%- endfor %}
{%- endmacro %}
{#- Under the lock that a delivery takes: of two that make a schema at once, PostgreSQL lets one fail. -#}
{% macro postgres__create_delivery_log() -%}
    select pg_advisory_xact_lock(hashtext('capi_pipeline.delivery_log'));
    {{ default__create_delivery_log() }}
{%- endmacro %}

{% macro delivery_log_columns() %}
    {%- set key = {'destination': 'text', 'platform': 'text', 'hour': type_time()} -%}
    {{ return({
        'outcomes': dict(key, state='text', reason='text', code='text', in_ledger='boolean', events='bigint', written_at=type_time()),
        'measures': dict(key, measure='text', identifier='text', value='double precision', written_at=type_time()),
    }) }}
{% endmacro %}

{#- Measure of the log -> column of the mart `delivery`. -#}
{% macro delivery_measures() %}
    {{ return({
        'judged': 'judged', 'score_before': 'match_quality_before', 'score': 'match_quality',
        'click_id_share': 'click_id_share', 'two_strong_share': 'two_strong_share', 'fresh_share': 'fresh_share',
        'landing_p50': 'landing_seconds_p50', 'landing_p95': 'landing_seconds_p95',
        'delivery_p50': 'delivery_seconds_p50', 'delivery_p95': 'delivery_seconds_p95',
        'total_p50': 'total_seconds_p50', 'total_p95': 'total_seconds_p95',
    }) }}
{% endmacro %}

{#- An event id without what spelling adds: case, and all but letters and digits. -#}
{% macro bare_id(id) -%} regexp_replace(lower({{ id }}), '[^a-z0-9]', '', 'g') {%- endmacro %}

{#- The texts of a JSON array, as rows of one column. -#}
{% macro json_texts(array) %}{{ return(adapter.dispatch('json_texts')(array)) }}{% endmacro %}
{% macro postgres__json_texts(array) -%} jsonb_array_elements_text({{ array }}) {%- endmacro %}

{% macro json_array_agg_where(value, order_by, where) %}{{ return(adapter.dispatch('json_array_agg_where')(value, order_by, where)) }}{% endmacro %}
{% macro postgres__json_array_agg_where(value, order_by, where) -%}
    jsonb_agg({{ value }} order by {{ order_by }}) filter (where {{ where }})
{%- endmacro %}

{#- As in_hours_of(relation, column + minutes), written so that an index on the column serves. -#}
{% macro in_hours_later(relation, column, minutes) -%}
    {%- set start, end = hours().start, hours().end -%}
    {%- if start or end or not is_incremental() -%}
        {%- if start %}{{ column }} >= {{ add_minutes(time_literal(start), -1 * minutes) }}{% endif -%}
        {%- if start and end %} and {% endif -%}
        {%- if end %}{{ column }} < {{ add_minutes(time_literal(end), -1 * minutes) }}{% endif -%}
        {%- if not (start or end) %}true{% endif -%}
    {%- else -%}
        {%- set newest = "coalesce((select " ~ hour_of("max(recorded_at)") ~ " from " ~ relation ~ "), " ~ time_literal("1970-01-02") ~ ")" -%}
        {{ column }} >= {{ add_minutes(newest, -1 * minutes) }}
    {%- endif -%}
{%- endmacro %}
