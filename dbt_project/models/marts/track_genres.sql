{{
    config(
        unique_key=['track_id', 'genre'],
        scope={'model': 'int_touched_tracks', 'match': {'track_id': 'id'}},
    )
}}

with

tracks as (

    select tracks.*
    from {{ ref('tracks') }} as tracks
    inner join {{ ref('int_touched_tracks') }} as touched on tracks.id = touched.id

),

track_genres as (

    select distinct
        tracks.id as track_id,
        lower(trim(genres.genre)) as genre
    from tracks
    cross join lateral string_to_table(tracks.genres, ',') as genres (genre)
    where
        trim(genres.genre) <> ''
        -- an index entry holds 2,700 bytes: one absurd name would fail the whole table, night after night
        and octet_length(genres.genre) <= 1000

)

select * from track_genres
