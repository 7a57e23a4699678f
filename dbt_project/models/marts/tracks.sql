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
    from {{ ref('int_touched_tracks') }} as touched
    cross join lateral {{ versions_of('int_published_tracks', "'[' || touched.id || ']'") }} as published

),

scans as (

    select * from {{ source('staging', 'scans') }}
    where table_name = 'tracks'

),

-- what the API said last of it, also when it is gone since
newest_profile as (

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

gone as (

    {{ gone('versions', 'newest_profile', 'scans') }}

),

tracks as (

    select
        newest_profile.id,
        newest_profile.name,
        newest_profile.artist,
        newest_profile.songwriters,
        newest_profile.duration,
        newest_profile.genres,
        newest_profile.album,
        newest_profile.created_at,
        newest_profile.updated_at,
        gone.finished_at as deleted_at,
        coalesce(gone._load_id, newest_profile._load_id) as _load_id
    from newest_profile
    left join gone on newest_profile.id = gone.id

)

select * from tracks
