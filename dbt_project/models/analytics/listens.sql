select
    listens.id,
    listens.user_id,
    listens.track_id,
    listens.listened_at,
    date_trunc('day', listens.listened_at, 'UTC')::date as day,
    -- a value, so one primary-key lookup per listen: for each day, a join would read the first listens of all days
    coalesce(
        listens.id = (
            select first_listens.listen_id
            from {{ ref('first_listens') }} as first_listens
            where
                first_listens.user_id = listens.user_id
                and first_listens.track_id = listens.track_id
        ),
        false
    ) as is_first_listen
from {{ ref('listen_history') }} as listens
