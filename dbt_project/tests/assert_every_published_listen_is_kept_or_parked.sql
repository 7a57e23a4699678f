-- each listen of the documents that this build looked at is in exactly one of listen_history and parked_listens, and nothing
-- else of these documents is; of all documents after a full refresh
with

versions as (

    select distinct
        user_id,
        created_at,
        updated_at
    from {{ ref('int_document_versions') }}

),

kept_or_parked as (

    select present.id
    from {{ ref('listen_history') }} as present
    inner join versions
        on
            present.user_id = versions.user_id
            and present.created_at = versions.created_at
            and present.listened_at = versions.updated_at
    union all
    select present.id
    from {{ ref('parked_listens') }} as present
    inner join versions
        on
            present.user_id = versions.user_id
            and present.created_at = versions.created_at
            and present.listened_at = versions.updated_at

),

counted as (

    select
        id,
        count(*) as times
    from kept_or_parked
    group by id

)

select
    listens.id as published_id,
    counted.id as kept_or_parked_id,
    counted.times
from {{ ref('int_listens') }} as listens
full outer join counted on listens.id = counted.id
where listens.id is null or counted.id is null or counted.times <> 1
