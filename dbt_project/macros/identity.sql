{#- Keys by which two rows are known to speak of the same e-mail address, phone number, name. They are compared, never sent. -#}

{#- An e-mail address as a digest: of the address in lower case, at Gmail without dots and plus part (one mailbox). A SHA-256 that was
    loaded instead of an address is its own key, so it meets the address of which it is one. Null for what is no address. -#}
{% macro identity_email_key(email) -%}
    case
        when {{ email }} ~ '^[0-9a-fA-F]{64}$' then lower({{ email }})
        when {{ email }} ~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$' then
            encode(sha256(convert_to(
                case
                    when lower({{ email }}) ~ '@(gmail|googlemail)[.]com$'
                        then replace(split_part(split_part(lower({{ email }}), '@', 1), '+', 1), '.', '') || '@gmail.com'
                    else lower({{ email }})
                end, 'UTF8'
            )), 'hex')
    end
{%- endmacro %}

{#- Addresses of a desk, not of a person. -#}
{% macro is_role_address(email) -%}
    (lower(split_part({{ email }}, '@', 1)) in ({{ quoted(role_addresses()) }}))
{%- endmacro %}

{% macro role_addresses() %}
    {{ return([
        'info', 'sales', 'office', 'contact', 'kontakt', 'hello', 'hi', 'mail', 'admin', 'administrator', 'postmaster', 'webmaster',
        'support', 'help', 'service', 'kundenservice', 'orders', 'order', 'shop', 'store', 'till', 'kasse', 'pos', 'billing', 'accounts',
        'invoice', 'buchhaltung', 'team', 'marketing', 'newsletter', 'noreply', 'no-reply', 'donotreply', 'reception', 'empfang',
        'einkauf', 'purchasing', 'procurement', 'test', 'tester', 'demo', 'guest', 'gast', 'customer', 'kunde', 'user', 'none', 'nobody',
    ]) }}
{% endmacro %}

{#- A phone number as its digits in international form (E.164 without `+`), read by the row's country; a national number of an
    unknown country is `x` and its digits, and so meets only its like. Null for a fragment, and for what is no number (0000000). -#}
{% macro identity_phone_key(phone, country) -%}
    {%- set digits = "regexp_replace(regexp_replace(" ~ phone ~ ", '(x|ext|durchwahl).*$', '', 'i'), '[^0-9]', '', 'g')" -%}
    {%- set code = "('" ~ tojson(calling_codes()) ~ "'::jsonb ->> " ~ country ~ ")" -%}
    {%- set trunk = "coalesce('" ~ tojson(trunk_prefixes()) ~ "'::jsonb ->> " ~ country ~ ", '0')" -%}
    {%- set number -%}
        case
            when {{ phone }} ~ '^[[:space:](]*[+]' then {{ digits }}
            when {{ digits }} like '00%' then substr({{ digits }}, 3)
            when {{ code }} is null then 'x' || ltrim({{ digits }}, '0')
            when {{ trunk }} <> '' and {{ digits }} like {{ trunk }} || '%' and length({{ digits }}) > length({{ trunk }}) + 6
                then {{ code }} || substr({{ digits }}, length({{ trunk }}) + 1)
            else {{ code }} || {{ digits }}
        end
    {%- endset -%}
    (select case when known.number ~ '^(x[0-9]{6}|[1-9][0-9]{7})[0-9]*$' and length(known.number) <= 15 and known.number !~ '([0-9])\1{6}' then known.number end
     from (select {{ number }} as number) as known)
{%- endmacro %}

{#- A person's name, for the question whether two rows that share a phone or a device are one person: initial of the first name and
    the letters of the last one. Null where the last name is missing. -#}
{% macro identity_name_key(first_name, last_name) -%}
    {%- set last = "regexp_replace(lower(" ~ last_name ~ "), '[^[:alnum:]]', '', 'g')" -%}
    {%- set first = "regexp_replace(lower(coalesce(" ~ first_name ~ ", '')), '^(dr|mr|mrs|ms|prof)[.]? +', '')" -%}
    case when {{ last }} <> '' then left(regexp_replace({{ first }}, '[^[:alpha:]]', '', 'g'), 1) || '.' || left({{ last }}, 40) end
{%- endmacro %}

{#- The four kinds of ids that lead to a person, and the columns of identity_links that hold their keys. -#}
{% macro identity_columns() %}
    {{ return({'customer_id': 'customer_id', 'email': 'email_key', 'phone': 'phone_key', 'anonymous_id': 'anonymous_id'}) }}
{% endmacro %}

{#- Raw rows that this build has not looked at: those of its hours, and whatever landed since shortly before the newest row it knows. -#}
{% macro landed_since(relation, column='landed_at') -%}
    {%- if is_incremental() -%}
        ({{ column }} >= (select max(last_landed_at) from {{ relation }}) - interval '2 hours'
        {%- if hours().start %} or {{ column }} >= {{ time_literal(hours().start) }}{% endif %})
        {%- if hours().end %} and {{ column }} < {{ add_minutes(time_literal(hours().end), var('late_minutes')) }}{% endif %}
    {%- elif hours().end -%}
        {{ column }} < {{ add_minutes(time_literal(hours().end), var('late_minutes')) }}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- Connected components by the smallest label: `labels` (node, label) and `edges` (one, other, both directions) are CTEs before; the CTE
    `name` (node, label) comes out. Each round takes the neighbours' smallest label, then that label's own label, so that the reach more
    than doubles: twelve rounds cross any chain that is left after the guards. -#}
{% macro components(name, labels, edges, rounds=12) -%}
    {%- for round in range(rounds) %}
    {%- set before = labels if loop.first else name ~ '_' ~ (round - 1) %}
    {{ name }}_{{ round }}_near as materialized (
        select before.node, least(before.label, min(neighbours.label)) as label
        from {{ before }} as before
        left join {{ edges }} as edges on edges.one = before.node
        left join {{ before }} as neighbours on neighbours.node = edges.other
        group by before.node, before.label
    ),

    {{ name }}_{{ round }} as materialized (
        select near.node, least(near.label, further.label) as label
        from {{ name }}_{{ round }}_near as near
        left join {{ name }}_{{ round }}_near as further on further.node = near.label
    ),
    {%- endfor %}

    {{ name }} as materialized (
        select node, label from {{ name }}_{{ rounds - 1 }}
    )
{%- endmacro %}

{#- The links of some ids (a CTE or subquery of id_type, id_key), one row per id and link, each found by the index of its kind. -#}
{% macro links_of(ids, links) -%}
    {%- for type, column in identity_columns().items() %}
    select ids.id_type, ids.id_key, links.*
    from {{ ids }} as ids
    inner join {{ links }} as links on links.{{ column }} = ids.id_key
    where ids.id_type = '{{ type }}'
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- Every id that stands in some links. -#}
{% macro ids_of(links) -%}
    {%- for type, column in identity_columns().items() %}
    select '{{ type }}' as id_type, links.{{ column }} as id_key from {{ links }} as links where links.{{ column }} is not null
    {{ 'union' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- Every id of the people to whom some ids belong, as the last build had it (`people`: identity_ids). -#}
{% macro ids_of_people_of(people, ids) -%}
    select members.id_type, members.id_key
    from {{ people }} as members
    where members.person_id in (
        select known.person_id
        from {{ people }} as known
        inner join {{ ids }} as given on given.id_type = known.id_type and given.id_key = known.id_key
    )
{%- endmacro %}

{% macro case_of(values, expression) -%}
    case {{ expression }} {% for key, value in values.items() %}when '{{ key }}' then {{ value }} {% endfor %}end
{%- endmacro %}

{#- CTE `name` (node, label): groups (`group`, a column of `links`) become one where the same `bridge` was seen with both and they have a
    name in common (`names`: group, name_key); with `nameless`, also where a bridge was seen with just two and one has no name at all. -#}
{% macro bridged(name, links, group, bridge, names, nameless=false) -%}
    {{ name }}_sights as materialized (
        select distinct {{ bridge }} as bridge, {{ group }} as node from {{ links }} where {{ bridge }} is not null and {{ group }} is not null
    ),

    {{ name }}_pairs as (
        select sights.node, min(sights.node) over (partition by sights.bridge, names.name_key) as other
        from {{ name }}_sights as sights
        inner join {{ names }} as names on names.{{ group }} = sights.node
        {%- if nameless %}

        union

        select sights.node, pair.other
        from {{ name }}_sights as sights
        inner join (
            select sights.bridge, min(sights.node) as other
            from {{ name }}_sights as sights
            left join (select distinct {{ group }} as node from {{ names }}) as known on known.node = sights.node
            group by sights.bridge
            having count(*) = 2 and count(known.node) <= 1
        ) as pair on pair.bridge = sights.bridge
        {%- endif %}
    ),

    {{ name }}_edges as (
        select node as one, other from {{ name }}_pairs where node <> other
        union
        select other as one, node as other from {{ name }}_pairs where node <> other
    ),

    {{ name }}_labels as (
        select distinct {{ group }} as node, {{ group }} as label from {{ links }} where {{ group }} is not null
    ),

    {{ components(name, name ~ '_labels', name ~ '_edges', rounds=6) }}
{%- endmacro %}
