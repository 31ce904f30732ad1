-- The ids of people who asked to be erased: those of the request, and those of the customer whom it names.
with ids as (
    select customer_id, email, phone
    from {{ ref('stg_erasures') }}

    union all

    select customers.customer_id, customers.email, customers.phone
    from {{ ref('stg_erasures') }} as erasures
    inner join {{ ref('stg_customers') }} as customers on customers.customer_id = erasures.customer_id
)

select 'customer_id' as subject_type, customer_id as subject from ids where customer_id is not null
union
select 'email' as subject_type, {{ email_key('email') }} as subject from ids where {{ email_key('email') }} is not null
union
select 'phone' as subject_type, {{ phone_key('phone') }} as subject from ids where {{ phone_key('phone') }} is not null
