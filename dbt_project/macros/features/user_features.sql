{#
    One row per user who was in the API, with all features of the user as known at the moment, as JSON. Snapshots store it. Affinities are
    rounded, because the order of addition changes the last bits of a sum. `of_one`: a single user will be selected.
#}
{% macro user_features(at, of_one=false) -%}
with

affinities as {{ 'not materialized' if of_one else 'materialized' }} (

    {{ user_genre_affinity(at) }}

),

profiles as (

    {{ user_profile(at, affinities='affinities') }}

),

genres as (

    select
        user_id,
        jsonb_object_agg(genre, listens) as genre_listens,
        jsonb_object_agg(genre, round(affinity::numeric, 6)) as genre_affinities
    from affinities
    group by 1

)

select
    profiles.user_id,
    jsonb_build_object(
        'listens', profiles.listens,
        'listens_7d', profiles.listens_7d,
        'listens_30d', profiles.listens_30d,
        'listens_90d', profiles.listens_90d,
        'distinct_tracks', profiles.distinct_tracks,
        'active_days', profiles.active_days,
        'last_listened_at', profiles.last_listened_at,
        'days_since_listen', round(profiles.days_since_listen::numeric, 6),
        'repeat_share', round(profiles.repeat_share::numeric, 6),
        'top_genre', profiles.top_genre,
        'genre_entropy', round(profiles.genre_entropy::numeric, 6),
        'favorite_genre_share', round(profiles.favorite_genre_share::numeric, 6),
        'favorite_genres', profiles.favorite_genres,
        'genre_listens', coalesce(genres.genre_listens, '{}'),
        'genre_affinities', coalesce(genres.genre_affinities, '{}')
    ) as features
from profiles
left join genres on profiles.user_id = genres.user_id
{%- endmacro %}
