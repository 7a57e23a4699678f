{{
    config(
        unique_key=['id'],
        distribution='reference',
        scope={'model': 'int_touched_tracks', 'match': {'id': 'id'}},
    )
}}

with

versions as (

    select published.*
    from {{ ref('int_touched_tracks') }} as changed
    cross join lateral {{ versions_of('int_published_tracks', "'[' || changed.id || ']'") }} as published

),

scans as (

    select * from {{ source('staging', 'scans') }}
    where table_name = 'tracks'

),

-- the latest published version with a payload, also of removed tracks
latest_version as (

    select distinct on (id)
        id,
        name,
        artist,
        songwriters,
        duration,
        genres,
        album,
        created_at,
        updated_at,
        version_seq,
        _load_id
    from versions
    where not is_removal
    order by id asc, version_seq desc

),

removals as (

    {{ first_removals('versions', 'latest_version', 'scans') }}

),

tracks as (

    select
        latest_version.id,
        latest_version.name,
        latest_version.artist,
        latest_version.songwriters,
        latest_version.duration,
        latest_version.genres,
        latest_version.album,
        latest_version.created_at,
        latest_version.updated_at,
        removals.finished_at as deleted_at,
        coalesce(removals._load_id, latest_version._load_id) as _load_id
    from latest_version
    left join removals on latest_version.id = removals.id

)

select * from tracks
