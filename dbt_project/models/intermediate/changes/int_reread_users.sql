with

build as (

    select * from {{ ref('int_build_window') }}

),

reread_users as (

    select id as user_id
    from {{ ref('users') }}
    where (select build.after_seq = 0 from build)
    union
    select previous.user_id
    from {{ previous_state('user_totals') }} as previous
    where (select build.after_seq = 0 from build)
    union
    select previous.user_id
    from {{ previous_state('user_genre_totals') }} as previous
    where (select build.after_seq = 0 from build)
    union
    select previous.user_id
    from {{ previous_state('first_listens') }} as previous
    where (select build.after_seq = 0 from build)
    union
    select user_id
    from {{ ref('int_vanished_listens') }}
    union
    select user_id
    from {{ ref('int_document_versions') }}
    where (select build.are_totals_behind from build)

)

select * from reread_users
