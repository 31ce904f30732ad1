{#- The shape of a conversion as the sources tell it (int_conversion_events): column and type. -#}
{% macro conversion_event_columns() %}
    {%- set text, time, amount, json = 'text', type_time(), 'numeric(18, 4)', type_json() -%}
    {{ return({
        'event_id': text, 'event_name': text, 'event_time': time, 'recorded_at': time,
        'action_source': text, 'source_url': text, 'referrer_url': text,
        'transaction_id': text, 'lead_id': text,
        'value': amount, 'currency': text, 'tax': amount, 'shipping': amount, 'coupon': text,
        'items': json, 'search_term': text,
        'original_event_id': text, 'original_event_time': time, 'remaining_value': amount,
        'properties': json, 'source': text,
        'user_id': text, 'anonymous_id': text,
        'email': text, 'phone': text,
        'first_name': text, 'last_name': text,
        'street_address': text, 'city': text, 'region': text, 'postal_code': text, 'country': text,
        'ip_address': text, 'user_agent': text, 'device': json,
        'pixel_name': text, 'pixel_key': text, 'pixel_until': time,
        'attributed_at': time,
    }) }}
{% endmacro %}

{#- The columns of one kind of conversion in that shape; those that the kind does not have are null. -#}
{% macro as_conversion_events(relation, lacking) %}
select
    {%- for column, type in conversion_event_columns().items() %}
    cast({{ 'null' if column in lacking else column }} as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ relation }}
{% endmacro %}

{#- What goes through the enrichment of a conversion as it is. -#}
{% macro conversion_event_found() %}
    {{ return([
        'event_name', 'event_time', 'recorded_at', 'event_id', 'original_event_id', 'original_event_time',
        'remaining_value', 'action_source', 'source_url', 'referrer_url', 'device', 'properties', 'transaction_id',
        'lead_id', 'value', 'currency', 'tax', 'shipping', 'coupon', 'items', 'search_term', 'source', 'anonymous_id',
        'email', 'pixel_email', 'phone', 'pixel_phone', 'first_name', 'last_name', 'street_address', 'city', 'region',
        'postal_code', 'country', 'attributed_at', 'seen_until', 'row_id',
    ]) }}
{% endmacro %}
