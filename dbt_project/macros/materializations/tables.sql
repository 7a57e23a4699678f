{#
    A stateful table is created once and never rebuilt, so it gets its contract, partitions, distribution and keys here.
    Foreign keys come last: Citus does not allow them before a table is distributed.
#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- if temporary or not config.get('contract').enforced -%}
        {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
    {%- else -%}
        {%- set rows = make_temp_relation(relation) -%}
        {%- set columns = adapter.dispatch('get_column_names', 'dbt')() -%}
        {%- set partition_by = config.get('partition_by') -%}
        {%- set foreign_keys = model.constraints | selectattr('type', 'equalto', 'foreign_key') | list -%}
        {%- set other_constraints = model.constraints | rejectattr('type', 'equalto', 'foreign_key') | list -%}
        {#- Citus: before the transaction reads shards, or no foreign key to a reference table can be added; other servers ignore it -#}
        {%- do run_query("set local citus.multi_shard_modify_mode to 'sequential'") -%}
        {{ get_assert_columns_equivalent(sql) }}
        create temporary table {{ rows }} on commit drop as (
            {{ sql }}
        );
        create table {{ relation }} (
            {{ (adapter.render_raw_columns_constraints(raw_columns=model.columns)
                + adapter.render_raw_model_constraints(raw_constraints=other_constraints)) | join(', ') }}
        ){% if partition_by %} partition by range ({{ partition_by }}){% endif %};
        {{ distribute(relation) }}
        {% if partition_by %}{{ add_missing_partitions(relation, rows) }}{% endif %}
        insert into {{ relation }} ({{ columns }}) select {{ columns }} from {{ rows }};
        {%- if foreign_keys %}
        -- in a block, because Citus sends a statement to its workers as the text that it is part of
        do $foreign_keys$
        begin
            {%- for foreign_key in adapter.render_raw_model_constraints(raw_constraints=foreign_keys) %}
            alter table {{ relation.include(database=false) }} add {{ foreign_key }};
            {%- endfor %}
        end
        $foreign_keys$;
        {%- endif %}
    {%- endif -%}
{%- endmacro %}

{#
    `prep.builds`, which a migration makes, is copied to every node of Citus: beside a local table, each query of the features
    would move all users to the coordinator.
#}
{% macro distribute_builds() -%}
    {%- if target.name == 'citus' -%}
        select create_reference_table('prep.builds')
        where not exists (select 1 from pg_dist_partition where logicalrelid = 'prep.builds'::regclass)
    {%- endif -%}
{%- endmacro %}

{#
    On Citus (the output `citus` of the profile) the config `distribution` shards a table over the nodes
        distribution={'by': <a column>, 'with': <a table to colocate it with>}
    or copies it to every node: distribution='reference'. Without the config, or on another target, it is an ordinary table.
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
