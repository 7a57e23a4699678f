with

-- a version whose items are null has no information about listens: skip it
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

versions_in_order as (

    select
        *,
        max(updated_at) over (
            partition by user_id, created_at
            order by version_seq
            rows between unbounded preceding and 1 preceding
        ) as newest_updated_at_before
    from versions

),

-- a version not newer than the newest one counted before it is stale: skip it
counted_versions as (

    select
        user_id,
        created_at,
        updated_at,
        items,
        _load_id,
        row_number() over (partition by user_id, created_at order by version_seq) as version_number
    from versions_in_order
    where newest_updated_at_before is null or updated_at > newest_updated_at_before

),

occurrences as (

    select
        counted_versions.user_id,
        counted_versions.created_at,
        items.track_id::bigint as track_id,
        counted_versions.version_number,
        counted_versions.updated_at,
        counted_versions._load_id
    from counted_versions
    cross join lateral jsonb_array_elements(counted_versions.items) as items (track_id)

),

numbered_occurrences as (

    select
        *,
        row_number() over (
            partition by user_id, created_at, track_id, version_number
        ) as occurrence_number,
        count(*) over (
            partition by user_id, created_at, track_id
            order by version_number
            range between 1 preceding and 1 preceding
        ) as occurrences_before
    from occurrences

),

-- multiset difference between a version and the previous one
new_occurrences as (

    select
        *,
        row_number() over (partition by user_id, created_at, track_id order by version_number) as listen_number
    from numbered_occurrences
    where occurrence_number > occurrences_before

),

listens as (

    select
        {{ listen_id('user_id', 'created_at', 'track_id', 'listen_number') }} as id,
        user_id,
        track_id,
        updated_at as listened_at,
        created_at,
        _load_id
    from new_occurrences

),

checked_listens as (

    select
        listens.*,
        users.id is null as is_user_unknown,
        tracks.id is null as is_track_unknown
    from listens
    left join {{ ref('users') }} as users on listens.user_id = users.id
    left join {{ ref('tracks') }} as tracks on listens.track_id = tracks.id

)

select * from checked_listens
