{#- The column holds JSON of one kind, `object` or `array`, that is not empty, or null. -#}
{% test json_kind(model, column_name, kind) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} is not null
    and ({{ json_kind_of(column_name) }} <> '{{ kind }}' or cast({{ column_name }} as {{ dbt.type_string() }}) in ('{}', '[]'))
{% endtest %}
