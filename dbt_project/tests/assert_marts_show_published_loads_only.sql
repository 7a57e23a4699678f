with

mart_loads as (

    select distinct
        'users' as table_name,
        _load_id as load_id
    from {{ ref('users') }}
    union all
    select distinct
        'tracks' as table_name,
        _load_id as load_id
    from {{ ref('tracks') }}
    union all
    select distinct
        'listen_history' as table_name,
        _load_id as load_id
    -- the documents that this build processed
    from {{ ref('int_listens') }}

)

select
    mart_loads.table_name,
    mart_loads.load_id
from mart_loads
left join {{ source('gate', 'loads') }} as loads
    on
        mart_loads.load_id = loads.load_id
        and mart_loads.table_name = loads.table_name
        and loads.state in {{ published_states() }}
where loads.load_id is null
