with

-- a version whose items are null says nothing about listens, and is passed over
versions as (

    select
        user_id,
        created_at,
        updated_at,
        items,
        version_seq,
        _load_id
    from {{ ref('int_document_versions') }}
    where is_published and not is_removal and items is not null

),

dated as (

    select
        *,
        max(updated_at) over (
            partition by user_id, created_at
            order by version_seq
            rows between unbounded preceding and 1 preceding
        ) as newest_updated_at_before
    from versions

),

-- not later than the newest one counted so far: stale, counts nothing
counted_versions as (

    select
        user_id,
        created_at,
        updated_at,
        items,
        _load_id,
        row_number() over (partition by user_id, created_at order by version_seq) as version_number
    from dated
    where newest_updated_at_before is null or updated_at > newest_updated_at_before

),

occurrences as (

    select
        counted_versions.user_id,
        counted_versions.created_at,
        counted_versions.version_number,
        counted_versions.updated_at,
        counted_versions._load_id,
        items.track_id::bigint as track_id,
        count(*) as occurrences
    from counted_versions
    cross join lateral jsonb_array_elements(counted_versions.items) as items (track_id)
    group by 1, 2, 3, 4, 5, 6

),

compared as (

    select
        *,
        lag(version_number) over document_tracks as version_number_before,
        lag(occurrences) over document_tracks as occurrences_before
    from occurrences
    window document_tracks as (partition by user_id, created_at, track_id order by version_number)

),

-- the multiset difference between a version and the one before it
new_occurrences as (

    select
        *,
        occurrences - case
            when version_number_before = version_number - 1 then occurrences_before else 0
        end as new_listens
    from compared

),

numbered as (

    select
        *,
        sum(new_listens) over (
            partition by user_id, created_at, track_id
            order by version_number
        )::bigint as last_listen_number
    from new_occurrences
    where new_listens > 0

),

listens as (

    select
        {{ listen_id('numbered.user_id', 'numbered.created_at', 'numbered.track_id', 'listen_number') }} as id,
        numbered.user_id,
        numbered.track_id,
        numbered.updated_at as listened_at,
        numbered.created_at,
        numbered._load_id
    from numbered
    cross join lateral generate_series(
        numbered.last_listen_number - numbered.new_listens + 1, numbered.last_listen_number
    ) as listen_number

),

placed as (

    select
        listens.*,
        users.id is null as is_user_unknown,
        tracks.id is null as is_track_unknown
    from listens
    left join {{ ref('users') }} as users on listens.user_id = users.id
    left join {{ ref('tracks') }} as tracks on listens.track_id = tracks.id

)

select * from placed
