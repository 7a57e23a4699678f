{# Which fields of a payload are not what the API's contract says, as comma-separated names; NULL when all is well. #}

{% macro absent_fields(fields) -%}
    nullif(concat_ws(', '{% for field in fields %}, case when not payload ? '{{ field }}' then '{{ field }}' end{% endfor %}), '')
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

{% macro unknown_fields(known_fields) -%}
    nullif(
        array_to_string(
            array(
                select field_name
                from jsonb_object_keys(payload) as field_name
                where field_name not in ('{{ known_fields | join("', '") }}')
                order by field_name
            ),
            ', '
        ),
        ''
    )
{%- endmacro %}
