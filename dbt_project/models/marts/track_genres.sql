{{
    config(
        unique_key=['track_id', 'genre'],
        distribution='reference',
        scope={'model': 'int_changed_tracks', 'match': {'track_id': 'id'}},
    )
}}

with

tracks as (

    select tracks.*
    from {{ ref('tracks') }} as tracks
    inner join {{ ref('int_changed_tracks') }} as changed on tracks.id = changed.id

),

track_genres as (

    {{ split_genres('tracks', 'track_id') }}

)

select * from track_genres
