{#- The rows of a relation, without those whose key had landed before: the first landing stays for good, so an hour that was
    delivered never changes when a row is loaded again.
    Written so that a filter on the landing time (or on a key) reaches the table itself: earlier landings are looked up by key,
    and only rows of one and the same load are numbered. -#}
{% macro first_landings(relation, keys, order_by, landed='_loaded_at', where='true') %}
    select *
    from (
        select
            landed.*,
            row_number() over (partition by {{ keys | join(', ') }}, {{ landed }} order by {{ order_by }}) as copy
        from {{ relation }} as landed
        where {{ where }}
            and not exists (
                select 1
                from {{ relation }} as earlier
                where {{ where }}
                    {% for key in keys %}and earlier.{{ key }} = landed.{{ key }} {% endfor %}
                    and earlier.{{ landed }} < landed.{{ landed }}
            )
    ) as numbered
    where copy = 1
{% endmacro %}
