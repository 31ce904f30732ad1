{{ config(materialized='view') }}

-- The consent decision of each conversion for each class of platforms, by the pipeline's own table of rules, as far as columns tell.
-- Strings are read by the pipeline alone: where a row has one, the decision here is not final.
with judged as (
    select
        event_name,
        event_id,
        recorded_at,
        coalesce(privacy_country, country) as jurisdiction,
        case
            when consent_ad_storage = 'denied' or consent_ad_user_data = 'denied' then 'denied'
            when consent_ad_storage = 'granted' and consent_ad_user_data = 'granted' then 'granted'
            else 'unknown'
        end as state,
        coalesce(coalesce(privacy_country, country) in ({{ opt_in_countries() }}), {{ opt_in_if_unknown() }}) as opt_in,
        coalesce(opt_out_of_sale, false) as opted_out,
        consent_ad_personalization,
        coalesce(tcf_string, '') = '' and coalesce(gpp_string, '') = '' as is_final
    from {{ ref('conversions') }}
),

rules as (
    {{ consent_rules() }}
),

classes as (
    {{ consent_classes() }}
),

held as (
    select
        judged.event_name,
        judged.event_id,
        classes.platform_class,
        rules.reason,
        row_number() over (
            partition by judged.event_name, judged.event_id, classes.platform_class
            order by rules.place
        ) as place
    from judged
    cross join classes
    inner join rules
        on rules.state = judged.state
        and coalesce(rules.opt_in, judged.opt_in) = judged.opt_in
        and coalesce(rules.opted_out, judged.opted_out) = judged.opted_out
        and coalesce(rules.limits, classes.limits) = classes.limits
)

select
    judged.event_name,
    judged.event_id,
    judged.recorded_at,
    classes.platform_class,
    judged.jurisdiction,
    judged.opt_in,
    judged.state,
    judged.opted_out,
    case when held.reason is null then 'allowed' else 'refused' end as measurement,
    held.reason,
    judged.opted_out and held.reason is null as limited,
    case
        when held.reason is not null or judged.opted_out then 'refused'
        else case judged.consent_ad_personalization when 'granted' then 'allowed' when 'denied' then 'refused' else 'not_asked' end
    end as personalisation,
    judged.is_final
from judged
cross join classes
left join held
    on held.event_name = judged.event_name
    and held.event_id = judged.event_id
    and held.platform_class = classes.platform_class
    and held.place = 1
