{#
    Each macro gives the names, comma-separated, of the fields in which a payload differs from the API's contract. NULL means
    no difference, or a removal. A payload can be any JSON; one that is not an object lacks all fields.
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

{# Text fields whose value is neither text nor null. #}
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
    Fields that the contract does not have. A subquery over the payload's keys would be easier to read, but takes three times
    as long and prevents parallel plans.
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
