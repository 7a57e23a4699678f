{# The columns of popularity, from listens of the last 90 days with their `age_days`. All are 0 where nobody listened. #}
{% macro popularity_columns() -%}
count(user_id) filter (where age_days < 7) as listens_7d,
        count(user_id) filter (where age_days < 30) as listens_30d,
        count(user_id) as listens_90d,
        count(distinct user_id) as listeners_90d,
        coalesce(sum({{ decay('1::float8', 'age_days') }}) filter (where user_id is not null), 0) as popularity,
        ln(
            (1 + count(user_id) filter (where age_days < 7))::float8
            / (1 + count(user_id) filter (where age_days >= 7 and age_days < 14))
        ) / ln(2::float8) as trend
{%- endmacro %}

{% macro track_profile(at=none) -%}
with

tracks as (

    {{ known_tracks(at) }}

),

listens as (

    {{ known_listens(at, last_days=90) }}

),

aged_listens as (

    select
        user_id,
        track_id,
        {{ days_between('listened_at', moment(at)) }} as age_days
    from listens

),

per_track as (

    select
        tracks.track_id,
        {{ popularity_columns() }}
    from tracks
    left join aged_listens on tracks.track_id = aged_listens.track_id
    group by 1

)

select
    tracks.track_id,
    tracks.artist,
    tracks.genres,
    greatest({{ days_between('tracks.created_at', moment(at)) }}, 0) as age_days,
    per_track.listens_7d,
    per_track.listens_30d,
    per_track.listens_90d,
    per_track.listeners_90d,
    per_track.popularity,
    per_track.trend
from tracks
inner join per_track on tracks.track_id = per_track.track_id
{%- endmacro %}

{% macro genre_popularity(at=none) -%}
with

track_genres as (

    {{ known_track_genres(at) }}

),

listens as (

    {{ known_listens(at, last_days=90) }}

),

aged_listens as (

    select
        user_id,
        track_id,
        {{ days_between('listened_at', moment(at)) }} as age_days
    from listens

),

per_genre as (

    select
        track_genres.genre,
        count(distinct track_genres.track_id) as tracks,
        {{ popularity_columns() }}
    from track_genres
    left join aged_listens on track_genres.track_id = aged_listens.track_id
    group by 1

)

select * from per_genre
{%- endmacro %}
