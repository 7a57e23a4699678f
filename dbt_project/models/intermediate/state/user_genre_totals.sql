{{
    config(
        unique_key=['user_id', 'genre'],
        distribution={'by': 'user_id', 'with': 'marts.users'},
        scope={'model': 'int_recounted_users', 'match': {'user_id': 'user_id'}},
    )
}}

{% set totals_until = '(select build.totals_until from build)' %}

with

track_genres as (

    select * from {{ ref('track_genres') }}

),

{{ listens_to_count('user_genre_totals') }},

counted as (

    select
        listens_to_count.user_id,
        track_genres.genre,
        listens_to_count.is_recount,
        count(*) as listens,
        sum({{ decay('1::float8', days_between('listens_to_count.listened_at', totals_until)) }}) as affinity,
        max(listens_to_count.listened_at) as last_listened_at
    from listens_to_count
    inner join track_genres on listens_to_count.track_id = track_genres.track_id
    group by 1, 2, 3

),

-- of these users only: joined with all totals, Citus would move all of them to the coordinator
previous as materialized (

    select stored.*
    from {{ previous_state('user_genre_totals') }} as stored
    where stored.user_id in (select counted.user_id from counted)

),

totals as (

    select
        counted.user_id,
        counted.genre,
        coalesce(previous.listens, 0) + counted.listens as listens,
        coalesce(
            {{ decay('previous.affinity', days_between('previous.affinity_at', totals_until)) }}, 0
        ) + counted.affinity as affinity,
        {{ totals_until }} as affinity_at,
        greatest(previous.last_listened_at, counted.last_listened_at) as last_listened_at
    from counted
    left join previous
        on
            counted.user_id = previous.user_id
            and counted.genre = previous.genre
            and not counted.is_recount

)

select * from totals
