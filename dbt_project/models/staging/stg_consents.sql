with landings as (
    {{ first_landings(source('raw', 'consents'), ['subject_type', 'subject_id', 'given_at']) }}
)

select
    subject_type,
    -- addresses are compared in lower case, ids as they are
    case when subject_type = 'email' then {{ clean_word('subject_id') }} else subject_id end as subject,
    {{ clean_consent('ad_storage') }} as ad_storage,
    {{ clean_consent('ad_user_data') }} as ad_user_data,
    {{ clean_consent('ad_personalization') }} as ad_personalization,
    {{ clean_consent('analytics_storage') }} as analytics_storage,
    gpc,
    opt_out_of_sale,
    {{ clean_text('tcf_string') }} as tcf_string,
    {{ clean_text('gpp_string') }} as gpp_string,
    {{ clean_text('gpp_sid') }} as gpp_sid,
    {{ clean_country('country') }} as country,
    {{ clean_text('region') }} as region,
    given_at,
    _loaded_at as landed_at
from landings
where subject_id <> ''
    and given_at is not null
