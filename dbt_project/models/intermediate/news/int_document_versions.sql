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

    {{ document_versions('touched') }}

),

-- under which the same documents came too
other_keys as (

    {{ keys_of('touched_versions') }}
    except
    select key from touched

),

other_versions as (

    {{ document_versions('other_keys') }}

),

versions as (

    select * from touched_versions
    union all
    select other_versions.*
    from other_versions
    where
        (other_versions.user_id, other_versions.created_at) in (
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
        {{ loads_published('listen_history', 'until_seq') }}
    ) as is_published
from versions
