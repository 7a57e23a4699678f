with

tracks as (

    {{ validity_periods('int_published_tracks', 'tracks', 'genres') }}

)

{{ split_genres('tracks', 'track_id', ['valid_from', 'valid_to']) }}
