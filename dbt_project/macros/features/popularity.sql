{# The columns of popularity, from `known_listens` of the last 90 days. #}
{% macro popularity_columns(at) -%}
count(*) filter (where {{ is_in_last(7, at) }}) as listens_7d,
        count(*) filter (where {{ is_in_last(30, at) }}) as listens_30d,
        count(*) as listens_90d,
        count(distinct user_id) as listeners_90d,
        sum({{ decay('1::float8', 'age_days') }}) as popularity,
        ln(
            (1 + count(*) filter (where {{ is_in_last(7, at) }}))::float8
            / (1 + count(*) filter (where {{ is_in_last(14, at) }} and not {{ is_in_last(7, at) }}))
        ) / ln(2::float8) as trend
{%- endmacro %}

{# The same columns where nobody listened: all are 0. #}
{% macro popularity_or_zero(relation) -%}
coalesce({{ relation }}.listens_7d, 0) as listens_7d,
    coalesce({{ relation }}.listens_30d, 0) as listens_30d,
    coalesce({{ relation }}.listens_90d, 0) as listens_90d,
    coalesce({{ relation }}.listeners_90d, 0) as listeners_90d,
    coalesce({{ relation }}.popularity, 0) as popularity,
    coalesce({{ relation }}.trend, 0) as trend
{%- endmacro %}

{% macro track_profile(at=none) -%}
with

tracks as (

    {{ known_tracks(at) }}

),

listens as (

    {{ known_listens(at, last_days=90) }}

),

per_track as (

    select
        track_id,
        {{ popularity_columns(at) }}
    from listens
    group by 1

)

select
    tracks.track_id,
    tracks.artist,
    tracks.genres,
    greatest({{ days_between('tracks.created_at', moment(at)) }}, 0) as age_days,
    {{ popularity_or_zero('per_track') }}
from tracks
left join per_track on tracks.track_id = per_track.track_id
{%- endmacro %}

{% macro genre_popularity(at=none) -%}
with

track_genres as (

    {{ known_track_genres(at) }}

),

listens as (

    {{ known_listens(at, last_days=90) }}

),

per_genre as (

    select
        track_genres.genre,
        {{ popularity_columns(at) }}
    from listens
    inner join track_genres on listens.track_id = track_genres.track_id
    group by 1

),

genres as (

    select
        genre,
        count(*) as tracks
    from track_genres
    group by 1

)

select
    genres.genre,
    genres.tracks,
    {{ popularity_or_zero('per_genre') }}
from genres
left join per_genre on genres.genre = per_genre.genre
{%- endmacro %}
