{#
    A weight after exponential decay: it halves every `affinity_half_life_days`. The exponent stops at -700, because Postgres
    raises an error when float8 underflows.
#}
{% macro decay(weight, days) -%}
exp(greatest(ln({{ weight }}) - ln(2::float8) * {{ days }} / {{ var('affinity_half_life_days') }}, -700))
{%- endmacro %}

{% macro days_between(earlier, later) -%}
extract(epoch from {{ later }} - {{ earlier }})::float8 / 86400
{%- endmacro %}
