{#
    The moment for which the feature views are computed, as SQL: the var `as_of`, or now(). The var is validated here because
    its value becomes part of the text of a view.
#}
{% macro as_of() -%}
    {%- if var('as_of') -%}
        {%- if not modules.re.match('^\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d(:\\d\\d(\\.\\d+)?)?(Z|[+-]\\d\\d:?\\d\\d)$', var('as_of') | string) -%}
            {{ exceptions.raise_compiler_error("The var as_of must be an ISO time with its zone, such as 2026-01-31T00:00:00Z; it is: " ~ var('as_of')) }}
        {%- endif -%}
        '{{ var("as_of") }}'::timestamptz
    {%- else -%}
        now()
    {%- endif -%}
{%- endmacro %}
