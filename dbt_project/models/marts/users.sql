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
    from {{ ref('int_touched_users') }} as touched
    cross join lateral {{ versions_of('int_published_users', "'[' || touched.id || ']'") }} as published

),

scans as (

    select * from {{ source('staging', 'scans') }}
    where table_name = 'users'

),

-- what the API said last of it, also when it is gone since
newest_profile as (

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

gone as (

    {{ gone('versions', 'newest_profile', 'scans') }}

),

users as (

    select
        newest_profile.id,
        newest_profile.first_name,
        newest_profile.last_name,
        newest_profile.email,
        newest_profile.gender,
        newest_profile.favorite_genres,
        newest_profile.created_at,
        newest_profile.updated_at,
        gone.finished_at as deleted_at,
        coalesce(gone._load_id, newest_profile._load_id) as _load_id
    from newest_profile
    left join gone on newest_profile.id = gone.id

)

select * from users
