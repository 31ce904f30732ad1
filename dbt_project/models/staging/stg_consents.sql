-- Every landing: a choice that is loaded again says the same, and of two answers of one moment neither may be lost.
select
    subject_type,
    {{ consent_subject() }} as subject,
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
    -- nobody chooses after the choice landed: a clock that is ahead makes no choice the newest for days
    least(given_at, _loaded_at) as given_at,
    _loaded_at as landed_at
from {{ source('raw', 'consents') }}
where subject_id <> ''
    and given_at is not null
