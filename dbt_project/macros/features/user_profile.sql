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
        count(*) filter (where {{ is_in_last(7, at) }}) as listens_7d,
        count(*) filter (where {{ is_in_last(30, at) }}) as listens_30d,
        count(*) filter (where {{ is_in_last(90, at) }}) as listens_90d,
        array_agg(distinct track_id) as track_ids,
        count(distinct (listened_at at time zone 'UTC')::date) as active_days,
        max(listened_at) as last_listened_at
    from listens
    group by 1

),

-- all rows of a user in one union and no join: Citus pushes down no union beside a left join
parts as (

    select
        user_id,
        favorite_genres,
        null::bigint as listens,
        null::bigint as listens_7d,
        null::bigint as listens_30d,
        null::bigint as listens_90d,
        null::bigint[] as total_track_ids,
        null::bigint[] as recent_track_ids,
        null::bigint as active_days,
        null::timestamptz as last_listened_at,
        null::text as genre,
        null::bigint as genre_rank,
        null::float8 as share
    from users
    union all
    select
        user_id,
        null::text[] as favorite_genres,
        listens,
        null::bigint as listens_7d,
        null::bigint as listens_30d,
        null::bigint as listens_90d,
        track_ids as total_track_ids,
        null::bigint[] as recent_track_ids,
        cardinality(days)::bigint as active_days,
        last_listened_at,
        null::text as genre,
        null::bigint as genre_rank,
        null::float8 as share
    from totals
    union all
    select
        user_id,
        null::text[] as favorite_genres,
        listens,
        listens_7d,
        listens_30d,
        listens_90d,
        null::bigint[] as total_track_ids,
        track_ids as recent_track_ids,
        active_days,
        last_listened_at,
        null::text as genre,
        null::bigint as genre_rank,
        null::float8 as share
    from recent
    union all
    select
        user_id,
        null::text[] as favorite_genres,
        null::bigint as listens,
        null::bigint as listens_7d,
        null::bigint as listens_30d,
        null::bigint as listens_90d,
        null::bigint[] as total_track_ids,
        null::bigint[] as recent_track_ids,
        null::bigint as active_days,
        null::timestamptz as last_listened_at,
        genre,
        genre_rank,
        share
    from genre_affinities

),

per_user as (

    select
        user_id,
        max(favorite_genres) as favorite_genres,
        coalesce(sum(listens), 0)::bigint as listens,
        coalesce(sum(listens_7d), 0)::bigint as listens_7d,
        coalesce(sum(listens_30d), 0)::bigint as listens_30d,
        coalesce(sum(listens_90d), 0)::bigint as listens_90d,
        max(total_track_ids) as total_track_ids,
        max(recent_track_ids) as recent_track_ids,
        -- totals cover whole days
        coalesce(sum(active_days), 0)::bigint as active_days,
        max(last_listened_at) as last_listened_at,
        max(genre) filter (where genre_rank = 1) as top_genre,
        sum(share * ln(1 / share) / ln(2::float8)) as genre_entropy,
        array_agg(genre) filter (where share is not null) as genres,
        array_agg(share) filter (where share is not null) as shares
    from parts
    group by 1
    -- not of removed users
    having count(favorite_genres) > 0

),

counts as (

    -- `distinct`: otherwise the tracks are counted once more for `repeat_share`
    select distinct
        user_id,
        listens,
        active_days,
        top_genre,
        genre_entropy,
        last_listened_at,
        favorite_genres,
        listens_7d,
        listens_30d,
        listens_90d,
        -- each array has a track once
        coalesce(cardinality(total_track_ids), 0) + (
            select count(*)
            from (
                select unnest(recent_track_ids)
                except
                select unnest(total_track_ids)
            ) as added
        ) as distinct_tracks,
        (
            select sum(heard.share * (heard.genre = any(favorite_genres))::integer)
            from unnest(genres, shares) as heard (genre, share)
        ) as favorite_genre_share
    from per_user

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
