{#- A rule that every row keeps; a rule that is null for a row says nothing about it. -#}
{% test holds(model, rule) %}
select *
from {{ model }}
where not ({{ rule }})
{% endtest %}
