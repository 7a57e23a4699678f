with

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

)

select * from present
