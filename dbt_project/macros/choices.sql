{#- Whose choice it is: addresses are compared as keys, ids as they are. -#}
{% macro consent_subject() -%}
    case when subject_type = 'email' then {{ email_key(clean_text('subject_id')) }} else subject_id end
{%- endmacro %}

{#- A person's answer to one question, from all their choices (columns `own`, and `recency`: 1 is the newest): the newest of their own, or a
    newer refusal under their e-mail address; what was said under the address alone where they never answered themselves. -#}
{% macro answer(column, refusal) -%}
    {%- set mine, typed = newest(column, 'own'), newest(column, 'not own') -%}
    case
        when {{ mine }} is null then {{ typed }}
        when {{ typed }} = {{ refusal }} and {{ age_of(column, 'not own') }} < {{ age_of(column, 'own') }} then {{ refusal }}
        else {{ mine }}
    end
{%- endmacro %}

{% macro age_of(column, among) -%} min(case when {{ among }} and {{ column }} is not null then recency end) {%- endmacro %}

{#- The newest value of a column that is not null. -#}
{% macro newest(column, among) %}{{ return(adapter.dispatch('newest')(column, among)) }}{% endmacro %}
{% macro postgres__newest(column, among) -%}
    (array_agg({{ column }} order by recency) filter (where {{ among }} and {{ column }} is not null))[1]
{%- endmacro %}
