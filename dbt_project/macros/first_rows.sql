{#- Of the rows of a relation that share `keys`, the first in `order_by`. -#}
{% macro first_rows(relation, keys, order_by) %}{{ return(adapter.dispatch('first_rows')(relation, keys, order_by)) }}{% endmacro %}
{% macro default__first_rows(relation, keys, order_by) -%}
    select *
    from (
        select *, row_number() over (partition by {{ keys | join(', ') }} order by {{ order_by }}) as place
        from {{ relation }}
    ) as placed
    where place = 1
{%- endmacro %}
{#- Not by row_number: the planner takes `= 1` for one row in two hundred, and plans what follows for far too few. -#}
{% macro postgres__first_rows(relation, keys, order_by) -%}
    select distinct on ({{ keys | join(', ') }}) *
    from {{ relation }}
    order by {{ keys | join(', ') }}, {{ order_by }}
{%- endmacro %}
