{#
    What is left of a weight after some days; it halves every `affinity_half_life_days`. Below exp(-700) float8 underflows,
    and Postgres makes that an error.
#}
{% macro decayed(weight, days) -%}
exp(greatest(ln({{ weight }}) - ln(2::float8) * {{ days }} / {{ var('affinity_half_life_days') }}, -700))
{%- endmacro %}

{% macro days_between(earlier, later) -%}
extract(epoch from {{ later }} - {{ earlier }})::float8 / 86400
{%- endmacro %}
