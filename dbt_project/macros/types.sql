{#- Names and arithmetic of types that differ from warehouse to warehouse. -#}

{% macro type_time() %}{{ return(adapter.dispatch('type_time')()) }}{% endmacro %}
{% macro default__type_time() -%} timestamp with time zone {%- endmacro %}

{% macro type_json() %}{{ return(adapter.dispatch('type_json')()) }}{% endmacro %}
{% macro default__type_json() -%} json {%- endmacro %}
{% macro postgres__type_json() -%} jsonb {%- endmacro %}

{#- The UTC hour in which a time lies. -#}
{% macro hour_of(time) %}{{ return(adapter.dispatch('hour_of')(time)) }}{% endmacro %}
{% macro default__hour_of(time) -%} date_trunc('hour', {{ time }}) {%- endmacro %}
{% macro postgres__hour_of(time) -%} date_trunc('hour', {{ time }}, 'UTC') {%- endmacro %}

{% macro add_minutes(time, minutes) %}{{ return(adapter.dispatch('add_minutes')(time, minutes)) }}{% endmacro %}
{% macro default__add_minutes(time, minutes) -%} ({{ time }} + interval '{{ minutes }} minutes') {%- endmacro %}

{#- A time as ISO 8601 text in UTC, the form of times inside JSON columns. -#}
{% macro iso_time(time) %}{{ return(adapter.dispatch('iso_time')(time)) }}{% endmacro %}
{% macro default__iso_time(time) -%} to_char({{ time }} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') {%- endmacro %}

{#- A text as a time, null when it is none. -#}
{% macro clean_time(text) %}{{ return(adapter.dispatch('clean_time')(text)) }}{% endmacro %}
{% macro default__clean_time(text) -%} try_cast({{ text }} as {{ type_time() }}) {%- endmacro %}
{% macro postgres__clean_time(text) -%}
    case
        when {{ text }} ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T.*(Z|[+-][0-9]{2}:?[0-9]{2})$' and pg_input_is_valid({{ text }}, 'timestamptz')
        then cast({{ text }} as timestamptz)
    end
{%- endmacro %}

{#- Planner settings for the length of one build. An hour is look-ups by index, which the default (a disk that turns) shuns; and a merge
    join reads an index from end to end to meet a few rows. -#}
{% macro plan_for_hours() %}{{ return(adapter.dispatch('plan_for_hours')()) }}{% endmacro %}
{% macro default__plan_for_hours() -%} {%- endmacro %}
{% macro postgres__plan_for_hours() -%}
    set local work_mem = '64MB'; set local random_page_cost = 1.1; set local enable_mergejoin = off; set local jit = off
{%- endmacro %}

{#- Planner settings for a build that works on whole sets of which nothing is known: a loop within a loop would be chosen for what looks
    like a few rows and is all of them. -#}
{% macro plan_for_sets() %}{{ return(adapter.dispatch('plan_for_sets')()) }}{% endmacro %}
{% macro default__plan_for_sets() -%} {%- endmacro %}
{% macro postgres__plan_for_sets() -%}
    set local work_mem = '128MB'; set local enable_nestloop = off; set local enable_mergejoin = off; set local jit = off
{%- endmacro %}
