-- Each listen of the documents that this build processed is in exactly one of listen_history and parked_listens, and these
-- tables hold no other listens of the documents. After a full refresh this covers all documents.
with

versions as (

    select distinct
        user_id,
        created_at,
        updated_at
    from {{ ref('int_document_versions') }}

),

stored_listens as (

    {{ listens_of('versions', ref('listen_history')) }}
    union all
    {{ listens_of('versions', ref('parked_listens')) }}

),

counted as (

    select
        id,
        _load_id,
        count(*) as times
    from stored_listens
    group by 1, 2

)

select
    listens.id as published_id,
    counted.id as stored_id,
    counted.times
from {{ ref('int_listens') }} as listens
full outer join counted
    on
        listens.id = counted.id
        and listens._load_id = counted._load_id
where listens.id is null or counted.id is null or counted.times <> 1
