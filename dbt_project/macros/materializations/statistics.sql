{#
    Analyzes a table that was just filled: without statistics the planner assumes it is small. A statistics target of 10, a
    tenth of the default, gives the same row count; 40,000 documents with their items take 10 ms instead of 110.
#}
{% macro collect_statistics(relation) -%}
    set local default_statistics_target = 10;
    analyze {{ relation }};
{%- endmacro %}
