{{ config(unique_key=['id']) }}

with

versions as (

    select * from {{ ref('int_published_users') }}

),

scans as (

    select * from {{ source('staging', 'scans') }}
    where table_name = 'users'

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
        first_name,
        last_name,
        email,
        gender,
        favorite_genres,
        created_at,
        updated_at
    from versions
    where not is_removal
    order by id asc, version_seq desc

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
        case when newest_version.is_removal then scans.finished_at end as deleted_at,
        newest_version._load_id
    from newest_profile
    inner join newest_version on newest_profile.id = newest_version.id
    left join scans on newest_version._load_id = scans._dlt_load_id

)

select * from users
