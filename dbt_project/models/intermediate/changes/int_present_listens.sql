with

-- the loads that listen_history was built with
processed_loads as (

    {{ published_loads('listen_history', 'listens_seq') }}

),

-- the `listened_at` of a listen is the `updated_at` of the version it came from
versions as (

    select distinct
        user_id,
        created_at,
        updated_at
    from {{ ref('int_document_versions') }}
    where _load_id in (select processed_loads.load_id from processed_loads)

),

present_listens as (

    {{ listens_of('versions', previous_state('listen_history'), ['known_at']) }}

)

select * from present_listens
