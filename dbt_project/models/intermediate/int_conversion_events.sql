-- Every conversion that the sources tell of, in one shape: what happened, and the keys that lead to the person.
{{ as_conversion_events(ref('int_purchases'), lacking=[
    'lead_id', 'items', 'search_term', 'original_event_id', 'original_event_time', 'remaining_value', 'properties', 'source', 'device',
]) }}

union all

{{ as_conversion_events(ref('int_refunds'), lacking=[
    'lead_id', 'source_url', 'referrer_url', 'tax', 'shipping', 'coupon', 'search_term', 'properties', 'source',
    'ip_address', 'user_agent', 'device',
]) }}

union all

{{ as_conversion_events(ref('int_lead_stages'), lacking=[
    'source_url', 'referrer_url', 'transaction_id', 'tax', 'shipping', 'coupon', 'items', 'search_term',
    'original_event_id', 'original_event_time', 'remaining_value', 'properties',
    'street_address', 'city', 'region', 'postal_code', 'ip_address', 'user_agent', 'device',
]) }}

union all

{{ as_conversion_events(ref('int_web_conversions'), lacking=[
    'transaction_id', 'lead_id', 'tax', 'shipping', 'coupon',
    'original_event_id', 'original_event_time', 'remaining_value', 'source',
    'first_name', 'last_name', 'street_address', 'city', 'region', 'postal_code', 'country',
    'pixel_name', 'pixel_key', 'pixel_until',
]) }}
