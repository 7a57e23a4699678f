-- A mart row shows a version from the load in _load_id. No quarantined version may be the one that is shown.
with

quarantined_rows as (

    select
        table_name,
        load_id,
        key,
        rule
    from {{ source('gate', 'quarantined_rows') }}
    where outcome is distinct from 'freed'

)

select
    quarantined_rows.table_name,
    quarantined_rows.key,
    quarantined_rows.rule
from quarantined_rows
inner join {{ ref('users') }} as users
    on
        quarantined_rows.load_id = users._load_id
        and quarantined_rows.key = '[' || users.id || ']'
where quarantined_rows.table_name = 'users'
union all
select
    quarantined_rows.table_name,
    quarantined_rows.key,
    quarantined_rows.rule
from quarantined_rows
inner join {{ ref('tracks') }} as tracks
    on
        quarantined_rows.load_id = tracks._load_id
        and quarantined_rows.key = '[' || tracks.id || ']'
where quarantined_rows.table_name = 'tracks'
