{#
    Statistics of a table that was just filled: without them the planner takes it for small. Of a sample a tenth as large as
    Postgres' own, because what these tables are joined by is known already, and a night waits for it.
#}
{% macro take_figures(relation) -%}
    set local default_statistics_target = 10;
    analyze {{ relation }};
{%- endmacro %}
