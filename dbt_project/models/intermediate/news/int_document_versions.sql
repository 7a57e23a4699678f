with

touched as (

    select * from {{ ref('int_touched_documents') }}

),

-- under each key that the document ever had
documents as (

    select
        key,
        user_id,
        created_at
    from touched
    union
    select
        {{ document_key('user_id', 'created_at') }} as key,
        user_id,
        created_at
    from touched
    union
    select
        respelled.key,
        touched.user_id,
        touched.created_at
    from {{ ref('respelled_documents') }} as respelled
    inner join touched
        on
            respelled.user_id = touched.user_id
            and respelled.created_at = touched.created_at

),

versions as (

    select
        documents.user_id,
        documents.created_at,
        staged.updated_at,
        staged.items,
        staged.is_removal,
        staged.version_seq,
        staged._load_id,
        staged._dlt_id
    from documents
    cross join lateral {{ versions_of('stg_moovitamix__listen_history', 'documents.key') }} as staged

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
