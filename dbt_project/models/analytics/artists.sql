with

spelled_tracks as (

    select
        id as track_id,
        prep.normalized_text(artist) as artist,
        artist as spelling,
        deleted_at
    from {{ ref('tracks') }}

),

artist_tracks as (

    select * from spelled_tracks
    where artist <> ''

),

artists as (

    select
        artist,
        mode() within group (order by spelling collate "C") as name,
        count(*) filter (where deleted_at is null) as tracks
    from artist_tracks
    group by 1

),

listens as (

    {{ known_listens(none) }}

),

recent_listens as (

    {{ known_listens(none, last_days=30) }}

),

-- Postgres reads each of these two only if the query asks for one of its columns
listens_per_artist as (

    select
        artist_tracks.artist,
        count(*) as listens,
        count(distinct listens.user_id) as listeners
    from listens
    inner join artist_tracks on listens.track_id = artist_tracks.track_id
    group by 1

),

recent_listens_per_artist as (

    select
        artist_tracks.artist,
        count(*) as listens,
        count(distinct recent_listens.user_id) as listeners
    from recent_listens
    inner join artist_tracks on recent_listens.track_id = artist_tracks.track_id
    group by 1

)

select
    artists.artist,
    artists.name,
    artists.tracks,
    coalesce(listens_per_artist.listens, 0) as listens,
    coalesce(listens_per_artist.listeners, 0) as listeners,
    coalesce(recent_listens_per_artist.listens, 0) as listens_30d,
    coalesce(recent_listens_per_artist.listeners, 0) as listeners_30d
from artists
left join listens_per_artist on artists.artist = listens_per_artist.artist
left join recent_listens_per_artist on artists.artist = recent_listens_per_artist.artist
