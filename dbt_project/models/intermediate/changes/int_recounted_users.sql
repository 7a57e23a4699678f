with

-- tracks whose versions, published or not, have different genres
retagged_tracks as materialized (

    select changed.id
    from {{ ref('int_changed_tracks') }} as changed
    cross join lateral {{ versions_of('stg_moovitamix__tracks', "'[' || changed.id || ']'") }} as versions
    where not versions.is_removal
    group by changed.id
    having count(distinct coalesce(versions.genres, '')) > 1

),

recounted_users as (

    select user_id
    from {{ ref('int_reread_users') }}
    union
    select listens.user_id
    from {{ previous_state('listen_history') }} as listens
    inner join retagged_tracks on listens.track_id = retagged_tracks.id

)

select * from recounted_users
