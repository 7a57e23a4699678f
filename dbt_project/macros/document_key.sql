{# The key of a document as the API spells it: its time without a zone, and without a fraction that is 0. #}
{% macro document_key(user_id, created_at) -%}
    (
        '[' || {{ user_id }} || ',"'
        || to_char({{ created_at }} at time zone '{{ var("api_timezone") }}', 'YYYY-MM-DD"T"HH24:MI:SS')
        || coalesce('.' || nullif(to_char({{ created_at }}, 'US'), '000000'), '') || '"]'
    )
{%- endmacro %}

{# The keys of documents (user_id, created_at): as the API spells them, and each other way in which they ever came. #}
{% macro keys_of(documents) -%}
    select {{ document_key('user_id', 'created_at') }} as key
    from {{ documents }}
    union
    select respelled.key
    from {{ as_built_before('respelled_documents') }} as respelled
    inner join {{ documents }}
        on
            respelled.user_id = {{ documents }}.user_id
            and respelled.created_at = {{ documents }}.created_at
{%- endmacro %}

{# What landed of documents under these keys. #}
{% macro document_versions(keys) -%}
    select
        {{ keys }}.key,
        staged.user_id,
        staged.created_at,
        staged.updated_at,
        staged.items,
        staged.is_removal,
        staged.version_seq,
        staged._load_id,
        staged._dlt_id
    from {{ keys }}
    cross join lateral {{ versions_of('stg_moovitamix__listen_history', keys ~ '.key') }} as staged
    where
        staged.user_id is not null
        and staged.created_at is not null
{%- endmacro %}
