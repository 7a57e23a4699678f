with

build as (

    select * from {{ ref('int_build') }}

),

-- tagged otherwise in another version, published or not
retagged_tracks as (

    select touched.id
    from {{ ref('int_touched_tracks') }} as touched
    cross join lateral {{ versions_of('stg_moovitamix__tracks', "'[' || touched.id || ']'") }} as versions
    where not versions.is_removal
    group by touched.id
    having count(distinct coalesce(versions.genres, '')) > 1

),

recounted as (

    select id as user_id
    from {{ ref('users') }}
    where (select build.after_seq = 0 from build)
    union
    select built_before.user_id
    from {{ as_built_before('user_totals') }} as built_before
    where (select build.after_seq = 0 from build)
    union
    select built_before.user_id
    from {{ as_built_before('user_genre_totals') }} as built_before
    where (select build.after_seq = 0 from build)
    union
    select user_id
    from {{ ref('int_vanished_listens') }}
    union
    select listens.user_id
    from {{ as_built_before('listen_history') }} as listens
    inner join retagged_tracks on listens.track_id = retagged_tracks.id
    union
    select user_id
    from {{ ref('int_document_versions') }}
    where (select build.are_totals_behind from build)

)

select * from recounted
