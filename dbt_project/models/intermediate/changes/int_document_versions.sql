with

published_keys as (

    select key from {{ ref('stg_moovitamix__listen_history') }}
    where _load_id = any({{ newly_published_loads('listen_history') }})

),

-- documents with parked listens whose user or track may be published now
parked_documents as (

    select distinct
        parked_listens.user_id,
        parked_listens.created_at
    from {{ previous_state('parked_listens') }} as parked_listens
    where
        parked_listens.user_id in (select changed.id from {{ ref('int_changed_users') }} as changed)
        or parked_listens.track_id in (select changed.id from {{ ref('int_changed_tracks') }} as changed)

),

changed_keys as (

    select key from published_keys
    union
    select {{ local_key('parked_documents') }} from parked_documents
    union
    select {{ utc_key('parked_documents') }} from parked_documents
    -- the index is then read in its order
    order by key

),

changed_versions as (

    {{ document_versions('changed_keys') }}

),

-- other keys of the same documents
other_keys as (

    select
        case
            when changed_versions.key like '%Z"]' then {{ local_key('changed_versions') }}
            else {{ utc_key('changed_versions') }}
        end as key
    from changed_versions
    except
    select key from changed_keys
    order by key

),

other_versions as (

    {{ document_versions('other_keys') }}

),

versions as (

    select * from changed_versions
    union all
    select other_versions.*
    from other_versions
    where
        (other_versions.user_id, other_versions.created_at) in (
            select
                changed_versions.user_id,
                changed_versions.created_at
            from changed_versions
        )

),

{{ known_versions('versions', 'listen_history') }}

select
    key,
    user_id,
    created_at,
    updated_at,
    items,
    is_removal,
    version_seq,
    known_at,
    _load_id,
    {{ is_published('known_versions', 'listen_history') }}
    -- loads published since this build began are left to the next build
    and _load_id in (
        {{ published_loads('listen_history', 'until_seq') }}
    ) as is_published
from known_versions
