{{
    config(
        materialized='incremental',
        incremental_strategy='replace_hours',
        on_schema_change='append_new_columns',
        indexes=[{'columns': ['recorded_at']}, {'columns': ['event_name', 'event_id'], 'unique': true}, {'columns': ['transaction_id']}],
        pre_hook=["{{ plan_for_hours() }}"],
    )
}}

-- What the sources tell of these hours (told) gets its id (identified), is there once (events), and is then joined, by row, with what
-- belongs to it: items, clicks, cookies, the person, the choice, the request for erasure.
with told as (
    select *
    from {{ ref('int_conversion_events') }}
    where {{ in_hours_of(this, 'recorded_at') }}
),

-- The pixel's event of the same order or lead, if it had landed in time. A thank-you page that is opened again sends another one:
-- the first to land is the conversion's.
pixel_sights as (
    select
        told.event_name as told_name,
        told.event_id as told_id,
        pixel.*
    from told
    inner join {{ ref('int_pixel_events') }} as pixel
        on pixel.event_name = told.pixel_name
        and pixel.business_key = told.pixel_key
        and pixel.landed_at < told.pixel_until
),

pixel_events as (
    {{ first_rows('pixel_sights', ['told_name', 'told_id'], order_by='landed_at, occurred_at, event_id') }}
),

identified as (
    select
        told.event_name,
        told.event_time,
        told.recorded_at,
        {#- the pixel's event of a refund is the one of its purchase #}
        case told.event_name when 'refund' then told.event_id else coalesce(pixel.event_id, told.event_id) end as event_id,
        case told.event_name when 'refund' then coalesce(pixel.event_id, told.original_event_id) end as original_event_id,
        told.original_event_time,
        told.remaining_value,
        case
            when told.event_name = 'generate_lead' and pixel.event_id is not null then {{ web_or_app('pixel.device') }}
            else told.action_source
        end as action_source,
        {%- for column, of_pixel in {
            'source_url': 'page_url', 'referrer_url': 'referrer_url', 'ip_address': 'ip_address', 'user_agent': 'user_agent',
            'device': 'device', 'properties': 'properties',
        }.items() %}
        case told.event_name when 'refund' then null else coalesce(told.{{ column }}, pixel.{{ of_pixel }}) end as {{ column }},
        {%- endfor %}
        told.transaction_id,
        told.lead_id,
        told.value,
        told.currency,
        told.tax,
        told.shipping,
        told.coupon,
        told.items,
        told.search_term,
        told.source,
        coalesce(told.user_id, pixel.user_id) as user_id,
        coalesce(told.anonymous_id, pixel.anonymous_id) as anonymous_id,
        told.email,
        {{ json_text('pixel.properties', 'email') }} as pixel_email,
        told.phone,
        {{ json_text('pixel.properties', 'phone') }} as pixel_phone,
        told.first_name,
        told.last_name,
        told.street_address,
        told.city,
        told.region,
        told.postal_code,
        told.country,
        told.attributed_at,
        greatest(told.attributed_at, pixel.occurred_at) as seen_until
    from told
    left join pixel_events as pixel
        on pixel.told_name = told.event_name
        and pixel.told_id = told.event_id
),

-- The first landing of a conversion stays: within these hours, and against every hour outside of them.
landings as (
    select identified.*
    from identified
    {% if is_incremental() -%}
    where not exists (
        select 1
        from {{ this }} as built
        where built.event_name = identified.event_name
            and built.event_id = identified.event_id
            and not ({{ in_hours_of(this, 'built.recorded_at') }})
    )
    {%- endif %}
),

first_landings as (
    {{ first_rows('landings', ['event_name', 'event_id'], order_by='recorded_at, event_time, transaction_id, value, email, phone, user_id') }}
),

told_events as (
    select
        *,
        row_number() over (order by event_name, event_id) as row_id
    from first_landings
),

-- The person: of the customer number, else of the address, the phone, the browser. An id that is nobody's own leads to nobody.
persons as (
    select
        told_events.row_id,
        coalesce(
            customers.person_id, emails.person_id, pixel_emails.person_id, phones.person_id, pixel_phones.person_id, devices.person_id
        ) as person_id,
        devices.quarantine is not null as shared_device
    from told_events
    {%- for name, type, key in [
        ('customers', 'customer_id', 'told_events.user_id'),
        ('emails', 'email', identity_email_key('told_events.email')),
        ('pixel_emails', 'email', identity_email_key('told_events.pixel_email')),
        ('phones', 'phone', identity_phone_key('told_events.phone', 'told_events.country')),
        ('pixel_phones', 'phone', identity_phone_key('told_events.pixel_phone', 'told_events.country')),
        ('devices', 'anonymous_id', 'told_events.anonymous_id'),
    ] %}
    left join {{ ref('identity_ids') }} as {{ name }}
        on {{ name }}.id_type = '{{ type }}'
        and {{ name }}.id_key = {{ key }}
    {%- endfor %}
),

members as (
    select
        persons.row_id,
        ids.id_type,
        ids.id_key
    from persons
    inner join {{ ref('identity_ids') }} as ids on ids.person_id = persons.person_id
),

-- One person, one account: with two, nobody knows which one it was.
accounts as (
    select row_id, min(id_key) as customer_id
    from members
    where id_type = 'customer_id'
    group by row_id
    having count(*) = 1
),

-- The newest spelling of each of the person's addresses and phones; phones in international form, so that no country is needed.
spellings as (
    select
        members.row_id,
        members.id_type,
        members.id_key,
        spellings.spelling,
        spellings.last_seen_at
    from members
    inner join {{ ref('identity_spellings') }} as spellings
        on spellings.id_type = members.id_type
        and spellings.id_key = members.id_key
    where members.id_type in ('email', 'phone')
        and members.id_key not like 'x%'
),

newest_spellings as (
    {{ first_rows('spellings', ['row_id', 'id_type', 'id_key'], order_by='last_seen_at desc, spelling') }}
),

contacts as (
    select
        row_id,
        id_type,
        id_key,
        case id_type when 'phone' then '+' || id_key else spelling end as contact,
        row_number() over (partition by row_id, id_type order by last_seen_at desc, id_key) as place
    from newest_spellings
),

-- Address and agent of the browser's last page before the conversion, where the conversion has none.
networks as (
    select
        told_events.row_id,
        pages.ip_address,
        pages.user_agent
    from told_events
    cross join lateral (
        select pages.ip_address, pages.user_agent
        from {{ ref('base_web_events') }} as pages
        where pages.anonymous_id = told_events.anonymous_id
            and pages.occurred_at <= told_events.seen_until
            and pages.occurred_at >= {{ add_minutes('told_events.seen_until', -1440 * var('network_lookback_days')) }}
            and pages.ip_address is not null
            and pages.user_agent is not null
        order by pages.occurred_at desc, pages.event_id
        limit 1
    ) as pages
    where told_events.ip_address is null
        and told_events.user_agent is null
        and told_events.event_name <> 'refund'
),

events as (
    select
        {%- for column in conversion_event_found() %}
        told_events.{{ column }},
        {%- endfor %}
        told_events.user_id as told_user_id,
        coalesce(told_events.user_id, accounts.customer_id) as user_id,
        coalesce(told_events.ip_address, networks.ip_address) as ip_address,
        coalesce(told_events.user_agent, networks.user_agent) as user_agent,
        networks.row_id is not null as network_found,
        persons.person_id,
        coalesce(persons.shared_device, false) as shared_device
    from told_events
    inner join persons on persons.row_id = told_events.row_id
    left join accounts on accounts.row_id = told_events.row_id
    left join networks on networks.row_id = told_events.row_id
),

lines as (
    select
        events.row_id,
        items.*
    from events
    inner join {{ ref('stg_order_items') }} as items on items.order_id = events.transaction_id
    where events.event_name = 'purchase'
),

items as (
    {{ first_rows('lines', ['row_id', 'line'], order_by='product_id, quantity, unit_price') }}
),

ordered as (
    select
        row_id,
        {{ json_array_agg(
            json_object({
                'id': 'product_id', 'name': 'product_name', 'category': 'category', 'brand': 'brand', 'variant': 'variant',
                'quantity': 'quantity', 'price': 'trim_scale(unit_price)',
            }), order_by='line'
        ) }} as contents
    from items
    group by row_id
),

-- The device that the conversion was made on, and the person's others: those where the newest choice refuses nothing.
other_devices as (
    select members.row_id, members.id_key as anonymous_id
    from members
    inner join events on events.row_id = members.row_id
    where members.id_type = 'anonymous_id'
        and members.id_key is distinct from events.anonymous_id
),

device_choices as (
    select
        other_devices.row_id,
        other_devices.anonymous_id,
        consents.ad_storage,
        consents.ad_user_data,
        consents.given_at
    from other_devices
    inner join {{ ref('stg_consents') }} as consents
        on consents.subject_type = 'anonymous_id'
        and consents.subject = other_devices.anonymous_id
),

newest_choices as (
    {{ first_rows('device_choices', ['row_id', 'anonymous_id'], order_by='given_at desc, ad_storage, ad_user_data') }}
),

devices as (
    select row_id, anonymous_id, true as own, shared_device as shared from events where anonymous_id is not null

    union all

    select other_devices.row_id, other_devices.anonymous_id, false as own, false as shared
    from other_devices
    left join newest_choices
        on newest_choices.row_id = other_devices.row_id
        and newest_choices.anonymous_id = other_devices.anonymous_id
    where coalesce(newest_choices.ad_storage, '') <> 'denied'
        and coalesce(newest_choices.ad_user_data, '') <> 'denied'
),

-- Click ids: of the device that the conversion was made on, of the person's other devices, or that came with the lead. On a device that
-- several people share, only the visit itself is the person's.
click_sights as (
    select
        events.row_id,
        clicks.parameter,
        clicks.value,
        clicks.seen_at,
        clicks.seen_at as clicked_at,
        devices.own
    from events
    inner join devices on devices.row_id = events.row_id
    inner join {{ ref('int_clicks') }} as clicks
        on clicks.anonymous_id = devices.anonymous_id
        and clicks.seen_at <= events.attributed_at
        and (not devices.shared or clicks.seen_at >= {{ add_minutes('events.attributed_at', -1 * var('visit_minutes')) }})

    union all

    select events.row_id, clicks.parameter, clicks.value, clicks.seen_at, clicks.clicked_at, true as own
    from events
    inner join {{ ref('int_lead_clicks') }} as clicks
        on clicks.lead_id = events.lead_id
        and clicks.seen_at <= events.attributed_at
),

-- A click happened when its id was first seen; an old address that is opened again is no new click.
clicks as (
    select row_id, parameter, value, min(seen_at) as seen_at, min(clicked_at) as clicked_at, bool_or(own) as own
    from click_sights
    group by row_id, parameter, value
),

recent_clicks as (
    select
        clicks.*,
        -- the visit that led to the conversion comes before anything on another device
        clicks.own and clicks.seen_at >= {{ add_minutes('events.attributed_at', -1 * var('visit_minutes')) }} as in_visit
    from clicks
    inner join events on events.row_id = clicks.row_id
    where clicks.seen_at >= {{ add_minutes('events.attributed_at', -1440 * var('click_lookback_days')) }}
),

last_clicks as (
    {{ first_rows('recent_clicks', ['row_id', 'parameter'], order_by='in_visit desc, seen_at desc, value') }}
),

click_ids as (
    select
        row_id,
        {{ json_object_agg('parameter', json_object({'value': 'value', 'clicked_at': iso_time('clicked_at')})) }} as click_ids,
        array_agg(parameter) filter (where not own) as found
    from last_clicks
    group by row_id
),

-- Cookies: the newest value of each before the conversion, or with its own pixel event. A device shows the same cookies on every page:
-- only their changes are looked at.
cookie_sights as (
    select
        anonymous_id,
        name,
        value,
        seen_at,
        lag(value) over (partition by anonymous_id, name order by seen_at, value) as value_before
    from {{ ref('int_browser_ids') }}
    where anonymous_id in (select anonymous_id from events)
        and value is not null
),

cookies as (
    select
        events.row_id,
        cookies.name,
        cookies.value,
        cookies.seen_at
    from events
    inner join cookie_sights as cookies
        on cookies.anonymous_id = events.anonymous_id
        and cookies.seen_at <= events.seen_until
    where cookies.value_before is null
        or cookies.value_before <> cookies.value
),

last_cookies as (
    {{ first_rows('cookies', ['row_id', 'name'], order_by='seen_at desc, value desc') }}
),

browser_ids as (
    select
        row_id,
        {{ json_object_agg('name', 'value') }} as browser_ids
    from last_cookies
    group by row_id
),

versions as (
    select *
    from {{ ref('stg_customers') }}
    where customer_id in (select user_id from events)
),

customers as (
    {{ first_rows('versions', ['customer_id'], order_by='updated_at desc, landed_at desc, email, phone') }}
),

-- The person of each conversion: what the conversion itself says comes first, the customer record fills the gaps, then what else is
-- known of the person. An address is never mixed from two.
said as (
    select row_id, 'email' as id_type, {{ identity_email_key('contact') }} as id_key, contact, place
    from (
        select events.row_id, events.email as contact, 1 as place from events
        union all
        select events.row_id, events.pixel_email, 2 from events
        union all
        select events.row_id, customers.email, 3 from events inner join customers on customers.customer_id = events.user_id
    ) as emails
    where contact is not null

    union all

    select row_id, 'phone' as id_type, {{ identity_phone_key('contact', 'country') }} as id_key, contact, place
    from (
        select events.row_id, events.phone as contact, 1 as place, events.country from events
        union all
        select events.row_id, events.pixel_phone, 2, events.country from events
        union all
        select events.row_id, customers.phone, 3, customers.country from events inner join customers on customers.customer_id = events.user_id
    ) as phones
    where contact is not null
),

every_contact as (
    select row_id, id_type, contact, place, place < 3 as told from said

    union all

    select contacts.row_id, contacts.id_type, contacts.contact, 10 + contacts.place as place, false as told
    from contacts
    where contacts.place <= {{ var('most_contacts') }}
        and not exists (
            select 1
            from said
            where said.row_id = contacts.row_id
                and said.id_type = contacts.id_type
                and said.id_key = contacts.id_key
        )
),

distinct_contacts as (
    select row_id, id_type, contact, min(place) as place, bool_or(told) as told
    from every_contact
    group by row_id, id_type, contact
),

contact_lists as (
    select
        row_id,
        id_type,
        {{ json_array_agg('contact', order_by='place, contact') }} as contacts,
        bool_or(told) as told,
        not bool_and(told) as found
    from distinct_contacts
    group by row_id, id_type
),

people as (
    select
        events.row_id,
        emails.contacts as emails,
        coalesce(emails.told, false) as emails_told,
        coalesce(emails.found, false) as emails_found,
        phones.contacts as phones,
        coalesce(phones.told, false) as phones_told,
        coalesce(phones.found, false) as phones_found,
        coalesce(events.first_name, customers.first_name) as first_name,
        coalesce(events.last_name, customers.last_name) as last_name,
        customers.gender,
        customers.date_of_birth,
        {% for column in ['street_address', 'city', 'region', 'postal_code'] -%}
        case
            when coalesce(events.street_address, events.city, events.region, events.postal_code) is null
                and coalesce(events.country, customers.country, '') = coalesce(customers.country, '')
            then customers.{{ column }}
            else events.{{ column }}
        end as {{ column }},
        {% endfor -%}
        coalesce(events.country, customers.country) as country
    from events
    left join customers on customers.customer_id = events.user_id
    left join contact_lists as emails on emails.row_id = events.row_id and emails.id_type = 'email'
    left join contact_lists as phones on phones.row_id = events.row_id and phones.id_type = 'phone'
),

subjects as (
    select row_id, 'anonymous_id' as subject_type, anonymous_id as subject from events where anonymous_id is not null
    union all
    select row_id, 'customer_id' as subject_type, user_id as subject from events where user_id is not null
    union
    select row_id, 'email' as subject_type, {{ email_key('contact') }} as subject from distinct_contacts where id_type = 'email' and {{ email_key('contact') }} is not null
    union
    select row_id, 'phone' as subject_type, {{ phone_key('contact') }} as subject from distinct_contacts where id_type = 'phone'
),

orders as (
    select subjects.row_id, orders.ordered_at
    from subjects
    inner join {{ ref('int_orders_of_people') }} as orders on orders.customer_id = subjects.subject
    where subjects.subject_type = 'customer_id'

    union all

    select subjects.row_id, orders.ordered_at
    from subjects
    inner join {{ ref('int_orders_of_people') }} as orders on orders.email_key = subjects.subject
    where subjects.subject_type = 'email'
),

first_orders as (
    select row_id, min(ordered_at) as ordered_at
    from orders
    group by row_id
),

customer_types as (
    select
        events.row_id,
        case
            when first_orders.ordered_at < coalesce(events.original_event_time, events.event_time) then 'returning'
            else 'new'
        end as customer_type
    from events
    left join first_orders on first_orders.row_id = events.row_id
    where events.row_id in (select row_id from subjects where subject_type in ('customer_id', 'email'))
),

-- The newest choice of the person, whether it was made on this device, as this customer or under this e-mail address. A choice that
-- leaves a question open keeps the earlier answer to it. Anyone can type an address: a choice made under one can take away what the
-- device or the customer granted, and grants only what neither of them has answered. The jurisdiction and the raw strings are those of
-- the newest choice of the device or the customer, or else of the address.
choices as (
    select
        subjects.row_id,
        consents.*,
        consents.subject_type <> 'email' as own,
        -- Global Privacy Control opts out; a browser without the signal takes no earlier opt-out back
        case when consents.gpc then true else consents.opt_out_of_sale end as opt_out,
        row_number() over (
            partition by subjects.row_id
            order by
                consents.given_at desc, consents.landed_at desc, consents.ad_user_data, consents.ad_storage,
                consents.ad_personalization, consents.opt_out_of_sale desc, consents.subject_type, consents.country, consents.region,
                consents.tcf_string, consents.gpp_string
        ) as recency
    from subjects
    inner join {{ ref('stg_consents') }} as consents
        on consents.subject_type = subjects.subject_type
        and consents.subject = subjects.subject
),

consents as (
    select
        choices.row_id,
        {{ answer('ad_storage', refusal="'denied'") }} as ad_storage,
        {{ answer('ad_user_data', refusal="'denied'") }} as ad_user_data,
        {{ answer('ad_personalization', refusal="'denied'") }} as ad_personalization,
        {{ answer('opt_out', refusal='true') }} as opt_out_of_sale,
        max(case when recency = governing then country end) as privacy_country,
        max(case when recency = governing then region end) as privacy_region,
        max(case when recency = governing then tcf_string end) as tcf_string,
        max(case when recency = governing then gpp_string end) as gpp_string,
        max(case when recency = governing then gpp_sid end) as gpp_sid
    from choices
    inner join (
        select row_id, coalesce(min(case when own then recency end), 1) as governing
        from choices
        group by row_id
    ) as leaders on leaders.row_id = choices.row_id
    group by choices.row_id
),

-- People who asked to be erased: the conversion stays countable, nothing in it leads to them.
erased as (
    select distinct subjects.row_id
    from subjects
    inner join {{ ref('int_erased_people') }} as erased
        on erased.subject_type = subjects.subject_type
        and erased.subject = subjects.subject
)

select
    events.event_id,
    events.event_name,
    cast(null as text) as custom_event_name,
    events.event_time,
    events.recorded_at,
    events.action_source,
    {{ unless_erased('events.source_url') }} as source_url,
    {{ unless_erased('events.referrer_url') }} as referrer_url,
    events.transaction_id,
    cast(case when events.currency is not null then events.value end as numeric(18, 4)) as value,
    case when events.value is not null then events.currency end as currency,
    events.tax,
    events.shipping,
    events.coupon,
    coalesce(ordered.contents, {{ json_contents('events.items') }}) as contents,
    events.search_term,
    customer_types.customer_type,
    events.original_event_id,
    events.original_event_time,
    cast(case when events.currency is not null then events.remaining_value end as numeric(18, 4)) as remaining_value,
    case
        when events.event_name = 'refund' then {{ json_object({'original_event_name': "'purchase'"}) }}
        when events.source is not null
            then {{ json_with(json_impersonal('events.properties', keys_outside_properties()), 'lead_source', 'events.source') }}
        else {{ json_impersonal('events.properties', keys_outside_properties()) }}
    end as properties,
    {{ unless_erased('events.user_id') }} as user_id,
    {{ unless_erased('events.anonymous_id') }} as anonymous_id,
    {{ unless_erased('people.emails') }} as emails,
    {{ unless_erased('people.phones') }} as phones,
    {{ unless_erased('people.first_name') }} as first_name,
    {{ unless_erased('people.last_name') }} as last_name,
    {{ unless_erased('people.gender') }} as gender,
    {{ unless_erased('people.date_of_birth') }} as date_of_birth,
    {{ unless_erased('people.street_address') }} as street_address,
    {{ unless_erased('people.city') }} as city,
    {{ unless_erased('people.region') }} as region,
    {{ unless_erased('people.postal_code') }} as postal_code,
    people.country,
    {{ unless_erased('events.ip_address') }} as ip_address,
    {{ unless_erased('events.user_agent') }} as user_agent,
    {{ unless_erased('click_ids.click_ids') }} as click_ids,
    {{ unless_erased('browser_ids.browser_ids') }} as browser_ids,
    {{ unless_erased(json_pick('events.device', device_keys())) }} as device,
    {{ unless_erased('consents.ad_storage', otherwise="'denied'") }} as consent_ad_storage,
    {{ unless_erased('consents.ad_user_data', otherwise="'denied'") }} as consent_ad_user_data,
    {{ unless_erased('consents.ad_personalization', otherwise="'denied'") }} as consent_ad_personalization,
    consents.opt_out_of_sale,
    consents.privacy_country,
    consents.privacy_region,
    {{ unless_erased('consents.tcf_string') }} as tcf_string,
    {{ unless_erased('consents.gpp_string') }} as gpp_string,
    {{ unless_erased('consents.gpp_sid') }} as gpp_sid,
    -- beyond the contract, for whoever looks into the warehouse
    events.lead_id,
    {{ unless_erased('events.person_id') }} as person_id,
    (
        select jsonb_agg(field order by field)
        from (
            values
                ('user_id', events.user_id is distinct from events.told_user_id),
                ('emails', people.emails_found and not people.emails_told),
                ('more_emails', people.emails_found and people.emails_told),
                ('phones', people.phones_found and not people.phones_told),
                ('more_phones', people.phones_found and people.phones_told),
                ('ip_address', events.network_found)
            union all
            select 'click_ids.' || parameter, true from unnest(click_ids.found) as clicks (parameter)
        ) as fields (field, found)
        where found
    ) as enriched
from events
inner join people on people.row_id = events.row_id
left join ordered on ordered.row_id = events.row_id
left join click_ids on click_ids.row_id = events.row_id
left join browser_ids on browser_ids.row_id = events.row_id
left join customer_types on customer_types.row_id = events.row_id
left join consents on consents.row_id = events.row_id
left join erased on erased.row_id = events.row_id
