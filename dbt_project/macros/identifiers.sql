{#- Keys of `properties` that are columns of the contract or may name a person; compared in lower case. -#}
{% macro keys_outside_properties() %}
    {{ return([
        'order_id', 'transaction_id', 'lead_id', 'event_id', 'value', 'currency', 'tax', 'shipping', 'coupon', 'items', 'search_term',
        'email', 'emails', 'email_address', 'mail', 'phone', 'phones', 'phone_number', 'mobile', 'tel', 'telephone',
        'name', 'full_name', 'first_name', 'last_name', 'firstname', 'lastname', 'username', 'user_name', 'gender',
        'birth_date', 'birthday', 'birthdate', 'date_of_birth', 'dob',
        'address', 'street', 'street_address', 'city', 'postal_code', 'postcode', 'zip', 'zip_code',
        'user_id', 'userid', 'customer_id', 'customerid', 'external_id', 'anonymous_id', 'client_id', 'session_id',
        'ip', 'ip_address', 'user_agent', 'password', 'token',
    ]) }}
{% endmacro %}

{#- What shop systems and scripts write where there is no id: a guest's customer number 0, an empty variable, a UUID of zeros. It is in
    rows of strangers, and would make them one person. Null where the column is null. -#}
{% macro is_no_id(column) %}{{ return(adapter.dispatch('is_no_id')(column)) }}{% endmacro %}
{% macro default__is_no_id(column) -%}
    ({{ column }} ~* '^[[:space:]]*(|[0-]+|undefined|null|none|nil|nan|n/a|unknown|anonymous|guest|false|[(](not set|none|null)[)]|[[]object object[]])[[:space:]]*$')
{%- endmacro %}

{#- An id as it is; null for what is none. Immutable, so that an index can hold it. -#}
{% macro clean_id(column) -%}
    case when not {{ is_no_id(column) }} then {{ column }} end
{%- endmacro %}

{#- An e-mail address as a key of people: in lower case; null for what is no address (`n/a`, `none`), which would make all who typed it
    one person. A SHA-256 of an address is a key as well. -#}
{% macro email_key(email) %}{{ return(adapter.dispatch('email_key')(email)) }}{% endmacro %}
{% macro default__email_key(email) -%}
    case
        when {{ email }} ~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$' or {{ email }} ~ '^[0-9a-fA-F]{64}$'
        then lower({{ email }})
    end
{%- endmacro %}

{#- A phone number as a key of people, for requests of erasure: its last nine digits, so that the national and the international
    spelling meet. Who shares them with an erased person is erased as well, which is the safe side; a fragment is no key. -#}
{% macro phone_key(phone) %}{{ return(adapter.dispatch('phone_key')(phone)) }}{% endmacro %}
{% macro default__phone_key(phone) -%}
    {%- set digits = "regexp_replace(" ~ phone ~ ", '[^0-9]', '', 'g')" -%}
    case when length({{ digits }}) >= 7 then right({{ digits }}, 9) end
{%- endmacro %}

{#- An expression that may lead to a person, in a query where `erased` is joined by row. -#}
{% macro unless_erased(expression, otherwise='null') -%}
    case when erased.row_id is null then {{ expression }} else {{ otherwise }} end
{%- endmacro %}
