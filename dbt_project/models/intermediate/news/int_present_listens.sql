with

-- whose versions listen_history can know
seen_loads as (

    select publications.load_id
    from {{ source('gate', 'publications') }} as publications
    inner join {{ ref('int_build') }} as build on publications.seq <= build.listens_seq
    where publications.table_name = 'listen_history'

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
