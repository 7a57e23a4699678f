{#
    The first 64 bits of an md5 over user, document, track and `nth`, which numbers the listens of a track in a document.
    The document's time is hashed as microseconds since 1970: neither the session's time zone nor the API's spelling of a
    time changes an id. md5 is used because Postgres may change its own hash functions between versions.
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
