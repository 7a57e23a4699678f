{#
    64 bits of an md5 over user, document, track and the how-manieth listen of that track in that document. The document's
    time goes in as microseconds since 1970, so that neither a session's time zone nor the API's way of writing a time
    changes an id. Postgres' own hash functions may change between its versions; md5 does not.
#}
{% macro listen_id(user_id, document_created_at, track_id, nth) -%}
    (
        'x' || substr(
            md5(
                concat_ws(
                    '|', {{ user_id }}, (extract(epoch from {{ document_created_at }}) * 1000000)::bigint, {{ track_id }}, {{ nth }}
                )
            ),
            1, 16
        )
    )::bit(64)::bigint
{%- endmacro %}
