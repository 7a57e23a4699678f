with

-- whose versions listen_history can know
seen_loads as (

    {{ loads_published('listen_history', 'listens_seq') }}

),

-- each listen that a version ever brought was heard when that version was updated
versions as (

    select distinct
        user_id,
        created_at,
        updated_at
    from {{ ref('int_document_versions') }}
    where _load_id in (select seen_loads.load_id from seen_loads)

),

present as (

    {{ listens_of('versions', as_built_before('listen_history')) }}

)

select * from present
