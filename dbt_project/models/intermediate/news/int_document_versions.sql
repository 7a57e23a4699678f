with

touched as (

    select * from {{ ref('int_touched_documents') }}

),

keys as (

    select {{ document_key('user_id', 'created_at') }} as key
    from touched
    union
    select respelled.key
    from {{ ref('respelled_documents') }} as respelled
    inner join touched
        on
            respelled.user_id = touched.user_id
            and respelled.created_at = touched.created_at

),

versions as (

    select staged.*
    from {{ ref('stg_moovitamix__listen_history') }} as staged
    inner join keys on staged.key = keys.key

)

select
    user_id,
    created_at,
    updated_at,
    items,
    is_removal,
    version_seq,
    _load_id,
    {{ is_published('versions', 'listen_history') }} as is_published
from versions
