{{
    config(
        unique_key=['id'],
        distribution='reference',
        scope={'model': 'int_unparked_listens', 'match': {'id': 'id'}},
        indexes=[{'columns': ['user_id', 'created_at']}, {'columns': ['track_id']}],
    )
}}

-- depends_on: {{ ref('int_unparked_listens') }}
-- Build this model last. A listen leaves it only once listen_history has it; and if a build ends before the totals, the
-- parked listens are how the next build finds the users to recount.
-- depends_on: {{ ref('user_genre_totals') }}
-- depends_on: {{ ref('user_totals') }}
-- depends_on: {{ ref('first_listens') }}

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
