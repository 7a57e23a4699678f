{{
    config(
        unique_key=['user_id'],
        distribution={'by': 'user_id', 'with': 'marts.users'},
        scope={'model': 'int_recounted_users', 'match': {'user_id': 'user_id'}},
    )
}}

with

{{ listens_to_count('user_totals') }},

counted as (

    select
        user_id,
        is_recount,
        count(*) as listens,
        array_agg(distinct track_id) as track_ids,
        array_agg(distinct date_trunc('day', listened_at, 'UTC')::date) as days,
        max(listened_at) as last_listened_at
    from listens_to_count
    group by 1, 2

),

-- of these users only: joined with all totals, Citus would move all of them to the coordinator
previous as materialized (

    select stored.*
    from {{ previous_state('user_totals') }} as stored
    where stored.user_id in (select counted.user_id from counted)

),

totals as (

    select
        counted.user_id,
        coalesce(previous.listens, 0) + counted.listens as listens,
        {{ array_union('previous.track_ids', 'counted.track_ids') }} as track_ids,
        {{ array_union('previous.days', 'counted.days') }} as days,
        greatest(previous.last_listened_at, counted.last_listened_at) as last_listened_at
    from counted
    left join previous
        on
            counted.user_id = previous.user_id
            and not counted.is_recount

)

select * from totals
