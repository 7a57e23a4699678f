select id
from {{ ref('stg_moovitamix__tracks') }}
where
    _load_id = any({{ loads_with_news('tracks') }})
    and id is not null
union
select built_before.id
from {{ as_built_before('tracks') }} as built_before
where (select build.after_seq = 0 from {{ ref('int_build') }} as build)
