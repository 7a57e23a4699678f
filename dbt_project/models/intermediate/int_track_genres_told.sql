with

tracks as (

    {{ validity_periods('int_published_tracks', 'tracks', 'genres') }}

)

{{ split_genres('tracks', 'track_id', ['told_from', 'told_until']) }}
