{{
    config(
        unique_key=['id'],
        distribution='reference',
        scope={
            'model': 'int_touched_documents',
            'match': {'user_id': 'user_id', 'created_at': 'created_at'},
        },
        indexes=[{'columns': ['user_id', 'created_at']}, {'columns': ['track_id']}],
    )
}}

-- depends_on: {{ ref('int_touched_documents') }}
-- A listen leaves for listen_history; it must not be in neither.
-- depends_on: {{ ref('listen_history') }}

select
    id,
    user_id,
    track_id,
    is_user_unknown,
    is_track_unknown,
    listened_at,
    created_at,
    _load_id
from {{ ref('int_listens') }}
where is_user_unknown or is_track_unknown
