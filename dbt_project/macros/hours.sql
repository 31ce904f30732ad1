{#- The hours that this run builds, [start, end): the vars `start` and `end`, or the environment's CAPI_DBT_START and CAPI_DBT_END. Other
    vars than last time make dbt parse the whole project again; the environment, which is read when a model runs, does not. -#}
{% macro hours() -%}
    {%- set hours = {
        'start': var('start') or (env_var('CAPI_DBT_START', '') if execute),
        'end': var('end') or (env_var('CAPI_DBT_END', '') if execute),
    } -%}
    {%- if flags.FULL_REFRESH and (hours.start or hours.end) -%}
        {{ exceptions.raise_compiler_error("A full refresh builds every hour: leave out start and end, or leave out --full-refresh.") }}
    {%- endif -%}
    {{ return(hours) }}
{%- endmacro %}

{#- An ISO time as a literal; one that names no zone is UTC. -#}
{% macro time_literal(time) -%}
    {%- set text = time | string | trim -%}
    {%- set zoned = modules.re.search('(Z|[+-][0-9]{2}(:?[0-9]{2})?)$', text) and (text | length) > 10 and modules.re.search('[T ]', text) -%}
    cast('{{ text if zoned else text ~ "+00:00" }}' as {{ type_time() }})
{%- endmacro %}

{% macro in_hours(column) -%}
    {%- set start, end = hours().start, hours().end -%}
    {%- if start and end -%}
        {{ column }} >= {{ time_literal(start) }} and {{ column }} < {{ time_literal(end) }}
    {%- elif start -%}
        {{ column }} >= {{ time_literal(start) }}
    {%- elif end -%}
        {{ column }} < {{ time_literal(end) }}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- As in_hours, for an incremental model: without hours, from the newest hour in the table on. -#}
{% macro in_hours_of(relation, column) -%}
    {%- if hours().start or hours().end or not is_incremental() -%}
        {{ in_hours(column) }}
    {%- else -%}
        {{ from_newest_hour(relation, column) }}
    {%- endif -%}
{%- endmacro %}

{% macro from_newest_hour(relation, column) -%}
    {{ column }} >= coalesce((select {{ hour_of('max(recorded_at)') }} from {{ relation }}), {{ time_literal('1970-01-01') }})
{%- endmacro %}

{#- Until when a row that landed counts for the ids of the hour in which `column` lies. -#}
{% macro known_by(column) -%}
    {{ add_minutes(hour_of(column), 60 + var('late_minutes')) }}
{%- endmacro %}

{#- Incremental strategy `replace_hours`: exactly the hours of this run are replaced; no other row is touched. -#}
{% macro get_incremental_replace_hours_sql(arguments) %}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set target_relation = arguments['target_relation'] -%}
    delete from {{ target_relation }}
    where {% if hours().start or hours().end %}{{ in_hours('recorded_at') }}{% else %}{{ from_newest_hour(target_relation, 'recorded_at') }}{% endif %};

    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }}
    from {{ arguments['temp_relation'] }};
{% endmacro %}

{#- Tests with `where: __hours__` look at the hours of this run only (of the mart: recorded_at), with `where: __landed__`
    at the raw rows that landed in them. Without hours they look at everything. -#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get('where', '') -%}
    {%- if where -%}
        {%- set where = where | replace('__hours__', in_hours('recorded_at')) | replace('__landed__', in_hours('_loaded_at')) -%}
        (select * from {{ relation }} where {{ where }}) dbt_subquery
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}
