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

totals as (

    select
        counted.user_id,
        coalesce(before.listens, 0) + counted.listens as listens,
        {{ with_new_elements('before.track_ids', 'counted.track_ids') }} as track_ids,
        {{ with_new_elements('before.days', 'counted.days') }} as days,
        greatest(before.last_listened_at, counted.last_listened_at) as last_listened_at
    from counted
    left join {{ as_built_before('user_totals') }} as before
        on
            counted.user_id = before.user_id
            and not counted.is_recount

)

select * from totals
