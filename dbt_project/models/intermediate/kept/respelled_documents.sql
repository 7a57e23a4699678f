{{
    config(
        unique_key=['key'],
        distribution='reference',
        indexes=[{'columns': ['user_id', 'created_at']}],
    )
}}

select
    key,
    user_id,
    created_at
from {{ ref('int_touched_documents') }}
where key <> {{ document_key('user_id', 'created_at') }}
