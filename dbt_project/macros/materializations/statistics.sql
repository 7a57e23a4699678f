{#
    Statistics of a table that was just filled: without them the planner takes it for small. Of a tenth of Postgres' own
    sample: how many rows there are comes out the same, and for 40,000 documents with their items it takes 10 ms and not 110.
#}
{% macro take_statistics(relation) -%}
    set local default_statistics_target = 10;
    analyze {{ relation }};
{%- endmacro %}
