with

{{ known_periods('int_published_users', 'users') }}

select
    id as user_id,
    {{ genre_list('favorite_genres') }} as favorite_genres,
    created_at,
    valid_from,
    valid_to,
    removed_at
from periods
