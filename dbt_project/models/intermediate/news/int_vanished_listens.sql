select
    user_id,
    listened_at,
    id
from {{ ref('int_present_listens') }}
except
select
    user_id,
    listened_at,
    id
from {{ ref('int_listens') }}
where not is_user_unknown and not is_track_unknown
