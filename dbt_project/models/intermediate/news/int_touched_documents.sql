with

published as (

    select
        key,
        user_id,
        created_at
    from {{ ref('stg_moovitamix__listen_history') }}
    where _load_id = any({{ loads_with_news('listen_history') }})

),

-- listens that wait for a user or track that may be there now
parked as (

    select
        {{ document_key('parked_listens.user_id', 'parked_listens.created_at') }} as key,
        parked_listens.user_id,
        parked_listens.created_at
    from {{ as_built_before('parked_listens') }} as parked_listens
    where
        parked_listens.user_id in (select touched.id from {{ ref('int_touched_users') }} as touched)
        or parked_listens.track_id in (select touched.id from {{ ref('int_touched_tracks') }} as touched)
        or (select build.after_seq = 0 from {{ ref('int_build') }} as build)

),

-- materialized, or each cast is made twice: once to see whether it is null
touched as materialized (

    select * from published
    union
    select * from parked

)

select * from touched
where user_id is not null and created_at is not null
