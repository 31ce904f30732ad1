{#- Indexes on the raw tables by which an hour costs by what landed in it, not by all that ever landed: `dbt run-operation index_raw_tables`.
    Rendered from the macros of the models, since an index on an expression serves only the very same expression. -#}

{% macro raw_indexes() %}
    {{ return({
        'customers': {'customer': '(customer_id)'},
        'orders': {
            'landed': '(_loaded_at)', 'order': '(order_id)', 'customer_id': '((' ~ clean_id('customer_id') ~ '))',
            'email': '((' ~ email_key(clean_text('email')) ~ '))',
        },
        'order_items': {'order': '(order_id)'},
        'refunds': {'landed': '(_loaded_at)', 'refund': '(refund_id)', 'order': '(order_id)'},
        'leads': {'landed': '(_loaded_at)', 'lead': '(lead_id)'},
        'web_events': {
            'landed': '(_loaded_at)', 'event': '(event_id)', 'device': '(anonymous_id)',
            'business_key': '((' ~ business_key() ~ ")) where event_name in ('purchase', 'generate_lead')",
        },
        'consents': {'landed': '(_loaded_at)', 'subject': '((' ~ consent_subject() ~ '))'},
    }) }}
{% endmacro %}

{% macro index_raw_tables() %}
    {%- for table, indexes in raw_indexes().items() %}
        {%- for name, on in indexes.items() %}
            {%- do run_query('create index if not exists capi_' ~ table ~ '_by_' ~ name ~ ' on ' ~ source('raw', table) ~ ' ' ~ on) %}
        {%- endfor %}
        {%- do run_query('analyze ' ~ source('raw', table)) %}
        {%- do log(source('raw', table) ~ ' is indexed', info=true) %}
    {%- endfor %}
{% endmacro %}
