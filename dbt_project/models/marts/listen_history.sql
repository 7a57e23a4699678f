{{
    config(
        unique_key=['user_id', 'listened_at', 'id'],
        scope={
            'model': 'int_vanished_listens',
            'match': {'user_id': 'user_id', 'listened_at': 'listened_at', 'id': 'id'},
        },
        partition_by='listened_at',
        distribution={'by': 'user_id', 'with': 'marts.users'},
        indexes=[{'columns': ['track_id']}, {'columns': ['listened_at'], 'type': 'brin'}],
    )
}}

-- depends_on: {{ ref('int_vanished_listens') }}

select
    listens.id,
    listens.user_id,
    listens.track_id,
    listens.listened_at,
    listens.created_at,
    listens.known_at,
    listens._load_id
from {{ ref('int_listens') }} as listens
where
    -- the other listens are in parked_listens
    not listens.is_user_unknown
    and not listens.is_track_unknown
    and not exists (
        select 1
        from {{ ref('int_present_listens') }} as present
        where
            present.user_id = listens.user_id
            and present.listened_at = listens.listened_at
            and present.id = listens.id
            and present.track_id = listens.track_id
            and present.created_at = listens.created_at
            and present.known_at = listens.known_at
            and present._load_id = listens._load_id
    )
-- in primary-key order: each index page is visited once, and a user's listens are stored together
order by listens.user_id, listens.listened_at
