with

build as (

    select * from {{ ref('int_build') }}

),

-- each listen that a version ever brought was heard when that version was updated
versions as (

    select distinct
        user_id,
        created_at,
        updated_at
    from {{ ref('int_document_versions') }}

),

present as (

    {{ listens_of('versions', as_built_before('listen_history')) }}
    where (select build.after_seq > 0 from build)
    union all
    select
        id,
        user_id,
        track_id,
        listened_at,
        created_at,
        _load_id
    from {{ as_built_before('listen_history') }}
    where (select build.after_seq = 0 from build)

)

select * from present
