{#
    dbt's own view materialization renames and drops the old view; that also drops analysts' views on it and the grants.
    `create or replace view` keeps both. But it can only add columns at the end, and it waits for everyone who reads the view.
    So an unchanged view is left alone. When columns change in any other way, a view in `prep` is dropped and created again,
    because only this project builds on it; in other schemas that needs --full-refresh. The grants are then restored.
#}
{% materialization view, adapter='postgres' %}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set grant_config = config.get('grants') -%}
    {%- set lost_grants = [] -%}
    {%- set is_unchanged = false -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if existing_relation is not none %}
        {% set comparison = compare_with(existing_relation, sql) if existing_relation.is_view else {} %}
        {% set is_unchanged = comparison.is_same %}
        {% set is_replaceable = comparison.are_columns_kept %}
        {% if not is_replaceable and (should_full_refresh() or this.schema == 'prep') %}
            {% do lost_grants.extend(grants_on(existing_relation)) %}
            {% do adapter.drop_relation(existing_relation) %}
        {% elif not is_replaceable %}
            {{ exceptions.raise_compiler_error(
                "The columns of " ~ this ~ " changed, so it must be dropped, together with all views on it: "
                ~ "make dbt ARGS='build --full-refresh'"
            ) }}
        {% endif %}
    {% endif %}

    {% call statement('main') -%}
        {{ get_replace_view_sql(target_relation, sql) if not is_unchanged else 'do $$ begin end $$' }}
    {%- endcall %}

    {% for grant in lost_grants %}{% do run_query(grant) %}{% endfor %}
    {% do apply_grants(target_relation, grant_config, should_revoke=should_revoke(existing_relation, full_refresh_mode=False)) %}
    {% do persist_docs(target_relation, model) %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#
    Compares a query with an existing view or table. `is_same`: the view has this definition. `are_columns_kept`: the query
    starts with the columns of the relation, with the same names, types and order. `are_columns_same`: it has no other columns.
#}
{% macro compare_with(existing_relation, sql) %}
    {%- set probe = model.alias ~ '__columns' -%}
    {% do run_query('create or replace temporary view ' ~ adapter.quote(probe) ~ ' as (' ~ sql ~ '\n)') %}
    {%- set comparison %}
        select
            pg_get_viewdef('{{ existing_relation }}'::regclass) = pg_get_viewdef(wanted_view.oid),
            not exists (
                select
                from pg_attribute as present
                left join pg_attribute as wanted
                    on
                        wanted.attrelid = wanted_view.oid
                        and present.attnum = wanted.attnum
                        and present.attname = wanted.attname
                        and present.atttypid = wanted.atttypid
                        and present.atttypmod = wanted.atttypmod
                where present.attrelid = '{{ existing_relation }}'::regclass and present.attnum > 0 and wanted.attnum is null
            ),
            (select relnatts from pg_class where oid = '{{ existing_relation }}'::regclass)
            = (select relnatts from pg_class where oid = wanted_view.oid)
        from (select 'pg_temp.{{ adapter.quote(probe) }}'::regclass as oid) as wanted_view
    {%- endset -%}
    {%- set found = run_query(comparison).rows[0] -%}
    {#- without `pg_temp`, which Citus takes for an ordinary schema; it is searched first -#}
    {% do run_query('drop view ' ~ adapter.quote(probe)) %}
    {{ return({'is_same': found[0] and found[1], 'are_columns_kept': found[1], 'are_columns_same': found[1] and found[2]}) }}
{% endmacro %}

{# The privileges of all roles except the owner on a relation, as `grant` statements. #}
{% macro grants_on(relation) %}
    {%- set statements %}
        select
            format(
                'grant %s on %s to %s%s',
                granted.privilege_type,
                '{{ relation }}',
                case when granted.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(granted.grantee)) end,
                case when granted.is_grantable then ' with grant option' end
            )
        from pg_class
        cross join aclexplode(pg_class.relacl) as granted
        where pg_class.oid = '{{ relation }}'::regclass and granted.grantee <> pg_class.relowner
    {%- endset -%}
    {{ return(run_query(statements).columns[0].values()) }}
{% endmacro %}
