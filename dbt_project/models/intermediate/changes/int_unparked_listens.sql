select parked_listens.id
from {{ previous_state('parked_listens') }} as parked_listens
where
    (
        (select build.after_seq = 0 from {{ ref('int_build_window') }} as build)
        or (parked_listens.user_id, parked_listens.created_at) in (
            select
                versions.user_id,
                versions.created_at
            from {{ ref('int_document_versions') }} as versions
        )
    )
    and not exists (
        select 1
        from {{ ref('int_listens') }} as listens
        where
            listens.id = parked_listens.id
            and (listens.is_user_unknown or listens.is_track_unknown)
    )
