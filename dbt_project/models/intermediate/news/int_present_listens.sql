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
        built_before.id,
        built_before.user_id,
        built_before.track_id,
        built_before.listened_at,
        built_before.created_at,
        built_before._load_id
    from {{ as_built_before('listen_history') }} as built_before
    where (select build.after_seq = 0 from build)

)

select * from present
