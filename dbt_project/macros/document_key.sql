{#
    The two keys that a document (user_id, created_at) can have: the API sent the time without a zone, or with one.
    extract/keys.py makes one key of all other spellings.
#}
{% macro local_key(document) -%}
    '[' || {{ document }}.user_id || ',"'
    || {{ time_in_key(document ~ ".created_at at time zone '" ~ var("api_timezone") ~ "'") }} || '"]'
{%- endmacro %}

{% macro utc_key(document) -%}
    '[' || {{ document }}.user_id || ',"' || {{ time_in_key(document ~ ".created_at at time zone 'UTC'") }} || 'Z"]'
{%- endmacro %}

{# A time as in a key: with six digits of its fraction, unless that is 0. #}
{% macro time_in_key(time) -%}
    to_char({{ time }}, 'YYYY-MM-DD"T"HH24:MI:SS') || coalesce('.' || nullif(to_char({{ time }}, 'US'), '000000'), '')
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
