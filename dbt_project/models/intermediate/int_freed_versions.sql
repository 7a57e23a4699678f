select
    dlt_id,
    load_id,
    table_name,
    max(closed_at) as freed_at
from {{ source('gate', 'quarantined_rows') }}
where outcome = 'freed'
group by 1, 2, 3
