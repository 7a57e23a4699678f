{#
    Which fields of a payload are not what the API's contract says, as comma-separated names; NULL when all is well, and for
    a removal. A payload can be any JSON: one that is no object has none of the fields.
#}

{% macro absent_fields(fields) -%}
    case
        when payload is not null
            then
                nullif(
                    concat_ws(
                        ', '{% for field in fields %},
                        case when payload -> '{{ field }}' is null then '{{ field }}' end{% endfor %}
                    ),
                    ''
                )
    end
{%- endmacro %}

{# Fields that should be text and are neither text nor null. #}
{% macro mistyped_texts(fields) -%}
    nullif(
        concat_ws(
            ', '{% for field in fields %},
            case when jsonb_typeof(payload -> '{{ field }}') not in ('string', 'null') then '{{ field }}' end{% endfor %}
        ),
        ''
    )
{%- endmacro %}

{#
    What is left when the known fields are taken away. A subquery over the payload's keys would be easier to read, but takes
    three times as long and keeps Postgres from working on the rows in parallel.
#}
{% macro unknown_fields(known_fields) -%}
    case
        when jsonb_typeof(payload) = 'object'
            then
                nullif(
                    translate(
                        jsonb_path_query_array(
                            payload - array['{{ known_fields | join("', '") }}'], '$.keyvalue().key'
                        )::text,
                        '[]"', ''
                    ),
                    ''
                )
    end
{%- endmacro %}
