{# The key of a document as the API spells it: its time without a zone, and without a fraction that is 0. #}
{% macro document_key(user_id, created_at) -%}
    (
        '[' || {{ user_id }} || ',"'
        || to_char({{ created_at }} at time zone '{{ var("api_timezone") }}', 'YYYY-MM-DD"T"HH24:MI:SS')
        || coalesce('.' || nullif(to_char({{ created_at }}, 'US'), '000000'), '') || '"]'
    )
{%- endmacro %}
