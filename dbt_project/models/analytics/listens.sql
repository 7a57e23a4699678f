select
    listens.id,
    listens.user_id,
    listens.track_id,
    listens.listened_at,
    date_trunc('day', listens.listened_at, 'UTC')::date as day,
    first_listens.listen_id is not null as is_first_listen
from {{ ref('listen_history') }} as listens
left join {{ ref('first_listens') }} as first_listens
    on
        listens.user_id = first_listens.user_id
        and listens.track_id = first_listens.track_id
        and listens.id = first_listens.listen_id
