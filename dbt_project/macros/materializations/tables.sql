{#
    A kept table is made once and never again, so what it must be from the first row on is said here: contract, partitions,
    distribution, keys. Foreign keys come last: on Citus they may not be there before a table is distributed.
#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- if temporary or not config.get('contract').enforced -%}
        {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
    {%- else -%}
        {%- set rows = make_temp_relation(relation) -%}
        {%- set columns = adapter.dispatch('get_column_names', 'dbt')() -%}
        {%- set partition_by = config.get('partition_by') -%}
        {%- set foreign_keys = model.constraints | selectattr('type', 'equalto', 'foreign_key') | list -%}
        {%- set others = model.constraints | rejectattr('type', 'equalto', 'foreign_key') | list -%}
        {{ get_assert_columns_equivalent(sql) }}
        create temporary table {{ rows }} on commit drop as (
            {{ sql }}
        );
        create table {{ relation }} (
            {{ (adapter.render_raw_columns_constraints(raw_columns=model.columns)
                + adapter.render_raw_model_constraints(raw_constraints=others)) | join(', ') }}
        ){% if partition_by %} partition by range ({{ partition_by }}){% endif %};
        {{ distribute(relation) }}
        {% if partition_by %}{{ add_missing_partitions(relation, rows) }}{% endif %}
        insert into {{ relation }} ({{ columns }}) select {{ columns }} from {{ rows }};
        {%- for foreign_key in adapter.render_raw_model_constraints(raw_constraints=foreign_keys) %}
        alter table {{ relation }} add {{ foreign_key }};
        {%- endfor %}
    {%- endif -%}
{%- endmacro %}

{#
    On Citus (the output `citus` of the profile) a table is spread over the machines by the config
        distribution={'by': <a column>, 'with': <a table that is spread alike>}
    or is whole on each of them: distribution='reference'. Without the config, and anywhere else, it is a table like any other.
#}
{% macro distribute(relation) -%}
    {%- set distribution = config.get('distribution') -%}
    {%- if target.name == 'citus' and distribution == 'reference' -%}
        select create_reference_table('{{ relation.include(database=false) }}');
    {%- elif target.name == 'citus' and distribution -%}
        select create_distributed_table(
            '{{ relation.include(database=false) }}', '{{ distribution.by }}', colocate_with => '{{ distribution.with or 'none' }}'
        );
    {%- endif -%}
{%- endmacro %}
