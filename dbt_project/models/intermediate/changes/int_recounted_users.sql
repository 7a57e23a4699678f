with

build as (

    select * from {{ ref('int_build_window') }}

),

-- tracks whose versions, published or not, have different genres
retagged_tracks as (

    select changed.id
    from {{ ref('int_changed_tracks') }} as changed
    cross join lateral {{ versions_of('stg_moovitamix__tracks', "'[' || changed.id || ']'") }} as versions
    where not versions.is_removal
    group by changed.id
    having count(distinct coalesce(versions.genres, '')) > 1

),

recounted_users as (

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
    select user_id
    from {{ ref('int_vanished_listens') }}
    union
    select listens.user_id
    from {{ previous_state('listen_history') }} as listens
    inner join retagged_tracks on listens.track_id = retagged_tracks.id
    union
    select user_id
    from {{ ref('int_document_versions') }}
    where (select build.are_totals_behind from build)

)

select * from recounted_users
