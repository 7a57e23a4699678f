select distinct id
from {{ ref('stg_moovitamix__users') }}
where
    _load_id = any({{ loads_with_news('users') }})
    and id is not null
