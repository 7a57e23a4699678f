-- A mart row shows a version from the load in _load_id. No quarantined version may be the one that is shown.
select
    quarantined_rows.table_name,
    quarantined_rows.key,
    quarantined_rows.rule
from {{ source('gate', 'quarantined_rows') }} as quarantined_rows
left join {{ ref('users') }} as users
    on
        quarantined_rows.table_name = 'users'
        and quarantined_rows.load_id = users._load_id
        and quarantined_rows.key = '[' || users.id || ']'
left join {{ ref('tracks') }} as tracks
    on
        quarantined_rows.table_name = 'tracks'
        and quarantined_rows.load_id = tracks._load_id
        and quarantined_rows.key = '[' || tracks.id || ']'
where
    quarantined_rows.outcome is distinct from 'freed'
    and (users.id is not null or tracks.id is not null)
