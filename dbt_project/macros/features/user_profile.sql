{# `affinities`: the relation that has user_genre_affinity as known at the same moment. #}
{% macro user_profile(at=none, affinities=none) -%}
with

users as not materialized (

    {{ known_users(at) }}

),

totals as (

    {{ known_totals(at, 'user_totals') }}

),

listens as (

    {{ known_listens(at, since_totals='user_totals') }}

),

genre_affinities as (

    select * from {{ affinities or ref('user_genre_affinity') }}

),

recent as (

    select
        user_id,
        count(*) as listens,
        count(*) filter (where age_days < 7) as listens_7d,
        count(*) filter (where age_days < 30) as listens_30d,
        count(*) filter (where age_days < 90) as listens_90d,
        array_agg(distinct track_id) as track_ids,
        count(distinct date_trunc('day', listened_at, 'UTC')) as active_days,
        max(listened_at) as last_listened_at
    from listens
    group by 1

),

favorite_genres as (

    select
        users.user_id,
        names.genre
    from users
    cross join lateral unnest(users.favorite_genres) as names (genre)

),

taste as (

    select
        genre_affinities.user_id,
        max(genre_affinities.genre) filter (where genre_affinities.genre_rank = 1) as top_genre,
        sum(genre_affinities.share * ln(1 / genre_affinities.share) / ln(2::float8)) as genre_entropy,
        coalesce(sum(genre_affinities.share) filter (where favorite_genres.genre is not null), 0) as favorite_genre_share
    from genre_affinities
    left join favorite_genres
        on genre_affinities.user_id = favorite_genres.user_id and genre_affinities.genre = favorite_genres.genre
    group by 1

),

counts as (

    select
        users.user_id,
        users.favorite_genres,
        coalesce(totals.listens, 0) + coalesce(recent.listens, 0) as listens,
        coalesce(recent.listens_7d, 0) as listens_7d,
        coalesce(recent.listens_30d, 0) as listens_30d,
        coalesce(recent.listens_90d, 0) as listens_90d,
        coalesce(cardinality(totals.track_ids), 0) + (
            select count(*)
            from (
                select unnest(recent.track_ids)
                except
                select unnest(totals.track_ids)
            ) as new_tracks
        ) as distinct_tracks,
        -- totals cover whole days
        coalesce(cardinality(totals.days), 0) + coalesce(recent.active_days, 0) as active_days,
        taste.top_genre,
        taste.genre_entropy,
        taste.favorite_genre_share,
        greatest(totals.last_listened_at, recent.last_listened_at) as last_listened_at
    from users
    left join totals on users.user_id = totals.user_id
    left join recent on users.user_id = recent.user_id
    left join taste on users.user_id = taste.user_id

)

select
    user_id,
    listens,
    distinct_tracks,
    active_days,
    top_genre,
    genre_entropy,
    favorite_genre_share,
    last_listened_at,
    favorite_genres,
    listens_7d,
    listens_30d,
    listens_90d,
    1 - distinct_tracks::float8 / nullif(listens, 0) as repeat_share,
    {{ days_between('last_listened_at', moment(at)) }} as days_since_listen
from counts
{%- endmacro %}
