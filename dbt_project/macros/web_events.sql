{#- Cleaning of a pixel's event, for one landing of it (stg_web_events) and for all of them (base_web_events).
    `anonymous_id` is made by a machine and stays untouched, so that an index on it serves the look-ups by device. -#}
{% macro web_event_columns() %}
    event_id,
    event_name,
    anonymous_id,
    {{ clean_id('user_id') }} as user_id,
    nullif(session_id, '') as session_id,
    {{ clean_text('page_url') }} as page_url,
    {{ clean_text('referrer_url') }} as referrer_url,
    {{ clean_text('ip_address') }} as ip_address,
    {{ clean_text('user_agent') }} as user_agent,
    {{ clean_json('cookies', 'object') }} as cookies,
    {{ clean_json('properties', 'object') }} as properties,
    {{ business_key() }} as business_key,
    {{ clean_json('device', 'object') }} as device,
    occurred_at,
    _loaded_at as landed_at
{%- endmacro %}

{#- The order or the lead that a pixel's event tells of. -#}
{% macro business_key() %}
    case event_name
        when 'purchase' then {{ json_key('properties', 'order_id') }}
        when 'generate_lead' then {{ json_key('properties', 'lead_id') }}
    end
{%- endmacro %}
