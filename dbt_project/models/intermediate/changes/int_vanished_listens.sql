select
    present.user_id,
    present.listened_at,
    present.id
from {{ ref('int_present_listens') }} as present
where not exists (
    select 1
    from {{ ref('int_listens') }} as listens
    where
        listens.user_id = present.user_id
        and listens.listened_at = present.listened_at
        and listens.id = present.id
        and not listens.is_user_unknown
        and not listens.is_track_unknown
)
