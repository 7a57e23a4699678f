with

published as (

    select key from {{ ref('stg_moovitamix__listen_history') }}
    where _load_id = any({{ loads_with_news('listen_history') }})

),

-- with listens that wait for a user or track that may be there now
parked as (

    select distinct
        parked_listens.user_id,
        parked_listens.created_at
    from {{ as_built_before('parked_listens') }} as parked_listens
    where
        parked_listens.user_id in (select touched.id from {{ ref('int_touched_users') }} as touched)
        or parked_listens.track_id in (select touched.id from {{ ref('int_touched_tracks') }} as touched)

),

touched as (

    select key from published
    union
    {{ keys_of('parked') }}

),

touched_versions as (

    select
        touched.key,
        staged.user_id,
        staged.created_at,
        staged.updated_at,
        staged.items,
        staged.is_removal,
        staged.version_seq,
        staged._load_id,
        staged._dlt_id
    from touched
    cross join lateral {{ versions_of('stg_moovitamix__listen_history', 'touched.key') }} as staged
    where staged.user_id is not null and staged.created_at is not null

),

-- under which the same documents came too
other_keys as (

    {{ keys_of('touched_versions') }}
    except
    select key from touched

),

versions as (

    select * from touched_versions
    union all
    select
        other_keys.key,
        staged.user_id,
        staged.created_at,
        staged.updated_at,
        staged.items,
        staged.is_removal,
        staged.version_seq,
        staged._load_id,
        staged._dlt_id
    from other_keys
    cross join lateral {{ versions_of('stg_moovitamix__listen_history', 'other_keys.key') }} as staged
    where
        (staged.user_id, staged.created_at) in (
            select
                touched_versions.user_id,
                touched_versions.created_at
            from touched_versions
        )

)

select
    key,
    user_id,
    created_at,
    updated_at,
    items,
    is_removal,
    version_seq,
    _load_id,
    {{ is_published('versions', 'listen_history') }}
    -- not what was let through since this build began: the next one looks at it, and takes it for new
    and _load_id in (
        select publications.load_id
        from {{ source('gate', 'publications') }} as publications
        inner join {{ ref('int_build') }} as build on publications.seq <= build.until_seq
        where publications.table_name = 'listen_history'
    ) as is_published
from versions
