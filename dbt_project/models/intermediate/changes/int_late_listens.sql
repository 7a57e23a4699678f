with

build as (

    select * from {{ ref('int_build_window') }}

),

late_listens as (

    select
        listens.user_id,
        listens.track_id,
        listens.listened_at
    from {{ ref('int_listens') }} as listens
    where
        not listens.is_user_unknown
        and not listens.is_track_unknown
        and listens.listened_at < (select build.totals_until from build)
        -- otherwise the users are recounted
        and (select build.after_seq > 0 and not build.are_totals_behind from build)
        and not exists (
            select 1
            from {{ ref('int_present_listens') }} as present
            where
                present.user_id = listens.user_id
                and present.listened_at = listens.listened_at
                and present.id = listens.id
        )

)

select * from late_listens
