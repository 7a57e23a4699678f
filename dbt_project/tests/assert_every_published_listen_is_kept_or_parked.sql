-- each listen of the published documents is in exactly one of listen_history and parked_listens, and nothing else is
with

kept_or_parked as (

    select id from {{ ref('listen_history') }}
    union all
    select id from {{ ref('parked_listens') }}

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
