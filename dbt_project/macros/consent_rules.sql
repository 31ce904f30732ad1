{#- Made from the code by `python -m capi_pipeline.reference docs`: the rules of conversions/consent.py. -#}

{#- Of each state: the rules in their order; the first that holds withholds. Null: whichever. -#}
{% macro consent_rules() -%}
    select *
    from (
        values
        (1, 'erased', 'erased', cast(null as boolean), cast(null as boolean), cast(null as boolean)),
        (2, 'consent_denied', 'denied', cast(null as boolean), cast(null as boolean), cast(null as boolean)),
        (3, 'consent_unreadable', 'unreadable', cast(null as boolean), cast(null as boolean), cast(null as boolean)),
        (4, 'consent_unknown', 'unknown', true, cast(null as boolean), cast(null as boolean)),
        (5, 'opted_out', 'granted', cast(null as boolean), true, false),
        (5, 'opted_out', 'unknown', cast(null as boolean), true, false),
        (5, 'opted_out', 'unreadable', cast(null as boolean), true, false),
        (5, 'opted_out', 'denied', cast(null as boolean), true, false),
        (5, 'opted_out', 'erased', cast(null as boolean), true, false)
    ) as rules (place, reason, state, opt_in, opted_out, limits)
{%- endmacro %}

{#- Classes of platforms, and whether one can be told that a person opted out of sale. -#}
{% macro consent_classes() -%}
    select *
    from (
        values
        ('limited_data', true),
        ('consent_and_limited_data', true),
        ('consent_fields', false),
        ('analytics', true),
        ('affiliate', false),
        ('plain', false)
    ) as classes (platform_class, limits)
{%- endmacro %}

{#- Where silence means no: CAPI_OPT_IN_COUNTRIES, as for the pipeline, or else these. -#}
{% macro opt_in_countries() -%}
    {%- set given = modules.re.findall('[A-Z]{2}', (env_var('CAPI_OPT_IN_COUNTRIES', '') if execute else '') | upper) -%}
    {{ "'" ~ given | join("', '") ~ "'" if given else "'AT', 'AX', 'BE', 'BG', 'CH', 'CY', 'CZ', 'DE', 'DK', 'EE', 'ES', 'FI', 'FR', 'GB', 'GF', 'GP', 'GR', 'HR', 'HU', 'IE', 'IS', 'IT', 'LI', 'LT', 'LU', 'LV', 'MF', 'MQ', 'MT', 'NL', 'NO', 'PL', 'PT', 'RE', 'RO', 'SE', 'SI', 'SK', 'YT'" }}
{%- endmacro %}

{#- Whether an unknown country counts as one of them: CAPI_OPT_IN_IF_UNKNOWN. -#}
{% macro opt_in_if_unknown() -%}
    {%- set given = env_var('CAPI_OPT_IN_IF_UNKNOWN', '') if execute else '' -%}
    {{ 'false' if given | lower in ['0', 'false', 'f', 'n', 'no', 'off'] else 'true' }}
{%- endmacro %}
