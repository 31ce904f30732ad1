-- The browser on which an order or a lead was made, where only the pixel's thank-you page knows it: one row per page and order or lead.
select
    pages.anonymous_id,
    orders.customer_id,
    orders.email,
    orders.phone,
    orders.first_name,
    orders.last_name,
    orders.country,
    pages.occurred_at as seen_at,
    pages.landed_at as page_landed_at,
    orders.landed_at as row_landed_at
from {{ ref('base_web_events') }} as pages
inner join {{ ref('stg_orders') }} as orders on orders.order_id = pages.business_key
where pages.event_name = 'purchase'
    and not {{ is_no_id('pages.anonymous_id') }}

union all

select
    pages.anonymous_id,
    leads.customer_id,
    leads.email,
    leads.phone,
    leads.first_name,
    leads.last_name,
    leads.country,
    pages.occurred_at as seen_at,
    pages.landed_at as page_landed_at,
    leads.landed_at as row_landed_at
from {{ ref('base_web_events') }} as pages
inner join {{ ref('stg_leads') }} as leads on leads.lead_id = pages.business_key
where pages.event_name = 'generate_lead'
    and not {{ is_no_id('pages.anonymous_id') }}
