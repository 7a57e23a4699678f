with

-- each listen that a version ever brought was heard when that version was updated
versions as (

    select distinct
        user_id,
        created_at,
        updated_at
    from {{ ref('int_document_versions') }}

),

vanished as (

    select
        present.user_id,
        present.listened_at,
        present.id
    from {{ as_built_before('listen_history') }} as present
    inner join versions
        on
            present.user_id = versions.user_id
            and present.listened_at = versions.updated_at
            and present.created_at = versions.created_at
    where
        -- else the whole table is compared
        (select build.after_seq > 0 from {{ ref('int_build') }} as build)
        and not exists (
            select 1
            from {{ ref('int_listens') }} as listens
            where
                listens.user_id = present.user_id
                and listens.listened_at = present.listened_at
                and listens.id = present.id
                and not listens.is_user_unknown
                and not listens.is_track_unknown
        )

)

select * from vanished
