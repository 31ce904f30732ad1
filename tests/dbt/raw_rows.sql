-- A small shop over one morning: 240 orders from 08:00 UTC on, one a minute, each with its pages, cookies, clicks and consent.
create temporary table n on commit drop as
select i, timestamptz '2026-03-01 08:00+00' + i * interval '1 minute' as at
from generate_series(0, 239) as i;

insert into raw.customers
select 'c' || i, 'Person' || i || '@Example.com ', '+1415555' || lpad(i::text, 4, '0'), 'First', 'Last' || i, 'F', '1980-01-02',
    '1 Main St', 'Town', 'CA', '94105', 'usa', at, at, at
from n where i < 60;

insert into raw.orders
select 'o' || i, case when i % 3 > 0 then 'c' || i % 60 end, 'a' || i % 100,
    (array['web', 'web', 'app', 'store'])[i % 4 + 1], 'paid', 'person' || i % 60 || '@example.com', null, null, null, null, null, null,
    null, 'uk', 100, 8, 5, 'usd', null, 'https://shop.example/thanks', null, '203.0.113.7', 'Mozilla/5.0', at, at + interval '20 seconds'
from n;

insert into raw.order_items
select 'o' || i, line, 'SKU-' || line, 'Shoe', 'Shoes', 'Acme', null, 1, 50, at
from n cross join generate_series(1, 2) as line;

insert into raw.web_events
select 'w' || i || '-' || step, (array['page_view', 'add_to_cart', 'purchase'])[step], 'a' || i % 100, null, 's' || i,
    'https://shop.example/' || case step when 1 then '?gclid=Cj0' || i || '_aB' else 'p' end, null, '203.0.113.7', 'Mozilla/5.0',
    json_build_object('_fbp', 'fb.1.' || i, '_ga', 'GA1.1.1.' || i),
    case step
        when 2 then json_build_object('value', 50, 'currency', 'USD')
        when 3 then json_build_object('order_id', 'o' || i)
    end,
    '{"os": "iOS"}', '["meta"]', at + (step - 3) * interval '1 minute', at + (step - 3) * interval '1 minute' + interval '10 seconds'
from n cross join generate_series(1, 3) as step
where i % 4 < 2;

insert into raw.refunds
select 'r' || i, 'o' || i, 30, 'USD', null, null, at + interval '30 minutes', at + interval '31 minutes'
from n where i % 20 = 0;

insert into raw.leads
select 'l' || i, stage, null, 'a' || i % 100, 'lead' || i || '@example.com', null, 'Ada', 'L', null, 'DE', 10, 'EUR', 'webinar',
    '{"msclkid": "M1"}', at, at
from n cross join (values ('new'), ('qualified')) as stages (stage)
where i % 10 = 0;

insert into raw.consents
select 'anonymous_id', 'a' || i, 'granted', 'granted', 'granted', 'granted', false, false, null, null, null, 'GB', null, at, at
from n where i < 50;
