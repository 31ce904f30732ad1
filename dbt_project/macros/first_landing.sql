{#- Whether a row of a relation, there under the name `landed`, is complete and none of the same key had landed complete before: the
    first such landing stays for good, so an hour that was delivered never changes when a row is loaded again, and a row that comes
    incomplete first counts from the landing on that completes it.
    Plain conditions, no window and no `with`, either of which would keep the planner from looking into the view: a filter on the landing
    time or on a key reaches the table itself. Two copies within one and the same load are equally first; who counts rows takes one. -#}
{% macro first_landing(relation, keys, landed='_loaded_at', complete='true') -%}
    {{ complete }}
    and not exists (
        select 1
        from {{ relation }} as earlier
        where {{ complete }}
            {%- for key in keys %}
            and earlier.{{ key }} = landed.{{ key }}
            {%- endfor %}
            and earlier.{{ landed }} < landed.{{ landed }}
    )
{%- endmacro %}
