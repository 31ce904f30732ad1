{#- The rows of a relation without those whose key had landed before: the first landing stays for good, so an hour that was delivered
    never changes when a row is loaded again.
    Plain conditions and no window: a filter on the landing time or on a key reaches the table itself, and looking up a few keys does
    not number the whole table. Two copies within one and the same load are equally first; who counts rows takes one of them. -#}
{% macro first_landings(relation, keys, landed='_loaded_at', where='true') %}
    select landed.*
    from {{ relation }} as landed
    where {{ where }}
        and not exists (
            select 1
            from {{ relation }} as earlier
            where {{ where }}
                {%- for key in keys %}
                and earlier.{{ key }} = landed.{{ key }}
                {%- endfor %}
                and earlier.{{ landed }} < landed.{{ landed }}
        )
{% endmacro %}
