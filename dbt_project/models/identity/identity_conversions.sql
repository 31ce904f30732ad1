{{ config(schema='identity') }}

-- The person of each order and lead: of its customer number, else of its e-mail address, phone, browser.
{%- for type, relation, id in [('order', 'stg_orders', 'order_id'), ('lead', 'stg_leads', 'lead_id')] %}
select
    '{{ type }}' as conversion_type,
    rows.{{ id }} as conversion_id,
    min(coalesce(customers.person_id, emails.person_id, phones.person_id, devices.person_id)) as person_id
from {{ ref(relation) }} as rows
left join {{ ref('identity_ids') }} as customers on customers.id_type = 'customer_id' and customers.id_key = rows.customer_id
left join {{ ref('identity_ids') }} as emails on emails.id_type = 'email' and emails.id_key = {{ identity_email_key('rows.email') }}
left join {{ ref('identity_ids') }} as phones on phones.id_type = 'phone' and phones.id_key = {{ identity_phone_key('rows.phone', 'rows.country') }}
left join {{ ref('identity_ids') }} as devices on devices.id_type = 'anonymous_id' and devices.id_key = rows.anonymous_id
group by rows.{{ id }}
{{ 'union all' if not loop.last }}
{%- endfor %}
