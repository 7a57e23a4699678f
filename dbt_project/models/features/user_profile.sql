-- depends_on: {{ ref('int_favorite_genre_history') }}

with

users as (

    select * from {{ ref('users') }}
    where
        deleted_at is null
        {{ 'or deleted_at > ' ~ as_of() if var('as_of') }}

),

users_as_of as (

    select * from users
    {% if var('as_of') %}
        where created_at <= {{ as_of() }}
    {% endif %}

),

totals as (

    {{ totals_of('user_totals') }}

),

recent_listens as (

    {{ listens_since_totals('user_totals') }}

),

affinities as (

    select * from {{ ref('user_genre_affinity') }}

),

recent_listening as (

    select
        user_id,
        count(*) as listens,
        array_agg(distinct track_id) as track_ids,
        count(distinct date_trunc('day', listened_at, 'UTC')) as active_days,
        max(listened_at) as last_listened_at
    from recent_listens
    group by 1

),

declared_genres as (

    {% if var('as_of') -%}
        select
            id,
            favorite_genres as genres
        from {{ ref('int_favorite_genre_history') }}
        where {{ was_valid_then() }}
    {%- else -%}
        select
            id,
            favorite_genres as genres
        from {{ ref('users') }}
    {%- endif %}

),

favorite_genres as (

    {{ split_genres('declared_genres', 'user_id') }}

),

taste as (

    select
        affinities.user_id,
        max(affinities.genre) filter (where affinities.genre_rank = 1) as top_genre,
        sum(affinities.share * ln(1 / affinities.share) / ln(2::float8)) as genre_entropy,
        coalesce(sum(affinities.share) filter (where favorite_genres.genre is not null), 0) as favorite_genre_share
    from affinities
    left join favorite_genres
        on affinities.user_id = favorite_genres.user_id and affinities.genre = favorite_genres.genre
    group by 1

),

profiles as (

    select
        users.id as user_id,
        coalesce(totals.listens, 0) + coalesce(recent.listens, 0) as listens,
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
    from users_as_of as users
    left join totals on users.id = totals.user_id
    left join recent_listening as recent on users.id = recent.user_id
    left join taste on users.id = taste.user_id

)

select * from profiles
