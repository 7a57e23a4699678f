with

{{ known_periods('int_published_tracks', 'tracks') }}

select
    id as track_id,
    artist,
    {{ genre_list('genres') }} as genres,
    created_at,
    valid_from,
    valid_to,
    removed_at
from periods
