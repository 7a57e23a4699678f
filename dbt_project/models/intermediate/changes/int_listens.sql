with

-- a version whose items are null has no information about listens: skip it
versions as (

    select
        user_id,
        created_at,
        updated_at,
        items,
        version_seq,
        known_at,
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
        version_seq,
        known_at,
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
        counted_versions.version_seq,
        counted_versions.version_number,
        counted_versions.known_at
    from counted_versions
    cross join lateral jsonb_array_elements(counted_versions.items) as items (track_id)

),

numbered_occurrences as (

    select
        *,
        row_number() over (partition by user_id, created_at, track_id, version_number) as occurrence_number
    from occurrences

),

-- the nth occurrence of a track in consecutive versions is one listen: for these, the difference is constant
occurrences_by_streak as (

    select
        *,
        version_number - row_number() over (
            partition by user_id, created_at, track_id, occurrence_number
            order by version_number
        ) as streak
    from numbered_occurrences

),

-- a listen happened by its first version; the first of its versions to be published made it known
new_occurrences as (

    select
        track_id,
        occurrence_number,
        min(version_seq) as version_seq,
        min(known_at) as known_at
    from occurrences_by_streak
    group by user_id, created_at, track_id, occurrence_number, streak

),

numbered_listens as (

    select
        counted_versions.user_id,
        new_occurrences.track_id,
        counted_versions.updated_at as listened_at,
        counted_versions.created_at,
        new_occurrences.known_at,
        counted_versions._load_id,
        row_number() over (
            partition by counted_versions.user_id, counted_versions.created_at, new_occurrences.track_id
            order by new_occurrences.version_seq, new_occurrences.occurrence_number
        ) as listen_number
    from new_occurrences
    inner join counted_versions on new_occurrences.version_seq = counted_versions.version_seq

),

listens as (

    select
        {{ listen_id('user_id', 'created_at', 'track_id', 'listen_number') }} as id,
        user_id,
        track_id,
        listened_at,
        created_at,
        known_at,
        _load_id
    from numbered_listens

),

-- those of these documents only: joined with all users, Citus would move all of them to the coordinator
known_users as materialized (

    select
        id,
        known_at
    from {{ ref('users') }}
    where id in (select documents.user_id from {{ ref('int_document_versions') }} as documents)

),

checked_listens as (

    select
        listens.id,
        listens.user_id,
        listens.track_id,
        listens.listened_at,
        listens.created_at,
        greatest(listens.known_at, users.known_at, tracks.known_at, listens.listened_at) as known_at,
        listens._load_id,
        users.id is null as is_user_unknown,
        tracks.id is null as is_track_unknown
    from listens
    left join known_users as users on listens.user_id = users.id
    left join {{ ref('tracks') }} as tracks on listens.track_id = tracks.id

)

select * from checked_listens
