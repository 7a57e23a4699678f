{{ config(unique_key=['id']) }}

with

versions as (

    select * from {{ ref('int_published_tracks') }}

),

scans as (

    select * from {{ source('staging', 'scans') }}
    where table_name = 'tracks'

),

newest_version as (

    select distinct on (id)
        id,
        is_removal,
        _load_id
    from versions
    order by id asc, version_seq desc

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
        updated_at
    from versions
    where not is_removal
    order by id asc, version_seq desc

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
        case when newest_version.is_removal then scans.finished_at end as deleted_at,
        newest_version._load_id
    from newest_profile
    inner join newest_version on newest_profile.id = newest_version.id
    left join scans on newest_version._load_id = scans._dlt_load_id

)

select * from tracks
