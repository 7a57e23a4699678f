{#
    A weight after exponential decay: it halves every `affinity_half_life_days`. The exponent stops at -700, because Postgres
    raises an error when float8 underflows.
#}
{% macro decay(weight, days) -%}
exp(greatest(ln({{ weight }}) - ln(2::float8) * {{ days }} / {{ var('affinity_half_life_days') }}, -700))
{%- endmacro %}

{# `date_part`, because `extract` returns numeric and takes three times as long. #}
{% macro days_between(earlier, later) -%}
date_part('epoch', {{ later }} - {{ earlier }}) / 86400
{%- endmacro %}
