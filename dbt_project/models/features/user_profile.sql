with

users as (

    select * from {{ ref('users') }}
    where
        deleted_at is null
        {% if var('as_of') %}
            or deleted_at > {{ as_of() }}
        {% endif %}

),

users_by_then as (

    select * from users
    {% if var('as_of') %}
        where created_at <= {{ as_of() }}
    {% endif %}

),

listens as (

    select * from {{ ref('listen_history') }}
    where listened_at <= {{ as_of() }}

),

affinities as (

    select * from {{ ref('user_genre_affinity') }}

),

listening as (

    select
        user_id,
        count(*) as listens,
        count(distinct track_id) as distinct_tracks,
        count(distinct date_trunc('day', listened_at, 'UTC')) as active_days,
        max(listened_at) as last_listened_at
    from listens
    group by 1

),

favorite_genres as (

    select distinct
        users.id as user_id,
        lower(trim(genres.genre)) as genre
    from users_by_then as users
    cross join lateral string_to_table(users.favorite_genres, ',') as genres (genre)

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
        coalesce(listening.listens, 0) as listens,
        coalesce(listening.distinct_tracks, 0) as distinct_tracks,
        coalesce(listening.active_days, 0) as active_days,
        taste.top_genre,
        taste.genre_entropy,
        taste.favorite_genre_share,
        listening.last_listened_at
    from users_by_then as users
    left join listening on users.id = listening.user_id
    left join taste on users.id = taste.user_id

)

select * from profiles
