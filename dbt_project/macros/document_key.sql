{# The key of a document in the API's default spelling: the time has no zone, and no fraction if the fraction is 0. #}
{% macro document_key(user_id, created_at) -%}
    (
        '[' || {{ user_id }} || ',"'
        || to_char({{ created_at }} at time zone '{{ var("api_timezone") }}', 'YYYY-MM-DD"T"HH24:MI:SS')
        || coalesce('.' || nullif(to_char({{ created_at }}, 'US'), '000000'), '') || '"]'
    )
{%- endmacro %}

{# All keys under which documents (user_id, created_at) ever landed: the default spelling and every other one. #}
{% macro document_keys(documents) -%}
    select {{ document_key('user_id', 'created_at') }} as key
    from {{ documents }}
    union
    select respelled.key
    from {{ previous_state('respelled_documents') }} as respelled
    inner join {{ documents }}
        on
            respelled.user_id = {{ documents }}.user_id
            and respelled.created_at = {{ documents }}.created_at
{%- endmacro %}

{# All landed versions of the documents with these keys. #}
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
