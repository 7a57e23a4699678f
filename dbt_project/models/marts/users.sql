{{
    config(
        unique_key=['id'],
        distribution={'by': 'id'},
        scope={'model': 'int_touched_users', 'match': {'id': 'id'}},
    )
}}

with

versions as (

    select published.*
    from {{ ref('int_touched_users') }} as changed
    cross join lateral {{ versions_of('int_published_users', "'[' || changed.id || ']'") }} as published

),

scans as (

    select * from {{ source('staging', 'scans') }}
    where table_name = 'users'

),

-- the latest published version with a payload, also of removed users
latest_version as (

    select distinct on (id)
        id,
        first_name,
        last_name,
        email,
        gender,
        favorite_genres,
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

users as (

    select
        latest_version.id,
        latest_version.first_name,
        latest_version.last_name,
        latest_version.email,
        latest_version.gender,
        latest_version.favorite_genres,
        latest_version.created_at,
        latest_version.updated_at,
        removals.finished_at as deleted_at,
        coalesce(removals._load_id, latest_version._load_id) as _load_id
    from latest_version
    left join removals on latest_version.id = removals.id

)

select * from users
