select distinct id
from {{ ref('stg_moovitamix__tracks') }}
where
    _load_id = any({{ loads_with_news('tracks') }})
    and id is not null
