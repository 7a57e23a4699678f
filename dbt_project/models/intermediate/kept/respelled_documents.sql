{{
    config(
        unique_key=['key'],
        indexes=[{'columns': ['user_id', 'created_at']}],
    )
}}

with

documents as (

    select distinct
        key,
        user_id,
        created_at
    from {{ ref('stg_moovitamix__listen_history') }}
    where
        _load_id = any({{ loads_with_news('listen_history') }})
        and user_id is not null
        and created_at is not null

)

select * from documents
where key <> {{ document_key('user_id', 'created_at') }}
