{#
    The versions of one key in a model of landed rows, to be joined with `cross join lateral`. `offset 0` keeps this a look at
    the index per key: an ordinary join would cast all that ever landed.
#}
{% macro versions_of(model_name, key) -%}
(
    select landed.*
    from {{ ref(model_name) }} as landed
    where landed.key = {{ key }}
    offset 0 -- noqa: AM09
)
{%- endmacro %}
