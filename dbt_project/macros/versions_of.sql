{#
    The versions of one key in a model of landed rows; join it with `cross join lateral`. `offset 0` forces an index lookup
    per key: an ordinary join would cast every row that ever landed.
#}
{% macro versions_of(model_name, key) -%}
(
    select landed.*
    from {{ ref(model_name) }} as landed
    where landed.key = {{ key }}
    offset 0 -- noqa: AM09
)
{%- endmacro %}
