with

publications as (

    select
        *,
        -- the clock can be set back
        max(published_at) over (order by seq) as newest_published_at
    from {{ source('gate', 'publications') }}

),

loads as (

    select * from {{ source('gate', 'loads') }}
    where state in {{ published_states() }}

)

select
    publications.seq,
    publications.load_id,
    publications.table_name,
    publications.kind,
    publications.published_at,
    case
        when publications.seq = min(publications.seq) over (partition by publications.table_name) then '-infinity'
        else publications.newest_published_at
    end as known_at
from publications
inner join loads
    on
        publications.load_id = loads.load_id
        and publications.table_name = loads.table_name
