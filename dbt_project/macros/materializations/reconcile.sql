{#
    Incremental strategy. It upserts the rows of the model's query by `unique_key`, and deletes the other rows of the table.
    Rows that are already correct are not written. The strategy is idempotent. With `scope`, the query has only the rows that
    may have changed, and only table rows that match the scope are deleted:
        scope={'model': <a model that this one refs>, 'match': {<column of this table>: <column of that model>}}
#}
{% macro get_incremental_reconcile_sql(arg_dict) %}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set desired = arg_dict["temp_relation"] -%}
    {%- set key = arg_dict["unique_key"] -%}
    {%- if not key -%}
        {{ exceptions.raise_compiler_error("The strategy 'reconcile' needs a unique_key (model " ~ model.name ~ ")") }}
    {%- endif -%}
    {%- set key = [key] if key is string else key -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="name") | list -%}
    {%- set quoted_columns = get_quoted_csv(columns) -%}
    {%- set other_columns = columns | reject("in", key) | list -%}
    {%- set scope = config.get('scope') -%}

    {% if config.get('partition_by') -%}
        {%- do check_is_partitioned(target) -%}
        {{ add_missing_partitions(target, desired) }}
    {%- endif %}

    {{ collect_statistics(desired) }}

    delete from {{ target }} as present
    {% if scope -%}
    using (select distinct {{ scope.match.values() | join(', ') }} from {{ ref(scope.model) }}) as scope
    {%- endif %}
    where
        {% if scope -%}
        {% for column, scope_column in scope.match.items() %}present.{{ column }} = scope.{{ scope_column }} and {% endfor %}
        {%- endif %}
        not exists (
            -- from a subquery: Citus refuses a DELETE whose correlated subquery reads a local table directly
            select 1 from (select {{ key | join(', ') }} from {{ desired }}) as desired
            where {% for column in key %}{{ "and " if not loop.first }}desired.{{ column }} = present.{{ column }} {% endfor %}
        );

    insert into {{ target }} as present ({{ quoted_columns }})
    select {{ quoted_columns }} from {{ desired }}
    on conflict ({{ key | join(", ") }})
    {% if other_columns -%}
    do update set
        {% for column in other_columns -%}
        "{{ column }}" = excluded."{{ column }}"{{ "," if not loop.last }}
        {% endfor %}
    where
        ({% for column in other_columns %}present."{{ column }}"{{ ", " if not loop.last }}{% endfor %})
        is distinct from ({% for column in other_columns %}excluded."{{ column }}"{{ ", " if not loop.last }}{% endfor %})
    {%- else -%}
    do nothing
    {%- endif %}
{% endmacro %}
