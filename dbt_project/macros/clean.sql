{#- Cleaning of what people typed. E-mails, phones and names are only trimmed here: their normalisation is the transform's. -#}

{% macro clean_text(column) %}{{ return(adapter.dispatch('clean_text')(column)) }}{% endmacro %}
{% macro default__clean_text(column) -%} nullif(trim({{ column }}), '') {%- endmacro %}
{% macro postgres__clean_text(column) -%} nullif(btrim({{ column }}, e' \t\r\n\u00a0'), '') {%- endmacro %}

{% macro clean_word(column) -%} lower({{ clean_text(column) }}) {%- endmacro %}

{#- ISO 4217, else null. -#}
{% macro clean_currency(column) -%}
    case when upper({{ clean_text(column) }}) in ({{ quoted(currencies()) }}) then upper({{ clean_text(column) }}) end
{%- endmacro %}

{#- ISO 3166-1 alpha-2, else null. -#}
{% macro clean_country(column) -%}
    case
        when upper({{ clean_text(column) }}) in ({{ quoted(countries()) }}) then upper({{ clean_text(column) }})
        {%- for code, names in country_names().items() %}
        when upper({{ clean_text(column) }}) in ({{ quoted(names) }}) then '{{ code }}'
        {%- endfor %}
    end
{%- endmacro %}

{% macro clean_consent(column) -%}
    case when {{ clean_word(column) }} in ('granted', 'denied') then {{ clean_word(column) }} end
{%- endmacro %}

{#- A decimal number that fits numeric(18,4), else null; `text` is an expression of type text. -#}
{% macro clean_amount(text) %}{{ return(adapter.dispatch('clean_amount')(text)) }}{% endmacro %}
{% macro default__clean_amount(text) -%} try_cast({{ text }} as numeric(18, 4)) {%- endmacro %}
{% macro postgres__clean_amount(text) -%}
    case when {{ text }} ~ '^-?[0-9]{1,14}([.][0-9]+)?$' then cast({{ text }} as numeric(18, 4)) end
{%- endmacro %}

{% macro quoted(words) -%}
    {%- for word in words -%} '{{ word | replace("'", "''") }}'{{ ', ' if not loop.last }} {%- endfor -%}
{%- endmacro %}

{% macro currencies() %}
    {{ return('AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG'.split()) }}
{% endmacro %}

{% macro countries() %}
    {{ return('AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW'.split()) }}
{% endmacro %}

{#- Other ways in which forms and shop systems write a country. -#}
{% macro country_names() %}
    {{ return({
        'GB': ['UK', 'GBR', 'UNITED KINGDOM', 'GREAT BRITAIN', 'ENGLAND', 'SCOTLAND', 'WALES'],
        'US': ['USA', 'U.S.', 'U.S.A.', 'UNITED STATES', 'UNITED STATES OF AMERICA'],
        'DE': ['DEU', 'GERMANY', 'DEUTSCHLAND'],
        'FR': ['FRA', 'FRANCE'],
        'ES': ['ESP', 'SPAIN', 'ESPAÑA'],
        'IT': ['ITA', 'ITALY', 'ITALIA'],
        'NL': ['NLD', 'NETHERLANDS', 'THE NETHERLANDS', 'NEDERLAND', 'HOLLAND'],
        'BE': ['BEL', 'BELGIUM'],
        'AT': ['AUT', 'AUSTRIA', 'ÖSTERREICH'],
        'CH': ['CHE', 'SWITZERLAND', 'SCHWEIZ', 'SUISSE'],
        'IE': ['IRL', 'IRELAND'],
        'PT': ['PRT', 'PORTUGAL'],
        'PL': ['POL', 'POLAND', 'POLSKA'],
        'SE': ['SWE', 'SWEDEN', 'SVERIGE'],
        'DK': ['DNK', 'DENMARK', 'DANMARK'],
        'NO': ['NOR', 'NORWAY', 'NORGE'],
        'FI': ['FIN', 'FINLAND', 'SUOMI'],
        'GR': ['EL', 'GRC', 'GREECE'],
        'CZ': ['CZE', 'CZECHIA', 'CZECH REPUBLIC'],
        'CA': ['CAN', 'CANADA'],
        'MX': ['MEX', 'MEXICO', 'MÉXICO'],
        'BR': ['BRA', 'BRAZIL', 'BRASIL'],
        'AU': ['AUS', 'AUSTRALIA'],
        'NZ': ['NZL', 'NEW ZEALAND'],
        'JP': ['JPN', 'JAPAN'],
        'IN': ['IND', 'INDIA'],
    }) }}
{% endmacro %}
