{{
    config(
        unique_key=['user_id', 'listened_at', 'id'],
        scope={
            'model': 'int_vanished_listens',
            'match': {'user_id': 'user_id', 'listened_at': 'listened_at', 'id': 'id'},
        },
        partition_by='listened_at',
        distribution={'by': 'user_id', 'with': 'marts.users'},
        indexes=[{'columns': ['track_id']}],
    )
}}

-- depends_on: {{ ref('int_vanished_listens') }}

select
    id,
    user_id,
    track_id,
    listened_at,
    created_at,
    _load_id
from {{ ref('int_listens') }}
-- the others wait in parked_listens
where not is_user_unknown and not is_track_unknown
except
select
    id,
    user_id,
    track_id,
    listened_at,
    created_at,
    _load_id
from {{ ref('int_present_listens') }}
