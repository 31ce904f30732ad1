{#- An app names itself in the device record of its events; everything else is a website. -#}
{% macro web_or_app(device) -%}
    case
        when coalesce(
            {%- for key in ['app_id', 'app_version', 'advertising_id', 'vendor_id', 'att_status'] %}
            {{ json_text(device, key) }}{{ ',' if not loop.last }}
            {%- endfor %}
        ) is not null then 'app'
        else 'website'
    end
{%- endmacro %}

{% macro device_keys() %}
    {{ return([
        'os', 'os_version', 'model', 'app_id', 'app_version', 'advertising_id', 'vendor_id', 'att_status', 'language',
        'screen_width', 'screen_height',
    ]) }}
{% endmacro %}
