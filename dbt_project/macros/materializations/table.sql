{#
    dbt's own table materialization creates each table under another name and renames it, in every build. This one fills an
    existing table again, because structure changes with the version only. It creates the table if there is none, if the columns have
    changed, and with --full-refresh.
#}
{% materialization table, adapter='postgres' %}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set is_kept = (
        existing_relation is not none and existing_relation.is_table and not should_full_refresh()
        and compare_with(existing_relation, sql).are_columns_same
    ) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if existing_relation is not none and not is_kept %}
        {% do adapter.drop_relation(existing_relation) %}
    {% endif %}

    {% call statement('main') -%}
        {% if is_kept %}
            truncate {{ target_relation }};
            insert into {{ target_relation }} (
                {{ sql }}
            )
        {% else %}
            {{ get_create_table_as_sql(False, target_relation, sql) }}
        {% endif %}
    {%- endcall %}

    {% if not is_kept %}{% do create_indexes(target_relation) %}{% endif %}
    {% do persist_docs(target_relation, model) %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
