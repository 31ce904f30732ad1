-- The raw tables of a shop, empty.
create schema raw;
create table raw.customers (
    customer_id text, email text, phone text, first_name text, last_name text, gender text, birth_date date, street text, city text,
    region text, postal_code text, country text, created_at timestamptz, updated_at timestamptz, _loaded_at timestamptz not null
);
create table raw.orders (
    order_id text, customer_id text, anonymous_id text, channel text, status text, email text, phone text, first_name text,
    last_name text, street text, city text, region text, postal_code text, country text, total numeric(18, 4), tax numeric(18, 4),
    shipping numeric(18, 4), currency text, coupon text, page_url text, referrer_url text, ip_address text, user_agent text,
    created_at timestamptz, _loaded_at timestamptz not null
);
create table raw.order_items (
    order_id text, line int, product_id text, product_name text, category text, brand text, variant text, quantity int,
    unit_price numeric(18, 4), _loaded_at timestamptz not null
);
create table raw.refunds (
    refund_id text, order_id text, amount numeric(18, 4), currency text, reason text, items json, created_at timestamptz,
    _loaded_at timestamptz not null
);
create table raw.leads (
    lead_id text, stage text, customer_id text, anonymous_id text, email text, phone text, first_name text, last_name text,
    company text, country text, value numeric(18, 4), currency text, source text, click_ids json, changed_at timestamptz,
    _loaded_at timestamptz not null
);
create table raw.web_events (
    event_id text, event_name text, anonymous_id text, user_id text, session_id text, page_url text, referrer_url text,
    ip_address text, user_agent text, cookies json, properties json, device json, pixels json, occurred_at timestamptz,
    _loaded_at timestamptz not null
);
create table raw.consents (
    subject_type text, subject_id text, ad_storage text, ad_user_data text, ad_personalization text, analytics_storage text,
    gpc boolean, opt_out_of_sale boolean, tcf_string text, gpp_string text, gpp_sid text, country text, region text,
    given_at timestamptz, _loaded_at timestamptz not null
);
create table raw.erasures (
    request_id text, customer_id text, email text, phone text, requested_at timestamptz, _loaded_at timestamptz not null
);
