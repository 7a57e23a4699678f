{{
    config(
        unique_key=['user_id', 'track_id'],
        distribution={'by': 'user_id', 'with': 'marts.users'},
        scope={'model': 'int_reread_users', 'match': {'user_id': 'user_id'}},
    )
}}

with

reread_users as (

    select * from {{ ref('int_reread_users') }}

),

firsts_of_reread_users as (

    select distinct on (listens.user_id, listens.track_id)
        listens.user_id,
        listens.track_id,
        listens.id as listen_id,
        listens.listened_at
    from {{ ref('listen_history') }} as listens
    inner join reread_users on listens.user_id = reread_users.user_id
    order by listens.user_id, listens.track_id, listens.listened_at, listens.id

),

-- of all other users, nothing disappeared: a listen of this build is the first one or not, however often it is built
firsts_of_build as (

    select distinct on (listens.user_id, listens.track_id)
        listens.user_id,
        listens.track_id,
        listens.id as listen_id,
        listens.listened_at
    from {{ ref('int_listens') }} as listens
    where
        not listens.is_user_unknown
        and not listens.is_track_unknown
        and not exists (
            select 1 from reread_users
            where reread_users.user_id = listens.user_id
        )
    order by listens.user_id, listens.track_id, listens.listened_at, listens.id

),

-- `distinct` forces one primary-key lookup per listen, like `offset 0`, which Citus refuses here; so it does a left join
later_firsts as (

    select
        earlier_or_same.user_id,
        earlier_or_same.track_id
    from firsts_of_build
    cross join lateral (
        select distinct
            present.user_id,
            present.track_id
        from {{ previous_state('first_listens') }} as present
        where
            present.user_id = firsts_of_build.user_id
            and present.track_id = firsts_of_build.track_id
            and (present.listened_at, present.listen_id) <= (firsts_of_build.listened_at, firsts_of_build.listen_id)
    ) as earlier_or_same

),

earlier_firsts as (

    select firsts_of_build.*
    from firsts_of_build
    where
        not exists (
            select 1 from later_firsts
            where
                later_firsts.user_id = firsts_of_build.user_id
                and later_firsts.track_id = firsts_of_build.track_id
        )

),

first_listens as (

    select * from firsts_of_reread_users
    union all
    select * from earlier_firsts

)

select * from first_listens
