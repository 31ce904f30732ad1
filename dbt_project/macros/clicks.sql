{#- URL parameters that carry a click id, spelled as the platforms spell them. A landing page may change the case; the name that
    is kept is this one, the value is never touched. -#}
{% macro click_id_parameters() %}
    {{ return([
        'gclid', 'gbraid', 'wbraid', 'dclid',
        'fbclid', 'ttclid', 'ScCid', 'epik', 'li_fat_id', 'rdt_cid', 'twclid', 'msclkid', 'qclid', 'ndclid',
        'tblci', 'obclid', 'ob_click_id', 'OutbrainClickId', 'dicbo', 'aref', 'amzn', 'ttd_imp', 'irclickid', 'awc', 'ranSiteID', 'cjevent', 'yclid', '_ly_c',
        'oppref', 'aleid', 'alart', 'rtid', 'rclid', 'sapid', 'spclid', 'ylpcid', 'kclid',
    ]) }}
{% endmacro %}

{#- The name and the value of each parameter of a URL, as a lateral source of rows `parameter`, `value` (still encoded). -#}
{% macro url_parameters(url) %}{{ return(adapter.dispatch('url_parameters')(url)) }}{% endmacro %}
{% macro postgres__url_parameters(url) -%}
    string_to_table(replace(substring(split_part({{ url }}, '#', 1) from '[?](.*)$'), '?', '&'), '&')
{%- endmacro %}

{#- Percent-decoding of printable ASCII, which is all that a click id holds; anything else stays as it is. -#}
{% macro url_decode(text) %}{{ return(adapter.dispatch('url_decode')(text)) }}{% endmacro %}
{% macro postgres__url_decode(text) -%}
    case
        when position('%' in {{ text }}) > 0 then (
            select string_agg(
                case when part[1] ~ '^%[2-7]' and upper(part[1]) <> '%7F' then chr(('x' || substr(part[1], 2))::bit(8)::int) else part[1] end,
                '' order by position
            )
            from regexp_matches({{ text }}, '%[0-9A-Fa-f]{2}|[^%]+|%', 'g') with ordinality as piece (part, position)
        )
        else {{ text }}
    end
{%- endmacro %}
