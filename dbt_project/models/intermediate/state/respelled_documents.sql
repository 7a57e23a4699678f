{{
    config(
        unique_key=['key'],
        distribution='reference',
        indexes=[{'columns': ['user_id', 'created_at']}],
    )
}}

select distinct
    key,
    user_id,
    created_at
from {{ ref('int_document_versions') }}
where key <> {{ document_key('user_id', 'created_at') }}
